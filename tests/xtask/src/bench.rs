//! Exact executed instructions per inference on an emulated Cortex-M4, with memory and flash.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::command;
use crate::devices::missing;
use crate::elf::Elf;
use crate::firmware::Firmware;
use crate::models;
use crate::qemu;

/// Bytes that a model costs on a device, beside itself.
pub(crate) struct Sizes {
    /// Runtime and kernels: the firmware without the bundle and without the same harness around nothing.
    pub(crate) flash: u64,
    /// Load and run, as painting shows.
    pub(crate) stack: u64,
    reporting: PathBuf,
    arena: u64,
    macs: u64,
}

/// Builds and runs what shows a bundle's sizes on Cortex-M4.
pub(crate) fn sizes(bundle: &Path, dir: &Path) -> Result<Sizes> {
    let flash = |features| -> Result<u64> {
        let firmware = Firmware { bundle: Some(bundle), ..Firmware::bare(qemu::M4, features) };
        Elf::read(&firmware.build()?)?.flash_bytes()
    };
    let (whole, harness) = (flash(&[])?, flash(&["list-none"])?);
    let reporting = Firmware::reporting(qemu::M4, bundle).build()?;
    let text = qemu::run(qemu::M4, &reporting, dir, &[], None)?;
    let line = text.lines().next().context("the firmware printed nothing")?;
    Ok(Sizes {
        flash: whole.saturating_sub(harness),
        stack: number(line, "stack ")?,
        arena: number(line, "arena ")?,
        macs: number(line, "steps, ")?,
        reporting,
    })
}

/// The number after a word of the firmware's first line.
fn number(line: &str, before: &str) -> Result<u64> {
    let digits = line.split_once(before).map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    digits.and_then(|d| d.parse().ok()).with_context(|| format!("no number after '{before}' in '{line}'"))
}

/// Prints one row per model; without an emulator it says so and fails to answer.
pub(crate) fn run(json: bool) -> Result<bool> {
    if let Some(why) = missing(qemu::M4.target, &[qemu::SYSTEM, "cc"]) {
        anyhow::bail!("{why}; `cargo xtask setup` installs it where it may");
    }
    let dir = tempfile::tempdir()?;
    let samara = models::samara()?;
    let mut list = vec![models::vibration(&samara, dir.path())?];
    match command::shared() {
        Some(shared) => list.extend(models::mlperf_tiny(&samara, &shared, dir.path())?),
        None => eprintln!("SKIPPED MLPerf Tiny models: ../shared is not there"),
    }
    let plugin = plugin(dir.path())?;
    let mut rows = Vec::new();
    for model in &list {
        let sizes = sizes(&model.bundle(qemu::M4.core)?, dir.path())?;
        let instructions = count(&plugin, &sizes.reporting, dir.path())?;
        eprintln!(
            "{:<10} {} instructions, {:.2} per MAC, arena {}, stack {}, flash {}",
            model.name,
            instructions,
            instructions as f64 / sizes.macs as f64,
            sizes.arena,
            sizes.stack,
            sizes.flash
        );
        rows.push(json!({
            "model": model.name,
            "core": qemu::M4.core,
            "instructions": instructions,
            "macs": sizes.macs,
            "arena_bytes": sizes.arena,
            "stack_bytes": sizes.stack,
            "flash_bytes": sizes.flash,
        }));
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    Ok(true)
}

/// Compiles the counting plugin.
fn plugin(dir: &Path) -> Result<PathBuf> {
    let library = dir.join("roi.so");
    let source = command::root().join("tests/xtask/roi.c");
    let flags = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"];
    command::read(Command::new("cc").args(flags).arg(&library).arg(source))?;
    Ok(library)
}

/// Instructions between the firmware's two marks.
fn count(plugin: &Path, elf: &Path, dir: &Path) -> Result<u64> {
    let file = Elf::read(elf)?;
    let (begin, end) = (file.function("roi_begin")?.address, file.function("roi_end")?.address);
    let counts = dir.join("counts.txt");
    let argument = format!(
        "{},begin={begin:#x},end={end:#x},out={}",
        plugin.to_string_lossy(),
        counts.to_string_lossy()
    );
    ensure!(begin != end, "the firmware's marks are one function");
    qemu::run(qemu::M4, elf, dir, &[], Some(&argument))?;
    let text = std::fs::read_to_string(&counts).context("the plugin wrote no count")?;
    text.trim().parse().with_context(|| format!("the plugin wrote '{text}'"))
}
