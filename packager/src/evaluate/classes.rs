//! Classification: who was taken for whom.

use serde_json::{Value as Json, json};

use super::bootstrap::{Bits, interval};
use super::{Meter, Metric, Outcome, Pair, Truth};
use crate::error::{Error, Result};
use crate::ir::Graph;

/// Most classes that a confusion matrix is kept for; beyond, only what each class was given is counted.
pub const MAX_MATRIX: usize = 1024;

/// One model's answers by class.
#[derive(Clone, PartialEq, Debug)]
pub struct Confusion {
    classes: usize,
    /// Row: label; column: answer. Empty past [`MAX_MATRIX`].
    counts: Vec<u64>,
    labels: Vec<u64>,
    answers: Vec<u64>,
    right: Vec<u64>,
}

impl Confusion {
    fn new(classes: usize) -> Self {
        let cells = if classes <= MAX_MATRIX { classes * classes } else { 0 };
        let zeros = || vec![0; classes];
        Confusion { classes, counts: vec![0; cells], labels: zeros(), answers: zeros(), right: zeros() }
    }

    fn add(&mut self, label: usize, answer: usize) {
        if let Some(count) = self.counts.get_mut(label * self.classes + answer) {
            *count += 1;
        }
        self.labels[label] += 1;
        self.answers[answer] += 1;
        self.right[label] += u64::from(label == answer);
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many samples of class `label` were given as class `answer`; `None` where no matrix is kept.
    pub fn count(&self, label: usize, answer: usize) -> Option<u64> {
        self.counts.get(label * self.classes + answer).copied().filter(|_| answer < self.classes)
    }

    /// Samples of a class.
    pub fn support(&self, class: usize) -> u64 {
        self.labels[class]
    }

    /// Share of a class's samples that were given as such; `None` without samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.right[class], self.labels[class])
    }

    /// Share of the samples given as a class that are of it; `None` where none was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.right[class], self.answers[class])
    }

    /// Share of the answers that name the class named most often.
    pub fn largest(&self) -> f64 {
        let all: u64 = self.answers.iter().sum();
        share(self.answers.iter().copied().max().unwrap_or(0), all).unwrap_or(0.0)
    }

    fn json(&self) -> Json {
        let each = |f: &dyn Fn(usize) -> Option<f64>| (0..self.classes).map(f).collect::<Vec<_>>();
        let rows: Vec<&[u64]> = self.counts.chunks(self.classes.max(1)).collect();
        json!({
            "matrix": if self.counts.is_empty() { Json::Null } else { json!(rows) },
            "recall": each(&|c| self.recall(c)),
            "precision": each(&|c| self.precision(c)),
            "largest_share": self.largest(),
        })
    }
}

/// Both models' answers on the same samples.
#[derive(Clone, PartialEq, Debug)]
pub struct Classes {
    /// The float model's.
    pub source: Confusion,
    /// The bundle's.
    pub bundle: Confusion,
    /// Share of samples that both give the same class.
    pub agreement: f64,
    /// The agreement with the float model of a predictor that always names the float model's commonest answer.
    pub constant_agreement: f64,
}

impl Classes {
    /// Whether the agreement says anything: no class is more than half of the float model's answers.
    pub fn agreement_counts(&self) -> bool {
        self.source.largest() <= 0.5
    }

    pub(super) fn json(&self) -> Json {
        json!({
            "float": self.source.json(),
            "bundle": self.bundle.json(),
            "support": self.source.labels,
            "agreement": self.agreement,
            "constant_agreement": self.constant_agreement,
            "agreement_counts": self.agreement_counts(),
        })
    }
}

/// Whether the label is among the `k` greatest scores.
pub(super) struct TopK<'a> {
    metric: Metric,
    k: usize,
    labels: &'a [i64],
    source: Confusion,
    bundle: Confusion,
    agreed: u64,
    right_source: Bits,
    right_bundle: Bits,
}

impl<'a> TopK<'a> {
    pub(super) fn new(metric: Metric, k: usize, graph: &Graph, truth: &'a Truth) -> Result<Self> {
        let output = graph.outputs.first().ok_or_else(|| Error::invalid("the model has no output"))?;
        let output = &graph.tensors[*output];
        let classes = output.elements();
        if classes < 2 || output.shape.iter().filter(|&&d| d > 1).count() != 1 {
            return Err(Error::invalid(format!(
                "{} needs one score per class; output '{}' has shape {:?}",
                metric.name(),
                output.name,
                output.shape
            )));
        }
        Ok(TopK {
            metric,
            k,
            labels: truth.labels(classes)?,
            source: Confusion::new(classes),
            bundle: Confusion::new(classes),
            agreed: 0,
            right_source: Bits::default(),
            right_bundle: Bits::default(),
        })
    }
}

impl Meter for TopK<'_> {
    fn add(&mut self, pair: &Pair<'_>) -> Result<()> {
        let Some(&label) = self.labels.get(pair.sample) else { return Ok(()) };
        let label = label as usize;
        let (source, bundle) = (&pair.source[0][..], &pair.bundle[0][..]);
        let answers = (best(source), best(bundle));
        self.source.add(label, answers.0);
        self.bundle.add(label, answers.1);
        self.agreed += u64::from(answers.0 == answers.1);
        self.right_source.push(rank(source, label) < self.k);
        self.right_bundle.push(rank(bundle, label) < self.k);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(Outcome, Option<Classes>)> {
        let n = self.right_source.len();
        let percent = |count: f64| 100.0 * count / n.max(1) as f64;
        let gains: Vec<i64> = (0..n)
            .map(|i| i64::from(self.right_source.get(i)) - i64::from(self.right_bundle.get(i)))
            .collect();
        let drop = |weights: &[u32]| {
            Some(percent(gains.iter().zip(weights).map(|(g, &w)| g * i64::from(w)).sum::<i64>() as f64))
        };
        let mut commonest = self.source.labels.clone();
        commonest.sort_unstable_by(|a, b| b.cmp(a));
        let outcome = Outcome {
            name: self.metric.name().into(),
            unit: self.metric.unit(),
            higher_is_better: self.metric.higher_is_better(),
            source: Some(percent(self.right_source.ones() as f64)),
            bundle: percent(self.right_bundle.ones() as f64),
            constant: Some(percent(commonest.iter().take(self.k).sum::<u64>() as f64)),
            interval: interval(n, drop),
        };
        let classes = Classes {
            agreement: share(self.agreed, n as u64).unwrap_or(0.0),
            constant_agreement: self.source.largest(),
            source: self.source,
            bundle: self.bundle,
        };
        Ok((outcome, Some(classes)))
    }
}

/// How many classes come before `class`: a greater score, or an equal one and a lesser index.
fn rank(scores: &[f32], class: usize) -> usize {
    let score = scores[class];
    let before = |(i, &s): (usize, &f32)| s > score || (s == score && i < class);
    scores.iter().enumerate().filter(|&x| before(x)).count()
}

/// The class of the greatest score; the least index wins ties.
fn best(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(k: usize, labels: &[i64], source: &[[f32; 3]], bundle: &[[f32; 3]]) -> (Outcome, Classes) {
        let mut meter: Box<dyn Meter + '_> = Box::new(TopK {
            metric: Metric::Top1,
            k,
            labels,
            source: Confusion::new(3),
            bundle: Confusion::new(3),
            agreed: 0,
            right_source: Bits::default(),
            right_bundle: Bits::default(),
        });
        for (sample, (s, b)) in source.iter().zip(bundle).enumerate() {
            let (s, b) = ([s.to_vec()], [b.to_vec()]);
            meter.add(&Pair { sample, input: &[], source: &s, bundle: &b }).unwrap();
        }
        let (outcome, classes) = meter.finish().unwrap();
        (outcome, classes.unwrap())
    }

    const A: [f32; 3] = [0.8, 0.1, 0.1];
    const B: [f32; 3] = [0.1, 0.8, 0.1];

    #[test]
    fn answers_are_counted_by_label_and_class() {
        let (outcome, classes) = run(1, &[0, 0, 1, 2], &[A, A, B, B], &[A, B, B, A]);
        assert_eq!((outcome.source, outcome.bundle, outcome.drop()), (Some(75.0), 50.0, Some(25.0)));
        assert_eq!(outcome.constant, Some(50.0));
        assert_eq!(classes.agreement, 0.5);
        assert_eq!((classes.constant_agreement, classes.agreement_counts()), (0.5, true));
        let c = &classes.bundle;
        assert_eq!((c.count(0, 0), c.count(0, 1), c.count(2, 0)), (Some(1), Some(1), Some(1)));
        assert_eq!((c.count(0, 3), c.count(3, 0)), (None, None));
        assert_eq!((c.recall(0), c.precision(1), c.recall(2)), (Some(0.5), Some(0.5), Some(0.0)));
        assert_eq!((c.precision(2), c.support(0)), (None, 2));
    }

    #[test]
    fn ties_go_to_the_least_index_in_every_rank() {
        assert_eq!(best(&[1.0, 1.0, 0.5]), 0);
        assert_eq!([0, 1, 2].map(|c| rank(&[1.0, 1.0, 0.5], c)), [0, 1, 2]);
        assert_eq!(best(&[0.0, -0.0]), 0);
        let (outcome, _) = run(2, &[1, 2], &[A, A], &[B, [0.0, 0.0, 1.0]]);
        assert_eq!((outcome.source, outcome.bundle), (Some(50.0), 100.0));
    }

    #[test]
    fn a_share_of_one_class_above_half_makes_agreement_void() {
        let (_, classes) = run(1, &[0, 0, 0], &[A, A, B], &[A, A, A]);
        assert!(!classes.agreement_counts());
    }

    #[test]
    fn many_classes_are_counted_without_a_matrix() {
        let mut c = Confusion::new(MAX_MATRIX + 1);
        c.add(3, 3);
        c.add(3, 4);
        assert_eq!((c.count(3, 3), c.recall(3), c.precision(4)), (None, Some(0.5), Some(0.0)));
        assert!(c.json()["matrix"].is_null());
    }
}
