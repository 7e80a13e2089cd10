//! Convolutions and fully connected layers: products of 16 bits, added in pairs.

use core::arch::wasm32::*;

use super::ends::{Sums, begin, store};
use super::vector::bytes;
use crate::error::{Error, Result};
use crate::kernels::blocks::layer::{Layer, Room, STEP};
use crate::kernels::blocks::tile::Field;
use crate::kernels::blocks::walk;
use crate::kernels::fixed::Requant;
use crate::layout::{BLOCK, QUAD};
use crate::ops::conv_2d::Conv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Conv2D in the rounding `R`.
pub fn conv_2d<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let layer = Layer::<R>::new(io, op.clamp)?;
    let mut room = Room::default();
    walk::conv_2d(io, &op, |field, slots| outputs(&layer, &mut room, field, slots))
}

/// FullyConnected in the rounding `R`.
pub fn fully_connected<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let layer = Layer::<R>::new(io, op.clamp)?;
    let mut room = Room::default();
    walk::fully_connected(io, |field, slots| outputs(&layer, &mut room, field, slots))
}

/// All channels of a field's pixels.
fn outputs<R: Requant>(
    layer: &Layer<'_, R>,
    room: &mut Room<R>,
    field: &Field<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let [rows, width] = field.grid().size;
    let pixels = rows.checked_mul(width).ok_or(Error::Internal)?;
    for (b, weights) in layer.weights().enumerate() {
        let block = layer.block(b, weights, room)?;
        let mut put = |pixel: usize, sums: &Sums| {
            let slots = slots.get_mut(pixel * layer.outputs + b * BLOCK..).ok_or(Error::Internal)?;
            store(layer, &block, sums, slots)
        };
        for pixel in (1..pixels).step_by(2) {
            let [first, second] = sums::<2>(field, pixel - 1, block.weights, block.bias);
            put(pixel - 1, &first)?;
            put(pixel, &second)?;
        }
        if pixels % 2 == 1 {
            let [last] = sums::<1>(field, pixels - 1, block.weights, block.bias);
            put(pixels - 1, &last)?;
        }
    }
    Ok(())
}

/// The sums of `N` pixels for a block of channels. Two pixels, with sixteen sums each, are what the registers of common
/// processors hold.
#[inline(always)]
fn sums<const N: usize>(field: &Field<'_>, pixel: usize, weights: &[i8], bias: &[i32; BLOCK]) -> [Sums; N] {
    // Two sums of each channel: of its first and of its second pairs of weights.
    let mut halves = [[i32x4_splat(0); 8]; N];
    let mut steps = weights.as_chunks::<STEP>().0.iter();
    for run in 0..field.runs().count {
        let inputs: [_; N] = core::array::from_fn(|k| field.quads(pixel + k, run));
        let Some(first) = inputs.first() else { continue };
        for (quad, step) in (0..first.len()).zip(steps.by_ref()) {
            let x = inputs.map(|quads| pairs(quads.get(quad).unwrap_or(&[0; QUAD])));
            let (fours, _) = step.as_chunks::<16>();
            for (i, four) in fours.iter().enumerate() {
                let w = bytes(four);
                let (low, high) = (i16x8_extend_low_i8x16(w), i16x8_extend_high_i8x16(w));
                for (halves, &x) in halves.iter_mut().zip(&x) {
                    halves[2 * i] = i32x4_add(halves[2 * i], i32x4_dot_i16x8(low, x));
                    halves[2 * i + 1] = i32x4_add(halves[2 * i + 1], i32x4_dot_i16x8(high, x));
                }
            }
        }
    }
    let first = begin(bias);
    halves.map(|h| {
        core::array::from_fn(|i| {
            let even = i32x4_shuffle::<0, 2, 4, 6>(h[2 * i], h[2 * i + 1]);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(h[2 * i], h[2 * i + 1]);
            i32x4_add(first[i], i32x4_add(even, odd))
        })
    })
}

/// Four inputs, twice, 16 bits wide.
#[inline(always)]
fn pairs(quad: &[i8; QUAD]) -> v128 {
    i16x8_extend_low_i8x16(i32x4_splat(i32::from_le_bytes(quad.map(|x| x as u8))))
}
