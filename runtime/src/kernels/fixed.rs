//! Requantization: from a 32-bit accumulator to an output level, in the three ways of ARCHITECTURE, "Numerics".
//!
//! All functions are total: whatever multiplier and shift a hostile bundle carries, they return some number.
//! [`Requant::valid`] is what the loader holds constants against.

use bytemuck::Pod;

use crate::ops::Rounding;
use crate::tensor::Dtype;

/// A way to scale accumulators, with one constant per channel.
pub trait Requant: 'static {
    /// The constant of one channel, as the weights hold it.
    type Scale: Pod;
    /// Element type of the constant's tensor.
    const DTYPE: Dtype;
    /// Values of that type per channel.
    const WIDTH: usize;
    /// The rounding it implements.
    const ROUNDING: Rounding;

    /// `acc` times the real multiplier, rounded.
    fn apply(acc: i32, scale: Self::Scale) -> i32;

    /// Whether the loader admits the constant.
    fn valid(scale: Self::Scale) -> bool;
}

/// Double rounding; the constant is `[multiplier, shift]`, real multiplier `multiplier / 2^31 * 2^shift`.
#[derive(Clone, Copy, Debug)]
pub struct Tflite;

/// One rounding; the constant is `[multiplier, shift]`, result `(saturating(acc << shift) * multiplier + 2^31) >> 32`.
#[derive(Clone, Copy, Debug)]
pub struct Single;

/// Float: the constant is the real multiplier; ties to even.
#[derive(Clone, Copy, Debug)]
pub struct Onnx;

impl Requant for Tflite {
    type Scale = [i32; 2];
    const DTYPE: Dtype = Dtype::I32;
    const WIDTH: usize = 2;
    const ROUNDING: Rounding = Rounding::Tflite;

    #[inline(always)]
    fn apply(acc: i32, [multiplier, shift]: [i32; 2]) -> i32 {
        multiply_by_quantized_multiplier(acc, multiplier, shift)
    }

    fn valid([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && (-31..=30).contains(&shift)
    }
}

impl Requant for Single {
    type Scale = [i32; 2];
    const DTYPE: Dtype = Dtype::I32;
    const WIDTH: usize = 2;
    const ROUNDING: Rounding = Rounding::Single;

    #[inline(always)]
    fn apply(acc: i32, [multiplier, shift]: [i32; 2]) -> i32 {
        let shifted = saturating_shl(acc, shift);
        ((shifted as i64 * multiplier as i64 + (1 << 31)) >> 32) as i32
    }

    fn valid([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && (0..=30).contains(&shift)
    }
}

impl Requant for Onnx {
    type Scale = f32;
    const DTYPE: Dtype = Dtype::F32;
    const WIDTH: usize = 1;
    const ROUNDING: Rounding = Rounding::Onnx;

    #[inline(always)]
    fn apply(acc: i32, scale: f32) -> i32 {
        round_half_even(acc as f32 * scale)
    }

    fn valid(scale: f32) -> bool {
        scale.is_finite() && scale >= 0.0
    }
}

/// `a * b / 2^31`, rounded to nearest with ties away from zero for positive products (gemmlowp's
/// SaturatingRoundingDoublingHighMul); the one overflowing case saturates.
#[inline(always)]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = a as i64 * b as i64;
    let nudge: i64 = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // Truncating division by 2^31, not an arithmetic shift.
    ((product + nudge) / (1 << 31)) as i32
}

/// `x / 2^exponent`, rounded to nearest with ties away from zero (gemmlowp's RoundingDivideByPOT).
/// Exponents outside 0..=31 are taken modulo 32.
#[inline(always)]
pub fn rounding_divide_by_pot(x: i32, exponent: i32) -> i32 {
    let exponent = exponent as u32 & 31;
    let mask = (1i32.wrapping_shl(exponent)).wrapping_sub(1);
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    x.wrapping_shr(exponent).wrapping_add(i32::from(remainder > threshold))
}

/// TFLite's MultiplyByQuantizedMultiplier in its double-rounding form.
#[inline(always)]
pub fn multiply_by_quantized_multiplier(x: i32, multiplier: i32, shift: i32) -> i32 {
    let left = if shift > 0 { shift } else { 0 };
    let right = if shift > 0 { 0 } else { shift.wrapping_neg() };
    let shifted = x.wrapping_mul(1i32.wrapping_shl(left as u32));
    rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)
}

/// `x << shift`, saturating; shifts outside 0..=31 are taken modulo 32.
#[inline(always)]
pub fn saturating_shl(x: i32, shift: i32) -> i32 {
    let wide = (x as i64) << (shift as u32 & 31);
    if wide > i32::MAX as i64 {
        i32::MAX
    } else if wide < i32::MIN as i64 {
        i32::MIN
    } else {
        wide as i32
    }
}

/// Nearest integer, ties to even; saturates, and NaN gives 0.
#[inline(always)]
pub fn round_half_even(x: f32) -> i32 {
    libm::rintf(x) as i32
}

/// `x` limited to `lo..=hi` without the panic of `Ord::clamp` on an empty range.
#[inline(always)]
pub fn limit(x: i32, lo: i32, hi: i32) -> i32 {
    if x < lo {
        lo
    } else if x > hi {
        hi
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_rounding_is_half_up_of_the_exact_product() {
        for acc in [-7, -3, -1, 0, 1, 3, 1000, i32::MAX, i32::MIN] {
            for m in [0, 1, 1 << 30, i32::MAX] {
                for s in [0, 1, 7] {
                    let exact = (saturating_shl(acc, s) as i128 * m as i128 + (1 << 31)).div_euclid(1 << 32);
                    assert_eq!(Single::apply(acc, [m, s]) as i128, exact);
                }
            }
        }
    }

    #[test]
    fn double_rounding_known_values() {
        // 0.5 as a multiplier of 2^30: ties go away from zero upwards and downwards.
        assert_eq!(multiply_by_quantized_multiplier(3, 1 << 30, 0), 2);
        assert_eq!(multiply_by_quantized_multiplier(-3, 1 << 30, 0), -1);
        assert_eq!(rounding_divide_by_pot(-3, 1), -2);
        assert_eq!(rounding_divide_by_pot(3, 1), 2);
        assert_eq!(saturating_rounding_doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
    }

    #[test]
    fn hostile_constants_do_not_panic() {
        for &m in &[i32::MIN, -1, 0, 1, i32::MAX] {
            for &s in &[i32::MIN, -100, -31, 0, 31, 100, i32::MAX] {
                for &x in &[i32::MIN, -1, 0, 1, i32::MAX] {
                    let _ = (Tflite::apply(x, [m, s]), Single::apply(x, [m, s]));
                }
            }
        }
        assert_eq!(round_half_even(f32::NAN), 0);
        assert_eq!((round_half_even(0.5), round_half_even(1.5), round_half_even(-2.5)), (0, 2, -2));
    }
}
