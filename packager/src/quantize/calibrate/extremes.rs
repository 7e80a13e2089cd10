//! Least and greatest values per channel, in blocks that compilers turn into vector instructions.

use super::Range;

/// Least width of a block.
const LANES: usize = 64;

/// Ranges of `channels` interleaved channels.
#[derive(Clone, Debug)]
pub(super) struct Extremes {
    channels: Vec<Range>,
    /// Whole rows of channels, at least [`LANES`] wide: position `i` belongs to channel `i % channels`.
    lo: Vec<f32>,
    hi: Vec<f32>,
}

impl Extremes {
    /// Of rows of `channels` values; at least 1.
    pub(super) fn new(channels: usize) -> Self {
        let channels = channels.max(1);
        let width = channels * LANES.div_ceil(channels);
        let (lo, hi) = (vec![f32::INFINITY; width], vec![f32::NEG_INFINITY; width]);
        Extremes { channels: vec![Range::EMPTY; channels], lo, hi }
    }

    /// Adds whole rows; whether all values are finite. The values' own range is returned too.
    pub(super) fn add(&mut self, values: &[f32]) -> (bool, Range) {
        self.lo.fill(f32::INFINITY);
        self.hi.fill(f32::NEG_INFINITY);
        let mut strange = 0;
        for block in values.chunks(self.lo.len()) {
            for ((lo, hi), &x) in self.lo.iter_mut().zip(&mut self.hi).zip(block) {
                *lo = if x < *lo { x } else { *lo };
                *hi = if x > *hi { x } else { *hi };
                strange |= u32::from(!x.is_finite());
            }
        }
        let mut whole = Range::EMPTY;
        let rows = self.lo.chunks_exact(self.channels.len()).zip(self.hi.chunks_exact(self.channels.len()));
        for (lo, hi) in rows {
            for (channel, (&lo, &hi)) in self.channels.iter_mut().zip(lo.iter().zip(hi)) {
                // Zeros lose their sign: it would show which of two came first.
                let range = Range { lo: lo + 0.0, hi: hi + 0.0 };
                *channel = channel.with(range);
                whole = whole.with(range);
            }
        }
        (strange == 0, whole)
    }

    /// Covers what another of as many channels has seen, too.
    pub(super) fn merge(&mut self, other: &Extremes) {
        for (channel, &more) in self.channels.iter_mut().zip(&other.channels) {
            *channel = channel.with(more);
        }
    }

    pub(super) fn channels(&self) -> &[Range] {
        &self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_agree_with_one_by_one() {
        for channels in [1, 2, 3, 63, 64, 65, 200] {
            for rows in [1, 2, 22, 131] {
                let values: Vec<f32> =
                    (0..channels * rows).map(|i| ((i * 7919 + 13) % 1009) as f32 - 400.0).collect();
                let mut extremes = Extremes::new(channels);
                let half = rows / 2 * channels;
                let parts = [&values[..half], &values[half..]];
                for part in parts {
                    let (finite, range) = extremes.add(part);
                    assert!(finite);
                    assert_eq!(range, Range::of(part));
                }
                for (c, &range) in extremes.channels().iter().enumerate() {
                    let own: Vec<f32> = values.iter().skip(c).step_by(channels).copied().collect();
                    assert_eq!(range, Range::of(&own), "channel {c} of {channels}, {rows} rows");
                }
            }
        }
    }

    #[test]
    fn zeros_have_no_sign() {
        for values in [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0]] {
            let mut extremes = Extremes::new(2);
            let (_, Range { lo, hi }) = extremes.add(&values);
            let all = extremes.channels().iter().flat_map(|r| [r.lo, r.hi]).chain([lo, hi]);
            assert!(all.into_iter().all(f32::is_sign_positive));
        }
    }

    #[test]
    fn what_is_not_finite_is_seen_anywhere() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 63, 64, 129] {
                let mut values = [0.5; 130];
                values[at] = bad;
                assert!(!Extremes::new(1).add(&values).0, "{bad} at {at}");
            }
        }
        assert!(Extremes::new(1).add(&[f32::MAX, f32::MIN, -0.0, 1e-45]).0);
    }
}
