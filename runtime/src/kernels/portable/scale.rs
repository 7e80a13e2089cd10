//! Requantization for 32-bit processors, some of which have no long multiplication.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite, rounding_divide_by_pot, saturating_shl};
use crate::ops::Clamp;

/// A multiplication of 32 by 32 bits has only the low half of its product as an instruction: Armv6-M, which is also
/// the only Arm profile here without compare and swap.
const NARROW: bool = cfg!(all(target_arch = "arm", not(target_has_atomic = "32")));

/// [`Requant::apply`] with the same result, in fewer instructions, for constants that [`Requant::valid`] admits.
pub trait Scale: Requant {
    /// `sum` times the real multiplier, rounded.
    fn scale(sum: i32, scale: Self::Scale) -> i32;
}

impl Scale for Tflite {
    #[inline(always)]
    fn scale(sum: i32, [multiplier, shift]: [i32; 2]) -> i32 {
        let (left, right) = if shift > 0 { (shift as u32, 0) } else { (0, shift.wrapping_neg()) };
        let (high, low) = product(sum.wrapping_shl(left), multiplier);
        // Doubled, and the 2^30 of the rounding carries where bit 30 is set.
        let doubled = high.wrapping_shl(1).wrapping_add((low >> 31) as i32);
        rounding_divide_by_pot(doubled.wrapping_add((low >> 30 & 1) as i32), right)
    }
}

impl Scale for Single {
    #[inline(always)]
    fn scale(sum: i32, [multiplier, shift]: [i32; 2]) -> i32 {
        let (high, low) = product(saturating_shl(sum, shift), multiplier);
        high.wrapping_add((low >> 31) as i32)
    }
}

impl Scale for Onnx {
    #[inline(always)]
    fn scale(sum: i32, scale: f32) -> i32 {
        Onnx::apply(sum, scale)
    }
}

/// High and low half of `a * b` for `b >= 0`.
#[inline(always)]
fn product(a: i32, b: i32) -> (i32, u32) {
    if NARROW {
        by_halves(a, b)
    } else {
        let p = i64::from(a).wrapping_mul(i64::from(b));
        ((p >> 32) as i32, p as u32)
    }
}

/// As [`product`], from four multiplications of halves.
#[inline(always)]
fn by_halves(a: i32, b: i32) -> (i32, u32) {
    let (ah, al) = (a >> 16, a as u32 & 0xFFFF);
    let (bh, bl) = (b as u32 >> 16, b as u32 & 0xFFFF);
    let low = al.wrapping_mul(bl);
    // Below 2^31 and within 32 bits with sign, as `b` is below 2^31.
    let (mid, cross) = (al.wrapping_mul(bh), ah.wrapping_mul(bl as i32));
    let carry = (mid & 0xFFFF).wrapping_add(cross as u32 & 0xFFFF).wrapping_add(low >> 16);
    let high = ah.wrapping_mul(bh as i32).wrapping_add((mid >> 16) as i32).wrapping_add(cross >> 16);
    (high.wrapping_add((carry >> 16) as i32), carry << 16 | low & 0xFFFF)
}

/// What turns a layer's sums into levels.
pub(crate) struct Levels<'a, R: Requant> {
    /// One per channel, or one for all.
    pub(crate) scales: &'a [R::Scale],
    pub(crate) zero: i32,
    pub(crate) clamp: Clamp,
}

impl<R: Scale> Levels<'_, R> {
    /// The level of output channel `o`.
    #[inline(always)]
    pub(crate) fn level(&self, sum: i32, o: usize) -> Result<i8> {
        let scale = self.scales.get(o).or(self.scales.first()).copied().ok_or(Error::Internal)?;
        Ok(self.clamp.limit_i32(R::scale(sum, scale).wrapping_add(self.zero)) as i8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_the_product() {
        let edges = [i32::MIN, i32::MIN + 1, -65537, -65536, -1, 0, 1, 0x7FFF, 0xFFFF, 0x10000, i32::MAX];
        for a in edges {
            for b in edges.into_iter().filter(|&b| b >= 0) {
                let p = i64::from(a) * i64::from(b);
                assert_eq!(by_halves(a, b), ((p >> 32) as i32, p as u32), "{a} * {b}");
            }
        }
    }

    #[test]
    fn scales_as_the_reference() {
        let mut state = 1u32;
        let mut draw = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state as i32) >> (state >> 8 & 31)
        };
        for _ in 0..20000 {
            let (sum, multiplier) = (draw(), draw() & i32::MAX);
            let right = [multiplier, (draw() & 31).wrapping_neg()];
            let left = [multiplier, draw() & 31];
            let left = [left[0], left[1].min(30)];
            for scale in [right, left] {
                assert_eq!(Tflite::scale(sum, scale), Tflite::apply(sum, scale), "{sum} {scale:?}");
            }
            assert_eq!(Single::scale(sum, left), Single::apply(sum, left), "{sum} {left:?}");
        }
    }
}
