//! The `samara` command: one file per command, one list of them.

mod bench;
mod compare;
mod demo;
mod device;
mod inspect;
mod key;
mod output;
mod pack;
mod repo;
mod run;
mod sign;
mod targets;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Kind, Result};
use output::Output;

/// Edge and on-device model deployment: pack, sign, run, ship.
#[derive(Debug, Parser)]
#[command(name = "samara", version, max_term_width = 110)]
struct Cli {
    /// Machine-readable output on stdout.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Quantize, plan and sign a model into one bundle.
    Pack(Box<pack::Args>),
    /// Run a bundle on samples.
    Run(run::Args),
    /// What a bundle holds and needs.
    Inspect(inspect::Args),
    /// Whether trusted keys have signed a bundle and every byte is as signed.
    Verify(verify::Args),
    /// Layer by layer: a model against the bundle packed from it.
    Compare(compare::Args),
    /// Time per run and per operator on this machine.
    Bench(bench::Args),
    /// Target profiles that --target takes.
    Targets(targets::Args),
    /// Make a signing key, or print the public half of one.
    Key(key::Args),
    /// Sign a bundle.
    Sign(sign::Args),
    /// Keep a fleet's repository of bundles.
    Repo(repo::Args),
    /// Prepare devices.
    Device(Box<device::Args>),
    /// The whole story on this machine: shrink, run, ship, break, see.
    Demo(demo::Args),
}

/// Runs the command line; exit code 0 done, 1 the check answered no, 2 it could not be asked.
pub fn main() -> ExitCode {
    // Usage errors exit with 2, help and version with 0, by clap itself.
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match run(cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("samara: {e}");
            match e.kind() {
                Kind::Refused => ExitCode::from(1),
                Kind::Invalid => ExitCode::from(2),
            }
        }
    }
}

fn run(command: Command, output: &Output) -> Result<()> {
    match command {
        Command::Pack(args) => pack::run(*args, output),
        Command::Run(args) => run::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Compare(args) => compare::run(args, output),
        Command::Bench(args) => bench::run(args, output),
        Command::Targets(args) => targets::run(args, output),
        Command::Key(args) => key::run(args, output),
        Command::Sign(args) => sign::run(args, output),
        Command::Repo(args) => repo::run(args, output),
        Command::Device(args) => device::run(*args, output),
        Command::Demo(args) => demo::run(args, output),
    }
}
