//! `--evaluate`, `--max-drop` and `--report`.

use super::args::Args;
use crate::compare::compare_alone;
use crate::data::samples::Samples;
use crate::error::{Error, Result};
use crate::evaluate::{self, Evaluation, Metric, Truth};
use crate::files::{self, AlignedBytes};
use crate::ir::Graph;
use crate::pipeline::{Labelled, Packed};
use crate::report::{self, Budget, LayerError, Report, Unit};
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
        // Asked before the work, not after it.
        args.evaluation.report.iter().try_for_each(|path| report::Format::of(path).map(drop))?;
        let given = args.evaluation.metric.as_deref().map(metric).transpose()?;
        let data = match &args.evaluation.evaluate {
            Some(path) => {
                let samples = Samples::read(path, source)?;
                let truth = Truth::read(path, source)?;
                Some((samples, truth))
            }
            None => None,
        };
        let truth = data.as_ref().map_or(&Truth::NONE, |(_, truth)| truth);
        let metric = given.unwrap_or_else(|| Metric::suggest(source, truth));
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

/// The metric of this name.
fn metric(name: &str) -> Result<Metric> {
    let names: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
    Metric::find(name).ok_or_else(|| {
        Error::invalid(format!("no metric is called '{name}'"))
            .remedy(format!("there are {}", names.join(", ")))
    })
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
    inputs.budgets = budgets(args, packed, evaluation);
    if let Some(samples) = samples {
        let layers = compare_alone(&packed.source, &bundle, samples.at_most(COMPARED).iter())?;
        inputs.layers = layers.iter().map(LayerError::from).collect();
    }
    let report = Report::new(inputs)?;
    args.evaluation.report.iter().try_for_each(|path| report.write(path))
}

/// Bounds that were given, with what the bundle has.
fn budgets(args: &Args, packed: &Packed, evaluation: Option<&Evaluation>) -> Vec<Budget> {
    let q = &args.quantization;
    let mut budgets = Vec::new();
    let mut add = |name: &str, unit, limit: Option<f64>, actual: Option<f64>| {
        if let (Some(limit), Some(actual)) = (limit, actual) {
            budgets.push(Budget { name: name.into(), unit, limit, actual });
        }
    };
    let point = packed.account.found.as_ref().map(|f| &f.frontier[f.best]);
    let drop = evaluation.and_then(|e| e.outcomes.first()?.drop()).or(point.map(|p| p.drop));
    add("RAM", Unit::Bytes, args.ram.map(|b| b as f64), Some(packed.plan.arena as f64));
    add("flash", Unit::Bytes, q.flash.map(|b| b as f64), Some(packed.bytes.len() as f64));
    add("latency", Unit::Milliseconds, q.latency, point.and_then(|p| p.millis));
    add("accuracy drop", Unit::Points, args.evaluation.max_drop, drop);
    budgets
}
