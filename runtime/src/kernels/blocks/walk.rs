//! Convolutions and fully connected layers, a field of output pixels after the other.

use crate::error::{Error, Result};
use crate::kernels::blocks::gather::gather;
use crate::kernels::blocks::patches::{Copied, Patches};
use crate::kernels::blocks::strip::Strips;
use crate::kernels::blocks::tile::{Field, Grid, Runs};
use crate::layout::QUAD;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;

/// Calls `each` with fields of pixels of all images and their outputs.
#[inline(always)]
pub fn conv_2d(
    io: &mut Io<'_>,
    op: &Conv2d,
    mut each: impl FnMut(&Field<'_>, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [outputs, kh, kw, _] = io.input_desc(1)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let zero = io.input_desc(0)?.zero_point as i8;
    let patches = Patches::new(op.window, [kh, kw], [height, width, channels], [oh, ow])?;
    let (input, output) = (io.input::<i8>(0)?, io.output::<i8>(0)?);
    let [sy, sx] = op.window.stride.map(usize::from);
    if let (Patches::Direct(runs), [1, 1]) = (&patches, op.window.stride) {
        return each(&Field::new(input, Grid::row(batch * oh * ow, channels), *runs)?, output);
    }
    let scratch = io.scratch::<i8>()?;
    let images = input.chunks_exact((height * width * channels).max(1));
    for (image, results) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))).take(batch) {
        // Where windows of an image or a strip begin, whose rows are `row` bytes.
        let grid = |rows: usize, row: usize| Grid { size: [rows, ow], apart: [sy * row, sx * channels] };
        let strips = match &patches {
            Patches::Direct(runs) => {
                each(&Field::new(image, grid(oh, width * channels), *runs)?, results)?;
                continue;
            }
            Patches::Strip(strips, _) | Patches::Copied(strips, _) => strips,
        };
        let (strip, patch) = scratch.split_at_mut_checked(strips.bytes()?).ok_or(Error::Internal)?;
        for [first, rows] in strips.iter() {
            fill(strips, image, zero, [first, rows], strip)?;
            let slots = results.get_mut(first * ow * outputs..(first + rows) * ow * outputs);
            let (slots, grid) = (slots.ok_or(Error::Internal)?, grid(rows, strips.row()));
            match &patches {
                Patches::Copied(_, copied) => {
                    copied_fields(strip, patch, copied, grid, outputs, slots, &mut each)?;
                }
                Patches::Strip(_, runs) | Patches::Direct(runs) => {
                    each(&Field::new(strip, grid, *runs)?, slots)?;
                }
            }
        }
    }
    Ok(())
}

/// Copies what a strip's outputs read.
#[inline(never)]
fn fill(strips: &Strips, image: &[i8], zero: i8, rows: [usize; 2], strip: &mut [i8]) -> Result<()> {
    strips.fill(image, zero, rows, strip, |pixels, slots| {
        slots.copy_from_slice(pixels);
        Ok(())
    })
}

/// As [`conv_2d`], for the rows of a matrix.
#[inline(always)]
pub fn fully_connected(
    io: &mut Io<'_>,
    mut each: impl FnMut(&Field<'_>, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let shape = io.input_desc(1)?.shape;
    let (outputs, depth) = (shape.dim(0), shape.dim(1));
    let (input, output) = (io.input::<i8>(0)?, io.output::<i8>(0)?);
    if depth % QUAD == 0 {
        let rows = output.len().checked_div(outputs).unwrap_or(0);
        let runs = Runs { count: 1, stride: 0, length: depth };
        return each(&Field::new(input, Grid::row(rows, depth), runs)?, output);
    }
    let copied = Copied::row(depth)?;
    let (last, patch) = io.scratch::<i8>()?.split_at_mut_checked(copied.pixel).ok_or(Error::Internal)?;
    for (row, slots) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs.max(1))) {
        // Copying takes whole chunks.
        last.get_mut(..depth).ok_or(Error::Internal)?.copy_from_slice(row);
        copied_fields(last, patch, &copied, Grid::row(1, 0), outputs, slots, &mut each)?;
    }
    Ok(())
}

/// Calls `each` with fields of patches that are copied together from the windows of `grid` in `strip`.
#[inline(always)]
fn copied_fields(
    strip: &[i8],
    patch: &mut [i8],
    copied: &Copied,
    grid: Grid,
    outputs: usize,
    mut slots: &mut [i8],
    mut each: impl FnMut(&Field<'_>, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let runs = Runs { count: 1, stride: 0, length: copied.depth };
    let ([rows, width], [down, step]) = (grid.size, grid.apart);
    // As many rows as fit, else parts of one.
    let high = copied.pixels.checked_div(width).unwrap_or(0).max(1);
    for y in (0..rows).step_by(high) {
        let high = high.min(rows - y);
        for first in (0..width).step_by(copied.pixels.max(1)) {
            let wide = copied.pixels.min(width - first);
            for row in 0..high {
                // What copying a row writes beyond it is overwritten by the next.
                let patch = patch.get_mut(row * wide * copied.pixel..).ok_or(Error::Internal)?;
                gather(strip, (y + row) * down + first * step, [wide, step], copied, patch)?;
            }
            let count = high * wide;
            let (now, later) = slots.split_at_mut_checked(count * outputs).ok_or(Error::Internal)?;
            each(&Field::new(patch, Grid::row(count, copied.pixel), runs)?, now)?;
            slots = later;
        }
    }
    Ok(())
}
