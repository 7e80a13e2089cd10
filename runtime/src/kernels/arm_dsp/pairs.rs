//! Conv2D and FullyConnected with weights in pairs of channels: four pixels at a time, across the ends of rows.

use super::columns::{Columns, split};
use super::layer::Layer;
use super::scale::Scale;
use crate::error::{Error, Result};
use crate::layout::QUAD;
use crate::ops::attr::Clamp;
use crate::ops::conv_2d::Conv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::scratch::pixels_at_once;
use crate::ops::op::{Context, Op};
use crate::ops::window::Window;

/// Conv2D without groups.
pub fn conv_2d<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let (x, w) = (io.input_desc(0)?, io.input_desc(WEIGHTS)?.shape);
    let [_, height, width, channels] = x.shape.dims4()?;
    let (input, taps) = ([height, width, channels], [w.dim(1), w.dim(2)]);
    run::<R>(io, Columns { window: op.window, input, taps, zero: x.zero_point as i8 }, op.clamp)
}

/// FullyConnected: each of its rows is an image of one pixel.
pub fn fully_connected<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = FullyConnected::parse(attributes)?.clamp;
    let (x, depth) = (io.input_desc(0)?, io.input_desc(WEIGHTS)?.shape.dim(1));
    let (input, taps) = ([1, 1, depth], [1, 1]);
    run::<R>(io, Columns { window: Window::UNIT, input, taps, zero: x.zero_point as i8 }, clamp)
}

/// Of both, so that a device that runs both has it once.
#[inline(never)]
fn run<R: Scale>(io: &mut Io<'_>, columns: Columns, clamp: Clamp) -> Result<()> {
    let outputs = io.input_desc(WEIGHTS)?.shape.dim(0);
    let y = io.output_desc(0)?.shape;
    let pixels = y.elements().checked_div(outputs).ok_or(Error::Shape)?;
    let channels = columns.input[2];
    let layer = Layer::<R>::new(io, clamp, outputs, columns.depth())?;
    let scratch = io.scratch::<u8>()?;
    let padded = columns.depth().next_multiple_of(QUAD);
    let (words, staging) = split(scratch, layer.words() * pixels_at_once(pixels), padded, channels)?;
    let mut pair = io.pair::<i8, i8>(0, 0)?;
    let descending = pair.descending();
    let mut left = pixels;
    while left > 0 {
        let count = if left < 4 { 1 } else { 4 };
        let first = if descending { left - count } else { pixels - left };
        // All of these pixels are read before any is written.
        columns.pixels(pair.input()?, first, (words, count), staging)?;
        layer.levels(count, words, pair.output(first * outputs..(first + count) * outputs)?)?;
        left -= count;
    }
    Ok(())
}
