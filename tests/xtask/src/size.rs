//! `cargo xtask size`: what takes the room in a firmware. Its limits are in tests/budgets.toml.

use anyhow::Result;

use crate::elf::Elf;
use crate::firmware::Firmware;
use crate::mcu::{Bench, CORES, NAMES};

/// Which firmware.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many functions to list.
    #[arg(long, default_value_t = 15)]
    top: usize,
    /// The model; the project's own needs no other files.
    #[arg(long, default_value = "kws", value_parser = NAMES)]
    model: String,
    /// The core.
    #[arg(long, default_value = CORES[0].core, value_parser = CORES.map(|m| m.core))]
    core: String,
}

/// Flash and stack of one model's firmware, and its largest functions.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let machine = CORES.into_iter().find(|m| m.core == args.core).unwrap_or(CORES[0]);
    if let Some(why) = Bench::missing(machine) {
        anyhow::bail!("{}: {why}; `cargo xtask setup` installs it where it may", machine.core);
    }
    let bench = Bench::new()?;
    let Some(bundle) = bench.pack(&args.model, machine.core)? else {
        anyhow::bail!("{}: ../shared is not there; --model vibration needs nothing", args.model);
    };
    let cost = bench.cost(&bundle, machine, false)?;
    eprintln!("{} on {}: flash {} bytes, stack {} bytes", args.model, machine.core, cost.flash, cost.stack);
    let firmware = Firmware { bundle: Some(&bundle), ..Firmware::bare(machine, &[]) };
    let mut symbols = Elf::read(&firmware.build()?)?.symbols()?;
    symbols.retain(|s| s.is_code);
    symbols.sort_by_key(|s| std::cmp::Reverse(s.size));
    for symbol in symbols.iter().take(args.top) {
        eprintln!("{:>7}  {}", symbol.size, symbol.name);
    }
    Ok(true)
}
