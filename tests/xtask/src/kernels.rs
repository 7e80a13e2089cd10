//! Kernels that only a device can run, compared there with the reference kernels.

use anyhow::{Result, ensure};

use crate::devices::missing;
use crate::firmware::{Firmware, Program};
use crate::qemu::{self, Machine};
use crate::tally::Tally;

/// Processors whose code differs from this machine's: Helium, no long multiplication, plain 32 bits.
const MACHINES: [Machine; 3] = [qemu::M55, qemu::M0_ON_M3, qemu::LM3S];

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
    Ok(tally)
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
