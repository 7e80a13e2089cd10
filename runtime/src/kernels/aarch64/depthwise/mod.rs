//! Strips of depthwise convolutions, sixteen channels at a time.
#![allow(unsafe_code)]

mod dot;
mod neon;
mod rows;

use core::arch::aarch64::*;

use crate::error::{Error, Result};
use crate::kernels::aarch64::end::{Ends, Sums, begin, constants};
use crate::kernels::aarch64::rescale::Rescale;
use crate::kernels::blocks::depthwise::Strip;
use crate::kernels::blocks::layer::{Block, Layer, Room, STEP};
use crate::kernels::fixed::Requant;
use crate::layout::{BLOCK, QUAD};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;

/// A strip on any 64-bit Arm.
pub(super) fn neon_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    is_mild: bool,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for (b, weights) in layer.weights().enumerate() {
        let block = layer.block(b, weights, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        match (walk.slides(op, strip), is_mild) {
            // SAFETY: every 64-bit Arm has NEON.
            (true, true) => unsafe {
                rows::block::<neon::Neon, S>(&walk, strip, &block, b, &ends, slots)?;
            },
            _ => any(&walk, strip, &block, b, &ends, slots)?,
        }
    }
    Ok(())
}

/// A strip with dot products of four.
///
/// # Safety
/// The processor has them.
pub(super) unsafe fn dot_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    _is_mild: bool,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for (b, weights) in layer.weights().enumerate() {
        let block = layer.block(b, weights, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        if walk.slides(op, strip) {
            // SAFETY: the processor has dot products, as the caller promises.
            unsafe { rows::block::<dot::Dot, S>(&walk, strip, &block, b, &ends, slots)? };
        } else {
            any(&walk, strip, &block, b, &ends, slots)?;
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
    fn new<S: Requant>(op: &DepthwiseConv2d, layer: &Layer<'_, S>, strip: &Strip<'_>) -> Result<Self> {
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

    /// Whether [`rows`] knows the window.
    fn slides(&self, op: &DepthwiseConv2d, strip: &Strip<'_>) -> bool {
        strip.taps == [3, 3] && op.window.dilation[1] == 1 && matches!(self.stride[1], 1 | 2)
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
            let first = (y * ow + x) * strip.channels;
            let slots = slots.get_mut(first..first + block.count).ok_or(Error::Internal)?;
            // SAFETY: the slots are as many as the block's channels.
            unsafe { ends.store(&[sums], &constants::<S>(block.scales), block.count, slots.as_mut_ptr(), 0) };
        }
    }
    Ok(())
}

/// Sixteen products.
#[inline(always)]
fn products(x: int8x16_t, w: int8x16_t) -> (int16x8_t, int16x8_t) {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { (vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w)) }
}

/// Adds sixteen numbers.
#[inline(always)]
fn widen(sums: &mut Sums, low: int16x8_t, high: int16x8_t) {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
        sums[3] = vaddw_high_s16(sums[3], high);
    }
}

/// Adds sixteen products.
#[inline(always)]
fn add(sums: &mut Sums, x: int8x16_t, w: int8x16_t) {
    let (low, high) = products(x, w);
    widen(sums, low, high);
}
