//! Depthwise convolution, sixteen channels at a time: products of one tap, 16 bits wide, are added one by one.

use core::arch::wasm32::*;

use super::ends::{Sums, begin, store};
use super::vector::bytes;
use crate::error::{Error, Result};
use crate::kernels::blocks::depthwise::{Strip, walk};
use crate::kernels::blocks::layer::{Layer, Room, STEP};
use crate::kernels::fixed::Requant;
use crate::layout::{BLOCK, QUAD};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Taps of a window whose weights are brought in order once for a block.
const KEPT: usize = 16;

/// DepthwiseConv2D in the rounding `R`.
pub fn depthwise_conv_2d<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let layer = Layer::<R>::new(io, op.clamp)?;
    walk(io, &op, |strip, slots| strip_of(&op, &layer, strip, slots))
}

fn strip_of<R: Requant>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, R>,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let ([kh, kw], [oh, ow]) = (strip.taps, strip.output);
    let [sy, sx] = op.window.stride.map(usize::from);
    let [dy, dx] = op.window.dilation.map(usize::from);
    // Where a tap's inputs begin, from the first's.
    let offset = |tap: usize| tap / kw.max(1) * dy * strip.row + tap % kw.max(1) * dx * strip.channels;
    let mut room = Room::default();
    for (b, stored) in layer.weights().enumerate() {
        let block = layer.block(b, stored, &mut room)?;
        let mut kept = [i8x16_splat(0); KEPT];
        kept.iter_mut().zip(0..kh * kw).for_each(|(kept, tap)| *kept = weights(block.weights, tap));
        for y in 0..oh {
            for x in 0..ow {
                let at = y * sy * strip.row + x * sx * strip.channels + b * BLOCK;
                let inputs = strip.bytes.get(at..).ok_or(Error::Internal)?;
                let mut sums = begin(block.bias);
                for tap in 0..kh * kw {
                    let x = inputs.get(offset(tap)..).and_then(<[i8]>::first_chunk).ok_or(Error::Internal)?;
                    let w = kept.get(tap).copied().unwrap_or_else(|| weights(block.weights, tap));
                    add(&mut sums, bytes(x), w);
                }
                let slots = slots.get_mut((y * ow + x) * strip.channels + b * BLOCK..);
                store(layer, &block, &sums, slots.ok_or(Error::Internal)?)?;
            }
        }
    }
    Ok(())
}

/// One tap of sixteen channels, of steps that hold four taps of each.
fn weights(stored: &[i8], tap: usize) -> v128 {
    let (quads, _) = stored.as_chunks::<QUAD>();
    let first = tap / QUAD * (STEP / QUAD);
    let of = |channel: usize| quads.get(first + channel).and_then(|quad| quad.get(tap % QUAD));
    bytes(&core::array::from_fn(|channel| of(channel).copied().unwrap_or_default()))
}

/// Adds sixteen products.
#[inline(always)]
fn add(sums: &mut Sums, x: v128, w: v128) {
    let (low, high) = (i16x8_extmul_low_i8x16(x, w), i16x8_extmul_high_i8x16(x, w));
    sums[0] = i32x4_add(sums[0], i32x4_extend_low_i16x8(low));
    sums[1] = i32x4_add(sums[1], i32x4_extend_high_i16x8(low));
    sums[2] = i32x4_add(sums[2], i32x4_extend_low_i16x8(high));
    sums[3] = i32x4_add(sums[3], i32x4_extend_high_i16x8(high));
}
