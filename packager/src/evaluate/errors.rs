//! Metrics of regressions, and the noise that the bundle adds.

use super::bootstrap::interval;
use super::classes::Classes;
use super::{Meter, Metric, Outcome, Pair, Truth};
use crate::error::{Error, Result};
use crate::ir::Graph;

/// Mean absolute error, or root of the mean squared error, of output 0 against targets.
pub(super) struct Regression<'a> {
    metric: Metric,
    width: usize,
    targets: &'a [f32],
    /// Mean error of each sample, of the float model and of the bundle.
    source: Vec<f64>,
    bundle: Vec<f64>,
}

impl<'a> Regression<'a> {
    pub(super) fn new(metric: Metric, graph: &Graph, truth: &'a Truth) -> Result<Self> {
        let output = graph.outputs.first().ok_or_else(|| Error::invalid("the model has no output"))?;
        let width = graph.tensors[*output].elements();
        let targets = truth.targets(width)?;
        Ok(Regression { metric, width, targets, source: Vec::new(), bundle: Vec::new() })
    }

    /// A sample's mean error.
    fn error(&self, output: &[f32], target: &[f32]) -> f64 {
        let error = |(&y, &t): (&f32, &f32)| {
            let difference = y as f64 - t as f64;
            if self.metric == Metric::Rmse { difference * difference } else { difference.abs() }
        };
        output.iter().zip(target).map(error).sum::<f64>() / self.width as f64
    }

    /// The metric of samples that each count `weights` times.
    fn score(&self, errors: &[f64], weights: &[u32]) -> f64 {
        let sum: f64 = errors.iter().zip(weights).map(|(e, &w)| e * f64::from(w)).sum();
        let mean = sum / weights.iter().map(|&w| f64::from(w)).sum::<f64>();
        if self.metric == Metric::Rmse { libm::sqrt(mean) } else { mean }
    }

    /// What answering the mean target always would score.
    fn constant(&self) -> f64 {
        let samples = self.targets.chunks_exact(self.width);
        let mut mean = vec![0.0; self.width];
        for target in samples.clone() {
            mean.iter_mut().zip(target).for_each(|(m, &t)| *m += t as f64);
        }
        let mean: Vec<f32> = mean.iter().map(|m| (m / samples.len().max(1) as f64) as f32).collect();
        let errors: Vec<f64> = samples.map(|target| self.error(&mean, target)).collect();
        self.score(&errors, &vec![1; errors.len()])
    }
}

impl Meter for Regression<'_> {
    fn add(&mut self, pair: &Pair<'_>) -> Result<()> {
        let Some(target) = self.targets.chunks_exact(self.width).nth(pair.sample) else { return Ok(()) };
        let (source, bundle) = (self.error(&pair.source[0], target), self.error(&pair.bundle[0], target));
        self.source.push(source);
        self.bundle.push(bundle);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(Outcome, Option<Classes>)> {
        let once = vec![1; self.source.len()];
        let drop =
            |weights: &[u32]| Some(self.score(&self.bundle, weights) - self.score(&self.source, weights));
        let outcome = Outcome {
            name: self.metric.name().into(),
            unit: self.metric.unit(),
            higher_is_better: self.metric.higher_is_better(),
            source: Some(self.score(&self.source, &once)),
            bundle: self.score(&self.bundle, &once),
            constant: Some(self.constant()),
            interval: interval(self.source.len(), drop),
        };
        Ok((outcome, None))
    }
}

/// Signal to quantization noise of all outputs together.
#[derive(Default)]
pub(super) struct Sqnr {
    signal: f64,
    noise: f64,
}

impl Meter for Sqnr {
    fn add(&mut self, pair: &Pair<'_>) -> Result<()> {
        for (&y, &q) in pair.source.iter().flatten().zip(pair.bundle.iter().flatten()) {
            self.signal += (y as f64).powi(2);
            self.noise += (y as f64 - q as f64).powi(2);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(Outcome, Option<Classes>)> {
        let db = if self.noise == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(self.signal / self.noise) };
        let outcome = Outcome {
            name: Metric::Sqnr.name().into(),
            unit: Metric::Sqnr.unit(),
            higher_is_better: Metric::Sqnr.higher_is_better(),
            source: None,
            bundle: db,
            constant: None,
            interval: None,
        };
        Ok((outcome, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(metric: Metric, targets: &[f32], source: &[[f32; 2]], bundle: &[[f32; 2]]) -> Outcome {
        let regression = Regression { metric, width: 2, targets, source: Vec::new(), bundle: Vec::new() };
        let mut meter: Box<dyn Meter + '_> = Box::new(regression);
        for (sample, (s, b)) in source.iter().zip(bundle).enumerate() {
            let (s, b) = ([s.to_vec()], [b.to_vec()]);
            meter.add(&Pair { sample, input: &[], source: &s, bundle: &b }).unwrap();
        }
        meter.finish().unwrap().0
    }

    #[test]
    fn errors_are_means_over_samples_and_elements() {
        let targets = [0.0, 0.0, 1.0, 1.0];
        let (source, bundle) = ([[0.0, 0.0], [1.0, 3.0]], [[0.0, 2.0], [1.0, 1.0]]);
        let mae = run(Metric::Mae, &targets, &source, &bundle);
        assert_eq!((mae.source, mae.bundle, mae.drop()), (Some(0.5), 0.5, Some(0.0)));
        assert_eq!(mae.constant, Some(0.5));
        let rmse = run(Metric::Rmse, &targets, &source, &[[0.0, 4.0], [1.0, 3.0]]);
        assert_eq!((rmse.source, rmse.bundle), (Some(1.0), 5f64.sqrt()));
        assert_eq!(rmse.drop(), Some(5f64.sqrt() - 1.0));
        let interval = rmse.interval.unwrap();
        assert!(interval.lo <= rmse.drop().unwrap() && rmse.drop().unwrap() <= interval.hi, "{interval:?}");
    }

    #[test]
    fn noise_is_measured_against_the_float_model() {
        let mut meter: Box<dyn Meter> = Box::<Sqnr>::default();
        let (s, b) = ([vec![3.0, 4.0]], [vec![3.0, 4.5]]);
        meter.add(&Pair { sample: 0, input: &[], source: &s, bundle: &b }).unwrap();
        let outcome = meter.finish().unwrap().0;
        assert!((outcome.bundle - 20.0).abs() < 1e-9, "{outcome:?}");
        assert_eq!(outcome.drop(), None);
    }
}
