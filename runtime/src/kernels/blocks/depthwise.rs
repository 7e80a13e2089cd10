//! Depthwise convolution, a padded strip of rows after the other.

use crate::error::{Error, Result};
use crate::kernels::blocks::strip::Strips;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;

/// Input rows with their padding, each channel as often as it has outputs: so output channel `o` reads channel `o`. Every
/// byte that a window meets, and sixteen beyond, is within `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'a> {
    /// The rows.
    pub bytes: &'a [i8],
    /// Bytes of a row.
    pub row: usize,
    /// Height and width of the outputs.
    pub output: [usize; 2],
    /// Channels of outputs, and so bytes of a pixel here and there.
    pub channels: usize,
    /// Height and width of the window.
    pub taps: [usize; 2],
}

/// How the image of a step is cut.
pub fn strips(
    op: &DepthwiseConv2d,
    input: [usize; 3],
    weights: [usize; 3],
    output: [usize; 2],
) -> Result<Strips> {
    let [kh, kw, channels] = weights;
    Strips::new(op.window, [kh, kw], input, channels, output)
}

/// Calls `each` with every strip and its outputs.
#[inline(always)]
pub fn walk(
    io: &mut Io<'_>,
    op: &DepthwiseConv2d,
    mut each: impl FnMut(&Strip<'_>, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(1)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let zero = io.input_desc(0)?.zero_point as i8;
    let multiplier = outputs.checked_div(channels).ok_or(Error::Internal)?;
    let strips = strips(op, [height, width, channels], [kh, kw, outputs], [oh, ow])?;
    let (input, output) = (io.input::<i8>(0)?, io.output::<i8>(0)?);
    let bytes = io.scratch::<i8>()?.get_mut(..strips.bytes()?).ok_or(Error::Internal)?;
    let images = input.chunks_exact((height * width * channels).max(1));
    for (image, results) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))).take(batch) {
        for [first, rows] in strips.iter() {
            strips.fill(image, zero, [first, rows], bytes, |pixels, slots| {
                if multiplier == 1 {
                    slots.copy_from_slice(pixels);
                } else {
                    let slots = slots.chunks_exact_mut(multiplier.max(1));
                    slots.zip(pixels).for_each(|(slots, &x)| slots.fill(x));
                }
                Ok(())
            })?;
            let slots = results.get_mut(first * ow * outputs..(first + rows) * ow * outputs);
            let (row, output) = (strips.row(), [rows, ow]);
            let strip = Strip { bytes, row, output, channels: outputs, taps: [kh, kw] };
            each(&strip, slots.ok_or(Error::Internal)?)?;
        }
    }
    Ok(())
}
