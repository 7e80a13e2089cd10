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

    /// Whether [`Rescale::ordinary`] serves the constant.
    fn is_ordinary(scale: Self::Scale) -> bool;

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
}

/// Sixteen numbers made of channels' constants.
#[inline(always)]
unsafe fn lanes<S: Simd, T: Copy>(scales: &[T; LANES], f: impl Fn(T) -> i32) -> S::I32 {
    let mut lanes = [0i32; LANES];
    for (lane, &scale) in lanes.iter_mut().zip(scales) {
        *lane = f(scale);
    }
    // SAFETY: 64 bytes.
    unsafe { S::load(lanes.as_ptr()) }
}

/// Eight 64-bit numbers made of every second channel's.
#[inline(always)]
unsafe fn halves<S: Simd, T: Copy>(scales: &[T; LANES], first: usize, f: impl Fn(T) -> i64) -> S::I32 {
    let mut lanes = [0i64; LANES / 2];
    for (lane, &scale) in lanes.iter_mut().zip(scales.iter().skip(first).step_by(2)) {
        *lane = f(scale);
    }
    // SAFETY: 64 bytes.
    unsafe { S::load(lanes.as_ptr().cast()) }
}

/// Products of all lanes plus constants, their upper halves.
#[inline(always)]
unsafe fn upper<S: Simd>(even: S::I32, odd: S::I32, c: &Constants<S>) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::high(S::add64(even, c.add_even), S::add64(odd, c.add_odd)) }
}

impl Rescale for Tflite {
    const NONE: [i32; 2] = [0, -1];

    fn is_ordinary([_, shift]: [i32; 2]) -> bool {
        shift < 0
    }

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[[i32; 2]; LANES]) -> Constants<S> {
        let right = |[_, shift]: [i32; 2]| if shift < 0 { shift.wrapping_neg() as u32 & 31 } else { 0 };
        let add = |scale| (1i64 << 30).wrapping_add(1i64 << (30 + right(scale)));
        // SAFETY: the caller's.
        unsafe {
            let all = lanes::<S, _>(scales, |[m, _]| m);
            Constants {
                even: all,
                odd: S::odd(all),
                add_even: halves::<S, _>(scales, 0, add),
                add_odd: halves::<S, _>(scales, 1, add),
                shift: lanes::<S, _>(scales, |[_, shift]| shift),
                last: lanes::<S, _>(scales, |scale| right(scale).saturating_sub(1) as i32),
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

    fn is_ordinary([_, shift]: [i32; 2]) -> bool {
        shift == 0
    }

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[[i32; 2]; LANES]) -> Constants<S> {
        // SAFETY: the caller's.
        unsafe {
            let all = lanes::<S, _>(scales, |[m, _]| m);
            let half = S::splat64(1 << 31);
            Constants {
                even: all,
                odd: S::odd(all),
                add_even: half,
                add_odd: half,
                shift: lanes::<S, _>(scales, |[_, shift]| shift & 31),
                last: S::splat(0),
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

    fn is_ordinary(scale: f32) -> bool {
        scale <= 0.5
    }

    #[inline(always)]
    unsafe fn constants<S: Simd>(scales: &[f32; LANES]) -> Constants<S> {
        // SAFETY: the caller's.
        unsafe {
            let all = lanes::<S, _>(scales, |scale| scale.to_bits() as i32);
            Constants { even: all, odd: all, add_even: all, add_odd: all, shift: all, last: all }
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
