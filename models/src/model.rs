//! The models, in one list.

use std::fmt::{self, Display};

use crate::data::{DataSet, Source};
use crate::evaluation::Confusion;
use crate::roc::Roc;
#[cfg(feature = "train")]
use crate::train::Trainer;
use crate::{anomaly, card, glyphs, vibration};

/// Every model. Adding one touches this list alone.
pub const ALL: &[Model] = &[vibration::MODEL, anomaly::MODEL, glyphs::MODEL];

/// Passes over the training data of quantization-aware training.
pub const FINETUNE_EPOCHS: u16 = 6;

/// The model called `name`.
pub fn find(name: &str) -> Option<&'static Model> {
    ALL.iter().find(|model| model.name == name)
}

/// One of the project's own models.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Folder and command-line name.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Seed of the committed data and model.
    pub seed: u64,
    /// Passes over the training data of the committed model.
    pub epochs: u16,
    /// Data.
    pub source: Source,
    /// Name of the network's output.
    pub output: &'static str,
    /// What the output means.
    pub task: Task,
    /// The model's own part of its card.
    pub text: card::Text,
    /// Training and inference.
    #[cfg(feature = "train")]
    pub trainer: Trainer,
}

/// What a network's output means, and so how it is judged.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Class probabilities, in the order of these labels.
    Classification {
        /// Of every class.
        labels: &'static [&'static str],
    },
    /// The input again; class 0 is normal, class 1 anomalous.
    Reconstruction,
}

impl Model {
    /// Judges the outputs of all samples of `set`, one after the other.
    ///
    /// # Panics
    /// If there are more or fewer outputs than samples ask for.
    pub fn judge(&self, set: &DataSet, outputs: &[f32]) -> Outcome {
        match self.task {
            Task::Classification { labels } => {
                assert_eq!(outputs.len(), set.labels.len() * labels.len());
                let mut confusion = Confusion::new(labels.to_vec());
                for (scores, &truth) in outputs.chunks(labels.len()).zip(&set.labels) {
                    confusion.count(truth as usize, scores);
                }
                Outcome::Classes(confusion)
            }
            Task::Reconstruction => {
                assert_eq!(outputs.len(), set.values.len());
                let width = self.source.width();
                let mut roc = Roc::default();
                for ((input, output), &label) in
                    set.values.chunks(width).zip(outputs.chunks(width)).zip(&set.labels)
                {
                    roc.count(label != 0, input, output);
                }
                Outcome::Anomalies(roc)
            }
        }
    }
}

/// What a model achieved on labelled data.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Of a classification.
    Classes(Confusion),
    /// Of a reconstruction.
    Anomalies(Roc),
}

impl Outcome {
    /// Share of correct samples, or area under the ROC curve: 0..=1.
    pub fn metric(&self) -> f64 {
        match self {
            Self::Classes(confusion) => confusion.accuracy(),
            Self::Anomalies(roc) => roc.auc(),
        }
    }

    /// The metric with what it was taken from, in one line.
    pub fn summary(&self) -> String {
        match self {
            Self::Classes(confusion) => {
                let (correct, total) = (confusion.correct(), confusion.total());
                format!("{:.2} % ({correct} of {total})", 100.0 * confusion.accuracy())
            }
            Self::Anomalies(roc) => {
                let [normal, anomalous] = roc.counted();
                format!("AUC {:.4} ({normal} normal, {anomalous} anomalous)", roc.auc())
            }
        }
    }
}

impl Display for Outcome {
    /// The Markdown table of the kind of outcome.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes(confusion) => confusion.fmt(f),
            Self::Anomalies(roc) => roc.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for model in ALL {
            assert_eq!(ALL.iter().filter(|other| other.name == model.name).count(), 1);
            assert_eq!(find(model.name).unwrap().seed, model.seed);
            if let Task::Classification { labels } = model.task {
                assert_eq!(labels.len(), model.source.classes, "{}", model.name);
            }
        }
        assert!(find("none").is_none());
    }
}
