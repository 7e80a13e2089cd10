//! Convolutions and fully connected layers, a tile of output pixels after the other.

use crate::error::{Error, Result};
use crate::kernels::blocks::patches::{CHUNK, Copied, Patches};
use crate::kernels::blocks::tile::{PIXELS, Runs, Tile, next};
use crate::layout::QUAD;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;

/// Calls `each` with tiles of at most `most` pixels of all images, how many these are, and their outputs.
#[inline(always)]
pub fn conv_2d(
    io: &mut Io<'_>,
    op: &Conv2d,
    most: usize,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [outputs, kh, kw, _] = io.input_desc(1)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let zero = io.input_desc(0)?.zero_point as i8;
    let patches = Patches::new(op.window, [kh, kw], [height, width, channels], [oh, ow])?;
    let (input, output) = (io.input::<i8>(0)?, io.output::<i8>(0)?);
    let [sy, sx] = op.window.stride.map(usize::from);
    // Where the window of a pixel begins, in an image or a strip whose rows are `row` bytes.
    let start = |pixel: usize, row: usize| {
        let y = pixel.checked_div(ow).unwrap_or(0);
        y * sy * row + (pixel - y * ow) * sx * channels
    };
    if let (Patches::Direct(runs), [1, 1]) = (&patches, op.window.stride) {
        return tiles(input, *runs, [most, outputs], output, |pixel| pixel * channels, each);
    }
    let scratch = io.scratch::<i8>()?;
    let images = input.chunks_exact((height * width * channels).max(1));
    for (image, results) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))).take(batch) {
        let strips = match &patches {
            Patches::Direct(runs) => {
                let at = |pixel| start(pixel, width * channels);
                tiles(image, *runs, [most, outputs], results, at, &mut each)?;
                continue;
            }
            Patches::Strip(strips, _) | Patches::Copied(strips, _) => strips,
        };
        let (strip, patch) = scratch.split_at_mut_checked(strips.bytes()?).ok_or(Error::Internal)?;
        for [first, rows] in strips.iter() {
            strips.fill(image, zero, [first, rows], strip, |pixels, slots| {
                slots.copy_from_slice(pixels);
                Ok(())
            })?;
            let slots = results.get_mut(first * ow * outputs..(first + rows) * ow * outputs);
            let (slots, at) = (slots.ok_or(Error::Internal)?, |pixel| start(pixel, strips.row()));
            match &patches {
                Patches::Copied(_, copied) => {
                    copied_tiles(strip, patch, copied, [most, outputs], slots, at, &mut each)?;
                }
                Patches::Strip(_, runs) | Patches::Direct(runs) => {
                    tiles(strip, *runs, [most, outputs], slots, at, &mut each)?;
                }
            }
        }
    }
    Ok(())
}

/// As [`conv_2d`], for the rows of a matrix.
#[inline(always)]
pub fn fully_connected(
    io: &mut Io<'_>,
    most: usize,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let shape = io.input_desc(1)?.shape;
    let (outputs, depth) = (shape.dim(0), shape.dim(1));
    let (input, output) = (io.input::<i8>(0)?, io.output::<i8>(0)?);
    let runs = Runs { count: 1, stride: 0, length: depth };
    if depth % QUAD == 0 {
        return tiles(input, runs, [most, outputs], output, |row| row * depth, each);
    }
    let copied = Copied::row(depth)?;
    let (last, patch) = io.scratch::<i8>()?.split_at_mut_checked(copied.pixel).ok_or(Error::Internal)?;
    for (row, slots) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs.max(1))) {
        // Copying takes whole chunks.
        last.get_mut(..depth).ok_or(Error::Internal)?.copy_from_slice(row);
        copied_tiles(last, patch, &copied, [1, outputs], slots, |_| 0, &mut each)?;
    }
    Ok(())
}

/// Tiles of the pixels whose windows begin `at(pixel)`.
#[inline(always)]
fn tiles(
    bytes: &[i8],
    runs: Runs,
    [most, outputs]: [usize; 2],
    mut slots: &mut [i8],
    at: impl Fn(usize) -> usize,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let mut rest = slots.len().checked_div(outputs).unwrap_or(0);
    let mut pixel = 0;
    while rest > 0 {
        let count = next(rest, most);
        let starts: [usize; PIXELS] = core::array::from_fn(|k| at(pixel + if k < count { k } else { 0 }));
        let (now, later) = slots.split_at_mut_checked(count * outputs).ok_or(Error::Internal)?;
        each(&Tile::new(bytes, starts, runs)?, count, now)?;
        (slots, pixel, rest) = (later, pixel + count, rest - count);
    }
    Ok(())
}

/// As [`tiles`], of patches that are copied together from `strip`.
#[inline(always)]
fn copied_tiles(
    strip: &[i8],
    patch: &mut [i8],
    copied: &Copied,
    [most, outputs]: [usize; 2],
    mut slots: &mut [i8],
    at: impl Fn(usize) -> usize,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let mut rest = slots.len().checked_div(outputs).unwrap_or(0);
    let mut pixel = 0;
    while rest > 0 {
        let count = next(rest, most);
        for k in 0..count {
            let source = strip.get(at(pixel + k)..).ok_or(Error::Internal)?;
            gather(source, copied, patch.get_mut(k * copied.pixel..).ok_or(Error::Internal)?)?;
        }
        let starts: [usize; PIXELS] = core::array::from_fn(|k| if k < count { k * copied.pixel } else { 0 });
        let runs = Runs { count: 1, stride: 0, length: copied.depth };
        let (now, later) = slots.split_at_mut_checked(count * outputs).ok_or(Error::Internal)?;
        each(&Tile::new(patch, starts, runs)?, count, now)?;
        (slots, pixel, rest) = (later, pixel + count, rest - count);
    }
    Ok(())
}

/// Copies the runs of one pixel side by side, in chunks that may go beyond the last: what follows is overwritten by the
/// next pixel, or meets weights of zero.
#[inline(always)]
fn gather(source: &[i8], copied: &Copied, patch: &mut [i8]) -> Result<()> {
    let Copied { down, across, length, .. } = *copied;
    let mut to = 0;
    for y in 0..down.0 {
        for x in 0..across.0 {
            let from = y * down.1 + x * across.1;
            let mut done = 0;
            while done < length {
                let chunk = source.get(from + done..).and_then(<[i8]>::first_chunk::<CHUNK>);
                let slot = patch.get_mut(to + done..).and_then(<[i8]>::first_chunk_mut::<CHUNK>);
                *slot.ok_or(Error::Internal)? = *chunk.ok_or(Error::Internal)?;
                done += CHUNK;
            }
            to += length;
        }
    }
    Ok(())
}
