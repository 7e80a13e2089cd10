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
use crate::ops::layer::scratch::pixels_at_once;
use crate::ops::op::{Context, Op};
use crate::ops::window::Window;

/// Conv2D without groups.
pub fn conv_2d<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, kh, kw, _] = io.input_desc(1)?.shape.dims4()?;
    let columns =
        Columns { window: op.window, input: [height, width, channels], taps: [kh, kw], zero: zero(io)? };
    run::<R>(io, &columns, op.clamp)
}

/// FullyConnected: each row is an image of one pixel.
pub fn fully_connected<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let depth = io.input_desc(1)?.shape.dim(1);
    let columns = Columns { window: Window::UNIT, input: [1, 1, depth], taps: [1, 1], zero: zero(io)? };
    run::<R>(io, &columns, op.clamp)
}

fn zero(io: &Io<'_>) -> Result<i8> {
    Ok(io.input_desc(0)?.zero_point as i8)
}

#[inline(never)]
fn run<R: Scale>(io: &mut Io<'_>, columns: &Columns, clamp: Clamp) -> Result<()> {
    let y = io.output_desc(0)?.shape;
    let outputs = io.input_desc(1)?.shape.dim(0);
    let pixels = y.elements().checked_div(outputs).ok_or(Error::Shape)?;
    let [height, width, channels] = columns.input;
    let (image, [oh, ow]) = (height * width * channels, columns.output()?);
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
        let x = pair.input::<i8>()?;
        for (slot, pixel) in (first..first + count).enumerate() {
            let row = pixel.checked_div(ow).ok_or(Error::Shape)?;
            let n = row.checked_div(oh).ok_or(Error::Shape)?;
            let at = [row - n * oh, pixel - row * ow];
            let image = x.get(n * image..(n + 1) * image).ok_or(Error::Internal)?;
            let words = words.get_mut(slot..).ok_or(Error::Internal)?;
            match count {
                4 => columns.gather::<4>(image, at, words, staging)?,
                _ => columns.gather::<1>(image, at, words, staging)?,
            }
        }
        let levels = pair.output::<i8>(first * outputs..(first + count) * outputs)?;
        match count {
            4 => layer.four(words, levels)?,
            _ => layer.one(words, levels)?,
        }
        left -= count;
    }
    Ok(())
}
