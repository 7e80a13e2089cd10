//! Properties that the linker decides.

use anyhow::{Context, Result};
use samara_runtime::ops;

use crate::devices::missing;
use crate::elf::Elf;
use crate::firmware::Firmware;
use crate::qemu;
use crate::tally::Tally;

const MACHINE: qemu::Machine = qemu::M4;
/// The operators of the `list-two` firmware.
const TWO: [&str; 2] = ["fully_connected", "max_pool_2d"];
/// The symbol that the proof's panic handler calls and nobody defines.
const UNDEFINED: &str = "samara_a_panic_path_is_left";

/// Load and run of every operator link with a panic handler that cannot be linked.
pub(crate) fn panic_free() -> Result<Tally> {
    let mut tally = Tally::default();
    let what = "panic-free load and run, all operators";
    if let Some(why) = missing(MACHINE.target, &[]) {
        tally.skip(format!("{what}: {why}"));
        return Ok(tally);
    }
    // That the proof can fail is part of the proof.
    match Firmware::bare(MACHINE, &["list-all", "panic-free", "planted-panic"]).build() {
        Err(e) if format!("{e:#}").contains(UNDEFINED) => tally.pass("a planted panic does not link"),
        Err(e) => return Err(e),
        Ok(_) => tally.fail("a planted panic links: the panic-free proof proves nothing"),
    }
    let proof = Firmware::bare(MACHINE, &["list-all", "panic-free"]);
    match proof.build() {
        Ok(_) => tally.pass(what),
        Err(e) if format!("{e:#}").contains(UNDEFINED) => {
            let rustc = ["-Clink-arg=--unresolved-symbols=ignore-all", "-Clink-arg=--emit-relocs"];
            let elf =
                Firmware { rustc: &rustc, ..proof }.build().context("the link that finds the panics")?;
            let callers = Elf::read(&elf)?.panicking_functions()?;
            tally.fail(format!("{what}: {}", callers.join("; ")));
        }
        Err(e) => return Err(e),
    }
    Ok(tally)
}

/// No symbol of an operator that is not listed, without help from link-time optimization.
pub(crate) fn symbols() -> Result<Tally> {
    let mut tally = Tally::default();
    let what = "a two-operator firmware with lto = false holds two operators";
    if let Some(why) = missing(MACHINE.target, &[]) {
        tally.skip(format!("{what}: {why}"));
        return Ok(tally);
    }
    let profile = ["lto=false", "codegen-units=16"];
    let elf = Firmware { profile: &profile, ..Firmware::bare(MACHINE, &["list-two"]) }.build()?;
    let symbols = Elf::read(&elf)?.symbols()?;
    let of = |operator: &str| {
        let kernels = [format!("kernels::reference::{operator}::"), format!("ops::{operator}::")];
        symbols.iter().find(|s| kernels.iter().any(|k| s.name.contains(k)))
    };
    for operator in TWO {
        if of(operator).is_none() {
            tally.fail(format!("{what}: nothing of {operator} is there, so the check sees nothing"));
        }
    }
    let others = ops::ALL.iter().map(|d| d.name).filter(|name| !TWO.contains(name));
    let strangers: Vec<_> =
        others.filter_map(|o| of(o).map(|s| format!("{o} ({}, {} bytes)", s.name, s.size))).collect();
    if strangers.is_empty() {
        tally.pass(what);
    } else {
        tally.fail(format!("{what}: also {}", strangers.join("; ")));
    }
    Ok(tally)
}
