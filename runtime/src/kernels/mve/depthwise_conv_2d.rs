//! DepthwiseConv2D, row by row, up to three pixels at a time.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{NO_SUMS, PIXELS, Sums};
use crate::kernels::mve::filters::{Filters, Steps};
use crate::kernels::mve::level::Vector;
use crate::kernels::mve::moves::Vectors;
use crate::kernels::portable::depthwise_conv_2d as portable;
use crate::kernels::portable::patches::Patches;
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::scratch::CHANNELS as LAID_OUT;
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`. Channels that do not come in eights of their own input channels are left to portable code.
pub fn int8<R: Vector + Scale>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let input = io.input_desc(0)?;
    let [_, height, width, channels] = input.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    if outputs != channels || channels & 7 != 0 {
        return portable::int8::<R>(attributes, io, cx);
    }
    let [dy, dx] = op.window.dilation;
    let column = channels.wrapping_mul(dx as usize);
    let row = width.wrapping_mul(channels).wrapping_mul(dy as usize);
    let patches = Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point);
    let filters = Filters::<R>::new(io, [kh, kw], op.clamp)?;
    let steps = filters.steps(column, row)?;
    let scratch = io.scratch::<i8>()?;
    let mut sums = NO_SUMS;
    by_rows::<i8>(io, &op.window, kh, |row| by_pixels(&filters, &patches, &steps, scratch, &mut sums, row))
}

/// A row of pixels. Windows that reach into the padding are laid out, some channels at a time.
fn by_pixels<R: Vector>(
    filters: &Filters<'_, R>,
    patches: &Patches,
    steps: &Steps,
    scratch: &mut [i8],
    sums: &mut Sums,
    mut row: Row<'_, i8>,
) -> Result<()> {
    let channels = filters.channels();
    let band = patches.band(&row);
    let mut rest = core::mem::take(&mut row.output);
    let mut x = 0usize;
    while !rest.is_empty() {
        // As many pixels as have their whole window in the image, else one.
        let most = rest.len().checked_div(channels).unwrap_or(0);
        let mut windows = [&[][..]; PIXELS];
        let mut count = 0usize;
        for window in windows.iter_mut().take(most) {
            let Some(at) = patches.whole(&band, x.wrapping_add(count)) else { break };
            *window = row.input.get(at..).ok_or(Error::Internal)?;
            count = count.wrapping_add(1);
        }
        let size = channels.wrapping_mul(count.max(1));
        let (pixels, after) = rest.split_at_mut_checked(size).ok_or(Error::Internal)?;
        if count > 0 {
            filters.pixels(steps, windows.get(..count).unwrap_or(&[]), pixels, sums)?;
        } else {
            let mut first = 0usize;
            for part in pixels.chunks_mut(LAID_OUT) {
                let end = first.wrapping_add(part.len());
                let patch =
                    scratch.get_mut(..patches.taps().wrapping_mul(part.len())).ok_or(Error::TooSmall)?;
                patches.lay_out_part::<Vectors>(&band, row.input, x, first..end, patch)?;
                filters.part(patch, first, part, sums)?;
                first = end;
            }
        }
        rest = after;
        x = x.wrapping_add(count.max(1));
    }
    Ok(())
}
