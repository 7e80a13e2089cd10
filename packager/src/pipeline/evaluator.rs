//! How many points a candidate loses: on the user's evaluation data, or by the float model's own answers.

use crate::data::dataset::Dataset;
use crate::error::Result;
use crate::evaluate::{self, Metric, Truth};
use crate::files::AlignedBytes;
use crate::ir::Graph;

use crate::quantize::choose::judges;

/// What candidates are scored on.
pub struct Evaluator<'a> {
    /// The float model.
    pub source: &'a Graph,
    /// Labelled data with a metric.
    pub labelled: Option<Labelled<'a>>,
    /// Calibration data, for where there is no labelled data.
    pub calibration: Option<&'a dyn Dataset>,
}

/// Evaluation data and the metric asked for.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    /// Inputs.
    pub data: &'a dyn Dataset,
    /// Labels or targets.
    pub truth: &'a Truth,
    /// What is measured.
    pub metric: Metric,
}

/// Most calibration samples that a candidate is scored on.
const SAMPLES: usize = 1024;

impl Evaluator<'_> {
    /// Points lost by a bundle against the float model, never less than zero where answers are compared with the
    /// float model's: without labels the share of held-out calibration samples whose class changes for models
    /// with classes, in percent, else the share of noise in the output, in percent.
    pub fn drop(&self, bundle: &[u8]) -> Result<f64> {
        let bundle = AlignedBytes::new(bundle);
        if let Some(Labelled { data, truth, metric }) = self.labelled {
            let evaluation = evaluate::evaluate(self.source, &bundle, data.pass(), truth, &[metric])?;
            let Some(outcome) = evaluation.outcomes.first() else { return Ok(0.0) };
            // A ratio to the float model has no score to drop from: its noise is what is lost.
            return Ok(outcome.drop().unwrap_or_else(|| 100.0 * libm::exp10(-outcome.bundle / 10.0)));
        }
        let Some(data) = self.calibration else { return Ok(0.0) };
        let (mut same, mut count, mut signal, mut noise) = (0usize, 0usize, 0.0, 0.0);
        let mut classes = true;
        let held = data.pass().enumerate().filter(|(n, _)| judges(*n, data.len())).map(|(_, s)| s);
        evaluate::both(self.source, &bundle, held.take(SAMPLES), |pair| {
            let (want, got) = (&pair.source[0], &pair.bundle[0]);
            classes &= (2..=1000).contains(&want.len()) && want.len() != pair.input.len();
            same += usize::from(greatest(want) == greatest(got));
            count += 1;
            for (w, g) in want.iter().zip(got) {
                signal += f64::from(w * w);
                noise += f64::from((w - g) * (w - g));
            }
            Ok(())
        })?;
        let lost =
            if classes { 1.0 - same as f64 / count.max(1) as f64 } else { noise / f64::max(signal, 1e-30) };
        Ok(100.0 * lost)
    }
}

fn greatest(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}
