//! What a bundle's answers are worth beside the float model's, on data with labels.
//!
//! Both models run in one pass, one sample in memory at a time; what is kept per sample is at most a few
//! numbers, so that the drop can carry a paired bootstrap interval. Scores of classifiers and AUC are in percent,
//! so that a point of drop is a hundredth.

mod auc;
mod bootstrap;
mod classes;
mod errors;
pub mod external;
mod metric;
mod pass;
mod truth;

use serde_json::{Value as Json, json};

pub use bootstrap::{Bits, Interval};
pub use classes::{Classes, Confusion, MAX_MATRIX};
pub use metric::Metric;
pub use pass::{Pair, both};
pub use truth::{MAX_TARGETS, Truth};

use samara_runtime::ops::eval::Value;

use crate::error::{Error, Result};
use crate::ir::Graph;

/// One metric of both models.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The metric's name, or the user's command.
    pub name: String,
    /// `%`, `dB`, or empty where the score has the unit of the data.
    pub unit: &'static str,
    /// Whether a greater score is the better one.
    pub higher_is_better: bool,
    /// The float model's score; `None` where the metric measures the bundle against it.
    pub source: Option<f64>,
    /// The bundle's score.
    pub bundle: f64,
    /// What the best answer that ignores the input scores, where that is known: the commonest classes, the mean
    /// target, chance.
    pub constant: Option<f64>,
    /// 95 % interval of [`Outcome::drop`] over resampled data sets.
    pub interval: Option<Interval>,
}

impl Outcome {
    /// By how many points of the metric the bundle is worse than the float model; negative where it is better.
    pub fn drop(&self) -> Option<f64> {
        let fall = self.source? - self.bundle;
        Some(if self.higher_is_better { fall } else { -fall })
    }

    /// Fails with exit code 1 where the drop is past `limit` points, or cannot be told.
    pub fn within(&self, limit: f64) -> Result<()> {
        match self.drop() {
            // Not `>`, so that a drop that is not a number fails too.
            Some(drop) if drop <= limit => Ok(()),
            Some(drop) => Err(Error::refused(format!(
                "{} drops by {drop:.3} points ({:.3} to {:.3}), more than the {limit} allowed",
                self.name,
                self.source.unwrap_or(f64::NAN),
                self.bundle
            ))),
            None => Err(Error::invalid(format!("{} has no float score that it could drop from", self.name))
                .remedy("give --metric top1, top5, auc, mae or rmse with --max-drop")),
        }
    }

    /// The object that reports and `--json` hold.
    pub fn json(&self) -> Json {
        json!({
            "metric": self.name,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "float": self.source,
            // JSON has no infinity: a bundle without any noise has none.
            "bundle": self.bundle.is_finite().then_some(self.bundle),
            "drop": self.drop(),
            "interval": self.interval.map(|i| json!({ "lo": i.lo, "hi": i.hi, "resamples": i.resamples })),
            "constant": self.constant,
        })
    }
}

/// What one pass over the data gave.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// Samples that both models ran on.
    pub samples: usize,
    /// In the order asked for.
    pub outcomes: Vec<Outcome>,
    /// Who was taken for whom; only where a metric of classes was asked for.
    pub classes: Option<Classes>,
}

impl Evaluation {
    /// The object that reports and `--json` hold.
    pub fn json(&self) -> Json {
        json!({
            "samples": self.samples,
            "outcomes": self.outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
            "classes": self.classes.as_ref().map(Classes::json),
        })
    }
}

/// Runs the float graph and the bundle packed from it on every sample (the graph's inputs in order) and scores
/// both by every metric. `bundle` is aligned as [`crate::files::AlignedBytes`] is.
pub fn evaluate(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    truth: &Truth,
    metrics: &[Metric],
) -> Result<Evaluation> {
    let mut meters = metrics.iter().map(|m| m.meter(source, truth)).collect::<Result<Vec<_>>>()?;
    let samples = both(source, bundle, samples, |pair| meters.iter_mut().try_for_each(|m| m.add(pair)))?;
    truth.expect(samples)?;
    let mut evaluation = Evaluation { samples, outcomes: Vec::new(), classes: None };
    for meter in meters {
        let (outcome, classes) = meter.finish()?;
        evaluation.outcomes.push(outcome);
        evaluation.classes = evaluation.classes.or(classes);
    }
    Ok(evaluation)
}

/// Gathers one metric, sample by sample.
trait Meter {
    /// Takes one sample's outputs in.
    fn add(&mut self, pair: &Pair<'_>) -> Result<()>;

    /// The score of all samples.
    fn finish(self: Box<Self>) -> Result<(Outcome, Option<Classes>)>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(higher_is_better: bool, source: f64, bundle: f64) -> Outcome {
        let (name, unit) = ("m".into(), "");
        Outcome { name, unit, higher_is_better, source: Some(source), bundle, constant: None, interval: None }
    }

    #[test]
    fn drops_are_positive_where_the_bundle_is_worse() {
        assert_eq!(outcome(true, 90.0, 88.5).drop(), Some(1.5));
        assert_eq!(outcome(false, 0.25, 0.5).drop(), Some(0.25));
        assert_eq!(outcome(false, 0.5, 0.25).drop(), Some(-0.25));
    }

    #[test]
    fn a_drop_past_the_limit_is_refused_with_exit_code_1() {
        assert!(outcome(true, 90.0, 89.0).within(1.0).is_ok());
        let error = outcome(true, 90.0, 88.0).within(1.0).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Refused);
        assert!(error.to_string().contains("2.000 points"), "{error}");
        assert!(outcome(true, 90.0, f64::NAN).within(1.0).is_err());
        let without = Outcome { source: None, ..outcome(true, 0.0, 30.0) };
        assert_eq!(without.within(1.0).unwrap_err().kind(), crate::error::Kind::Invalid);
    }
}
