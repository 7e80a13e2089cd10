//! `samara pack MODEL -o OUT.samara`.

mod args;
mod score;
mod text;
pub(super) mod units;

use serde_json::{Value, json};

use super::inspect;
use super::output::Output;
use crate::bundle::Identity;
use crate::data::dataset::{Dataset, Watched};
use crate::data::samples::Samples;
use crate::error::{Error, Result};
use crate::pipeline::{self, Options, Packed};
use crate::search::Budget;
use crate::target::{self, Profile};
use crate::{files, import, sign};
pub(super) use args::Args;
use args::Quantize;
use score::Scoring;

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let (target, also) = targets(&args.target)?;
    check(&args)?;
    let keys = args
        .sign
        .iter()
        .map(|path| samara_tuf::keyfile::read_secret(path).map_err(|e| Error::invalid(e.to_string())))
        .collect::<Result<Vec<_>>>()?;
    let import = import::Options { input_shapes: args.input_shape.clone() };
    let source = pipeline::import(&args.model, &import)?;
    let samples = match &args.quantization.calibrate {
        Some(path) => Some(Samples::read(path, &source)?),
        None => None,
    };
    let scoring = Scoring::new(&args, &source)?;
    let progress = output.counter("samples read");
    let tick = || progress.inc(1);
    let watched = samples.as_ref().map(|data| Watched { data, tick: &tick });
    let digest = samples.as_ref().map(|samples| || samples.digest());
    let options = Options {
        calibration: watched.as_ref().map(|w| w as &dyn Dataset),
        calibration_digest: digest.as_ref().map(|digest| digest as &(dyn Fn() -> Result<String> + Sync)),
        labelled: scoring.labelled(),
        import,
        also,
        ..options(&args, target)
    };
    let mut packed = pipeline::pack(&args.model, source, &options)?;
    progress.finish_and_clear();
    let evaluation = scoring.measure(&packed)?;
    let refused = scoring.refused(&args, evaluation.as_ref());
    for key in &keys {
        sign::sign(&mut packed.bytes, key)?;
    }
    if !args.evaluation.report.is_empty() {
        score::write_reports(&args, &packed, target, samples.as_ref(), evaluation.as_ref())?;
    }
    if let Some(error) = refused {
        return Err(error);
    }
    let written = args.output.as_deref().filter(|_| !args.dry_run);
    if let Some(path) = written {
        files::write_atomic(path, &packed.bytes)?;
    }
    let report = summary(&packed, evaluation.as_ref())?;
    output.result(&report, || text::text(&report, written, args.quantization.calibrate.is_some()));
    Ok(())
}

/// The first profile of a list, and the others.
fn targets(list: &[String]) -> Result<(&'static Profile, Vec<&'static Profile>)> {
    let find = |name: &String| {
        target::find(name).ok_or_else(|| {
            Error::invalid(format!("no target is called '{name}'")).remedy("`samara targets` lists them")
        })
    };
    let mut found = list.iter().map(find).collect::<Result<Vec<_>>>()?;
    if found.is_empty() {
        return Err(Error::invalid("--target names no target").remedy("`samara targets` lists them"));
    }
    Ok((found.remove(0), found))
}

/// Arguments that say nothing without others.
fn check(args: &Args) -> Result<()> {
    let q = &args.quantization;
    let auto = q.quantize == Some(Quantize::Auto);
    let stray = [("--flash", q.flash.is_some()), ("--latency", q.latency.is_some())]
        .into_iter()
        .find(|(_, given)| *given && !auto);
    if let Some((name, _)) = stray {
        return Err(
            Error::invalid(format!("{name} is a budget of --quantize auto")).remedy("add --quantize auto")
        );
    }
    if q.calibrate.is_none() && q.tuning() != pipeline::Tuning::default() {
        let cause = "--range, --equalize, --bias-correction and --rounding work on calibration data";
        return Err(Error::invalid(cause).remedy("give --calibrate DATA"));
    }
    if q.group.is_some() && q.quantize != Some(Quantize::Int4) {
        return Err(Error::invalid("--group belongs to --quantize int4"));
    }
    if args.evaluation.max_drop.is_some() && args.evaluation.evaluate.is_none() && !auto {
        return Err(Error::invalid("--max-drop has nothing to measure on").remedy("give --evaluate DATA"));
    }
    Ok(())
}

fn options<'a>(args: &Args, target: &'static Profile) -> Options<'a> {
    let q = &args.quantization;
    Options {
        identity: Identity {
            name: args.name.clone().unwrap_or_default(),
            version: args.model_version,
            security_counter: args.security_counter,
            class: args.class.clone(),
            labels: args.labels.clone(),
            ..Identity::default()
        },
        scheme: q.quantize.map(|scheme| scheme.scheme(q.group)),
        tuning: q.tuning(),
        budget: Budget { ram: args.ram, flash: q.flash, millis: q.latency, drop: args.evaluation.max_drop },
        patching: args.patch.unwrap_or_default(),
        threads: args.threads.into(),
        numeric: q.numeric.numeric(),
        ..Options::new(target)
    }
}

/// What `--json` prints: `inspect`'s report, and how the bundle came to be.
fn summary(packed: &Packed, evaluation: Option<&crate::evaluate::Evaluation>) -> Result<Value> {
    let mut report = inspect::describe(&files::AlignedBytes::new(&packed.bytes))?;
    report["float_operators"] = json!(packed.float_operators());
    if let Some(recipe) = &packed.account.recipe {
        report["recipe"] = recipe.json();
        report["bits_per_weight"] = json!(crate::quantize::bits(&packed.graph).per_weight());
    }
    if !packed.account.trials.is_empty() {
        let trial = |t: &crate::quantize::choose::Trial| {
            json!({ "recipe": t.recipe.json(), "sqnr_db": t.score.sqnr_db, "agreement": t.score.agreement,
                    "kept": t.kept })
        };
        report["trials"] = packed.account.trials.iter().map(trial).collect();
    }
    if let Some(found) = &packed.account.found {
        let point = |p: &crate::search::Point| {
            json!({ "recipe": p.recipe.json(), "flash_bytes": p.flash, "ram_bytes": p.ram, "latency_ms": p.millis,
                    "drop": p.drop })
        };
        report["frontier"] = found.frontier.iter().map(point).collect();
        report["chosen"] = json!(found.best);
    }
    if let Some(p) = &packed.plan.patched {
        report["patch"] = p.json();
    }
    if let Some(evaluation) = evaluation {
        report["evaluation"] = evaluation.json();
    }
    Ok(report)
}
