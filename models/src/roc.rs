//! How well reconstruction errors tell anomalies from normal samples.

use std::fmt::{self, Display};

/// Reconstruction errors of normal and of anomalous samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roc {
    normal: Vec<f64>,
    anomalous: Vec<f64>,
}

impl Roc {
    /// Counts one sample by its mean squared reconstruction error.
    pub fn count(&mut self, anomalous: bool, input: &[f32], reconstruction: &[f32]) {
        let squares = input.iter().zip(reconstruction).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        let error = squares.sum::<f64>() / input.len().max(1) as f64;
        if anomalous { self.anomalous.push(error) } else { self.normal.push(error) }
    }

    /// Normal and anomalous samples counted.
    pub fn counted(&self) -> [usize; 2] {
        [self.normal.len(), self.anomalous.len()]
    }

    /// Share of pairs of a normal and an anomalous sample in which the anomalous one has the greater error, equal
    /// ones counting half: the area under the ROC curve (Mann-Whitney). A half when either kind is missing.
    pub fn auc(&self) -> f64 {
        let mut normal = self.normal.clone();
        normal.sort_by(f64::total_cmp);
        let pairs = self.normal.len() * self.anomalous.len();
        let won: f64 = self
            .anomalous
            .iter()
            .map(|error| {
                let below = normal.partition_point(|other| other < error);
                let not_above = normal.partition_point(|other| other <= error);
                (below + not_above) as f64 / 2.0
            })
            .sum();
        if pairs == 0 { 0.5 } else { won / pairs as f64 }
    }

    /// Share of anomalies found where at most `share` (0..=1) of the normal samples raise an alarm.
    pub fn found(&self, share: f64) -> f64 {
        let mut normal = self.normal.clone();
        normal.sort_by(|a, b| b.total_cmp(a));
        let allowed = (share * normal.len() as f64) as usize;
        let threshold = normal.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
        let found = self.anomalous.iter().filter(|error| **error > threshold).count();
        found as f64 / self.anomalous.len().max(1) as f64
    }
}

impl Display for Roc {
    /// A Markdown table: the share of anomalies found at three rates of false alarms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| false alarms | anomalies found |")?;
        writeln!(f, "|---:|---:|")?;
        for share in [0.01, 0.05, 0.10] {
            writeln!(f, "| {:.0} % | {:.1} % |", 100.0 * share, 100.0 * self.found(share))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roc(normal: &[f32], anomalous: &[f32]) -> Roc {
        let mut roc = Roc::default();
        normal.iter().for_each(|x| roc.count(false, &[*x, 0.0], &[0.0, 0.0]));
        anomalous.iter().for_each(|x| roc.count(true, &[*x, 0.0], &[0.0, 0.0]));
        roc
    }

    #[test]
    fn area_counts_ordered_pairs() {
        assert_eq!(roc(&[1.0, 2.0], &[3.0, 4.0]).auc(), 1.0);
        assert_eq!(roc(&[3.0, 4.0], &[1.0, 2.0]).auc(), 0.0);
        assert_eq!(roc(&[1.0, 3.0], &[2.0, 3.0]).auc(), 0.625);
        assert_eq!(roc(&[1.0], &[]).auc(), 0.5);
    }

    #[test]
    fn found_respects_the_share_of_false_alarms() {
        let roc = roc(&[1.0, 2.0, 3.0, 4.0], &[0.5, 2.5, 3.5, 4.5]);
        assert_eq!(roc.found(0.0), 0.25);
        assert_eq!(roc.found(0.25), 0.5);
        assert_eq!(roc.found(1.0), 1.0);
    }
}
