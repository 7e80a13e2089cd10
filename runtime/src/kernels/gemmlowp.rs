//! The fixed-point exponential and reciprocals of gemmlowp's `fixedpoint.h`, bit for bit: TFLite's int8 softmax,
//! logistic and tanh are defined by them. `Qm.n` has m integer bits beside the sign, n fractional ones.
//!
//! Sums wrap, so that hostile constants give some number rather than a panic.

use crate::kernels::fixed::{
    rounding_divide_by_pot as div_pot, saturating_rounding_doubling_high_mul, saturating_shl,
};

/// [`saturating_rounding_doubling_high_mul`] as a function of its own: an exponential multiplies a dozen times, and
/// firmware wants the code once.
#[cfg_attr(target_os = "none", inline(never))]
pub fn mul(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// `exp(a)` as Q0.31 for `a <= 0` in `Q integer_bits.(31 - integer_bits)`, `integer_bits` in 0..=5.
#[cfg_attr(target_os = "none", inline(never))]
pub fn exp_on_negative_values(a: i32, integer_bits: u32) -> i32 {
    let fractional = 31u32.wrapping_sub(integer_bits);
    let quarter = 1i32.wrapping_shl(fractional.wrapping_sub(2));
    let reduced = (a & quarter.wrapping_sub(1)).wrapping_sub(quarter);
    let remainder = reduced.wrapping_sub(a) as u32;
    let mut result = exp_on_last_quarter(saturating_shl(reduced, integer_bits as i32));
    // exp(-2^k) for k = -2..=4 in Q0.31, applied where the remainder has that bit.
    const POWERS: [i32; 7] = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242];
    let mut bit = fractional.wrapping_sub(2);
    for &power in &POWERS {
        // Bit 31 is the sign, never part of a remainder.
        if bit < 31 && remainder & 1u32.wrapping_shl(bit) != 0 {
            result = mul(result, power);
        }
        bit = bit.wrapping_add(1);
    }
    if a == 0 { i32::MAX } else { result }
}

/// `exp(a)` for `a` in [-1/4, 0), both Q0.31: a Taylor series around -1/8.
fn exp_on_last_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1895147668;
    const THIRD: i32 = 715827883;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let tail = mul(div_pot(x4, 2).wrapping_add(x3), THIRD).wrapping_add(x2);
    EXP_MINUS_EIGHTH.wrapping_add(mul(EXP_MINUS_EIGHTH, x.wrapping_add(div_pot(tail, 1))))
}

/// An approximation of `2 / (1 + a)` in Q2.29 for `a` in [0, 1) as Q0.31: three steps of Newton's division.
fn two_over_one_plus(a: i32) -> i32 {
    const F48_OVER_17: i32 = 1515870810;
    const MINUS_32_OVER_17: i32 = -1010580540;
    // Half of a + 1, rounded away from zero.
    let sum = a as i64 + i32::MAX as i64;
    let half_denominator = ((sum + i64::from(sum >= 0)) >> 1) as i32;
    let mut x = F48_OVER_17.wrapping_add(mul(half_denominator, MINUS_32_OVER_17));
    for _ in 0..3 {
        let error = (1i32 << 29).wrapping_sub(mul(half_denominator, x));
        x = x.wrapping_add(saturating_shl(mul(x, error), 2));
    }
    x
}

/// `1 / (1 + a)` for `a` in [0, 1), both Q0.31.
#[inline]
pub fn one_over_one_plus(a: i32) -> i32 {
    saturating_shl(two_over_one_plus(a), 1)
}

/// `(1 - a) / (1 + a)` for `a` in [0, 1), both Q0.31.
#[inline]
pub fn one_minus_over_one_plus(a: i32) -> i32 {
    saturating_shl(two_over_one_plus(a).wrapping_sub(1 << 29), 2)
}

/// The reciprocal of a positive `x` with `integer_bits` integer bits: `(mantissa, bits)` with
/// `1 / x = mantissa / 2^31 * 2^-bits`.
#[inline]
pub fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let headroom = (x as u32).leading_zeros();
    let minus_one = (x as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(minus_one), integer_bits.wrapping_sub(headroom as i32))
}

/// `1 / (1 + exp(-a))` as Q0.31 for `a` in Q4.27.
pub fn logistic(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let magnitude = if a > 0 { a } else { a.wrapping_neg() };
    let positive = one_over_one_plus(exp_on_negative_values(magnitude.wrapping_neg(), 4));
    if a > 0 { positive } else { i32::MAX.wrapping_sub(positive) }
}

/// `tanh(a)` as Q0.31 for `a` in Q4.27.
pub fn tanh(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    let negative = if a < 0 { a } else { a.wrapping_neg() };
    // Twice the argument: the same bits with one integer bit more.
    let t = one_minus_over_one_plus(exp_on_negative_values(negative, 5));
    if a < 0 { t.wrapping_neg() } else { t }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(raw: i32, fractional: i32) -> f64 {
        raw as f64 / 2f64.powi(fractional)
    }

    #[test]
    fn exponential_is_close_over_its_whole_range() {
        for bits in [0u32, 4, 5] {
            for k in 0..4000i64 {
                let a = -(k * ((1i64 << 31) - 1) / 4000) as i32;
                let exact = libm::exp(q(a, 31 - bits as i32));
                assert!((q(exp_on_negative_values(a, bits), 31) - exact).abs() < 5e-7, "{bits} {a}");
            }
        }
        assert_eq!(exp_on_negative_values(0, 5), i32::MAX);
    }

    #[test]
    fn reciprocal_logistic_and_tanh_are_close() {
        for x in [1, 3, 1 << 19, (1 << 19) + 12345, i32::MAX] {
            let (m, bits) = reciprocal(x, 12);
            let exact = 1.0 / q(x, 19);
            assert!((q(m, 31) * 2f64.powi(-bits) / exact - 1.0).abs() < 1e-6, "{x}");
        }
        for k in -1000..1000 {
            let a = k * 2_100_000;
            let x = q(a, 27);
            assert!((q(logistic(a), 31) - 1.0 / (1.0 + libm::exp(-x))).abs() < 1e-6);
            assert!((q(tanh(a), 31) - libm::tanh(x)).abs() < 1e-6);
        }
    }

    #[test]
    fn any_bits_give_some_number() {
        for a in [i32::MIN, -1, 0, 1, i32::MAX] {
            for bits in [0, 4, 5, 31, 32, u32::MAX] {
                let _ = exp_on_negative_values(a, bits);
            }
            let _ = (reciprocal(a, 12), logistic(a), tanh(a), one_minus_over_one_plus(a));
        }
    }
}
