//! `samara demo`: the whole story on this machine, by the commands a person would type.

mod break_it;
mod same_bits;
mod see;
mod server;
mod ship;
mod shrink;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::output::Output;
use crate::error::{Error, Result};
use stage::Stage;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keep every file here (a new directory) instead of in a temporary one.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A chapter of the story.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Stage<'_>) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "shrink", about: "a float model becomes int8: accuracy, size, memory", run: shrink::run },
    Step {
        name: "same bits",
        about: "every kernel and every processor gives the same output",
        run: same_bits::run,
    },
    Step { name: "ship", about: "a device is enrolled, gets version 1 and answers requests", run: ship::run },
    Step {
        name: "break it",
        about: "damage, wrong contracts, bad updates and power cuts",
        run: break_it::run,
    },
    Step { name: "see it", about: "what the device reported", run: see::run },
];

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let mut stage = Stage::open(args.keep.as_deref(), output)?;
    let mut passed = Vec::new();
    for (n, step) in STEPS.iter().enumerate() {
        output.say(format_args!("\n{}. {}: {}", n + 1, step.name, step.about));
        let start = Instant::now();
        let result = (step.run)(&mut stage);
        let seconds = (start.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let failure = result.err().or_else(|| stage.interrupted());
        passed.push(json!({ "name": step.name, "passed": failure.is_none(), "seconds": seconds }));
        if let Some(error) = failure {
            output.result(&json!({ "steps": passed, "error": error.to_string() }), String::new);
            return Err(Error::refused(error.to_string()).about(format_args!("step '{}'", step.name)));
        }
    }
    let report = json!({
        "steps": passed,
        "skipped": stage.skipped,
        "bundles": stage.bundles,
        "files": stage.kept(),
    });
    output.result(&report, || {
        let mut text =
            format!("\nAll {} steps passed, {} parts skipped.\n", STEPS.len(), stage.skipped.len());
        for b in &stage.bundles {
            text += &format!("  {b}\n");
        }
        match stage.kept() {
            Some(dir) => text += &format!("Every file is in {}.\n", dir.display()),
            None => text += "Files were temporary; `samara demo --keep DIR` keeps them.\n",
        }
        text + "Now try your own model: samara pack MODEL.onnx --calibrate DATA.npz -o MODEL.samara"
    });
    Ok(())
}
