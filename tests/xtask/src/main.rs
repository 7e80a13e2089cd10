//! Set-up, checks and measurements of the workspace: `cargo xtask COMMAND`.

mod bench;
mod bench_aarch64;
mod budgets;
mod cargo;
mod command;
mod demo;
mod devices;
mod elf;
mod emulated;
mod firmware;
mod kernels;
mod mcu;
mod models;
mod proofs;
mod qemu;
mod reference;
mod setup;
mod size;
mod tally;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Set-up, checks and measurements of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
enum Command {
    /// Add Rust targets and the distribution's packages, or say what is missing.
    Setup,
    /// The test command: set-up, formatting, lints, tests, devices, proofs. Ends with a count.
    Test,
    /// The demo, from release builds.
    Demo {
        /// Passed to `samara demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The same bits on x86-64, aarch64, armv7 and Cortex-M firmware.
    Devices,
    /// Each processor's kernels against the reference kernels, there, on random shapes.
    Kernels,
    /// Exact instructions, memory and flash on emulated microcontrollers, per core and model.
    BenchMcu(bench::Args),
    /// Exact instructions on emulated 64-bit Arm, per model and processor, beside LiteRT's where that can be run.
    BenchAarch64(bench_aarch64::Args),
    /// Counts on microcontrollers against tests/budgets.toml.
    Budgets(budgets::Args),
    /// Flash and stack of a firmware, and what takes the room.
    Size(size::Args),
    /// Link-time proof that load and run hold no panic path.
    PanicFree,
    /// A two-operator firmware holds no other operator's kernels.
    Symbols,
    /// Float models against tract, which takes minutes to build.
    Reference,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::Setup => setup::run().map(|()| true),
        Command::Test => test::run(),
        Command::Demo { arguments } => demo::run(&arguments),
        Command::Devices => devices::run().map(|t| t.print()),
        Command::Kernels => kernels::run().map(|t| t.print()),
        Command::BenchMcu(args) => bench::run(&args),
        Command::BenchAarch64(args) => bench_aarch64::run(&args),
        Command::Budgets(args) => budgets::run(&args).map(|t| t.print()),
        Command::Size(args) => size::run(&args),
        Command::PanicFree => proofs::panic_free().map(|t| t.print()),
        Command::Reference => reference::run(),
        Command::Symbols => proofs::symbols().map(|t| t.print()),
    }
}
