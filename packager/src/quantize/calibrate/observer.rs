//! What is kept of one tensor.

use super::extremes::Extremes;
use super::histogram::{Bin, Histogram};
use super::search::{self, Levels};
use super::{Observe, Range};
use crate::error::{Error, Result};
use crate::quantize::RangeMethod;

/// Ranges of a tensor and its channels, and where wanted how its values are distributed.
#[derive(Clone, Debug)]
pub struct Observer {
    extremes: Extremes,
    per_channel: bool,
    range: Range,
    count: u64,
    histogram: Option<Histogram>,
}

impl Observer {
    /// Nothing seen yet, of a tensor with so many channels (last axis).
    pub(super) fn new(channels: Option<usize>, what: Observe) -> Self {
        Observer {
            extremes: Extremes::new(channels.unwrap_or(1)),
            per_channel: channels.is_some(),
            range: Range::EMPTY,
            count: 0,
            histogram: (what == Observe::Histograms).then(Histogram::new),
        }
    }

    /// Adds a tensor's values; whether all are finite.
    pub(super) fn add(&mut self, values: &[f32]) -> bool {
        let (finite, range) = self.extremes.add(values);
        if finite {
            self.range = self.range.with(range);
            self.count += values.len() as u64;
            if let Some(histogram) = &mut self.histogram {
                histogram.add(values, range);
            }
        }
        finite
    }

    /// Adds all that another observer of the same tensor has seen.
    pub(super) fn merge(&mut self, other: &Observer) {
        self.extremes.merge(&other.extremes);
        self.range = self.range.with(other.range);
        self.count += other.count;
        if let (Some(own), Some(more)) = (&mut self.histogram, &other.histogram) {
            own.merge(more);
        }
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Least and greatest value.
    pub fn extremes(&self) -> Range {
        self.range
    }

    /// Least and greatest value of each channel (last axis); `None` below rank 2.
    pub fn channels(&self) -> Option<&[Range]> {
        self.per_channel.then(|| self.extremes.channels())
    }

    /// The bins that hold anything, ascending; zeros have one of no width. `None` where only ranges were
    /// observed.
    pub fn bins(&self) -> Option<Vec<Bin>> {
        self.histogram.as_ref().map(Histogram::bins)
    }

    /// How many values are zero; `None` where only ranges were observed.
    pub fn zeros(&self) -> Option<u64> {
        self.histogram.as_ref().map(Histogram::zeros)
    }

    /// The range that activations with these levels should cover, never beyond the extremes. Refuses a
    /// percentile that is not above 50 and at most 100, and a method whose histograms were not observed.
    pub fn range(&self, method: RangeMethod, levels: Levels) -> Result<Range> {
        let histogram = || {
            self.histogram.as_ref().ok_or_else(|| Error::invalid("no histogram was observed for this method"))
        };
        match method {
            RangeMethod::MinMax => Ok(self.range),
            RangeMethod::Percentile(kept) => search::percentile(&histogram()?.bins(), kept, self.range),
            RangeMethod::Mse => Ok(search::least_error(&histogram()?.bins(), self.range, levels)),
        }
    }
}
