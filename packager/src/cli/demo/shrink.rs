//! The project's own model: float against int8.

use std::path::Path;

use serde_json::Value;

use super::super::output::size;
use super::stage::{Stage, check};
use crate::data;
use crate::error::{About, Error, Result};
use crate::files;

/// Trained by the crate samara-models; see models/vibration/README.md.
const FILES: &[(&str, &[u8])] = &[
    ("vibration.onnx", include_bytes!("../../../../models/vibration/model.onnx")),
    ("calibrate.npz", include_bytes!("../../../../models/vibration/calibrate.npz")),
    ("evaluate.npz", include_bytes!("../../../../models/vibration/evaluate.npz")),
];
/// The model's classes, in the order of its output.
pub(super) const LABELS: &str = "normal,unbalance,misalignment,looseness,outer-race,inner-race";
/// The device class of the demo's device.
pub(super) const CLASS: &str = "gateway-a";
/// Most points of accuracy that int8 may cost.
const MAX_DROP: f64 = 2.0;

pub(super) fn run(stage: &mut Stage<'_>) -> Result<()> {
    for (name, bytes) in FILES {
        files::write_atomic(&stage.path(name), bytes)?;
    }
    stage.samara(&["key", "new", "release.key"])?;
    let float = stage.samara(&["pack", "vibration.onnx", "-o", "float.samara", "--name", "vibration"])?;
    let int8 = pack(stage, "1.0.0", LABELS, "v1.samara")?;
    let accuracy = |bundle: &str, out: &str| -> Result<f64> {
        stage.samara(&["run", bundle, "--input", "evaluate.npz", "-o", out, "--dequantize"])?;
        top1(&stage.path("evaluate.npz"), &stage.path(out))
    };
    let (float_accuracy, int8_accuracy) =
        (accuracy("float.samara", "float.npz")?, accuracy("v1.samara", "int8.npz")?);
    let row = |name: &str, report: &Value, accuracy: f64| {
        let bytes = |v: &Value| size(v.as_u64().unwrap_or(0) as usize);
        let weights = report["sections"].as_array().into_iter().flatten().find(|s| s["kind"] == "weights");
        stage.say(format_args!(
            "{name:6} accuracy {:5.2} %   weights {:>9}   arena {:>9}",
            100.0 * accuracy,
            bytes(&weights.map_or(Value::Null, |s| s["bytes"].clone())),
            bytes(&report["memory"]["arena_bytes"])
        ));
    };
    row("float", &float, float_accuracy);
    row("int8", &int8, int8_accuracy);
    let drop = 100.0 * (float_accuracy - int8_accuracy);
    check(drop <= MAX_DROP, format!("int8 costs {drop:.2} points, more than {MAX_DROP}"))
}

/// Packs a version of the int8 model, signed, and remembers its digest.
pub(super) fn pack(stage: &mut Stage<'_>, version: &str, labels: &str, file: &str) -> Result<Value> {
    let report = stage.samara(&[
        "pack",
        "vibration.onnx",
        "-o",
        file,
        "--name",
        "vibration",
        "--model-version",
        version,
        "--class",
        CLASS,
        "--calibrate",
        "calibrate.npz",
        "--labels",
        labels,
        "--sign",
        "release.key",
    ])?;
    let digest = report["digest"].as_str().unwrap_or_default();
    stage.bundles.push(format!("vibration {version}  {digest}  {file}"));
    Ok(report)
}

/// Share of samples whose greatest output is the label's.
fn top1(labels: &Path, outputs: &Path) -> Result<f64> {
    let labels = data::read(labels)?.into_iter().find(|a| a.name == "labels");
    let labels = labels.ok_or_else(|| Error::invalid("holds no array 'labels'")).about("evaluate.npz")?;
    let labels: Vec<i32> = bytemuck::pod_collect_to_vec(&labels.bytes);
    let outputs =
        data::read(outputs)?.into_iter().next().ok_or_else(|| Error::invalid("no output was written"))?;
    let scores: Vec<f32> = bytemuck::pod_collect_to_vec(&outputs.bytes);
    let classes = scores.len() / labels.len().max(1);
    let right = scores.chunks(classes.max(1)).zip(&labels).filter(|(row, label)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(c, _)| c as i32);
        best == Some(**label)
    });
    Ok(right.count() as f64 / labels.len().max(1) as f64)
}
