//! What must not happen, tried.

use samara_runtime::bundle::{Bundle, Kind, prefix};
use sha2::{Digest, Sha256};

use super::ship::{active, publish};
use super::shrink::{CLASS, LABELS, pack};
use super::stage::{Stage, check};
use crate::error::{About, Error, Result};
use crate::{files, sign};

pub(super) fn run(stage: &mut Stage<'_>) -> Result<()> {
    flipped_bit(stage)?;
    wrong_contract(stage)?;
    failing_self_test(stage)?;
    power_cut(stage)
}

fn flipped_bit(stage: &Stage<'_>) -> Result<()> {
    let mut bytes = files::read(&stage.path("v1.samara"))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    files::write_atomic(&stage.path("flipped.samara"), &bytes)?;
    let refusal = stage.samara_refuses(&["verify", "flipped.samara", "--key", "release.key.pub"])?;
    stage.say(format_args!("one bit flipped at byte {middle}: {refusal}"));
    Ok(())
}

fn wrong_contract(stage: &mut Stage<'_>) -> Result<()> {
    // Same model, labels in another order: applications would show the wrong class.
    let swapped = LABELS.replace("normal,unbalance", "unbalance,normal");
    pack(stage, "1.1.0", &swapped, "swapped.samara")?;
    stage.samara(&[
        "repo",
        "add",
        "repo",
        "swapped.samara",
        "--keys",
        "repo-keys",
        "--key",
        "release.key.pub",
    ])?;
    let refusal = stage.samara_refuses(&[
        "repo",
        "release",
        "repo",
        "vibration-1.1.0.samara",
        "--keys",
        "repo-keys",
    ])?;
    stage.say(refusal);
    Ok(())
}

fn failing_self_test(stage: &mut Stage<'_>) -> Result<()> {
    pack(stage, "1.2.0", LABELS, "v1.2.samara")?;
    spoil(stage, "v1.2.samara", "spoiled.samara")?;
    stage.say("(spoiled.samara: 1.2.0 with one expected output changed, then signed: as if built for other hardware)");
    let target = "vibration-1.2.0.samara";
    stage.samara(&[
        "repo",
        "add",
        "repo",
        "spoiled.samara",
        "--keys",
        "repo-keys",
        "--key",
        "release.key.pub",
        "--class",
        CLASS,
        "--skip-self-test",
    ])?;
    stage.samara(&["repo", "release", "repo", target, "--keys", "repo-keys"])?;
    let once = stage.agent(&["once", "--config", "device/agent.toml"])?;
    check(once.code == 1, format!("the agent took a bundle that fails its self-test: {}", once.text))?;
    let said = once.json["error"].as_str().unwrap_or("it gave no reason").to_owned();
    stage.say(format_args!("the device refuses 1.2.0: {said}"));
    check(active(stage)? == "1.0.0", "version 1.0.0 is no longer active")?;
    stage.say("1.0.0 stayed active");
    Ok(())
}

/// Milliseconds after which a device on a good line is cut off: somewhere in staging, testing, activating.
const CUTS: &[u64] = &[5, 15, 40, 80];

fn power_cut(stage: &mut Stage<'_>) -> Result<()> {
    let bytes = pack(stage, "1.3.0", LABELS, "v1.3.samara")?["bytes"].as_u64().unwrap_or(0) as usize;
    publish(stage, "v1.3.samara", "vibration-1.3.0.samara")?;
    // First in the middle of the download, where the line goes dead and then the device.
    stage.server.cut_after(Some(bytes * 3 / 4));
    let agent = stage.start_agent(&["once", "--config", "device/agent.toml"], "cut.log")?;
    stage.wait_for("the middle of the download", || stage.server.was_cut().then_some(()))?;
    stage.kill(agent)?;
    stage.say("killed in the middle of the download");
    check(active(stage)? == "1.0.0", "version 1.0.0 is no longer active after the power cut")?;
    stage.server.cut_after(None);
    // Then wherever it happens to be; either version may be active, but one always is.
    for delay in CUTS {
        let agent = stage.start_agent(&["once", "--config", "device/agent.toml"], "cut.log")?;
        std::thread::sleep(std::time::Duration::from_millis(*delay));
        stage.kill(agent)?;
        let version = active(stage)?;
        stage.say(format_args!("killed after {delay} ms: {version} is active"));
        check(
            version == "1.0.0" || version == "1.3.0",
            format!("version {version} is active after a power cut"),
        )?;
    }
    let once = stage.agent(&["once", "--config", "device/agent.toml"])?;
    check(once.code == 0 && active(stage)? == "1.3.0", format!("the agent did not recover: {}", once.text))?;
    stage.say("power back: 1.3.0 is installed");
    Ok(())
}

/// Changes the last expected output byte of the last golden vector, makes the hashes right again and signs.
fn spoil(stage: &Stage<'_>, from: &str, to: &str) -> Result<()> {
    let mut bytes = files::read(&stage.path(from))?;
    let bundle = Bundle::check(&bytes).about(from)?;
    let mut prefix = bundle.prefix;
    let golden = bundle.sections.iter().find(|s| s.kind == Kind::Golden as u16);
    let golden = golden.ok_or_else(|| Error::invalid("has no golden vectors").about(from))?;
    let output = bundle.plan.public(usize::from(bundle.plan.header.inputs))?.desc.bytes();
    let start = prefix.content_start();
    let at = start + (golden.offset + golden.len) as usize - output.next_multiple_of(4);
    bytes[at] ^= 1;
    let table: Vec<u8> = bytes[start..]
        .chunks(1 << prefix.chunk_log2)
        .flat_map(|c| <[u8; 32]>::from(Sha256::digest(c)))
        .collect();
    prefix.table_hash = Sha256::digest(&table).into();
    bytes[prefix.table_range()].copy_from_slice(&table);
    bytes[..prefix::PREFIX_LEN].copy_from_slice(&prefix.emit());
    bytes[prefix.slots_range()].fill(0);
    let key = samara_tuf::keyfile::read_secret(&stage.path("release.key"))
        .map_err(|e| Error::invalid(e.to_string()))?;
    sign::sign(&mut bytes, &key)?;
    files::write_atomic(&stage.path(to), &bytes)
}
