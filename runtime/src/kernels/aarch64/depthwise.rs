//! Strips of depthwise convolutions, sixteen channels at a time.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::error::{Error, Result};
use crate::kernels::aarch64::end::{Ends, Rescale, Sums, begin};
use crate::kernels::blocks::depthwise::Strip;
use crate::kernels::blocks::layer::{Block, Layer, Room, STEP};
use crate::layout::{BLOCK, QUAD};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;

/// The taps of a window that the faster loops know.
const THREE: [usize; 2] = [3, 3];

/// A strip on any 64-bit Arm.
pub(super) fn neon_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for b in 0..layer.blocks() {
        let block = layer.block(b, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        any(&walk, strip, &block, b, &ends, slots)?;
    }
    Ok(())
}

/// A strip with dot products of four.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for b in 0..layer.blocks() {
        let block = layer.block(b, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        match (strip.taps, op.window.dilation, walk.stride[1]) {
            (THREE, [1, 1], 1) => columns::<S, 1>(&walk, strip, &block, b, &ends, slots)?,
            (THREE, [1, 1], 2) => columns::<S, 2>(&walk, strip, &block, b, &ends, slots)?,
            _ => any(&walk, strip, &block, b, &ends, slots)?,
        }
    }
    Ok(())
}

/// Distances in a strip that holds every input of every output.
struct Walk {
    stride: [usize; 2],
    /// Bytes between taps, vertical and horizontal.
    apart: [usize; 2],
}

impl Walk {
    /// Refuses what would be read beyond the strip or the weights.
    fn new<S: crate::kernels::fixed::Requant>(
        op: &DepthwiseConv2d,
        layer: &Layer<'_, S>,
        strip: &Strip<'_>,
    ) -> Result<Self> {
        let ([kh, kw], [oh, ow]) = (strip.taps, strip.output);
        let [sy, sx] = op.window.stride.map(usize::from);
        let [dy, dx] = op.window.dilation.map(usize::from);
        let apart = [dy * strip.row, dx * strip.channels];
        let last = (oh.max(1) - 1) * sy * strip.row + (ow.max(1) - 1) * sx * strip.channels;
        let taps = (kh.max(1) - 1) * apart[0] + (kw.max(1) - 1) * apart[1];
        let fits = last + taps + layer.blocks() * BLOCK <= strip.bytes.len();
        if fits && layer.quads == (kh * kw).div_ceil(QUAD) && layer.outputs == strip.channels {
            Ok(Walk { stride: [sy, sx], apart })
        } else {
            Err(Error::Internal)
        }
    }
}

/// Any window: products of one tap, 16 bits wide, are added one by one.
#[inline(always)]
fn any<S: Rescale>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let ([kh, kw], [oh, ow]) = (strip.taps, strip.output);
    let [sy, sx] = walk.stride;
    for y in 0..oh {
        for x in 0..ow {
            let at =
                strip.bytes.as_ptr().wrapping_add(y * sy * strip.row + x * sx * strip.channels + b * BLOCK);
            let mut sums = begin(block.bias);
            let (mut ky, mut kx) = (0, 0);
            for step in block.weights.chunks_exact(STEP) {
                // SAFETY: a step is 64 bytes; that taps of all outputs lie in the strip is checked by `Walk::new`.
                unsafe {
                    let int8x16x4_t(w0, w1, w2, w3) = vld4q_s8(step.as_ptr());
                    for w in [w0, w1, w2, w3] {
                        if ky == kh {
                            break;
                        }
                        let x = vld1q_s8(at.add(ky * walk.apart[0] + kx * walk.apart[1]));
                        add(&mut sums, x, w);
                        kx += 1;
                        if kx == kw {
                            (ky, kx) = (ky + 1, 0);
                        }
                    }
                }
            }
            let slots = slots.get_mut((y * ow + x) * strip.channels..).ok_or(Error::Internal)?;
            ends.store(block, &mut [sums], 1, slots, 0)?;
        }
    }
    Ok(())
}

/// Adds sixteen products.
#[inline(always)]
fn add(sums: &mut Sums, x: int8x16_t, w: int8x16_t) {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        let (low, high) = (vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w));
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
        sums[3] = vaddw_high_s16(sums[3], high);
    }
}

/// Four bytes each of sixteen channels: a column of three taps and one that meets a weight of zero.
type Column = [int8x16_t; 4];

/// A window of three by three. The inputs of a column are brought side by side once and serve every output that reads
/// them.
#[target_feature(enable = "neon,dotprod")]
fn columns<S: Rescale, const STRIDE: usize>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let (row, channels, [oh, ow]) = (strip.row, strip.channels, strip.output);
    let [w0, w1, w2] = weights(block.weights)?;
    let mut slots = slots;
    for y in 0..oh {
        let mut at = strip.bytes.as_ptr().wrapping_add(y * walk.stride[0] * row + b * BLOCK);
        let mut next = || {
            // SAFETY: `Walk::new` has checked that the strip holds every column of the window of every output.
            let column = unsafe { column([vld1q_s8(at), vld1q_s8(at.add(row)), vld1q_s8(at.add(2 * row))]) };
            at = at.wrapping_add(channels);
            column
        };
        let z = next();
        let mut now = plus(begin(block.bias), &z, &w0);
        let mut later = begin(block.bias);
        if STRIDE == 1 {
            let z = next();
            now = plus(now, &z, &w1);
            later = plus(later, &z, &w0);
        }
        for x in 0..ow {
            if STRIDE == 2 {
                now = plus(now, &next(), &w1);
            }
            let z = next();
            let sums = plus(now, &z, &w2);
            if STRIDE == 1 {
                now = plus(later, &z, &w1);
                later = plus(begin(block.bias), &z, &w0);
            } else {
                now = plus(begin(block.bias), &z, &w0);
            }
            ends.store(block, &mut [sums], 1, slots, 0)?;
            // After the last pixel nothing is left but other blocks' channels.
            if x + 1 < ow || y + 1 < oh {
                slots = slots.get_mut(channels..).ok_or(Error::Internal)?;
            }
        }
    }
    Ok(())
}

/// The three columns of a window's weights, from three steps of four taps each, row by row.
#[inline(always)]
fn weights(stored: &[i8]) -> Result<[Column; 3]> {
    let stored: &[i8; 3 * STEP] = stored.first_chunk().ok_or(Error::Internal)?;
    // SAFETY: three times 64 bytes are read from as many.
    unsafe {
        let int8x16x4_t(t0, t1, t2, t3) = vld4q_s8(stored.as_ptr());
        let int8x16x4_t(t4, t5, t6, t7) = vld4q_s8(stored.as_ptr().add(STEP));
        let int8x16x4_t(t8, zero, ..) = vld4q_s8(stored.as_ptr().add(2 * STEP));
        Ok([[t0, t3, t6], [t1, t4, t7], [t2, t5, t8]].map(|[a, b, c]| interleave(a, b, c, zero)))
    }
}

/// Three rows' bytes side by side, channel by channel, with any fourth.
#[inline(always)]
fn column([a, b, c]: [int8x16_t; 3]) -> Column {
    interleave(a, b, c, c)
}

#[inline(always)]
fn interleave(a: int8x16_t, b: int8x16_t, c: int8x16_t, d: int8x16_t) -> Column {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        let [ab, cd] = [vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d))];
        let [ef, gh] = [vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d))];
        [vzip1q_s16(ab, cd), vzip2q_s16(ab, cd), vzip1q_s16(ef, gh), vzip2q_s16(ef, gh)]
            .map(|v| vreinterpretq_s8_s16(v))
    }
}

/// Adds a column's products; only for processors with dot products.
#[inline(always)]
fn plus(mut sums: Sums, x: &Column, w: &Column) -> Sums {
    for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
        // SAFETY: one instruction of the enabled features, on registers; the intrinsic is not stable.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {x:v}.16b, {w:v}.16b",
                sum = inout(vreg) *sum,
                x = in(vreg) x,
                w = in(vreg) w,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
    }
    sums
}
