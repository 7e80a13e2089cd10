//! An exponential histogram as OpenTelemetry defines it: bucket `i` holds values in `(base^i, base^(i+1)]` with
//! `base = 2^(2^-scale)`. When values spread beyond [`MAX_BUCKETS`] the scale falls by one and neighbours merge.

use std::collections::VecDeque;

/// Most buckets kept; a thousandfold spread of latencies fits at a relative error below 2.2 %.
pub const MAX_BUCKETS: usize = 160;
const START_SCALE: i32 = 5;

/// Values seen so far, with bounded memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    scale: i32,
    offset: i32,
    buckets: VecDeque<u64>,
    zeros: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            scale: START_SCALE,
            offset: 0,
            buckets: VecDeque::new(),
            zeros: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: 0.0,
        }
    }
}

impl Histogram {
    /// Counts a value; negative values and NaN count as zero, which a duration cannot be by accident.
    pub fn record(&mut self, value: f64) {
        let value = if value.is_finite() && value > 0.0 { value } else { 0.0 };
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // Subnormal numbers have no bucket of full precision; they are zero for a latency.
        if value < f64::MIN_POSITIVE {
            self.zeros += 1;
            return;
        }
        let mut index = index(value, self.scale);
        while self.spread(index) > MAX_BUCKETS as i64 {
            self.downscale();
            index >>= 1;
        }
        if self.buckets.is_empty() {
            self.offset = index;
        }
        while index < self.offset {
            self.buckets.push_front(0);
            self.offset -= 1;
        }
        let at = (index - self.offset) as usize;
        while self.buckets.len() <= at {
            self.buckets.push_back(0);
        }
        self.buckets[at] += 1;
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.zeros + self.buckets.iter().sum::<u64>()
    }

    /// Values counted as zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Sum of all values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Smallest and largest value, `None` before the first.
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.count() > 0).then_some((self.min, self.max))
    }

    /// Resolution: `base = 2^(2^-scale)`.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Index of the first bucket, and the counts from there on.
    pub fn buckets(&self) -> (i32, impl Iterator<Item = u64> + '_) {
        (self.offset, self.buckets.iter().copied())
    }

    fn spread(&self, index: i32) -> i64 {
        if self.buckets.is_empty() {
            return 1;
        }
        let first = i64::from(self.offset).min(i64::from(index));
        let last = (i64::from(self.offset) + self.buckets.len() as i64 - 1).max(i64::from(index));
        last - first + 1
    }

    fn downscale(&mut self) {
        let mut merged = VecDeque::new();
        let first = self.offset >> 1;
        for (at, count) in self.buckets.iter().enumerate() {
            let to = (((self.offset + at as i32) >> 1) - first) as usize;
            if merged.len() <= to {
                merged.push_back(0);
            }
            merged[to] += count;
        }
        self.buckets = merged;
        self.offset = first;
        self.scale -= 1;
    }
}

/// The bucket of a positive value: `ceil(log2(value) * 2^scale) - 1`, exact at powers of two.
fn index(value: f64, scale: i32) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    if bits & ((1 << 52) - 1) == 0 {
        let scaled = if scale >= 0 { exponent << scale } else { ((exponent - 1) >> -scale) + 1 };
        return scaled - 1;
    }
    (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(histogram: &Histogram) -> Vec<(f64, f64, u64)> {
        let base = |index: i32| (f64::from(index) * f64::from(-histogram.scale()).exp2()).exp2();
        let (offset, counts) = histogram.buckets();
        counts
            .enumerate()
            .map(|(at, count)| (base(offset + at as i32), base(offset + at as i32 + 1), count))
            .collect()
    }

    #[test]
    fn every_value_lies_within_its_bucket() {
        for value in [1e-9, 0.001, 0.0017, 0.999, 1.0, 1.5, 2.0, 3.0, 1e6] {
            let mut histogram = Histogram::default();
            histogram.record(value);
            let [(low, high, 1)] = bounds(&histogram)[..] else { panic!("{value}") };
            assert!(low * (1.0 - 1e-12) < value && value <= high * (1.0 + 1e-12), "{value}: {low}..{high}");
        }
    }

    #[test]
    fn powers_of_two_are_upper_bounds_at_every_scale() {
        for scale in -3..=5 {
            for exponent in -20i32..=20 {
                let index = index(f64::from(exponent).exp2(), scale);
                // (base^index, base^(index+1)] contains 2^exponent: index < exponent * 2^scale <= index + 1.
                let at = f64::from(exponent) * f64::from(scale).exp2();
                assert!(f64::from(index) < at && at <= f64::from(index + 1), "{scale} {exponent} {index}");
            }
        }
    }

    #[test]
    fn a_wide_spread_lowers_the_scale_and_loses_no_count() {
        let mut histogram = Histogram::default();
        let mut value = 1e-6;
        let mut recorded = 0;
        while value < 1e4 {
            histogram.record(value);
            recorded += 1;
            value *= 1.01;
        }
        histogram.record(0.0);
        assert_eq!((histogram.count(), histogram.zeros()), (recorded + 1, 1));
        assert!(histogram.scale() < START_SCALE && bounds(&histogram).len() <= MAX_BUCKETS);
        // Counts per bucket are even: the values grow by a constant factor.
        let counts: Vec<u64> = bounds(&histogram).iter().map(|bucket| bucket.2).collect();
        let inner = &counts[1..counts.len() - 1];
        assert!(inner.iter().max().unwrap() - inner.iter().min().unwrap() <= 1, "{inner:?}");
    }

    #[test]
    fn what_is_no_duration_counts_as_zero() {
        let mut histogram = Histogram::default();
        for value in [f64::NAN, -1.0, f64::INFINITY, 5e-324] {
            histogram.record(value);
        }
        assert_eq!((histogram.zeros(), histogram.count()), (4, 4));
    }
}
