//! Flash and stack of the KWS firmware against their budgets.

use anyhow::Result;

use crate::bench;
use crate::command;
use crate::devices::missing;
use crate::elf::Elf;
use crate::firmware::Firmware;
use crate::models;
use crate::qemu;
use crate::tally::Tally;

/// Runtime and the kernels that the model uses; without model, harness and signature verification.
const FLASH_BUDGET: u64 = 32 * 1024;
/// Load and run, from the first instruction of `main`.
const STACK_BUDGET: u64 = 2 * 1024;

/// Measures KWS, or the project's own model where ../shared is absent.
pub(crate) fn run(top: usize) -> Result<Tally> {
    let mut tally = Tally::default();
    if let Some(why) = missing(qemu::M4.target, &[qemu::SYSTEM]) {
        tally.skip(format!("size of the firmware: {why}"));
        return Ok(tally);
    }
    let dir = tempfile::tempdir()?;
    let samara = models::samara()?;
    let model = match command::shared() {
        Some(shared) => models::kws(&samara, &shared, dir.path())?,
        None => {
            tally.skip("size of the KWS firmware: ../shared is not there; the vibration model stands in");
            models::vibration(&samara, dir.path())?
        }
    };
    let bundle = model.bundle(qemu::M4.core)?;
    let measured = bench::sizes(&bundle, dir.path())?;
    let (flash, stack) = (measured.flash, measured.stack);
    let what = format!("{}: flash {flash} of {FLASH_BUDGET} bytes", model.name);
    if flash <= FLASH_BUDGET {
        tally.pass(&what)
    } else {
        tally.fail(&*what)
    }
    let what = format!("{}: stack {stack} of {STACK_BUDGET} bytes", model.name);
    if stack <= STACK_BUDGET {
        tally.pass(&what)
    } else {
        tally.fail(&*what)
    }

    let bare = Firmware { bundle: Some(&bundle), ..Firmware::bare(qemu::M4, &[]) };
    let mut symbols = Elf::read(&bare.build()?)?.symbols()?;
    symbols.retain(|s| s.is_code);
    symbols.sort_by_key(|s| std::cmp::Reverse(s.size));
    for symbol in symbols.iter().take(top) {
        eprintln!("{:>7}  {}", symbol.size, symbol.name);
    }
    Ok(tally)
}
