//! Ranges from histograms.

use super::Range;
use super::histogram::Bin;
use crate::error::{Error, Result};
use crate::quantize::from_range;

/// The levels that a range is divided into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Levels {
    /// 256 with any zero point.
    Int8,
    /// 65,535 on both sides of zero.
    Int16,
}

/// Where levels lie: multiples of `scale` from `first` to `last` of them.
#[derive(Clone, Copy, Debug)]
struct Grid {
    scale: f64,
    first: f64,
    last: f64,
}

impl Levels {
    /// The levels that a range gets, as they are chosen for tensors.
    fn grid(self, range: Range) -> Grid {
        match self {
            Levels::Int8 => {
                let quant = from_range(range);
                let (scale, zero) = quant.single().unwrap_or((1.0, 0));
                let (scale, zero) = (f64::from(scale), f64::from(zero));
                Grid { scale, first: -128.0 - zero, last: 127.0 - zero }
            }
            Levels::Int16 => {
                let scale = f64::from(range.hi.max(-range.lo)) / 32767.0;
                Grid { scale, first: -32767.0, last: 32767.0 }
            }
        }
    }
}

impl Grid {
    /// Mean squared error of values spread evenly over a bin.
    fn error(&self, bin: &Bin) -> f64 {
        let (a, b) = (bin.lo / self.scale, bin.hi / self.scale);
        let mean = if b - a < 1e-6 {
            let x = 0.5 * (a + b);
            let level = libm::rint(x).clamp(self.first, self.last);
            (x - level) * (x - level)
        } else {
            (self.integral(b) - self.integral(a)) / (b - a)
        };
        mean * self.scale * self.scale
    }

    /// Integral of the squared error from 0 to `x`, in steps: a twelfth for each whole step, a cubic for the rest.
    fn integral(&self, x: f64) -> f64 {
        let level = libm::rint(x).clamp(self.first, self.last);
        let rest = x - level;
        level / 12.0 + rest * rest * rest / 3.0
    }
}

/// Leaves out `100 - kept` percent of the values at each end.
pub(super) fn percentile(bins: &[Bin], kept: f32, extremes: Range) -> Result<Range> {
    if !(kept > 50.0 && kept <= 100.0) {
        return Err(Error::invalid(format!("the percentile {kept} is not above 50 and at most 100")));
    }
    let count: u64 = bins.iter().map(|b| b.count).sum();
    let out = count as f64 * (100.0 - f64::from(kept)) / 100.0;
    // Where so many values lie before, spread evenly within their bin.
    let end = |bins: &mut dyn Iterator<Item = (f64, f64, u64)>| {
        let mut passed = 0.0;
        for (near, far, count) in bins {
            let count = count as f64;
            if passed + count > out {
                return Some((near + (far - near) * (out - passed) / count) as f32);
            }
            passed += count;
        }
        None
    };
    let lo = end(&mut bins.iter().map(|b| (b.lo, b.hi, b.count)));
    let hi = end(&mut bins.iter().rev().map(|b| (b.hi, b.lo, b.count)));
    let (lo, hi) = (lo.unwrap_or(extremes.lo), hi.unwrap_or(extremes.hi));
    Ok(Range { lo: lo.max(extremes.lo), hi: hi.min(extremes.hi) })
}

/// Candidates of each end in the first round: factors of `2^(-1/4)`.
const CANDIDATES: i32 = 24;
/// Later rounds, each with half the step of the one before.
const ROUNDS: i32 = 4;

/// The range with the least expected squared error of rounding and clipping, both ends searched together; the
/// widest of equals.
pub(super) fn least_error(bins: &[Bin], extremes: Range, levels: Levels) -> Range {
    let (lo, hi) = (extremes.lo.min(0.0), extremes.hi.max(0.0));
    let range = |(l, h): (f64, f64)| Range {
        lo: (f64::from(lo) * libm::exp2(-l)) as f32,
        hi: (f64::from(hi) * libm::exp2(-h)) as f32,
    };
    let error = |at: (f64, f64)| {
        let grid = levels.grid(range(at));
        bins.iter().map(|b| grid.error(b) * b.count as f64).sum::<f64>()
    };
    if lo == hi {
        return extremes;
    }
    // An end at zero stays there.
    let open = |end: f32, n: i32| if end == 0.0 { 0 } else { n };
    let mut best = (0.0, 0.0);
    let mut least = error(best);
    let mut attempt = |at: (f64, f64), best: &mut (f64, f64)| {
        let e = error(at);
        if e < least {
            (*best, least) = (at, e);
        }
    };
    for l in 0..=open(lo, CANDIDATES) {
        for h in 0..=open(hi, CANDIDATES) {
            attempt((f64::from(l) / 4.0, f64::from(h) / 4.0), &mut best);
        }
    }
    for round in 1..=ROUNDS {
        let step = libm::exp2(-2.0 - f64::from(round));
        let middle = best;
        for l in -open(lo, 1)..=open(lo, 1) {
            for h in -open(hi, 1)..=open(hi, 1) {
                let at = (middle.0 + f64::from(l) * step, middle.1 + f64::from(h) * step);
                if at != middle && at.0 >= 0.0 && at.1 >= 0.0 {
                    attempt(at, &mut best);
                }
            }
        }
    }
    let found = range(best);
    Range { lo: found.lo.max(extremes.lo), hi: found.hi.min(extremes.hi) }
}
