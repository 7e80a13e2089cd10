//! Counts of values in bins whose width is a power of two and whose edges are its multiples.
//!
//! A wider range doubles the width by merging neighbours, which is exact: what is held at the end depends on the
//! values alone, neither on their order nor on how they came in groups.

use super::Range;

/// Bins of a histogram; more than half of them span the range once it is wider than nothing.
pub(super) const BINS: usize = 2048;

/// Values of one bin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bin {
    /// Least value that it can hold.
    pub lo: f64,
    /// No value is greater.
    pub hi: f64,
    /// How many values it holds.
    pub count: u64,
}

/// Counts of values other than zero.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// Bins are `2^exponent` wide; `None` before the first value.
    exponent: Option<i32>,
    /// Bin `i` holds `floor(x / width) = i` modulo [`BINS`]: at most so many bins are in use.
    counts: Vec<u64>,
    /// Values that are zero, which quantization keeps exactly and rectifiers make in masses.
    zeros: u64,
    /// Zero and every value.
    range: Range,
}

impl Histogram {
    pub(super) fn new() -> Self {
        let range = Range { lo: 0.0, hi: 0.0 };
        Histogram { exponent: None, counts: vec![0; BINS], zeros: 0, range }
    }

    /// Adds finite values, whose range this is.
    pub(super) fn add(&mut self, values: &[f32], range: Range) {
        self.cover(self.range.with(range));
        let per_unit = self.exponent.map_or(1.0, |e| libm::exp2(-f64::from(e)));
        for &x in values {
            if x == 0.0 {
                self.zeros += 1;
                continue;
            }
            if let Some(count) = self.counts.get_mut(slot(index(x, per_unit))) {
                *count += 1;
            }
        }
    }

    /// Adds all that another holds.
    pub(super) fn merge(&mut self, other: &Histogram) {
        self.cover(self.range.with(other.range));
        self.zeros += other.zeros;
        if let (Some(wide), Some(narrow)) = (self.exponent, other.exponent) {
            // The least width for both ranges is no less than that for one.
            pour(&other.counts, span(other.range, narrow), &mut self.counts, wide - narrow);
        }
    }

    /// Values that are zero.
    pub(super) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Bins that hold anything, ascending, cut to the range; zeros have one of no width.
    pub(super) fn bins(&self) -> Vec<Bin> {
        let mut bins = Vec::new();
        let mut zeros = (self.zeros > 0).then_some(Bin { lo: 0.0, hi: 0.0, count: self.zeros });
        if let Some(e) = self.exponent {
            let (width, (first, last)) = (libm::exp2(f64::from(e)), span(self.range, e));
            for i in first..=last {
                if i >= 0 {
                    bins.extend(zeros.take());
                }
                let count = self.counts.get(slot(i)).copied().unwrap_or(0);
                if count > 0 {
                    let (lo, hi) = (i as f64 * width, (i + 1) as f64 * width);
                    let (least, most) = (f64::from(self.range.lo), f64::from(self.range.hi));
                    bins.push(Bin { lo: lo.max(least), hi: hi.min(most), count });
                }
            }
        }
        bins.extend(zeros);
        bins
    }

    /// Takes the least width whose bins span the range, which holds the one so far.
    fn cover(&mut self, range: Range) {
        let before = std::mem::replace(&mut self.range, range);
        if range == (Range { lo: 0.0, hi: 0.0 }) {
            return;
        }
        // A greatest magnitude in [2^(n-1), 2^n) needs bins of 2^n / BINS at least, on two sides perhaps the double.
        let widest = range.hi.max(-range.lo);
        let least = libm::frexp(f64::from(widest)).1 - BINS.ilog2() as i32;
        let mut e = self.exponent.map_or(least, |old| old.max(least));
        while !fits(range, e) {
            e += 1;
        }
        if let Some(old) = self.exponent.filter(|&old| old < e) {
            let mut merged = vec![0; BINS];
            pour(&self.counts, span(before, old), &mut merged, e - old);
            self.counts = merged;
        }
        self.exponent = Some(e);
    }
}

/// Adds bins from first to last to ones that are `2^doublings` times as wide.
fn pour(from: &[u64], (first, last): (i64, i64), into: &mut [u64], doublings: i32) {
    for i in first..=last {
        if let (Some(into), Some(count)) = (into.get_mut(slot(i >> doublings.min(63))), from.get(slot(i))) {
            *into += count;
        }
    }
}

fn fits(range: Range, exponent: i32) -> bool {
    let (first, last) = span(range, exponent);
    last - first < BINS as i64
}

/// The bin of a value that is not zero.
fn index(x: f32, per_unit: f64) -> i64 {
    // Exact: a power of two times a float, in doubles.
    let scaled = f64::from(x) * per_unit;
    let down = scaled as i32;
    i64::from(down) - i64::from(f64::from(down) > scaled)
}

fn slot(index: i64) -> usize {
    index.rem_euclid(BINS as i64) as usize
}

/// First and last bin of a range at a width.
fn span(range: Range, exponent: i32) -> (i64, i64) {
    let per_unit = libm::exp2(-f64::from(exponent));
    (index(range.lo, per_unit), index(range.hi, per_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence of magnitudes over many powers of two.
    fn values(n: usize, signed: bool) -> Vec<f32> {
        let mut state = 0x1234_5678_9abc_def1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 40
        };
        (0..n)
            .map(|_| {
                let magnitude = next() as f32 / 256.0 * libm::exp2f((next() % 24) as f32 - 12.0);
                if signed && next() % 2 == 0 { -magnitude } else { magnitude }
            })
            .collect()
    }

    fn of(groups: &[&[f32]]) -> Histogram {
        let mut histogram = Histogram::new();
        groups.iter().for_each(|g| histogram.add(g, Range::of(g)));
        histogram
    }

    #[test]
    fn neither_order_nor_grouping_changes_it() {
        for signed in [false, true] {
            let ascending = {
                let mut v = values(5_000, signed);
                v.sort_by(f32::total_cmp);
                v
            };
            let whole = of(&[&ascending]);
            let descending: Vec<f32> = ascending.iter().rev().copied().collect();
            let mixed = values(5_000, signed);
            for (grouped, size) in [(&ascending, 1), (&descending, 1), (&mixed, 7), (&mixed, 4_999)] {
                let other = of(&grouped.chunks(size).collect::<Vec<_>>());
                assert_eq!((other.exponent, &other.counts), (whole.exponent, &whole.counts));
                assert_eq!(other.bins(), whole.bins());
            }
            // Nor where it was counted.
            for at in [0, 1, 1_000, 5_000] {
                let (a, b) = mixed.split_at(at);
                let mut merged = of(&[a]);
                merged.merge(&of(&[b]));
                assert_eq!((merged.exponent, &merged.counts), (whole.exponent, &whole.counts));
                assert_eq!(merged.bins(), whole.bins());
            }
        }
    }

    #[test]
    fn every_value_is_in_a_bin_that_holds_it() {
        let mut v = values(3_000, true);
        v.extend([0.0, -0.0, f32::MIN_POSITIVE, -1e-45, 3.0, 3.0]);
        let histogram = of(&[&v[..5], &v[5..]]);
        let bins = histogram.bins();
        assert_eq!((histogram.zeros(), bins.iter().map(|b| b.count).sum::<u64>()), (2, v.len() as u64));
        assert!(bins.windows(2).all(|w| w[0].hi <= w[1].lo));
        for b in &bins {
            // Below its upper edge, except where the range ends, the bin of zeros, and the one just below zero.
            let (lo, hi) = (b.lo as f32, b.hi as f32);
            let inside = |x: f32| if lo == hi { x == lo } else { lo <= x && x <= hi && x != 0.0 };
            let seen = v.iter().filter(|&&x| inside(x)).count() as u64;
            assert!(seen >= b.count, "{b:?} {seen}");
        }
        let range = Range::of(&v);
        assert_eq!((bins[0].lo as f32, bins.last().unwrap().hi as f32), (range.lo, range.hi));
    }

    #[test]
    fn more_than_half_the_bins_span_the_range() {
        for v in [vec![5.9f32, 0.1], vec![-3.0, 3.0], vec![-1e-40, 2e-40], vec![1e38, -3e38], vec![-0.7]] {
            let histogram = of(&[&v]);
            let (first, last) = span(histogram.range, histogram.exponent.unwrap());
            let used = last - first + 1;
            assert!((BINS as i64 / 2..=BINS as i64).contains(&used), "{v:?} {used}");
        }
    }

    #[test]
    fn zeros_alone_have_a_bin_of_no_width() {
        let histogram = of(&[&[0.0, -0.0, 0.0]]);
        assert_eq!(histogram.bins(), [Bin { lo: 0.0, hi: 0.0, count: 3 }]);
        assert_eq!(of(&[]).bins(), []);
    }
}
