//! FullyConnected. One row, as most have it, takes less time than its weights take to arrive, so little is done beside.
#![allow(unsafe_code)]

use super::channels::Channels;
use super::conv::layer;
use super::rescale::{Finish, Rescale};
use super::rows::OFFSET;
use super::simd::{LANES, Simd};
use super::tile::Taps;
use super::vector::Pixel;
use crate::error::{Error, Result};
use crate::layout::QUAD;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::strips::Strips;
use crate::ops::op::Op;

/// Bytes of a vector.
const VECTOR: usize = 4 * LANES;

/// FullyConnected.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn fully_connected<S: Simd, R: Rescale>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let end = Finish::new(io, op.clamp)?;
    let (input, shape) = (io.input::<u8>(0)?, io.input_desc(WEIGHTS)?.shape);
    let [outputs, depth] = [shape.dim(0), shape.dim(1)];
    let is_relu = R::HAS_RELU && end.is_relu();
    // SAFETY: the caller's.
    unsafe {
        if input.len() == depth && depth.is_multiple_of(QUAD) {
            return row::<S, R>(io, input, outputs, &end, is_relu);
        }
        let strips = Strips::fully_connected(io.input_desc(0)?, io.input_desc(WEIGHTS)?)?;
        if is_relu { layer::<S, R, true>(io, &strips, end) } else { layer::<S, R, false>(io, &strips, end) }
    }
}

/// One row of a number of quads.
#[inline(always)]
unsafe fn row<S: Simd, R: Rescale>(
    io: &mut Io<'_>,
    input: &[u8],
    outputs: usize,
    end: &Finish,
    is_relu: bool,
) -> Result<()> {
    let channels = Channels::<R>::new(io)?;
    let weights = io.input::<i8>(WEIGHTS)?;
    let output = io.output::<u8>(0)?;
    let copied = io.scratch::<u8>()?;
    let taps = Taps { step: input.len(), rows: 1, row_step: 0, quads: input.len() / QUAD, columns: 0 };
    // What the pointers below rely on.
    let fits = weights.len() >= outputs.div_ceil(LANES) * taps.block()
        && output.len() == outputs
        && copied.len() >= input.len();
    if !fits {
        return Err(Error::Internal);
    }
    // SAFETY: the slices are long enough, as just seen.
    unsafe {
        offset::<S>(input, copied);
        let pixel = Pixel { x: copied.as_ptr(), taps, w: weights.as_ptr(), channels: &channels, end };
        if is_relu { S::pixel::<R, true>(&pixel, output) } else { S::pixel::<R, false>(&pixel, output) }
    }
    Ok(())
}

/// Copies levels, a number of quads, each with the offset.
#[inline(always)]
unsafe fn offset<S: Simd>(from: &[u8], to: &mut [u8]) {
    let (vectors, rest) = from.as_chunks::<VECTOR>();
    let (slots, rest_slots) = to.split_at_mut(vectors.len() * VECTOR);
    for (slot, vector) in slots.as_chunks_mut::<VECTOR>().0.iter_mut().zip(vectors) {
        // SAFETY: 64 bytes each; else the caller's.
        unsafe { S::store(slot.as_mut_ptr(), S::flip::<OFFSET>(S::bytes(vector.as_ptr()))) };
    }
    let quads = rest.as_chunks::<QUAD>().0;
    for (slot, quad) in rest_slots.as_chunks_mut::<QUAD>().0.iter_mut().zip(quads) {
        *slot = (u32::from_ne_bytes(*quad) ^ u32::from_ne_bytes([OFFSET; QUAD])).to_ne_bytes();
    }
}
