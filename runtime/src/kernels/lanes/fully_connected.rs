//! FullyConnected: rows of the input are the pixels of one rectangle.
#![allow(unsafe_code)]

use super::Lanes;
use super::images::Rectangle;
use super::panels::{Layer, together};
use super::tile::Taps;
use crate::error::{Error, Result};
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::Op;

/// The whole operator.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn fully_connected<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let weights = io.input_desc(1)?.shape;
    let (outputs, depth) = (weights.dim(0), weights.dim(1));
    let rows = io.input_desc(0)?.shape.elements().checked_div(depth).ok_or(Error::Internal)?;
    let layer = Layer::new(io, op.clamp, outputs, depth)?;
    let (input, output) = (io.input::<f32>(0)?, io.output::<f32>(0)?);
    let all = Rectangle {
        pixels: [1, rows],
        input: 0,
        from: [0, depth],
        output: 0,
        to: [0, outputs],
        weight: 0,
        taps: Taps { runs: [1, 1], length: depth, input: [0, 0], weights: [0, 0] },
    };
    let mut first = 0;
    while first < layer.blocks() {
        let count = together::<L>(layer.blocks() - first, rows == 1);
        // SAFETY: as for this function.
        unsafe { layer.compute::<L>(&all, [first, count], input, output)? };
        first += count;
    }
    Ok(())
}
