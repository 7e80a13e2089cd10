//! Kernels that only a device can run, compared there with the reference kernels.

use anyhow::{Result, ensure};

use crate::cargo;
use crate::command;
use crate::devices::missing;
use crate::firmware::{Firmware, Program};
use crate::qemu::{self, Linux, Machine};
use crate::tally::Tally;

/// Processors whose code differs from this machine's: Helium, DSP, no long multiplication, plain 32 bits.
const MACHINES: [Machine; 5] = [qemu::M55, qemu::M4, qemu::M33, qemu::M0_ON_M3, qemu::LM3S];
/// Suites that compare kernels with the reference ones; Armv7-A runs those of the DSP extension.
const SUITES: [&str; 3] = ["kernels", "add", "average_pool_2d"];

/// Counts each kernel on each machine.
pub(crate) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    for machine in MACHINES {
        if let Some(why) = missing(machine.target, &[qemu::SYSTEM]) {
            tally.skip(format!("kernels on {}: {why}", machine.name));
            continue;
        }
        let what = format!("kernels on {} ({})", machine.core, machine.name);
        tally.record(&what, compare(machine));
    }
    let linux = qemu::ARMV7;
    let what = format!("kernel suites on {}", linux.name);
    match missing(linux.target, &[linux.emulator, linux.linker]) {
        Some(why) => tally.skip(format!("{what}: {why}")),
        None => tally.record(&what, suites(linux)),
    }
    Ok(tally)
}

/// The runtime's own tests, built for another processor.
fn suites(linux: Linux) -> Result<()> {
    let mut test = cargo::cargo();
    test.args(["test", "--quiet", "--locked", "-p", "samara-runtime", "--features", "dsp,std"]);
    test.args(SUITES.iter().flat_map(|suite| ["--test", suite])).args(["--target", linux.target]);
    let variable = linux.target.replace('-', "_").to_uppercase();
    test.env(format!("CARGO_TARGET_{variable}_LINKER"), linux.linker);
    test.env(format!("CARGO_TARGET_{variable}_RUNNER"), format!("{} -L {}", linux.emulator, linux.sysroot));
    command::check(&mut test)
}

/// The firmware's exit status says whether all agree, its lines how many shapes each kernel was tried on.
fn compare(machine: Machine) -> Result<()> {
    let elf = Firmware { program: Program::Kernels, ..Firmware::bare(machine, &[]) }.build()?;
    let text = qemu::run(machine, &elf, &std::env::temp_dir(), &[], None)?;
    let compared = text.lines().filter(|l| l.contains(" shapes differ")).count();
    text.lines().for_each(|l| eprintln!("         {l}"));
    ensure!(compared > 0, "no kernel was compared");
    Ok(())
}
