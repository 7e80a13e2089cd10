//! From 32-bit sums to int8 outputs, in vectors.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::marker::PhantomData;

use crate::kernels::aarch64::rescale::Rescale;
use crate::kernels::blocks::layer::Layer;
use crate::kernels::fixed::Requant;
use crate::layout::BLOCK;
use crate::ops::attr::Clamp;

/// Sums of sixteen channels.
pub type Sums = [int32x4_t; 4];

/// Zero point and limits of a layer's outputs, and the rounding of their sums.
#[derive(Clone, Copy, Debug)]
pub struct Ends<S> {
    zero: i32,
    limits: [i8; 2],
    /// Whether rescaled sums fit 16 bits.
    pub is_short: bool,
    rounding: PhantomData<S>,
}

impl<S: Rescale> Ends<S> {
    /// Of this layer.
    pub fn new(layer: &Layer<'_, S::Requant>) -> Self {
        Ends { is_short: layer.is_short, ..Ends::of(layer.zero, layer.clamp) }
    }

    /// Of an int8 output with this zero point, clamped within its type.
    pub fn of(zero: i32, clamp: Clamp) -> Self {
        let (least, greatest) = clamp.as_i32();
        let limits = [least as i8, greatest as i8];
        Ends { zero, limits, is_short: false, rounding: PhantomData }
    }

    /// Writes the outputs of `N` pixels' sums, of as many channels as `count` says.
    ///
    /// # Safety
    /// So many bytes, at most sixteen, can be written at `to` and every `stride` bytes from there.
    #[inline(always)]
    pub unsafe fn store<const N: usize>(
        &self,
        sums: &[Sums; N],
        scales: &[S::Scales; 4],
        count: usize,
        to: *mut i8,
        stride: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            if S::CAN_BE_SHORT && self.is_short && count == BLOCK {
                for (pixel, sums) in sums.iter().enumerate() {
                    vst1q_s8(to.wrapping_add(pixel * stride), self.levels::<true>(sums, scales));
                }
            } else if count == BLOCK {
                for (pixel, sums) in sums.iter().enumerate() {
                    vst1q_s8(to.wrapping_add(pixel * stride), self.levels::<false>(sums, scales));
                }
            } else if count > BLOCK / 2 {
                partly(&sums.map(|sums| self.levels::<false>(&sums, scales)), to, stride, count);
            } else {
                let levels =
                    sums.map(|[a, b, ..]| self.narrow_half([S::apply(a, scales[0]), S::apply(b, scales[1])]));
                if count == BLOCK / 2 {
                    for (pixel, &levels) in levels.iter().enumerate() {
                        vst1_s8(to.wrapping_add(pixel * stride), levels);
                    }
                } else {
                    partly(&levels.map(|low| vcombine_s8(low, low)), to, stride, count);
                }
            }
        }
    }

    /// Writes the outputs of `PAIRS` pairs of pixels, 1 to 3, two of which are in each array: each sum has two channels of the
    /// first, then of the second. There are eight scales, of two channels, twice. Pixels are `stride` bytes apart, the last two `last`; if
    /// that is 0 there is no last one.
    ///
    /// # Safety
    /// As of [`Ends::store`]; the scales are there.
    #[inline(always)]
    pub unsafe fn store_pairs<const PAIRS: usize, const SHORT: bool>(
        &self,
        mut sums: [[int32x4_t; 8]; 3],
        scales: *const S::Scales,
        count: usize,
        mut to: *mut i8,
        [stride, last]: [usize; 2],
    ) {
        // Each constant is loaded once.
        for j in 0..8 {
            // SAFETY: as the caller promises.
            let scales = unsafe { S::load(scales.wrapping_add(j)) };
            for pair in sums.iter_mut().take(PAIRS) {
                pair[j] = S::apply(pair[j], scales);
            }
        }
        for (k, &[a, b, c, d, e, f, g, h]) in sums.iter().enumerate().take(PAIRS) {
            let (low, high) = (self.narrow::<SHORT>(&[a, b, c, d]), self.narrow::<SHORT>(&[e, f, g, h]));
            let next = to.wrapping_add(if k + 1 == PAIRS { last } else { stride });
            // SAFETY: as the caller promises. What is no pixel is written first.
            unsafe {
                // Two channels are one number of 16 bits.
                let [low, high] = [low, high].map(|levels| vreinterpretq_s16_s8(levels));
                let levels = [vuzp1q_s16(low, high), vuzp2q_s16(low, high)].map(|x| vreinterpretq_s8_s16(x));
                if count == BLOCK {
                    vst1q_s8(next, levels[1]);
                    vst1q_s8(to, levels[0]);
                } else {
                    partly(&levels[1..], next, 0, count);
                    partly(&levels[..1], to, 0, count);
                }
            }
            to = to.wrapping_add(2 * stride);
        }
    }

    /// Sixteen outputs of sums.
    #[inline(always)]
    pub fn levels<const SHORT: bool>(&self, sums: &Sums, scales: &[S::Scales; 4]) -> int8x16_t {
        self.narrow::<SHORT>(&core::array::from_fn(|i| S::apply(sums[i], scales[i])))
    }

    /// Sixteen outputs of rescaled sums, which fit 16 bits if they are `SHORT`.
    #[inline(always)]
    pub fn narrow<const SHORT: bool>(&self, &[a, b, c, d]: &Sums) -> int8x16_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            let (low, high) = (self.levels_16::<SHORT>([a, b]), self.levels_16::<SHORT>([c, d]));
            if S::POSITIVE && S::SMALL {
                let levels = vqmovun_high_s16(vqmovun_s16(low), high);
                return vreinterpretq_s8_u8(veorq_u8(levels, vdupq_n_u8(0x80)));
            }
            let levels = vqmovn_high_s16(vqmovn_s16(low), high);
            if S::FULL {
                return levels;
            }
            let [least, greatest] = self.limits;
            vminq_s8(vmaxq_s8(levels, vdupq_n_s8(least)), vdupq_n_s8(greatest))
        }
    }

    /// Eight outputs of rescaled sums.
    #[inline(always)]
    fn narrow_half(&self, sums: [int32x4_t; 2]) -> int8x8_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            let levels = self.levels_16::<false>(sums);
            if S::POSITIVE && S::SMALL {
                return vreinterpret_s8_u8(veor_u8(vqmovun_s16(levels), vdup_n_u8(0x80)));
            }
            let [least, greatest] = self.limits;
            vmin_s8(vmax_s8(vqmovn_s16(levels), vdup_n_s8(least)), vdup_n_s8(greatest))
        }
    }

    /// Rescaled sums with the zero point, or without it where it is the least level.
    #[inline(always)]
    fn levels_16<const SHORT: bool>(&self, [a, b]: [int32x4_t; 2]) -> int16x8_t {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            if !S::SMALL {
                let zero = vdupq_n_s32(self.zero);
                return vqmovn_high_s32(vqmovn_s32(vaddq_s32(a, zero)), vaddq_s32(b, zero));
            }
            let levels = if SHORT {
                vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))
            } else {
                vqmovn_high_s32(vqmovn_s32(a), b)
            };
            if S::POSITIVE { levels } else { vqaddq_s16(levels, vdupq_n_s16(self.zero as i16)) }
        }
    }
}

/// Writes the first `count` of sixteen outputs of each pixel, where blocks are not full.
///
/// # Safety
/// So many bytes can be written at `to` and every `stride` bytes from there.
#[inline(never)]
unsafe fn partly(levels: &[int8x16_t], to: *mut i8, stride: usize, count: usize) {
    for (pixel, &levels) in levels.iter().enumerate() {
        let mut all = [0i8; BLOCK];
        // SAFETY: sixteen bytes are written to sixteen, of which as many are copied as the caller promises.
        unsafe {
            vst1q_s8(all.as_mut_ptr(), levels);
            to.wrapping_add(pixel * stride).copy_from_nonoverlapping(all.as_ptr(), count.min(BLOCK));
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
