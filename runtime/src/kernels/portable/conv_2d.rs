//! Conv2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::portable::dot::PIXELS;
use crate::kernels::portable::patches::{Patches, Plain};
use crate::kernels::portable::rows::Layer;
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`, one group.
pub fn int8<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let input = io.input_desc(0)?;
    let [_, height, width, channels] = input.shape.dims4()?;
    let [outputs, kh, kw, _] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    let patches = Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point);
    let layer = Layer::<R>::new(io, op.clamp)?;
    let scratch = io.scratch::<i8>()?;
    by_rows::<i8>(io, &op.window, kh, |row| by_pixels(&layer, &patches, scratch, row, outputs.max(1)))
}

#[inline(always)]
fn by_pixels<R: Scale>(
    layer: &Layer<'_, R>,
    patches: &Patches,
    scratch: &mut [i8],
    mut row: Row<'_, i8>,
    outputs: usize,
) -> Result<()> {
    let (depth, band) = (patches.depth(), patches.band(&row));
    let output = core::mem::take(&mut row.output);
    for (group, pixels) in output.chunks_mut(outputs.wrapping_mul(PIXELS).max(1)).enumerate() {
        let x = group.wrapping_mul(PIXELS);
        let (a, b) = pixels.split_at_mut_checked(outputs).ok_or(Error::Internal)?;
        let mut windows = [&[][..]; 2];
        let count = if b.is_empty() { 1 } else { 2 };
        if patches.are_pixels() {
            for (k, window) in windows.iter_mut().take(count).enumerate() {
                *window = patches.pixel(&row, x.wrapping_add(k))?;
            }
        } else {
            let scratch = scratch.get_mut(..depth.wrapping_mul(count)).ok_or(Error::TooSmall)?;
            patches.lay_out::<Plain>(&band, row.input, x, scratch)?;
            for (window, patch) in windows.iter_mut().zip(scratch.chunks_exact(depth.max(1))) {
                *window = patch;
            }
        }
        if b.is_empty() {
            layer.one(windows[0], a)?;
        } else {
            layer.two(windows, [a, b])?;
        }
    }
    Ok(())
}
