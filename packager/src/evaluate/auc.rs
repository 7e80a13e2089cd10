//! Area under the ROC curve: the chance that an anomalous sample scores above a normal one.

use super::bootstrap::{Bits, interval};
use super::classes::Classes;
use super::{Meter, Metric, Outcome, Pair, Truth};
use crate::error::{Error, Result};
use crate::ir::Graph;

pub(super) struct Auc<'a> {
    score: Score,
    labels: &'a [i64],
    anomalous: Bits,
    source: Vec<f64>,
    bundle: Vec<f64>,
}

/// What of a model's outputs says how anomalous a sample is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Score {
    /// Mean squared difference of output 0 and input 0.
    Reconstruction,
    /// The only element of output 0.
    Single,
    /// Output 0 of two classes: the second's score less the first's, which orders probabilities and logits alike.
    Second,
}

impl<'a> Auc<'a> {
    pub(super) fn new(graph: &Graph, truth: &'a Truth) -> Result<Self> {
        let elements = |t: Option<&usize>| t.map_or(0, |&t| graph.tensors[t].elements());
        let score = match (elements(graph.inputs.first()), elements(graph.outputs.first())) {
            (_, 1) => Score::Single,
            (_, 2) => Score::Second,
            (input, output) if input == output => Score::Reconstruction,
            (input, output) => {
                return Err(Error::invalid(format!(
                    "auc needs a reconstruction of the {input} inputs, one score or two classes; output 0 has {output} elements"
                )));
            }
        };
        let labels = truth.labels(2)?;
        Ok(Auc { score, labels, anomalous: Bits::default(), source: Vec::new(), bundle: Vec::new() })
    }
}

impl Meter for Auc<'_> {
    fn add(&mut self, pair: &Pair<'_>) -> Result<()> {
        let Some(&label) = self.labels.get(pair.sample) else { return Ok(()) };
        self.anomalous.push(label == 1);
        self.source.push(self.score.of(pair.input, &pair.source[0]));
        self.bundle.push(self.score.of(pair.input, &pair.bundle[0]));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(Outcome, Option<Classes>)> {
        let curves = (Curve::new(&self.source, &self.anomalous), Curve::new(&self.bundle, &self.anomalous));
        let once = vec![1; self.anomalous.len()];
        let areas = curves.0.area(&once).zip(curves.1.area(&once));
        let (source, bundle) = areas.ok_or_else(|| {
            Error::invalid("array 'labels' holds only one class; auc needs samples of 0 and of 1")
        })?;
        let drop = |weights: &[u32]| Some(curves.0.area(weights)? - curves.1.area(weights)?);
        let outcome = Outcome {
            name: Metric::Auc.name().into(),
            unit: Metric::Auc.unit(),
            higher_is_better: Metric::Auc.higher_is_better(),
            source: Some(source),
            bundle,
            constant: Some(50.0),
            interval: interval(self.anomalous.len(), drop),
        };
        Ok((outcome, None))
    }
}

impl Score {
    fn of(self, input: &[f32], output: &[f32]) -> f64 {
        match self {
            Score::Reconstruction => {
                let squares = input.iter().zip(output).map(|(&x, &y)| (x as f64 - y as f64).powi(2));
                squares.sum::<f64>() / output.len().max(1) as f64
            }
            Score::Single => output[0] as f64,
            Score::Second => output[1] as f64 - output[0] as f64,
        }
    }
}

/// Samples in ascending order of their score, once sorted, for any number of resamples.
struct Curve {
    /// Sample, whether it is anomalous, whether its score is that of the one before.
    order: Vec<(usize, bool, bool)>,
}

impl Curve {
    fn new(scores: &[f64], anomalous: &Bits) -> Self {
        let mut indices: Vec<usize> = (0..scores.len()).collect();
        indices.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let tied = |k: usize| k > 0 && scores[indices[k - 1]] == scores[indices[k]];
        let order = (0..indices.len()).map(|k| (indices[k], anomalous.get(indices[k]), tied(k))).collect();
        Curve { order }
    }

    /// The area in percent, from ranks, exactly: ties count half (Mann and Whitney 1947). `None` without samples
    /// of both kinds.
    fn area(&self, weights: &[u32]) -> Option<f64> {
        let (mut below, mut normal, mut anomalous) = (0u128, 0u128, 0u128);
        let (mut all, mut halves) = (0u128, 0u128);
        let mut close = |normal: &mut u128, anomalous: &mut u128| {
            halves += *anomalous * (2 * below + *normal);
            below += *normal;
            all += *anomalous;
            (*normal, *anomalous) = (0, 0);
        };
        for &(sample, is_anomalous, tied) in &self.order {
            if !tied {
                close(&mut normal, &mut anomalous);
            }
            *(if is_anomalous { &mut anomalous } else { &mut normal }) += u128::from(weights[sample]);
        }
        close(&mut normal, &mut anomalous);
        let pairs = all * below;
        (pairs > 0).then(|| 100.0 * halves as f64 / (2 * pairs) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(flags: &[u8]) -> Bits {
        let mut bits = Bits::default();
        flags.iter().for_each(|&f| bits.push(f == 1));
        bits
    }

    fn area(scores: &[f64], flags: &[u8]) -> Option<f64> {
        Curve::new(scores, &bits(flags)).area(&vec![1; scores.len()])
    }

    /// Every pair of a normal and an anomalous sample, one by one.
    fn by_pairs(scores: &[f64], flags: &[u8]) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for (i, _) in flags.iter().enumerate().filter(|f| *f.1 == 1) {
            for (j, _) in flags.iter().enumerate().filter(|f| *f.1 == 0) {
                let (a, b) = (scores[i], scores[j]);
                won += f64::from(u8::from(a > b)) + 0.5 * f64::from(u8::from(a == b));
                pairs += 1.0;
            }
        }
        100.0 * won / pairs
    }

    #[test]
    fn areas_count_every_pair_and_ties_half() {
        assert_eq!(area(&[0.1, 0.2, 0.8, 0.9], &[0, 0, 1, 1]), Some(100.0));
        assert_eq!(area(&[0.1, 0.2, 0.8, 0.9], &[1, 1, 0, 0]), Some(0.0));
        assert_eq!(area(&[0.5; 4], &[0, 1, 0, 1]), Some(50.0));
        assert_eq!(area(&[0.0, -0.0], &[0, 1]), Some(50.0));
        assert_eq!(area(&[1.0, 2.0], &[1, 1]), None);
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        for _ in 0..50 {
            let n = 2 + (next() % 30) as usize;
            let scores: Vec<f64> = (0..n).map(|_| (next() % 6) as f64).collect();
            let mut flags: Vec<u8> = (0..n).map(|_| (next() % 2) as u8).collect();
            (flags[0], flags[1]) = (0, 1);
            let (got, want) = (area(&scores, &flags).unwrap(), by_pairs(&scores, &flags));
            assert!((got - want).abs() < 1e-9, "{scores:?} {flags:?}: {got}, {want}");
        }
    }

    #[test]
    fn a_weight_is_a_repetition() {
        let curve = Curve::new(&[1.0, 2.0, 2.0, 3.0], &bits(&[0, 0, 1, 1]));
        let repeated = Curve::new(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0], &bits(&[0, 0, 0, 0, 1, 1]));
        assert_eq!(curve.area(&[3, 1, 2, 0]), repeated.area(&[1; 6]));
    }

    #[test]
    fn scores_follow_the_shape_of_the_output() {
        assert_eq!(Score::Reconstruction.of(&[1.0, 2.0, 3.0], &[1.0, 4.0, 2.0]), 5.0 / 3.0);
        assert_eq!(Score::Single.of(&[0.0], &[0.25]), 0.25);
        assert_eq!(Score::Second.of(&[0.0], &[0.25, 0.75]), 0.5);
    }
}
