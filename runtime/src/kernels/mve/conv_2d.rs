//! Conv2D, row by row, three pixels at a time.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{NO_SUMS, PIXELS, Sums};
use crate::kernels::mve::level::Vector;
use crate::kernels::mve::matrix::Matrix;
use crate::kernels::mve::moves::Vectors;
use crate::kernels::portable::patches::Patches;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::{Io, Pair};
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`, one group.
pub fn int8<R: Vector>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let input = io.input_desc(0)?;
    let [batch, height, width, channels] = input.shape.dims4()?;
    let [_, kh, kw, _] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    let patches = Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point);
    let matrix = Matrix::<R>::new(io, patches.depth(), op.clamp)?;
    let mut sums = NO_SUMS;
    if patches.are_all_pixels() && width >= PIXELS {
        let pixels = batch.wrapping_mul(height).wrapping_mul(width);
        return all(&matrix, io.pair::<i8, i8>(0, 0)?, pixels, &mut sums);
    }
    let scratch = io.scratch::<i8>()?;
    by_rows::<i8>(io, &op.window, kh, |row| by_pixels(&matrix, &patches, scratch, &mut sums, row))
}

/// Pixels to pixels, whatever their rows. Groups no longer than a row keep apart in shared memory what rows would:
/// what is left to read and what has been written change linearly from group to group.
fn all<R: Vector>(matrix: &Matrix<'_, R>, mut pair: Pair<'_>, pixels: usize, sums: &mut Sums) -> Result<()> {
    let (channels, outputs) = (matrix.depth(), matrix.outputs());
    let descending = pair.descending();
    let mut done = 0usize;
    while done < pixels {
        let count = pixels.wrapping_sub(done).min(PIXELS);
        let start = if descending { pixels.wrapping_sub(done).wrapping_sub(count) } else { done };
        let end = start.wrapping_add(count);
        let (input, output) = pair.window::<i8, i8>(
            start.wrapping_mul(channels)..end.wrapping_mul(channels),
            start.wrapping_mul(outputs)..end.wrapping_mul(outputs),
        )?;
        let mut windows = [&[][..]; PIXELS];
        for (window, pixel) in windows.iter_mut().zip(input.chunks_exact(channels.max(1))) {
            *window = pixel;
        }
        matrix.pixels(windows.get(..count).unwrap_or(&[]), output, sums)?;
        done = done.wrapping_add(count);
    }
    Ok(())
}

/// A row of pixels, whose windows are laid out where they are more than a pixel.
fn by_pixels<R: Vector>(
    matrix: &Matrix<'_, R>,
    patches: &Patches,
    scratch: &mut [i8],
    sums: &mut Sums,
    mut row: Row<'_, i8>,
) -> Result<()> {
    let (outputs, depth) = (matrix.outputs(), matrix.depth().max(1));
    let band = patches.band(&row);
    let mut rest = core::mem::take(&mut row.output);
    let mut x = 0usize;
    while !rest.is_empty() {
        let most = outputs.wrapping_mul(PIXELS);
        let (pixels, after) = match rest.len() > most {
            true => rest.split_at_mut_checked(most).ok_or(Error::Internal)?,
            false => (rest, &mut [][..]),
        };
        let count = if after.is_empty() { pixels.len().checked_div(outputs).unwrap_or(0) } else { PIXELS };
        let mut windows = [&[][..]; PIXELS];
        if patches.are_pixels() {
            for (k, window) in windows.iter_mut().take(count).enumerate() {
                *window = patches.pixel(&row, x.wrapping_add(k))?;
            }
        } else {
            let scratch = scratch.get_mut(..depth.wrapping_mul(count)).ok_or(Error::TooSmall)?;
            patches.lay_out::<Vectors>(&band, row.input, x, scratch)?;
            for (window, patch) in windows.iter_mut().zip(scratch.chunks_exact(depth)) {
                *window = patch;
            }
        }
        matrix.pixels(windows.get(..count).unwrap_or(&[]), pixels, sums)?;
        rest = after;
        x = x.wrapping_add(count);
    }
    Ok(())
}
