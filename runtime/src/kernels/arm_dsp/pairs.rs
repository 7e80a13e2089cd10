//! Conv2D and FullyConnected with weights in pairs of channels: four pixels at a time, across the ends of rows.

use super::columns::Columns;
use super::layer::Layer;
use super::scale::Scale;
use crate::error::{Error, Result};
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
    run::<R>(io, &op.window, op.clamp)
}

/// FullyConnected: each of its rows is a pixel.
pub fn fully_connected<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    run::<R>(io, &Window::UNIT, FullyConnected::parse(attributes)?.clamp)
}

/// Of both, so that a device that runs both has it once.
#[inline(never)]
fn run<R: Scale>(io: &mut Io<'_>, window: &Window, clamp: Clamp) -> Result<()> {
    let (x, w, y) = (io.input_desc(0)?, &io.input_desc(WEIGHTS)?.shape, &io.output_desc(0)?.shape);
    let outputs = w.dim(0);
    let pixels = y.elements().checked_div(outputs).ok_or(Error::Shape)?;
    let taps = if w.rank() == 4 { [w.dim(1), w.dim(2)] } else { [1, 1] };
    // Windows that are single pixels read one row of them, as they are.
    let is_plain = taps == [1, 1] && *window == Window::UNIT;
    let (input, output) = if is_plain {
        ([1, pixels, w.dim(w.rank().wrapping_sub(1))], [1, pixels])
    } else {
        let [_, height, width, channels] = x.shape.dims4()?;
        ([height, width, channels], [y.dim(1), y.dim(2)])
    };
    let mut columns = Columns::new(window, input, taps, output, x.zero_point as i8, is_plain);
    let mut layer = Layer::<R>::new(io, clamp, outputs, columns.depth())?;
    let words =
        io.scratch::<u32>()?.get_mut(..layer.words() * pixels_at_once(pixels)).ok_or(Error::TooSmall)?;
    let mut pair = io.pair::<i8, i8>(0, 0)?;
    let descending = pair.descending();
    let mut left = pixels;
    while left > 0 {
        let count = if left < 4 { 1 } else { 4 };
        let first = if descending { left - count } else { pixels - left };
        // All of these pixels are read before any is written.
        columns.gather(pair.input()?, first, words, count)?;
        layer.levels(count, words, pair.output(first * outputs..(first + count) * outputs)?)?;
        left -= count;
    }
    Ok(())
}
