//! The metrics that `--metric` takes.

use super::auc::Auc;
use super::classes::TopK;
use super::errors::{Regression, Sqnr};
use super::{Meter, Truth};
use crate::error::Result;
use crate::ir::Graph;

/// How answers are scored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Share of samples whose label has the greatest score of output 0, in percent; the least index wins ties.
    Top1,
    /// Share of samples whose label is among the five greatest scores of output 0, in percent.
    Top5,
    /// Area under the ROC curve of labels 0 (normal) and 1 (anomalous), in percent. The score is the mean squared
    /// difference of output 0 and input 0 where they have the same size, else output 0 itself.
    Auc,
    /// Mean absolute error of output 0 against `targets`.
    Mae,
    /// Root of the mean squared error of output 0 against `targets`.
    Rmse,
    /// Ratio of the float model's outputs to their difference from the bundle's, in decibels; needs no labels.
    Sqnr,
}

impl Metric {
    /// All of them, in the order that help lists.
    pub const ALL: [Metric; 6] =
        [Metric::Top1, Metric::Top5, Metric::Auc, Metric::Mae, Metric::Rmse, Metric::Sqnr];

    /// What `--metric` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Top1 => "top1",
            Metric::Top5 => "top5",
            Metric::Auc => "auc",
            Metric::Mae => "mae",
            Metric::Rmse => "rmse",
            Metric::Sqnr => "sqnr",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Metric::Top1 => "Top-1 accuracy",
            Metric::Top5 => "Top-5 accuracy",
            Metric::Auc => "Area under the ROC curve",
            Metric::Mae => "Mean absolute error",
            Metric::Rmse => "Root mean squared error",
            Metric::Sqnr => "Signal to quantization noise",
        }
    }

    /// The metric of this name.
    pub fn find(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|m| m.name() == name)
    }

    /// See [`super::Outcome::unit`].
    pub const fn unit(self) -> &'static str {
        match self {
            Metric::Top1 | Metric::Top5 | Metric::Auc => "%",
            Metric::Mae | Metric::Rmse => "",
            Metric::Sqnr => "dB",
        }
    }

    /// Whether a greater score is the better one.
    pub const fn higher_is_better(self) -> bool {
        match self {
            Metric::Top1 | Metric::Top5 | Metric::Auc | Metric::Sqnr => true,
            Metric::Mae | Metric::Rmse => false,
        }
    }

    /// The metric that a model and the data's arrays suggest where none was asked for.
    pub fn suggest(graph: &Graph, truth: &Truth) -> Metric {
        let elements = |t: Option<&usize>| t.map_or(0, |&t| graph.tensors[t].elements());
        let (input, output) = (elements(graph.inputs.first()), elements(graph.outputs.first()));
        match (truth.has_labels(), truth.has_targets()) {
            (true, _) if output == input || output == 1 => Metric::Auc,
            (true, _) => Metric::Top1,
            (false, true) => Metric::Mae,
            (false, false) => Metric::Sqnr,
        }
    }

    pub(super) fn meter<'a>(self, graph: &Graph, truth: &'a Truth) -> Result<Box<dyn Meter + 'a>> {
        Ok(match self {
            Metric::Top1 => Box::new(TopK::new(self, 1, graph, truth)?),
            Metric::Top5 => Box::new(TopK::new(self, 5, graph, truth)?),
            Metric::Auc => Box::new(Auc::new(graph, truth)?),
            Metric::Mae | Metric::Rmse => Box::new(Regression::new(self, graph, truth)?),
            Metric::Sqnr => Box::new(Sqnr::default()),
        })
    }
}

impl std::str::FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Metric, String> {
        Metric::find(name).ok_or_else(|| {
            let names: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
            format!("a metric is one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name() {
        for metric in Metric::ALL {
            assert_eq!(Metric::find(metric.name()), Some(metric));
        }
        assert!("top3".parse::<Metric>().unwrap_err().contains("top1, top5, auc"));
        assert_eq!("auc".parse(), Ok(Metric::Auc));
    }
}
