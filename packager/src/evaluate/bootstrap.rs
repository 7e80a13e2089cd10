//! How far a drop could be chance: a paired bootstrap over the samples (Efron and Tibshirani, "An Introduction to
//! the Bootstrap", 1993), percentile interval, with a fixed seed.

/// Data sets that are drawn, for data of any usual size.
const RESAMPLES: usize = 2000;
/// Samples that are drawn in all: larger data get fewer resamples, but at least [`LEAST`].
const DRAWS: usize = 1 << 26;
const LEAST: usize = 200;
/// Share of resamples left out at each end.
const TAIL: f64 = 0.025;

/// A 95 % interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// 2.5 % of the resampled data sets lie below.
    pub lo: f64,
    /// 2.5 % lie above.
    pub hi: f64,
    /// How many data sets were drawn.
    pub resamples: usize,
}

/// The interval of a statistic over data sets of `samples` samples drawn with replacement.
///
/// `statistic` gets how often each sample was drawn; resamples where it is `None` count as not drawn.
pub fn interval(samples: usize, statistic: impl Fn(&[u32]) -> Option<f64>) -> Option<Interval> {
    let bound = u32::try_from(samples).ok().filter(|&n| n > 0)?;
    let resamples = (DRAWS / samples).clamp(LEAST, RESAMPLES);
    let mut state = 0x5a6d_6172_615f_6270;
    let mut weights = vec![0u32; samples];
    let mut values = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        weights.fill(0);
        for _ in 0..samples {
            weights[below(&mut state, bound) as usize] += 1;
        }
        values.extend(statistic(&weights));
    }
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let tail = (TAIL * last as f64) as usize;
    Some(Interval { lo: values[tail], hi: values[last - tail], resamples: values.len() })
}

/// Uniform below `bound`, to within 2^-32 (splitmix64, then a multiplication).
fn below(state: &mut u64, bound: u32) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = (z ^ (z >> 31)) >> 32;
    ((high * u64::from(bound)) >> 32) as u32
}

/// One bit per sample.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Appends a bit.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(bit) << (self.len % 64);
        }
        self.len += 1;
    }

    /// Bit `i`; false past the end.
    pub fn get(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are set.
    pub fn ones(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_keep_their_places() {
        let mut bits = Bits::default();
        (0..200).for_each(|i| bits.push(i % 3 == 0));
        assert!((0..200).all(|i| bits.get(i) == (i % 3 == 0)));
        assert_eq!((bits.len(), bits.ones(), bits.get(200)), (200, 67, false));
    }

    /// The mean of 0/1 values has a known standard error: the interval must be about 1.96 of them each way.
    #[test]
    fn the_interval_of_a_share_is_the_binomial_one() {
        let n = 1000;
        let share = |w: &[u32]| Some(w[..300].iter().sum::<u32>() as f64 / n as f64);
        let i = interval(n, share).unwrap();
        let error = (0.3f64 * 0.7 / n as f64).sqrt();
        assert!((i.lo - (0.3 - 1.96 * error)).abs() < 0.2 * error, "{i:?}");
        assert!((i.hi - (0.3 + 1.96 * error)).abs() < 0.2 * error, "{i:?}");
        assert_eq!(interval(n, share), Some(i), "the seed is fixed");
    }

    #[test]
    fn undefined_resamples_are_left_out() {
        assert_eq!(interval(0, |_| Some(0.0)), None);
        assert_eq!(interval(3, |_| None), None);
        let some = interval(4, |w| (w[0] > 0).then_some(1.0)).unwrap();
        assert!(some.resamples < RESAMPLES && some.resamples > RESAMPLES / 2, "{some:?}");
    }
}
