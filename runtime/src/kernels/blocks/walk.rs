//! Convolutions and fully connected layers, a tile of output pixels after the other.

use crate::error::{Error, Result};
use crate::kernels::blocks::gather::gather;
use crate::kernels::blocks::patches::{Copied, Patches};
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
    // Where the windows of an image or a strip begin, whose rows are `row` bytes.
    let starts = |row: usize| Starts { at: 0, row: 0, x: 0, width: ow, step: sx * channels, down: sy * row };
    if let (Patches::Direct(runs), [1, 1]) = (&patches, op.window.stride) {
        return tiles(input, *runs, [most, outputs], output, Starts::even(channels), each);
    }
    let scratch = io.scratch::<i8>()?;
    let images = input.chunks_exact((height * width * channels).max(1));
    for (image, results) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))).take(batch) {
        let strips = match &patches {
            Patches::Direct(runs) => {
                tiles(image, *runs, [most, outputs], results, starts(width * channels), &mut each)?;
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
            let (slots, starts) = (slots.ok_or(Error::Internal)?, starts(strips.row()));
            match &patches {
                Patches::Copied(_, copied) => {
                    copied_tiles(strip, patch, copied, [most, outputs], slots, starts, &mut each)?;
                }
                Patches::Strip(_, runs) | Patches::Direct(runs) => {
                    tiles(strip, *runs, [most, outputs], slots, starts, &mut each)?;
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
        return tiles(input, runs, [most, outputs], output, Starts::even(depth), each);
    }
    let copied = Copied::row(depth)?;
    let (last, patch) = io.scratch::<i8>()?.split_at_mut_checked(copied.pixel).ok_or(Error::Internal)?;
    for (row, slots) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs.max(1))) {
        // Copying takes whole chunks.
        last.get_mut(..depth).ok_or(Error::Internal)?.copy_from_slice(row);
        copied_tiles(last, patch, &copied, [1, outputs], slots, Starts::even(0), &mut each)?;
    }
    Ok(())
}

/// Where the windows of one pixel after the other begin.
struct Starts {
    at: usize,
    row: usize,
    x: usize,
    width: usize,
    step: usize,
    down: usize,
}

impl Starts {
    /// All at the same distance.
    fn even(step: usize) -> Self {
        Starts { at: 0, row: 0, x: 0, width: usize::MAX, step, down: 0 }
    }

    /// Of the next `count` pixels; those beyond repeat the first.
    #[inline(always)]
    fn take(&mut self, count: usize) -> [usize; PIXELS] {
        let first = self.at;
        let mut begins = [first; PIXELS];
        if count < self.width - self.x {
            // All in one row, and more to come.
            for (k, slot) in begins.iter_mut().enumerate() {
                *slot = first.wrapping_add(if k < count { k * self.step } else { 0 });
            }
            (self.x, self.at) = (self.x + count, first.wrapping_add(count * self.step));
            return begins;
        }
        for slot in begins.iter_mut().take(count) {
            *slot = self.at;
            self.x += 1;
            self.at = self.at.wrapping_add(self.step);
            if self.x == self.width {
                self.row = self.row.wrapping_add(self.down);
                (self.x, self.at) = (0, self.row);
            }
        }
        begins
    }
}

/// Tiles of pixels whose windows lie in `bytes`.
#[inline(always)]
fn tiles(
    bytes: &[i8],
    runs: Runs,
    [most, outputs]: [usize; 2],
    mut slots: &mut [i8],
    mut starts: Starts,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let mut rest = slots.len().checked_div(outputs).unwrap_or(0);
    while rest > 0 {
        let count = next(rest, most);
        let begins = starts.take(count);
        let (now, later) = slots.split_at_mut_checked(count * outputs).ok_or(Error::Internal)?;
        each(&Tile::new(bytes, begins, runs)?, count, now)?;
        (slots, rest) = (later, rest - count);
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
    mut starts: Starts,
    mut each: impl FnMut(&Tile<'_>, usize, &mut [i8]) -> Result<()>,
) -> Result<()> {
    let mut rest = slots.len().checked_div(outputs).unwrap_or(0);
    let runs = Runs { count: 1, stride: 0, length: copied.depth };
    // All of a tile's, whether or not there are as many pixels: they are there to be read.
    let copies: [usize; PIXELS] = [0, 1, 2, 3, 4, 5].map(|k| k * copied.pixel);
    while rest > 0 {
        let count = next(rest, most);
        let begins = starts.take(count);
        gather(strip, begins.get(..count).ok_or(Error::Internal)?, copied, patch)?;
        let (now, later) = slots.split_at_mut_checked(count * outputs).ok_or(Error::Internal)?;
        each(&Tile::new(patch, copies, runs)?, count, now)?;
        (slots, rest) = (later, rest - count);
    }
    Ok(())
}
