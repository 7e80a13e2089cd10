//! Conv2D without groups: all rectangles for a few blocks of outputs, then the next blocks.
#![allow(unsafe_code)]

use super::Lanes;
use super::images::{Images, Position, Rectangle};
use super::panels::{Layer, together};
use crate::error::{Error, Result};
use crate::kernels::reference::dot::End;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::op::Op;

/// The whole operator.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn conv_2d<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let input = io.input_desc(0)?.shape.dims4()?;
    let output = io.output_desc(0)?.shape.dims4()?;
    let [_, kh, kw, depth] = io.input_desc(1)?.shape.dims4()?;
    if op.groups != 1 || depth != input[3] {
        return Err(Error::NoKernel);
    }
    let images = Images { window: op.window, input, output, taps: [kh, kw], joins: true };
    let layer = Layer::new(io, op.clamp, output[3], kh * kw * depth)?;
    let end = End::new(io, op.clamp)?;
    let (xs, ys) = (io.input::<f32>(0)?, io.output::<f32>(0)?);
    let single = output[1] * output[2] == 1;
    let mut first = 0;
    while first < layer.blocks() {
        let count = together::<L>(layer.blocks() - first, single);
        // All rectangles for the same weights, which then stay near.
        let mut at = Position::default();
        while let Some(rectangle) = images.next(&mut at)? {
            if rectangle.taps.runs != [0, 0] {
                // SAFETY: as for this function.
                unsafe { layer.compute::<L>(&rectangle, [first, count], xs, ys)? };
            } else if first == 0 {
                padding(&rectangle, output[3], &end, ys)?;
            }
        }
        first += count;
    }
    Ok(())
}

/// Outputs whose windows lie in the padding.
fn padding(rectangle: &Rectangle, outputs: usize, end: &End<'_>, ys: &mut [f32]) -> Result<()> {
    let [rows, columns] = rectangle.pixels;
    for row in 0..rows {
        let start = rectangle.output + row * rectangle.to[0];
        let pixels = ys.get_mut(start..start + columns * outputs).ok_or(Error::Internal)?;
        for pixel in pixels.chunks_exact_mut(outputs.max(1)) {
            for (o, slot) in pixel.iter_mut().enumerate() {
                *slot = end.finish(0.0, o)?;
            }
        }
    }
    Ok(())
}
