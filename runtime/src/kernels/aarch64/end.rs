//! From 32-bit sums to int8 outputs, in vectors.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::marker::PhantomData;

use crate::error::{Error, Result};
use crate::kernels::blocks::layer::{Block, Layer};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::layout::BLOCK;
use crate::ops::attr::Clamp;

/// Sums of sixteen channels.
pub type Sums = [int32x4_t; 4];

/// A rounding in vectors: the numbers of [`Requant::apply`] for the constants that it takes.
pub trait Rescale {
    /// Whose definition it follows.
    type Requant: Requant;
    /// Constants of four channels.
    type Scales: Copy;
    /// Whether results stay so far from the ends of 32 bits that adding a zero point never wraps.
    const SMALL: bool;

    /// Four channels' constants.
    fn scales(four: &[<Self::Requant as Requant>::Scale; 4]) -> Self::Scales;

    /// Four sums, rescaled.
    fn apply(sums: int32x4_t, scales: Self::Scales) -> int32x4_t;
}

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

    #[inline(always)]
    fn scales(four: &[[i32; 2]; 4]) -> [int32x4_t; 2] {
        pairs(four)
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

/// Zero point and limits of a layer's outputs, and the rounding of their sums.
#[derive(Clone, Copy, Debug)]
pub struct Ends<S> {
    zero: i32,
    limits: [i8; 2],
    rounding: PhantomData<S>,
}

impl<S: Rescale> Ends<S> {
    /// Of this layer.
    pub fn new(layer: &Layer<'_, S::Requant>) -> Self {
        Ends::of(layer.zero, layer.clamp)
    }

    /// Of an int8 output with this zero point, clamped within its type.
    pub fn of(zero: i32, clamp: Clamp) -> Self {
        let (least, greatest) = clamp.as_i32();
        let limits = [least as i8, greatest as i8];
        Ends { zero, limits, rounding: PhantomData }
    }

    /// Writes `pixels` pixels' outputs of a block from their sums, `stride` bytes apart.
    #[inline(always)]
    pub fn store<const N: usize>(
        &self,
        block: &Block<'_, S::Requant>,
        sums: &mut [Sums; N],
        pixels: usize,
        slots: &mut [i8],
        stride: usize,
    ) -> Result<()> {
        let end = pixels.checked_sub(1).map(|p| p * stride + block.count);
        if pixels > N || end.is_none_or(|end| end > slots.len()) {
            return Err(Error::Internal);
        }
        let (fours, _) = block.scales.as_chunks::<4>();
        for (i, four) in fours.iter().enumerate() {
            let scales = S::scales(four);
            for sums in sums.iter_mut() {
                sums[i] = S::apply(sums[i], scales);
            }
        }
        if block.count < BLOCK {
            partly(&sums.map(|sums| self.narrow(&sums)), pixels, slots, stride, block.count);
            return Ok(());
        }
        for (pixel, sums) in sums.iter().enumerate() {
            if pixel < pixels {
                // SAFETY: the last pixel's sixteen outputs end within the slots, as just checked.
                unsafe { vst1q_s8(slots.as_mut_ptr().add(pixel * stride), self.narrow(sums)) };
            }
        }
        Ok(())
    }

    /// Sixteen outputs of sums.
    #[inline(always)]
    pub fn levels(&self, sums: &Sums, scales: &[S::Scales; 4]) -> int8x16_t {
        self.narrow(&core::array::from_fn(|i| S::apply(sums[i], scales[i])))
    }

    /// Sixteen outputs of rescaled sums.
    #[inline(always)]
    pub fn narrow(&self, &[a, b, c, d]: &Sums) -> int8x16_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            let [low, high] = if S::SMALL {
                let zero = vdupq_n_s16(self.zero as i16);
                let low = vqmovn_high_s32(vqmovn_s32(a), b);
                let high = vqmovn_high_s32(vqmovn_s32(c), d);
                [vqaddq_s16(low, zero), vqaddq_s16(high, zero)]
            } else {
                let zero = vdupq_n_s32(self.zero);
                let low = vqmovn_high_s32(vqmovn_s32(vaddq_s32(a, zero)), vaddq_s32(b, zero));
                let high = vqmovn_high_s32(vqmovn_s32(vaddq_s32(c, zero)), vaddq_s32(d, zero));
                [low, high]
            };
            let levels = vqmovn_high_s16(vqmovn_s16(low), high);
            let [least, greatest] = self.limits;
            vminq_s8(vmaxq_s8(levels, vdupq_n_s8(least)), vdupq_n_s8(greatest))
        }
    }
}

/// Writes the first `count` of sixteen outputs of each pixel, where blocks are not full.
#[inline(never)]
fn partly(levels: &[int8x16_t], pixels: usize, slots: &mut [i8], stride: usize, count: usize) {
    for (pixel, &levels) in levels.iter().enumerate().take(pixels) {
        let mut all = [0i8; BLOCK];
        // SAFETY: sixteen bytes are written to sixteen.
        unsafe { vst1q_s8(all.as_mut_ptr(), levels) };
        let Some(slots) = slots.get_mut(pixel * stride..pixel * stride + count) else { return };
        match (slots.split_first_chunk_mut::<8>(), all.split_first_chunk::<8>()) {
            (Some((slots, more)), Some((first, rest))) => {
                *slots = *first;
                more.iter_mut().zip(rest).for_each(|(slot, &level)| *slot = level);
            }
            _ => slots.iter_mut().zip(&all).for_each(|(slot, &level)| *slot = level),
        }
    }
}

/// Constants of sixteen channels.
#[inline(always)]
pub fn constants<S: Rescale>(scales: &[<S::Requant as Requant>::Scale; BLOCK]) -> [S::Scales; 4] {
    let [a, b, c, d] = scales.as_chunks::<4>().0 else { return [S::scales(&[scales[0]; 4]); 4] };
    [a, b, c, d].map(|four| S::scales(four))
}

/// Four times four of sixteen sums to begin with.
#[inline(always)]
pub fn begin(bias: &[i32; BLOCK]) -> Sums {
    let (fours, _) = bias.as_chunks::<4>();
    // SAFETY: four numbers are read from four, of which there are four.
    core::array::from_fn(|i| unsafe { vld1q_s32(fours.get(i).unwrap_or(&[0; 4]).as_ptr()) })
}
