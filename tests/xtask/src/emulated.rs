//! The property suite of the layers' kernels on emulated 64-bit Arm processors: each has instructions that the others
//! lack.

use anyhow::Result;

use crate::cargo;
use crate::command;
use crate::devices::missing;
use crate::qemu::LINUX;
use crate::tally::Tally;

/// Matrix products, dot products, NEON alone.
const CPUS: [&str; 3] = ["max", "cortex-a76", "cortex-a53"];

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
        let mut test = cargo::cargo();
        test.args(["test", "--quiet", "--locked", "-p", "samara-runtime", "--test", "kernels"]);
        test.args(["--target", linux.target]).env(linux.linker_variable(), linux.linker);
        let runner = format!("{} -cpu {cpu} -L {}", linux.emulator, linux.sysroot);
        test.env(linux.runner_variable(), runner);
        tally.record(&what, command::read(&mut test).map(|_| ()));
    }
    Ok(tally)
}
