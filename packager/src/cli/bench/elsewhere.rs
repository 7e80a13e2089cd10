//! Instructions on a microcontroller: this project's own checkout builds the firmware and counts them in the emulator.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::error::{About, Error, Result};
use crate::target;

/// Counts a bundle that was packed for `target`.
pub(super) fn run(bundle: &Path, target: &str, source: &Path, output: &Output) -> Result<()> {
    let known = target::find(target).filter(|p| p.name.starts_with("cortex-m"));
    if known.is_none() {
        return Err(Error::invalid(format!("--target {target}: only Cortex-M cores are counted"))
            .remedy("`samara targets` lists them"));
    }
    if !source.join("tests/xtask/roi.c").is_file() {
        let cause =
            format!("--target {target} builds firmware, and '{}' is no checkout to build", source.display());
        return Err(Error::invalid(cause).remedy("give --source DIR"));
    }
    let bundle = std::path::absolute(bundle).about(bundle.display())?;
    let mut xtask = Command::new("cargo");
    xtask
        .current_dir(source)
        .args(["xtask", "bench-mcu", "--operators", "--core", target, "--bundle"])
        .arg(&bundle);
    if output.is_json() {
        xtask.arg("--json");
    }
    let done = xtask.stdin(Stdio::null()).stderr(Stdio::inherit()).output().about("cargo")?;
    if !done.status.success() {
        return Err(Error::invalid(format!("`cargo xtask bench-mcu` ended with {}", done.status))
            .about(bundle.display()));
    }
    if output.is_json() {
        output.result(&report(&done.stdout)?, String::new);
    }
    Ok(())
}

/// The row that was counted, with the keys of `bench`.
fn report(stdout: &[u8]) -> Result<Value> {
    let unread = || Error::invalid("`cargo xtask bench-mcu` printed no row");
    let rows: Vec<Value> = serde_json::from_slice(stdout).map_err(|_| unread())?;
    let mut row = rows.into_iter().next().ok_or_else(unread)?;
    for (key, value) in [("kernels", json!("auto")), ("threads", json!(1)), ("runs", json!(1))] {
        row[key] = value;
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_row_becomes_the_report() {
        let row = report(br#"[{"core":"cortex-m4","instructions":5,"operators":[{"kernel":"k","macs":2}]}]"#)
            .unwrap();
        assert_eq!((row["threads"].as_u64(), row["instructions"].as_u64()), (Some(1), Some(5)));
        assert!(report(b"[]").is_err() && report(b"no row").is_err());
    }
}
