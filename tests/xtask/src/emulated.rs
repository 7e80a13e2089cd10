//! The property suite of the layers' kernels on emulated 64-bit Arm processors, of which each has instructions that the
//! others lack, and in WebAssembly.

use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::command;
use crate::devices::missing;
use crate::qemu::LINUX;
use crate::tally::Tally;

/// Matrix products, dot products, NEON alone.
const CPUS: [&str; 3] = ["max", "cortex-a76", "cortex-a53"];

const WASM: &str = "wasm32-wasip1";

/// Runs the suite on each.
pub(crate) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let linux = LINUX[0];
    for cpu in CPUS {
        let what = format!("kernels on {} ({cpu})", linux.name);
        if let Some(why) = missing(linux.target, &[linux.emulator, linux.linker]) {
            tally.skip(format!("{what}: {why}"));
            continue;
        }
        let mut test = suite(linux.target);
        test.env(linux.linker_variable(), linux.linker);
        let runner = format!("{} -cpu {cpu} -L {}", linux.emulator, linux.sysroot);
        test.env(linux.runner_variable(), runner);
        tally.record(&what, command::read(&mut test).map(|_| ()));
    }
    wasm(&mut tally);
    Ok(tally)
}

/// With simd128, in Node.
fn wasm(tally: &mut Tally) {
    let what = format!("kernels on {WASM} (simd128)");
    if let Some(why) = missing(WASM, &["node"]) {
        return tally.skip(format!("{what}: {why}"));
    }
    let mut test = suite(WASM);
    let runner = command::root().join("tests/xtask/wasi.mjs");
    test.env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", "-C target-feature=+simd128");
    test.env("CARGO_TARGET_WASM32_WASIP1_RUNNER", format!("node --no-warnings {}", runner.display()));
    tally.record(&what, command::read(&mut test).map(|_| ()));
}

/// The suite for a target.
fn suite(target: &str) -> Command {
    let mut test = cargo::cargo();
    test.args([
        "test",
        "--quiet",
        "--locked",
        "-p",
        "samara-runtime",
        "--test",
        "kernels",
        "--target",
        target,
    ]);
    test
}
