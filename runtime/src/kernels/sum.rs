//! Sums of levels: 32 bits for int8, 64 for int16, with what is then computed from them.

use crate::kernels::fixed::{Onnx, Requant, Single, Tflite, round_half_even};
use crate::kernels::level::saturate;

/// A rounding whose definition extends to 64-bit sums: the same result as [`Requant::apply`] where the sum, and
/// what a left shift makes of it, fits 32 bits.
pub trait RequantSum: Requant<Scale = [i32; 2]> {
    /// `sum` times the real multiplier, rounded, saturated to 32 bits.
    fn apply_sum(sum: i64, scale: [i32; 2]) -> i32;
}

impl RequantSum for Tflite {
    fn apply_sum(sum: i64, [multiplier, shift]: [i32; 2]) -> i32 {
        let (left, right) = if shift > 0 { (shift as u32, 0) } else { (0, shift.wrapping_neg() as u32 & 31) };
        let [high, low] = halves(shifted(sum, left));
        let (m, doubled) = (multiplier as i64, high.saturating_mul(2));
        // The low part's product is below 2^63; half up, as the doubling high multiply rounds.
        let low = low.wrapping_mul(m).wrapping_add(1 << 30) >> 31;
        let product = doubled.saturating_mul(m).saturating_add(low);
        // Half away from zero.
        let mask = (1i64 << right).wrapping_sub(1);
        let threshold = (mask >> 1).wrapping_add(i64::from(product < 0));
        saturate((product >> right).saturating_add(i64::from(product & mask > threshold)))
    }
}

impl RequantSum for Single {
    fn apply_sum(sum: i64, [multiplier, shift]: [i32; 2]) -> i32 {
        let [high, low] = halves(shifted(sum, shift as u32 & 31));
        let m = multiplier as i64;
        saturate(high.saturating_mul(m).saturating_add(low.wrapping_mul(m).wrapping_add(1 << 31) >> 32))
    }
}

/// A rounding of the 64-bit accumulators of int16 products.
pub trait RequantWide: Requant {
    /// `acc` times the real multiplier, rounded, saturated to 32 bits.
    fn apply_wide(acc: i64, scale: Self::Scale) -> i32;
}

/// TFLite's 64-bit MultiplyByQuantizedMultiplier: 16 bits of the multiplier, one rounding half up.
impl RequantWide for Tflite {
    fn apply_wide(acc: i64, [multiplier, shift]: [i32; 2]) -> i32 {
        let reduced = if multiplier < 0x7FFF_0000 { multiplier.wrapping_add(1 << 15) >> 16 } else { 0x7FFF };
        // TFLite asks for a shift below 8; what is larger is made larger beforehand.
        let (left, right) = if shift > 14 { (shift - 14, 1) } else { (0, 15i32.wrapping_sub(shift)) };
        let product = shifted(acc, left as u32 & 31).saturating_mul(reduced as i64);
        let right = right as u32 & 63;
        saturate(product.saturating_add(1i64 << right >> 1) >> right)
    }
}

/// One rounding, half up. Small multipliers need their bits here, so the shift may be negative.
impl RequantWide for Single {
    fn apply_wide(acc: i64, [multiplier, shift]: [i32; 2]) -> i32 {
        if shift >= 0 {
            return Single::apply_sum(acc, [multiplier, shift]);
        }
        let (m, right) = (multiplier as i64, shift.wrapping_neg() as u32 & 31);
        let [high, low] = halves(acc);
        let product = high.saturating_mul(m).saturating_add(low.wrapping_mul(m) >> 32);
        saturate(product.saturating_add(1i64 << right >> 1) >> right)
    }
}

impl RequantWide for Onnx {
    fn apply_wide(acc: i64, scale: f32) -> i32 {
        round_half_even(acc as f32 * scale)
    }
}

/// `x << shift` for shifts up to 31, saturating.
fn shifted(x: i64, shift: u32) -> i64 {
    let wide = x.wrapping_shl(shift);
    if wide.wrapping_shr(shift) == x {
        wide
    } else if x < 0 {
        i64::MIN
    } else {
        i64::MAX
    }
}

/// `[high, low]` with `x = high * 2^32 + low` and `low` in 0..2^32.
fn halves(x: i64) -> [i64; 2] {
    [x >> 32, x & 0xFFFF_FFFF]
}

/// An integer that holds sums of levels. Everything wraps where a hostile plan makes it overflow.
pub trait Sum: Copy + Default {
    /// `self + times * level`.
    fn plus(self, level: i32, times: i32) -> Self;

    /// `self / count`, halves away from zero; `None` for a count of 0.
    fn mean_half_away(self, count: i32) -> Option<i32>;

    /// `self / count`, halves up; `None` for a count of 0.
    fn mean_half_up(self, count: i32) -> Option<i32>;

    /// `self` times the real multiplier of `scale`, rounded.
    fn requantize<R: RequantSum>(self, scale: [i32; 2]) -> i32;
}

macro_rules! sum {
    ($t:ty, $apply:expr) => {
        impl Sum for $t {
            #[inline(always)]
            fn plus(self, level: i32, times: i32) -> Self {
                self.wrapping_add((level as $t).wrapping_mul(times as $t))
            }

            #[inline(always)]
            fn mean_half_away(self, count: i32) -> Option<i32> {
                let (count, half) = (count as $t, (count >> 1) as $t);
                let nudged = if self > 0 { self.wrapping_add(half) } else { self.wrapping_sub(half) };
                nudged.checked_div(count).map(|mean| mean as i32)
            }

            #[inline(always)]
            fn mean_half_up(self, count: i32) -> Option<i32> {
                let count = count as $t;
                let twice = self.wrapping_mul(2).wrapping_add(count);
                twice.checked_div_euclid(count.wrapping_mul(2)).map(|mean| mean as i32)
            }

            #[inline(always)]
            fn requantize<R: RequantSum>(self, scale: [i32; 2]) -> i32 {
                $apply(self, scale)
            }
        }
    };
}

sum!(i32, R::apply);
sum!(i64, R::apply_sum);

#[cfg(test)]
mod tests {
    use super::*;

    /// `x * m / 2^bits`, half up, by exact division.
    fn half_up(x: i128, m: i32, bits: u32) -> i128 {
        (x * m as i128 + (1 << (bits - 1))).div_euclid(1 << bits)
    }

    #[test]
    fn sums_beyond_32_bits_are_rounded_exactly() {
        let sums =
            [0, 1, -1, 12345, -98765, 1 << 31, -(1 << 31), (1 << 40) + 77, -(1 << 43) - 12_345_678_901];
        for sum in sums {
            for m in [0, 1, 1 << 30, 1_518_500_250, i32::MAX] {
                for shift in [-31, -20, -9, -1, 0, 1, 7] {
                    let x = (sum as i128) << shift.max(0);
                    let saturated = |v: i128| v.clamp(i32::MIN as i128, i32::MAX as i128) as i32;
                    let (high, divisor) = (half_up(x, m, 31), 1i128 << (-shift).max(0));
                    let away = high.signum() * ((2 * high.abs() + divisor) / (2 * divisor));
                    assert_eq!(Tflite::apply_sum(sum, [m, shift]), saturated(away), "{sum} {m} {shift}");
                    if shift >= 0 {
                        assert_eq!(Single::apply_sum(sum, [m, shift]), saturated(half_up(x, m, 32)));
                    }
                    if sum.unsigned_abs() < 1 << 24 {
                        assert_eq!(Tflite::apply_sum(sum, [m, shift]), Tflite::apply(sum as i32, [m, shift]));
                        let s = shift.max(0);
                        assert_eq!(Single::apply_sum(sum, [m, s]), Single::apply(sum as i32, [m, s]));
                    }
                }
            }
        }
    }

    #[test]
    fn wide_products_are_rounded_once() {
        for acc in [0i64, 3, -3, 40_001, -40_001, (1 << 46) - 5, -(1 << 46)] {
            for m in [0, 1 << 30, 1_518_500_250, 0x7FFE_FFFF, 0x7FFF_0000, i32::MAX] {
                for shift in [-31, -20, -9, -1, 0, 1, 7, 14, 15, 30] {
                    let saturated = |v: i128| v.clamp(i32::MIN as i128, i32::MAX as i128) as i32;
                    let reduced = ((m as i64 + (1 << 15)) >> 16).min(0x7FFF) as i32;
                    let (x, bits) = ((acc as i128) << shift.max(0), (15 - shift.min(0)) as u32);
                    assert_eq!(Tflite::apply_wide(acc, [m, shift]), saturated(half_up(x, reduced, bits)));
                    let bits = (32 - shift.min(0)) as u32;
                    assert_eq!(Single::apply_wide(acc, [m, shift]), saturated(half_up(x, m, bits)));
                }
            }
        }
        assert_eq!((Onnx::apply_wide(5, 0.5), Onnx::apply_wide(-(1 << 40), 1.0)), (2, i32::MIN));
    }

    #[test]
    fn hostile_constants_give_some_number() {
        for sum in [i64::MIN, -1, 0, 1, i64::MAX] {
            for m in [i32::MIN, -1, 0, i32::MAX] {
                for s in [i32::MIN, -33, -31, 0, 30, 31, 64, i32::MAX] {
                    let _ = (Tflite::apply_sum(sum, [m, s]), Single::apply_sum(sum, [m, s]));
                    let _ = (Tflite::apply_wide(sum, [m, s]), Single::apply_wide(sum, [m, s]));
                }
            }
            for count in [i32::MIN, -1, 0, 1, i32::MAX] {
                let _ = (sum.mean_half_away(count), sum.mean_half_up(count), sum.plus(count, count));
                let narrow = saturate(sum);
                let _ = (narrow.mean_half_away(count), narrow.mean_half_up(count), narrow.plus(count, count));
            }
        }
    }

    #[test]
    fn means_by_hand() {
        assert_eq!(((-6i64).mean_half_away(4), (-6i64).mean_half_up(4)), (Some(-2), Some(-1)));
        assert_eq!((6i32.mean_half_away(4), 6i32.mean_half_up(4)), (Some(2), Some(2)));
        assert_eq!((1i64 << 40).mean_half_up(1 << 26), Some(1 << 14));
        assert_eq!(5i64.plus(-32768, 1 << 20), 5 - (1i64 << 35));
        assert_eq!(7i64.mean_half_up(0), None);
    }
}
