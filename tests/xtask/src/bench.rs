//! `cargo xtask bench-mcu`: exact executed instructions per inference on emulated microcontrollers, with memory
//! and flash.

use anyhow::Result;
use serde_json::{Value, json};

use crate::mcu::{Bench, Cost, Counts, REFERENCE, Selection};
use crate::qemu::Machine;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A JSON array on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
    /// Every step of the plan as well: kernel, multiply-accumulates, instructions, words loaded and stored.
    #[arg(long)]
    operators: bool,
    /// The same model with reference kernels of its layers as well, and the ratio.
    #[arg(long, conflicts_with = "bundle")]
    reference: bool,
    /// A bundle of your own, packed for the one `--core` that is given, instead of the models here.
    #[arg(long, requires = "core", conflicts_with = "model")]
    bundle: Option<std::path::PathBuf>,
}

/// Prints one row per core and model; a core without an emulator or a model without a file is named and left out.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let bench = Bench::new()?;
    let mut rows = Vec::new();
    eprintln!(
        "{:<31} {:<11} {:>12} {:>7} {:>10} {:>11} {:>7} {:>6} {:>7}",
        "model", "core", "instructions", "per MAC", "load words", "store words", "arena", "stack", "flash"
    );
    for machine in args.selection.cores() {
        if let Some(why) = Bench::missing(machine) {
            eprintln!("SKIPPED {}: {why}; `cargo xtask setup` installs it where it may", machine.core);
            continue;
        }
        if let Some(bundle) = &args.bundle {
            let cost = bench.cost(&std::path::absolute(bundle)?, machine, args.operators)?;
            rows.push(row(&bundle.display().to_string(), machine, &cost));
            continue;
        }
        for model in args.selection.models() {
            let Some(bundle) = bench.pack(model, machine.core)? else {
                eprintln!("SKIPPED {model} on {}: ../shared is not there", machine.core);
                continue;
            };
            let cost = bench.cost(&bundle, machine, args.operators)?;
            let mut row = row(model, machine, &cost);
            if args.reference
                && let Some(bundle) = bench.pack(model, REFERENCE)?
            {
                let reference = bench.cost(&bundle, machine, false)?.counts.instructions;
                let ratio = cost.counts.instructions as f64 / reference as f64;
                eprintln!("  with reference kernels {reference} instructions: {ratio:.3} of them");
                row["reference_instructions"] = json!(reference);
            }
            rows.push(row);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    Ok(!rows.is_empty())
}

/// Shows a row, and its steps where they were counted.
fn row(model: &str, machine: Machine, cost: &Cost) -> Value {
    let per_mac = |instructions: u64, macs: u64| instructions as f64 / macs.max(1) as f64;
    eprintln!(
        "{model:<31} {:<12} {:>11} {:>7.2} {:>10} {:>11} {:>7} {:>6} {:>7}",
        machine.core,
        cost.counts.instructions,
        per_mac(cost.counts.instructions, cost.macs),
        cost.counts.load_words,
        cost.counts.store_words,
        cost.arena,
        cost.stack,
        cost.flash
    );
    for step in &cost.steps {
        eprintln!(
            "  {:<42} {:>10} {:>7.2} {:>10} {:>11} {:>9} MACs {:>5.1} %",
            step.kernel,
            step.counts.instructions,
            per_mac(step.counts.instructions, step.macs),
            step.counts.load_words,
            step.counts.store_words,
            step.macs,
            100.0 * per_mac(step.counts.instructions, cost.counts.instructions)
        );
    }
    let mut row = counted(&cost.counts);
    let operators = cost.steps.iter().map(|step| {
        let mut operator = counted(&step.counts);
        operator["kernel"] = json!(step.kernel);
        operator["macs"] = json!(step.macs);
        operator
    });
    let operators: Vec<_> = operators.collect();
    for (key, value) in [
        ("model", json!(model)),
        ("core", json!(machine.core)),
        ("macs", json!(cost.macs)),
        ("arena_bytes", json!(cost.arena)),
        ("stack_bytes", json!(cost.stack)),
        ("flash_bytes", json!(cost.flash)),
    ] {
        row[key] = value;
    }
    if !operators.is_empty() {
        row["operators"] = Value::Array(operators);
    }
    row
}

fn counted(counts: &Counts) -> Value {
    json!({
        "instructions": counts.instructions,
        "loads": counts.loads,
        "load_words": counts.load_words,
        "stores": counts.stores,
        "store_words": counts.store_words,
    })
}
