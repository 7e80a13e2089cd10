//! `samara compare MODEL BUNDLE --data X.npz`.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::output::Output;
use crate::compare::{Comparison, compare_alone, worst_alone};
use crate::data::samples::Samples;
use crate::error::{About, Result};
use crate::{files, import, pipeline};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model the bundle was packed from.
    #[arg(value_hint = ValueHint::FilePath)]
    model: PathBuf,
    /// The bundle.
    bundle: PathBuf,
    /// Inputs of the model: .npz, .npy for one input, or a directory of them; first axis samples.
    #[arg(long)]
    data: PathBuf,
    /// Shape of an input that the file leaves open, as NAME=1x3x96x96.
    #[arg(long, value_parser = super::pack::units::input_shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Below this signal-to-noise ratio a layer counts as wrong.
    #[arg(long, default_value_t = 10.0)]
    floor_db: f64,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let source = pipeline::import(&args.model, &import::Options { input_shapes: args.input_shape })?;
    let samples = Samples::read(&args.data, &source)?;
    let bytes = files::read_aligned(&args.bundle)?;
    let progress = output.progress("comparing", samples.len());
    let watched = samples.iter().inspect(|_| progress.inc(1));
    let layers = compare_alone(&source, &bytes, watched).about(args.bundle.display())?;
    progress.finish_and_clear();
    let first = layers.iter().find(|l| l.sqnr_db() < args.floor_db).map(|l| &l.name[..]);
    let rows: Vec<_> = layers.iter().map(row).collect();
    let worst = worst_alone(&layers);
    let report = json!({
        "samples": samples.len(),
        "layers": rows,
        "first_wrong": first,
        "worst_alone": worst.map(|l| &l.name),
    });
    output.result(&report, || {
        let mut text = format!(
            "{:40} {:>9} {:>9} {:>9} {:>12} {:>10}\n",
            "tensor", "SQNR dB", "alone dB", "cosine", "max error", "saturated"
        );
        for l in &layers {
            text += &format!(
                "{:40} {:>9.1} {:>9.1} {:>9.5} {:>12.5} {:>9.2}%\n",
                l.name,
                l.sqnr_db(),
                l.own_sqnr_db().unwrap_or(f64::INFINITY),
                l.cosine(),
                l.max_error,
                100.0 * l.saturated_share()
            );
            for fused in &l.fused {
                text += &format!("  with {fused}\n");
            }
        }
        if let Some(worst) = worst {
            let db = worst.own_sqnr_db().unwrap_or(f64::INFINITY);
            text += &format!("'{}' adds most noise of its own, {db:.1} dB\n", worst.name);
        }
        match first {
            Some(name) => text + &format!("'{name}' is the first below {} dB\n", args.floor_db),
            None => text + &format!("no layer is below {} dB\n", args.floor_db),
        }
    });
    Ok(())
}

fn row(l: &Comparison) -> serde_json::Value {
    // JSON has no infinity: identical layers have none.
    let finite = |db: f64| db.is_finite().then_some(db);
    json!({
        "name": l.name,
        "fused": l.fused,
        "sqnr_db": finite(l.sqnr_db()),
        "own_sqnr_db": l.own_sqnr_db().and_then(finite),
        "cosine": l.cosine(),
        "max_error": l.max_error,
        "saturated": l.saturated_share(),
    })
}
