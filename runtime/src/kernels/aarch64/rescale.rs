//! Roundings in vectors: four sums times a multiplier and shifted.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::marker::PhantomData;

use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};

/// A rounding in vectors: the numbers of [`Requant::apply`] for the constants that it takes.
pub trait Rescale {
    /// Whose definition it follows.
    type Requant: Requant;
    /// Constants of four channels.
    type Scales: Copy;
    /// Whether results stay so far from the ends of 32 bits that adding a zero point never wraps.
    const SMALL: bool;
    /// Whether somebody may have found that results fit 16 bits.
    const CAN_BE_SHORT: bool = false;
    /// Whether outputs are all that int8 holds, so that nothing is clamped besides.
    const FULL: bool = false;
    /// Whether, besides, the zero point is the least of them.
    const POSITIVE: bool = false;

    /// Four channels' constants.
    fn scales(four: &[<Self::Requant as Requant>::Scale; 4]) -> Self::Scales;

    /// The same from where they are kept.
    ///
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn load(from: *const Self::Scales) -> Self::Scales {
        // SAFETY: as the caller promises.
        unsafe { *from }
    }

    /// Four sums, rescaled.
    fn apply(sums: int32x4_t, scales: Self::Scales) -> int32x4_t;

    /// As [`Rescale::apply`] but for negative results, which may be any negative number or zero.
    #[inline(always)]
    fn apply_positive(sums: int32x4_t, scales: Self::Scales) -> int32x4_t {
        Self::apply(sums, scales)
    }
}

/// `S` where outputs are all that int8 holds.
#[derive(Clone, Copy, Debug)]
pub struct Full<S>(PhantomData<S>);

/// `S`, which is small, where outputs are all that int8 holds and the zero point is the least of them.
#[derive(Clone, Copy, Debug)]
pub struct Positive<S>(PhantomData<S>);

/// [`Tflite`] of shifts below 0 only.
#[derive(Clone, Copy, Debug)]
pub struct Right;

/// [`Tflite`] of any shift.
#[derive(Clone, Copy, Debug)]
pub struct Both;

/// Multipliers and shifts of four channels.
#[inline(always)]
fn pairs(four: &[[i32; 2]; 4]) -> [int32x4_t; 2] {
    // SAFETY: eight numbers are read from eight.
    let int32x4x2_t(multipliers, shifts) = unsafe { vld2q_s32(four.as_flattened().as_ptr()) };
    [multipliers, shifts]
}

impl Rescale for Right {
    type Requant = Tflite;
    type Scales = [int32x4_t; 2];
    const SMALL: bool = true;
    const CAN_BE_SHORT: bool = true;

    #[inline(always)]
    fn scales(four: &[[i32; 2]; 4]) -> [int32x4_t; 2] {
        pairs(four)
    }

    #[inline(always)]
    unsafe fn load(from: *const [int32x4_t; 2]) -> [int32x4_t; 2] {
        let from = from.cast::<i32>();
        // SAFETY: as the caller promises. As a whole the compiler would not load them as a pair.
        unsafe { [vld1q_s32(from), vld1q_s32(from.add(4))] }
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, [multipliers, shifts]: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            // Multipliers are not negative, so nothing saturates, and ties go up as in gemmlowp.
            let product = vqrdmulhq_s32(sums, multipliers);
            // Ties away from zero are ties up of a negative number less one.
            vrshlq_s32(vsraq_n_s32::<31>(product, product), shifts)
        }
    }

    #[inline(always)]
    fn apply_positive(sums: int32x4_t, [multipliers, shifts]: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { vrshlq_s32(vqrdmulhq_s32(sums, multipliers), shifts) }
    }
}

impl<S: Rescale> Rescale for Full<S> {
    type Requant = S::Requant;
    type Scales = S::Scales;
    const SMALL: bool = S::SMALL;
    const CAN_BE_SHORT: bool = S::CAN_BE_SHORT;
    const FULL: bool = true;

    #[inline(always)]
    fn scales(four: &[<S::Requant as Requant>::Scale; 4]) -> S::Scales {
        S::scales(four)
    }

    #[inline(always)]
    unsafe fn load(from: *const S::Scales) -> S::Scales {
        // SAFETY: as the caller promises.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, scales: S::Scales) -> int32x4_t {
        S::apply(sums, scales)
    }
}

impl<S: Rescale> Rescale for Positive<S> {
    type Requant = S::Requant;
    type Scales = S::Scales;
    const SMALL: bool = S::SMALL;
    const CAN_BE_SHORT: bool = S::CAN_BE_SHORT;
    const FULL: bool = true;
    const POSITIVE: bool = true;

    #[inline(always)]
    fn scales(four: &[<S::Requant as Requant>::Scale; 4]) -> S::Scales {
        S::scales(four)
    }

    #[inline(always)]
    unsafe fn load(from: *const S::Scales) -> S::Scales {
        // SAFETY: as the caller promises.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, scales: S::Scales) -> int32x4_t {
        S::apply_positive(sums, scales)
    }
}

impl Rescale for Both {
    type Requant = Tflite;
    type Scales = [int32x4_t; 3];
    const SMALL: bool = false;

    #[inline(always)]
    fn scales(four: &[[i32; 2]; 4]) -> [int32x4_t; 3] {
        let [multipliers, shifts] = pairs(four);
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { [multipliers, vmaxq_s32(shifts, vdupq_n_s32(0)), vminq_s32(shifts, vdupq_n_s32(0))] }
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, [multipliers, left, right]: [int32x4_t; 3]) -> int32x4_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            let product = vqrdmulhq_s32(vshlq_s32(sums, left), multipliers);
            // As in `Right`, but not where nothing is shifted out.
            vrshlq_s32(vsraq_n_s32::<31>(product, vandq_s32(product, right)), right)
        }
    }
}

impl Rescale for Single {
    type Requant = Single;
    type Scales = [int32x4_t; 2];
    const SMALL: bool = true;

    #[inline(always)]
    fn scales(four: &[[i32; 2]; 4]) -> [int32x4_t; 2] {
        pairs(four)
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, [multipliers, shifts]: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            // Half up of a product by 2^32 is half up of its floor by 2^31.
            vrshrq_n_s32::<1>(vqdmulhq_s32(vqshlq_s32(sums, shifts), multipliers))
        }
    }
}

impl Rescale for Onnx {
    type Requant = Onnx;
    type Scales = float32x4_t;
    const SMALL: bool = false;

    #[inline(always)]
    fn scales(four: &[f32; 4]) -> float32x4_t {
        // SAFETY: four numbers are read from four.
        unsafe { vld1q_f32(four.as_ptr()) }
    }

    #[inline(always)]
    fn apply(sums: int32x4_t, scales: float32x4_t) -> int32x4_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), scales)) }
    }
}

/// Whether what [`Right`] makes of sums fits 16 bits: sums of so many products of two levels, which begin with these
/// biases.
pub fn fits_16_bits(products: usize, bias: &[i32], scales: &[[i32; 2]]) -> bool {
    // One less for what rounding adds.
    const MOST: u32 = i16::MAX as u32 - 1;
    let products = u32::try_from(products).unwrap_or(u32::MAX).saturating_mul(1 << 14);
    // Multipliers are below one: a sum as great as it may be, shifted. A sum that wraps is no greater.
    let fits = |bias: i32, [_, shift]: [i32; 2]| {
        let most = bias.unsigned_abs().saturating_add(products);
        shift < 0 && most.checked_shr(shift.unsigned_abs()).unwrap_or(0) < MOST
    };
    if bias.len() != scales.len() {
        let most = bias.iter().fold(0, |most, b| b.unsigned_abs().max(most)).min(i32::MAX as u32);
        return scales.iter().all(|&scale| fits(most as i32, scale));
    }
    let ((biases, last), (constants, rest)) = (bias.as_chunks::<4>(), scales.as_chunks::<4>());
    // SAFETY: four numbers are read from four.
    let most = unsafe {
        biases.iter().zip(constants).fold(vdupq_n_u32(0), |most, (bias, four)| {
            let sums = vreinterpretq_u32_s32(vabsq_s32(vld1q_s32(bias.as_ptr())));
            let [_, shifts] = pairs(four);
            vmaxq_u32(most, vshlq_u32(vqaddq_u32(sums, vdupq_n_u32(products)), shifts))
        })
    };
    // SAFETY: every 64-bit Arm has NEON.
    let most = unsafe { vmaxvq_u32(most) };
    most < MOST && last.iter().zip(rest).all(|(&bias, &scale)| fits(bias, scale))
}
