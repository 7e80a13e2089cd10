//! Accuracy of a classifier on labelled data.

use std::fmt::{self, Display};

/// How often windows of each class were given each label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    labels: Vec<&'static str>,
    /// `counts[truth][given]`
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Nothing counted yet.
    pub fn new(labels: Vec<&'static str>) -> Self {
        let counts = vec![vec![0; labels.len()]; labels.len()];
        Self { labels, counts }
    }

    /// Counts one window by its class scores; the first of equal scores wins.
    ///
    /// # Panics
    /// If `truth` or the number of scores does not match the labels.
    pub fn count(&mut self, truth: usize, scores: &[f32]) {
        assert_eq!(scores.len(), self.labels.len());
        let best = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        self.counts[truth][best] += 1;
    }

    /// Windows counted.
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Windows that were given their own label.
    pub fn correct(&self) -> usize {
        (0..self.labels.len()).map(|i| self.counts[i][i]).sum()
    }

    /// Share of correct windows, 0 when none were counted.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.total())
    }
}

impl Display for Confusion {
    /// A Markdown table: a row per true class with its recall, then the precision of each label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = 0..self.labels.len();
        writeln!(f, "| truth \\ given | {} | recall |", self.labels.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.labels.len() + 1))?;
        for (truth, label) in self.labels.iter().enumerate() {
            write!(f, "| {label} |")?;
            for count in &self.counts[truth] {
                write!(f, " {count} |")?;
            }
            let recall = ratio(self.counts[truth][truth], self.counts[truth].iter().sum());
            writeln!(f, " {:.1} % |", 100.0 * recall)?;
        }
        write!(f, "| precision |")?;
        for given in classes.clone() {
            let all = classes.clone().map(|truth| self.counts[truth][given]).sum();
            write!(f, " {:.1} % |", 100.0 * ratio(self.counts[given][given], all))?;
        }
        writeln!(f, " |")
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_truth_and_best_score() {
        let mut confusion = Confusion::new(vec!["a", "b"]);
        confusion.count(0, &[0.9, 0.1]);
        confusion.count(1, &[0.4, 0.6]);
        confusion.count(1, &[0.5, 0.5]);
        confusion.count(1, &[0.0, 1.0]);
        assert_eq!((confusion.correct(), confusion.total()), (3, 4));
        assert_eq!(confusion.accuracy(), 0.75);
        let table = confusion.to_string();
        assert!(table.contains("| b | 1 | 2 | 66.7 % |"), "{table}");
        assert!(table.contains("| precision | 50.0 % | 100.0 % | |"), "{table}");
    }
}
