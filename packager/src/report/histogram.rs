//! What calibration saw of one tensor, and what of it the bundle can represent.

use crate::ir::{Graph, Quant};
use crate::lower::multiplier::levels;
use crate::quantize::Bin;

/// Counts of a tensor's values.
#[derive(Clone, PartialEq, Debug)]
pub struct Histogram {
    /// The tensor's name.
    pub tensor: String,
    /// Ascending; gaps hold nothing.
    pub bins: Vec<Bin>,
    /// The range that was chosen; `None` to read it off the packed graph's tensor of that name.
    pub range: Option<(f32, f32)>,
}

impl Histogram {
    /// The chosen range: the given one, else what the tensor's type, scale and zero point reach.
    pub fn chosen(&self, packed: &Graph) -> Option<(f32, f32)> {
        self.range.or_else(|| {
            let tensor = packed.tensors.iter().find(|t| t.name == self.tensor)?;
            let (scale, zero) = tensor.quant.as_ref().and_then(Quant::single)?;
            let (lo, hi) = levels(tensor.dtype).ok()?;
            let real = |level: i32| scale * (i64::from(level) - i64::from(zero)) as f32;
            Some((real(lo), real(hi)))
        })
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|b| b.count).sum()
    }

    /// Share of values in bins that lie wholly outside a range.
    pub fn outside(&self, (lo, hi): (f32, f32)) -> f64 {
        let out = |b: &&Bin| b.hi < f64::from(lo) || b.lo > f64::from(hi);
        let outside: u64 = self.bins.iter().filter(out).map(|b| b.count).sum();
        outside as f64 / self.count().max(1) as f64
    }

    /// Start of the first and end of the last bin that holds something.
    pub fn seen(&self) -> Option<(f64, f64)> {
        let mut filled = self.bins.iter().filter(|b| b.count > 0);
        let first = filled.next()?;
        Some((first.lo, filled.next_back().unwrap_or(first).hi))
    }

    /// Counts in `columns` equal columns over `[lo, hi]`; a bin counts where its middle lies.
    pub(super) fn columns(&self, (lo, hi): (f64, f64), columns: usize) -> Vec<u64> {
        let mut out = vec![0; columns];
        for b in self.bins.iter().filter(|b| b.count > 0) {
            let middle = (b.lo + b.hi) / 2.0;
            let at = ((middle - lo) / (hi - lo).max(f64::MIN_POSITIVE) * columns as f64) as usize;
            out[at.min(columns - 1)] += b.count;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use samara_runtime::Dtype;

    use super::*;
    use crate::ir::{Numeric, Tensor};

    fn histogram(bins: &[u64]) -> Histogram {
        let width = 8.0 / bins.len() as f64;
        let bin = |(i, &count): (usize, &u64)| {
            let lo = -4.0 + width * i as f64;
            Bin { lo, hi: lo + width, count }
        };
        Histogram { tensor: "x".into(), bins: bins.iter().enumerate().map(bin).collect(), range: None }
    }

    #[test]
    fn shares_outside_count_whole_bins() {
        let h = histogram(&[1, 0, 2, 5, 5, 2, 0, 1]);
        assert_eq!(h.outside((-3.5, 2.5)), 1.0 / 16.0);
        assert_eq!(h.outside((-4.0, 4.0)), 0.0);
        assert_eq!(histogram(&[0, 1, 0, 0]).seen(), Some((-2.0, 0.0)));
        assert_eq!(histogram(&[0, 0]).seen(), None);
        assert_eq!(h.columns((-4.0, 4.0), 2), [8, 8]);
        assert_eq!(h.columns((-8.0, 8.0), 4), [0, 8, 8, 0]);
    }

    #[test]
    fn ranges_come_from_the_packed_graph() {
        let mut g = Graph::new("g", Numeric::Single);
        let quant = Quant::per_tensor(0.5, -128);
        g.add(Tensor::new("x", Dtype::I8, vec![1]).quantized(quant));
        let h = histogram(&[1]);
        assert_eq!(h.chosen(&g), Some((0.0, 127.5)));
        assert_eq!(Histogram { range: Some((1.0, 2.0)), ..h.clone() }.chosen(&g), Some((1.0, 2.0)));
        assert_eq!(Histogram { tensor: "y".into(), ..h }.chosen(&g), None);
    }
}
