//! A repository, a device, version 1, requests.

use serde_json::{Value, json};

use super::shrink::CLASS;
use super::stage::{Stage, check};
use crate::data;
use crate::error::{Error, Result};

/// Requests that are sent.
const REQUESTS: usize = 20;

pub(super) fn run(stage: &mut Stage<'_>) -> Result<()> {
    stage.samara(&["repo", "init", "repo", "--keys", "repo-keys"])?;
    publish(stage, "v1.samara", "vibration-1.0.0.samara")?;
    let address = stage.server.address().to_owned();
    let (metadata, targets) = (format!("{address}/metadata"), format!("{address}/targets"));
    stage.samara(&[
        "device",
        "enroll",
        "--root",
        "repo/metadata/1.root.json",
        "--id",
        "device-1",
        "--class",
        CLASS,
        "--model",
        "vibration",
        "--key",
        "release.key.pub",
        "--metadata-url",
        &metadata,
        "--targets-url",
        &targets,
        "--telemetry",
        &address,
        "--probation-seconds",
        "1",
        "--telemetry-seconds",
        "1",
        "--listen",
        "127.0.0.1:0",
        "-o",
        "device",
    ])?;
    let once = stage.agent(&["once", "--config", "device/agent.toml"])?;
    check(once.code == 0, format!("the agent did not install version 1: {}", once.text))?;
    check(active(stage)? == "1.0.0", "version 1.0.0 is not active")?;
    serve(stage)
}

/// Adds and releases a bundle.
pub(super) fn publish(stage: &Stage<'_>, bundle: &str, target: &str) -> Result<()> {
    stage.samara(&["repo", "add", "repo", bundle, "--keys", "repo-keys", "--key", "release.key.pub"])?;
    stage.samara(&["repo", "release", "repo", target, "--keys", "repo-keys"])?;
    Ok(())
}

/// The device's active version.
pub(super) fn active(stage: &Stage<'_>) -> Result<String> {
    let status = stage.agent(&["status", "--config", "device/agent.toml"])?;
    Ok(status.json["version"].as_str().unwrap_or("none").to_owned())
}

fn serve(stage: &mut Stage<'_>) -> Result<()> {
    stage.start_agent(&["serve", "--config", "device/agent.toml"], "serve.log")?;
    let log = stage.path("serve.log");
    let address = stage.wait_for("the start of samara-agent serve", || {
        let text = std::fs::read_to_string(&log).ok()?;
        let line: Value = serde_json::from_str(text.lines().next()?).ok()?;
        line["listen"].as_str().map(str::to_owned)
    })?;
    let ready = format!("http://{address}/v2/health/ready");
    stage.wait_for("readiness", || ureq::get(&ready).call().ok())?;
    let samples = data::read(&stage.path("evaluate.npz"))?;
    let samples =
        samples.iter().find(|a| a.name == "spectrograms").ok_or_else(|| Error::invalid("no spectrograms"))?;
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&samples.bytes);
    let each: usize = samples.shape[1..].iter().product();
    stage.say(format_args!("$ curl http://{address}/v2/models/vibration/infer -d '…'   ({REQUESTS} times)"));
    for sample in values.chunks(each).take(REQUESTS) {
        let shape: Vec<usize> = [&[1], &samples.shape[1..]].concat();
        let body = json!({ "inputs": [{ "name": samples.name, "shape": shape, "datatype": "FP32", "data": sample }] });
        let answer = ureq::post(format!("http://{address}/v2/models/vibration/infer"))
            .header("Content-Type", "application/json")
            .send(body.to_string())
            .map_err(|e| Error::invalid(format!("the device refused a request: {e}")))?
            .body_mut()
            .read_to_string()
            .map_err(|e| Error::invalid(format!("the device's answer cannot be read: {e}")))?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        check(
            answer["outputs"][0]["data"].as_array().is_some_and(|d| d.len() == 6),
            format!("an odd answer: {answer}"),
        )?;
    }
    stage.say(format_args!("{REQUESTS} requests answered by version 1.0.0"));
    Ok(())
}
