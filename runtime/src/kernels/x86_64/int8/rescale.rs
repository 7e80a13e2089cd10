//! Requantization of sixteen sums at once, in the bits of [`crate::kernels::fixed`].
//!
//! A 32-bit sum times a 31-bit multiplier is a 64-bit product. Where a channel's constants are ordinary, constants added
//! to the product leave the result in its upper half, but for a shift; the other cases follow the definition step by step.
#![allow(unsafe_code)]

use super::simd::{LANES, Simd};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};

/// A rounding for vectors.
pub(super) trait Rescale: Requant {
    /// What stands for a channel that is not there: ordinary.
    const NONE: Self::Scale;

    /// The constants of sixteen channels.
    unsafe fn constants<S: Simd>(scales: &[Self::Scale; LANES]) -> Constants<S>;

    /// Scaled sums, within 2^30, where all channels are ordinary.
    unsafe fn ordinary<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32;

    /// Scaled sums whatever the constants.
    unsafe fn any<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32;
}

/// Of sixteen channels; what each means is the rounding's.
#[derive(Clone, Copy)]
pub(super) struct Constants<S: Simd> {
    /// Multipliers: of the even channels in the lower halves of 64-bit lanes, then of the odd ones.
    even: S::I32,
    odd: S::I32,
    /// Added to the products of even and odd channels.
    add_even: S::I32,
    add_odd: S::I32,
    /// The constants' own shifts.
    shift: S::I32,
    /// What the upper halves of ordinary channels are shifted by.
    last: S::I32,
    /// Whether [`Rescale::ordinary`] serves all of them.
    pub(super) ordinary: bool,
}

/// Products of all lanes plus constants, their upper halves.
#[inline(always)]
unsafe fn upper<S: Simd>(even: S::I32, odd: S::I32, c: &Constants<S>) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::high(S::add64(even, c.add_even), S::add64(odd, c.add_odd)) }
}

impl Rescale for Tflite {
    const NONE: [i32; 2] = [0, -1];

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[[i32; 2]; LANES]) -> Constants<S> {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let zero = S::splat(0);
            let right = S::and(S::sub(zero, shift), S::gt(zero, shift));
            let half = S::splat64(1 << 30);
            let right_even = S::and(right, S::splat64(31));
            Constants {
                even: multiplier,
                odd: S::odd(multiplier),
                add_even: S::add64(half, S::sll64(half, right_even)),
                add_odd: S::add64(half, S::sll64(half, S::odd(right))),
                shift,
                last: S::sub(right, S::splat(1)),
                ordinary: !S::any(S::gt(shift, S::splat(-1))),
            }
        }
    }

    /// With `p = sum * multiplier` and a right shift of e >= 1, both roundings are one:
    /// `(p + 2^30 + 2^(30 + e) - (2^31 where the sum is negative)) >> (31 + e)`. For `t = (p + 2^30) >> 31` the second
    /// rounding is `(t + 2^(e-1) - (1 where t < 0)) >> e`, floors of floors are one floor, and where t is 0 of a
    /// negative sum, subtracting 1 still gives 0.
    #[inline(always)]
    unsafe fn ordinary<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe {
            let odd = S::odd(sums);
            let negative = S::splat64(0x8000_0000);
            let even_product = S::sub64(S::mul_even(sums, c.even), S::and(sums, negative));
            let odd_product = S::sub64(S::mul_even(odd, c.odd), S::and(odd, negative));
            S::sra(upper::<S>(even_product, odd_product, c), c.last)
        }
    }

    #[inline(always)]
    unsafe fn any<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe {
            let zero = S::splat(0);
            let is_left = S::gt(c.shift, zero);
            let left = S::and(c.shift, is_left);
            let right = S::select(is_left, zero, S::sub(zero, c.shift));
            let sums = S::sll(sums, left);
            // (p + 2^30) >> 31 is the upper half of twice that.
            let half = S::splat64(1 << 30);
            let even = S::add64(S::mul_even(sums, c.even), half);
            let odd = S::add64(S::mul_even(S::odd(sums), c.odd), half);
            let t = S::high(S::add64(even, even), S::add64(odd, odd));
            let mask = S::sub(S::sll(S::splat(1), right), S::splat(1));
            let threshold = S::sub(S::srl(mask, S::splat(1)), S::sign(t));
            S::sub(S::sra(t, right), S::gt(S::and(t, mask), threshold))
        }
    }
}

impl Rescale for Single {
    const NONE: [i32; 2] = [0, 0];

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[[i32; 2]; LANES]) -> Constants<S> {
        // SAFETY: sixteen pairs; else the caller's.
        unsafe {
            let [multiplier, shift] = S::pairs(scales.as_ptr());
            let half = S::splat64(1 << 31);
            Constants {
                even: multiplier,
                odd: S::odd(multiplier),
                add_even: half,
                add_odd: half,
                shift: S::and(shift, S::splat(31)),
                last: shift,
                ordinary: !S::any(S::gt(shift, S::splat(0))),
            }
        }
    }

    #[inline(always)]
    unsafe fn ordinary<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe { upper::<S>(S::mul_even(sums, c.even), S::mul_even(S::odd(sums), c.odd), c) }
    }

    #[inline(always)]
    unsafe fn any<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe {
            let shifted = S::sll(sums, c.shift);
            let back = S::sra(shifted, c.shift);
            let overflows = S::or(S::gt(back, sums), S::gt(sums, back));
            let saturated = S::xor(S::sign(sums), S::splat(i32::MAX));
            Self::ordinary::<S>(S::select(overflows, saturated, shifted), c)
        }
    }
}

impl Rescale for Onnx {
    const NONE: f32 = 0.0;

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[f32; LANES]) -> Constants<S> {
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            let all = S::load(scales.as_ptr().cast());
            // Bits of floats that are not negative are in the floats' order. Up to a half, no result is near 2^31.
            let ordinary = !S::any(S::gt(all, S::splat(0.5f32.to_bits() as i32)));
            Constants { even: all, odd: all, add_even: all, add_odd: all, shift: all, last: all, ordinary }
        }
    }

    #[inline(always)]
    unsafe fn ordinary<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe { S::scale(sums, c.even) }
    }

    #[inline(always)]
    unsafe fn any<S: Simd>(sums: S::I32, c: &Constants<S>) -> S::I32 {
        // SAFETY: the caller's.
        unsafe {
            let too_large = S::too_large(sums, c.even);
            S::select(too_large, S::splat(i32::MAX), S::scale(sums, c.even))
        }
    }
}
