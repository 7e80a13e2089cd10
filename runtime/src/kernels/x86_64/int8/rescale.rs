//! Requantization of sixteen sums at once, in the bits of [`crate::kernels::fixed`].
//!
//! Results are bytes, so floats are nearly always enough: [`Rescale::quick`] computes a result with sixteen bits of
//! fraction, whose error is a few units of the last place. Only where the fraction is next to that of a tie is the
//! result not certain; such sums go to [`Rescale::exact`], which follows the definition in 64-bit products.
#![allow(unsafe_code)]

use super::simd::{LANES, Simd};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};

/// Bits of a quick result's fraction.
pub(super) const FRACTION: i32 = 16;
/// Added to quick results: where the fraction then is less than twice this, the result is not certain. With |result|
/// at most 2^8 errors are below 4 units: scale and sum as floats are off by 2^-24 of up to 2^24 units each, and there are
/// three or four roundings by up to half a unit. Greater results are off by more and saturate all the same.
const GUARD: i32 = 4;
/// What makes a quick result's floor the nearest integer, and the guard.
const ROUND: i32 = (1 << (FRACTION - 1)) + GUARD;

/// The least words of four vectors: with it any of them is doubtful as it is.
#[inline(always)]
pub(super) unsafe fn least<S: Simd>([a, b, c, d]: [S::I32; 4]) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::min_words(S::min_words(a, b), S::min_words(c, d)) }
}

/// Whether results with these fractions may be wrong.
#[inline(always)]
pub(super) unsafe fn is_doubtful<S: Simd>(fractions: S::I32) -> bool {
    // SAFETY: the caller's.
    unsafe { S::any_low_word_below(2 * GUARD, fractions) }
}

/// Results that are multiples of 2^-12 lie 16 units apart: neither the guard nor as much again reaches the next one.
const EXACT: i32 = 12;

/// A rounding for vectors.
pub(super) trait Rescale: Requant {
    /// What stands for a channel that is not there: has quick results.
    const NONE: Self::Scale;
    /// Whether quick results are computed in another way for layers of `RELU`.
    const HAS_RELU: bool;

    /// The constants of sixteen channels for a layer of `RELU` as [`Rescale::quick`] has it.
    unsafe fn constants<S: Simd, const RELU: bool>(
        scales: &[Self::Scale; LANES],
        zero_point: i32,
    ) -> Constants<S>;

    /// Scaled sums plus zero point, limited to `low..=high`, as bytes, and what tells [`is_doubtful`] whether any may be
    /// wrong. `RELU` says that [`Finish::is_relu`], `SPLIT` is as in [`Simd::narrow`].
    unsafe fn nearly<S: Simd, const RELU: bool, const SPLIT: bool>(
        sums: [S::I32; 4],
        c: [&Constants<S>; 4],
        end: &Finish,
    ) -> (S::Bytes, S::I32);

    /// The same, and whether any may be wrong.
    #[inline(always)]
    unsafe fn quick<S: Simd, const RELU: bool, const SPLIT: bool>(
        sums: [S::I32; 4],
        c: [&Constants<S>; 4],
        end: &Finish,
    ) -> (S::Bytes, bool) {
        // SAFETY: the caller's.
        unsafe {
            let (bytes, fractions) = Self::nearly::<S, RELU, SPLIT>(sums, c, end);
            (bytes, is_doubtful::<S>(fractions))
        }
    }

    /// Scaled sums whatever the constants.
    unsafe fn exact<S: Simd>(sums: S::I32, scales: &[Self::Scale; LANES]) -> S::I32;
}

/// What a layer does with sums, apart from the channels' constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    pub(super) zero_point: i32,
    pub(super) low: i8,
    pub(super) high: i8,
}

impl Finish {
    /// Whether limits are the type's own, and negative sums all give the lower one.
    pub(super) fn is_relu(&self) -> bool {
        self.zero_point == i32::from(i8::MIN) && self.low == i8::MIN && self.high == i8::MAX
    }
}

/// For quick results of sixteen channels, all numbers floats.
#[derive(Clone, Copy)]
pub(super) struct Constants<S: Simd> {
    scale: S::I32,
    /// Added after scaling; or with the sum's sign.
    tail: S::I32,
    /// Whether there are quick results for all of them.
    pub(super) is_quick: bool,
}

impl<S: Simd> Constants<S> {
    /// As [`Simd::join`] of these and these.
    #[inline(always)]
    pub(super) unsafe fn twice(self) -> Self {
        // SAFETY: the caller's.
        let (scale, tail) = unsafe { (S::join(self.scale, self.scale), S::join(self.tail, self.tail)) };
        Constants { scale, tail, ..self }
    }

    /// As [`Simd::transpose`] of four blocks'.
    #[inline(always)]
    pub(super) unsafe fn transpose([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let is_quick = a.is_quick && b.is_quick && c.is_quick && d.is_quick;
        // SAFETY: the caller's.
        let (scale, tail) = unsafe {
            (
                S::transpose([a.scale, b.scale, c.scale, d.scale]),
                S::transpose([a.tail, b.tail, c.tail, d.tail]),
            )
        };
        [
            Constants { scale: scale[0], tail: tail[0], is_quick },
            Constants { scale: scale[1], tail: tail[1], is_quick },
            Constants { scale: scale[2], tail: tail[2], is_quick },
            Constants { scale: scale[3], tail: tail[3], is_quick },
        ]
    }
}

/// 2^`exponent`, per lane, of a normal float.
#[inline(always)]
unsafe fn power<S: Simd>(exponent: S::I32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::sll(S::add(exponent, S::splat(127)), S::splat(23)) }
}

/// Quick results of both integer roundings: `tail` is all that is added or, where `SIGNED`, has the sum's sign; `FULL`
/// where the limits are the type's. What is beyond 32 bits becomes a number whose lower bits are zero, so it is not certain.
#[inline(always)]
unsafe fn fixed<S: Simd, const SIGNED: bool, const FULL: bool, const SPLIT: bool>(
    sums: [S::I32; 4],
    c: [&Constants<S>; 4],
    end: &Finish,
) -> (S::Bytes, S::I32) {
    // SAFETY: the caller's.
    unsafe {
        let mut q = sums;
        let rest = rest::<S>(end.zero_point);
        let mut i = 0;
        while i < 4 {
            let sum = S::to_float(sums[i]);
            q[i] = S::nearest(if SIGNED {
                S::add_float(S::mul_add(sum, c[i].scale, rest), S::with_sign(c[i].tail, sums[i]))
            } else {
                S::mul_add(sum, c[i].scale, c[i].tail)
            });
            i += 1;
        }
        let bytes = S::narrow_upper::<SPLIT>(q);
        let bytes = if FULL { bytes } else { S::limit(bytes, end.low, end.high) };
        (bytes, least::<S>(q))
    }
}

/// What more is added where the multiplier's lowest bit is at least bit number `lowest`, so that results are multiples of
/// 2^-[`EXACT`]: floats are exact then, ties are as frequent as with scales that are powers of two, and with this none of
/// them is doubtful.
#[inline(always)]
unsafe fn exactly<S: Simd>(multiplier: S::I32, lowest: S::I32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe {
        let bit = S::and(multiplier, S::sub(S::splat(0), multiplier));
        let is_exact = S::gt(S::srl(bit, lowest), S::splat(0));
        S::and(is_exact, S::splat((GUARD as f32).to_bits() as i32))
    }
}

/// What is added to all quick results, as float.
#[inline(always)]
unsafe fn rest<S: Simd>(zero_point: i32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::to_float(S::splat((zero_point << FRACTION) + ROUND)) }
}

/// Upper halves of the 64-bit products of all lanes plus a constant.
#[inline(always)]
unsafe fn upper<S: Simd>(even: S::I32, odd: S::I32, plus: S::I32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::high(S::add64(even, plus), S::add64(odd, plus)) }
}

impl Rescale for Tflite {
    const NONE: [i32; 2] = [0, -1];
    const HAS_RELU: bool = true;

    #[inline(always)]
    unsafe fn constants<S: Simd, const RELU: bool>(
        scales: &[[i32; 2]; LANES],
        zero_point: i32,
    ) -> Constants<S> {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let zero = S::splat(0);
            let is_left = S::or(S::gt(shift, zero), S::gt(S::splat(-31), shift));
            let is_quick = !S::any(S::or(is_left, multiplier)) && is_level(zero_point);
            let scale =
                S::mul_float(S::to_float(multiplier), power::<S>(S::add(shift, S::splat(FRACTION - 31))));
            // The first rounding moves what the second one sees.
            let first = power::<S>(S::add(shift, S::splat(FRACTION - 1)));
            let first = S::and(first, S::gt(zero, shift));
            let tail = if RELU {
                let exactly = exactly::<S>(multiplier, S::sub(S::splat(31 - EXACT), shift));
                S::add_float(S::add_float(first, exactly), rest::<S>(zero_point))
            } else {
                // Has the sum's sign, as `exactly` must not.
                first
            };
            Constants { scale, tail, is_quick }
        }
    }

    /// With `p = sum * multiplier` and a right shift of e >= 1, both roundings are one:
    /// `(p + 2^30 + 2^(30 + e) - (2^31 where the sum is negative)) >> (31 + e)`. For `t = (p + 2^30) >> 31` the second
    /// rounding is `(t + 2^(e-1) - (1 where t < 0)) >> e`, floors of floors are one floor, and where t is 0 of a
    /// negative sum, subtracting 1 still gives 0. In units of the result that is the floor of
    /// `sum * scale + 1/2 + 2^-(e+1)`, the last term with the sum's sign. Where negative sums saturate anyway, they
    /// may have it with the other sign: it is less than a half, so results are still at most 0.
    #[inline(always)]
    unsafe fn nearly<S: Simd, const RELU: bool, const SPLIT: bool>(
        sums: [S::I32; 4],
        c: [&Constants<S>; 4],
        end: &Finish,
    ) -> (S::Bytes, S::I32) {
        // SAFETY: the caller's.
        unsafe {
            if RELU {
                fixed::<S, false, true, SPLIT>(sums, c, end)
            } else {
                fixed::<S, true, false, SPLIT>(sums, c, end)
            }
        }
    }

    #[inline(always)]
    unsafe fn exact<S: Simd>(sums: S::I32, scales: &[[i32; 2]; LANES]) -> S::I32 {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let zero = S::splat(0);
            let is_left = S::gt(shift, zero);
            let left = S::and(shift, is_left);
            let right = S::select(is_left, zero, S::sub(zero, shift));
            let sums = S::sll(sums, left);
            // (p + 2^30) >> 31 is the upper half of twice that.
            let half = S::splat64(1 << 30);
            let even = S::add64(S::mul_even(sums, multiplier), half);
            let odd = S::add64(S::mul_even(S::odd(sums), S::odd(multiplier)), half);
            let t = S::high(S::add64(even, even), S::add64(odd, odd));
            let mask = S::sub(S::sll(S::splat(1), right), S::splat(1));
            let threshold = S::sub(S::srl(mask, S::splat(1)), S::sign(t));
            S::sub(S::sra(t, right), S::gt(S::and(t, mask), threshold))
        }
    }
}

impl Rescale for Single {
    const NONE: [i32; 2] = [0, 0];
    const HAS_RELU: bool = false;

    #[inline(always)]
    unsafe fn constants<S: Simd, const RELU: bool>(
        scales: &[[i32; 2]; LANES],
        zero_point: i32,
    ) -> Constants<S> {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let zero = S::splat(0);
            // Sums that saturate when they are shifted give at least multiplier / 2, which must saturate as a level too.
            let is_small = S::gt(S::splat(1 << 10), multiplier);
            let is_special = S::or(S::and(S::gt(shift, zero), is_small), S::gt(shift, S::splat(30)));
            let is_special = S::or(S::or(is_special, shift), multiplier);
            let is_quick = !S::any(is_special) && is_level(zero_point);
            let scale =
                S::mul_float(S::to_float(multiplier), power::<S>(S::add(shift, S::splat(FRACTION - 32))));
            let exactly = exactly::<S>(multiplier, S::sub(S::splat(32 - EXACT), shift));
            let tail = S::add_float(rest::<S>(zero_point), exactly);
            Constants { scale, tail, is_quick }
        }
    }

    #[inline(always)]
    unsafe fn nearly<S: Simd, const RELU: bool, const SPLIT: bool>(
        sums: [S::I32; 4],
        c: [&Constants<S>; 4],
        end: &Finish,
    ) -> (S::Bytes, S::I32) {
        // SAFETY: the caller's.
        unsafe { fixed::<S, false, false, SPLIT>(sums, c, end) }
    }

    #[inline(always)]
    unsafe fn exact<S: Simd>(sums: S::I32, scales: &[[i32; 2]; LANES]) -> S::I32 {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let shift = S::and(shift, S::splat(31));
            let shifted = S::sll(sums, shift);
            let back = S::sra(shifted, shift);
            let overflows = S::or(S::gt(back, sums), S::gt(sums, back));
            let saturated = S::xor(S::sign(sums), S::splat(i32::MAX));
            let sums = S::select(overflows, saturated, shifted);
            let odd = S::mul_even(S::odd(sums), S::odd(multiplier));
            upper::<S>(S::mul_even(sums, multiplier), odd, S::splat64(1 << 31))
        }
    }
}

impl Rescale for Onnx {
    const NONE: f32 = 0.0;
    const HAS_RELU: bool = false;

    #[inline(always)]
    unsafe fn constants<S: Simd, const RELU: bool>(scales: &[f32; LANES], zero_point: i32) -> Constants<S> {
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            let scale = S::load(scales.as_ptr().cast());
            // Bits of floats that are not negative are in the floats' order. Up to a half, no result is near 2^31.
            let is_special = S::or(S::gt(scale, S::splat(0.5f32.to_bits() as i32)), scale);
            Constants { scale, tail: S::splat(0), is_quick: !S::any(is_special) && is_level(zero_point) }
        }
    }

    /// The definition itself.
    #[inline(always)]
    unsafe fn nearly<S: Simd, const RELU: bool, const SPLIT: bool>(
        sums: [S::I32; 4],
        c: [&Constants<S>; 4],
        end: &Finish,
    ) -> (S::Bytes, S::I32) {
        // SAFETY: the caller's.
        unsafe {
            let [a, b, c, d] = [
                S::scale(sums[0], c[0].scale),
                S::scale(sums[1], c[1].scale),
                S::scale(sums[2], c[2].scale),
                S::scale(sums[3], c[3].scale),
            ];
            let bytes = S::narrow::<SPLIT>([a, b, c, d], end.zero_point as i16);
            (S::limit(bytes, end.low, end.high), S::splat(-1))
        }
    }

    #[inline(always)]
    unsafe fn exact<S: Simd>(sums: S::I32, scales: &[f32; LANES]) -> S::I32 {
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            let scale = S::load(scales.as_ptr().cast());
            let too_large = S::too_large(sums, scale);
            S::select(too_large, S::splat(i32::MAX), S::scale(sums, scale))
        }
    }
}

/// Whether a zero point is a level; a hostile one may be any number.
fn is_level(zero_point: i32) -> bool {
    i8::try_from(zero_point).is_ok()
}
