//! Reference against fastest kernels, and a Cortex-M4 where an emulator is at hand.

use std::path::Path;
use std::process::Command;

use super::stage::{Stage, check};
use crate::error::{About, Result};

pub(super) fn run(stage: &mut Stage<'_>) -> Result<()> {
    for kernels in ["reference", "auto"] {
        let out = format!("{kernels}.npz");
        stage.samara(&["run", "v1.samara", "--input", "evaluate.npz", "-o", &out, "--kernels", kernels])?;
    }
    let read = |name: &str| std::fs::read(stage.path(name)).about(name);
    let same = read("reference.npz")? == read("auto.npz")?;
    check(same, "reference and fastest kernels differ")?;
    stage.say("1200 samples: reference and fastest kernels give the same bytes");
    match cortex_m4(stage)? {
        Ok(()) => stage.say("Cortex-M4 (emulated): every golden vector gives the expected bytes"),
        Err(reason) => stage.skip(format!("Cortex-M4: {reason}")),
    }
    Ok(())
}

/// Builds the firmware around the bundle and runs its self-test in QEMU; the inner error says what is missing.
fn cortex_m4(stage: &Stage<'_>) -> Result<std::result::Result<(), String>> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if !workspace.join("targets/cortex-m/Cargo.toml").is_file() {
        return Ok(Err("the source tree is not there".into()));
    }
    let answers =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    for program in ["cargo", "qemu-system-arm"] {
        if !answers(program) {
            return Ok(Err(format!("{program} is not installed")));
        }
    }
    let target = "thumbv7em-none-eabihf";
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().about("rustc")?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    if !Path::new(&sysroot).join("lib/rustlib").join(target).is_dir() {
        return Ok(Err(format!("the Rust target is missing (rustup target add {target})")));
    }
    stage.say("$ cargo build --profile firmware -p samara-cortex-m && qemu-system-arm -M mps2-an386 …");
    let build = Command::new("cargo")
        .args(["build", "--quiet", "--profile", "firmware", "-p", "samara-cortex-m", "--target", target])
        .current_dir(workspace)
        .env("SAMARA_BUNDLE", stage.path("v1.samara"))
        .output()
        .about("cargo")?;
    check(build.status.success(), String::from_utf8_lossy(&build.stderr).trim().to_owned())?;
    let folder = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| workspace.join("target"), Into::into);
    let run = Command::new("qemu-system-arm")
        .args(["-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(folder.join(target).join("firmware/samara-cortex-m"))
        .output()
        .about("qemu-system-arm")?;
    check(
        run.status.success(),
        format!("the firmware's self-test failed: {}", String::from_utf8_lossy(&run.stdout).trim()),
    )?;
    Ok(Ok(()))
}
