//! `--evaluate`, `--max-drop` and `--report`.

use std::path::Path;

use super::args::Args;
use crate::compare::compare;
use crate::data;
use crate::data::samples::Samples;
use crate::error::{About, Error, Result};
use crate::evaluate::{self, Evaluation, Metric, Truth};
use crate::files::{self, AlignedBytes};
use crate::ir::Graph;
use crate::pipeline::{Labelled, Packed};
use crate::report::{self, Report};
use crate::target::Profile;

/// Samples that per-layer errors of a report are measured on.
const COMPARED: usize = 32;

/// The evaluation data, opened.
pub(super) struct Scoring {
    data: Option<(Samples, Truth)>,
    metric: Metric,
    command: Option<String>,
}

impl Scoring {
    pub(super) fn new(args: &Args, source: &Graph) -> Result<Self> {
        let names: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
        let metric = Metric::find(&args.evaluation.metric).ok_or_else(|| {
            Error::invalid(format!("no metric is called '{}'", args.evaluation.metric))
                .remedy(format!("there are {}", names.join(", ")))
        })?;
        let data = match &args.evaluation.evaluate {
            Some(path) => {
                let samples = Samples::read(path, source)?;
                let truth = truth(path, &samples).about(path.display())?;
                Some((samples, truth))
            }
            None => None,
        };
        Ok(Scoring { data, metric, command: args.evaluation.evaluate_with.clone() })
    }

    pub(super) fn labelled(&self) -> Option<Labelled<'_>> {
        let (data, truth) = self.data.as_ref()?;
        Some(Labelled { data, truth, metric: self.metric })
    }

    /// Scores of the float model and of the bundle.
    pub(super) fn measure(&self, packed: &Packed) -> Result<Option<Evaluation>> {
        let Some((samples, truth)) = &self.data else { return Ok(None) };
        let bundle = AlignedBytes::new(&packed.bytes);
        if let Some(command) = &self.command {
            let (outcome, samples) =
                evaluate::external::evaluate_with(&packed.source, &bundle, samples.iter(), command)?;
            return Ok(Some(Evaluation { samples, outcomes: vec![outcome], classes: None }));
        }
        evaluate::evaluate(&packed.source, &bundle, samples.iter(), truth, &[self.metric]).map(Some)
    }

    /// Why nothing is written, where too much was lost.
    pub(super) fn refused(&self, args: &Args, evaluation: Option<&Evaluation>) -> Option<Error> {
        let limit = args.evaluation.max_drop?;
        let outcome = evaluation?.outcomes.first()?;
        outcome.within(limit).err().map(|e| e.about(args.model.display()))
    }
}

/// `labels` and `targets`, where the data has them.
fn truth(path: &Path, samples: &Samples) -> Result<Truth> {
    let others = samples.others()?;
    if others.iter().any(|n| n == "targets") {
        return Truth::from_arrays(&data::read(path)?);
    }
    if others.iter().any(|n| n == "labels") {
        return Ok(Truth::from_labels(samples.labels("labels")?));
    }
    Ok(Truth::NONE)
}

/// Writes every report that was asked for, whatever the verdict: it shows why.
pub(super) fn write_reports(
    args: &Args,
    packed: &Packed,
    target: &'static Profile,
    samples: Option<&Samples>,
    evaluation: Option<&Evaluation>,
) -> Result<()> {
    let bundle = AlignedBytes::new(&packed.bytes);
    let mut inputs = report::Inputs::new(packed, &bundle, target);
    let name = args.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    inputs.model = Some((name, files::read(&args.model)?.len()));
    inputs.evaluation = evaluation;
    if let Some(samples) = samples {
        let layers = compare(&packed.source, &bundle, samples.at_most(COMPARED).iter())?;
        inputs.layers = layers.iter().map(report::LayerError::from).collect();
    }
    let report = Report::new(inputs)?;
    for path in &args.evaluation.report {
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let bytes = if json {
            serde_json::to_vec_pretty(&report.json()).map_err(|e| Error::invalid(e.to_string()))?
        } else {
            report.html().into_bytes()
        };
        files::write_atomic(path, &bytes)?;
    }
    Ok(())
}
