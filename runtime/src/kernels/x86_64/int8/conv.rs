//! Conv2D, and FullyConnected of several rows: strips of the input are copied, then multiplied tile by tile.
#![allow(unsafe_code)]

use super::channels::Channels;
use super::cover::{Cover, Runs};
use super::rescale::{Finish, Rescale};
use super::rows::{OFFSET, offset, padded};
use super::simd::{LANES, Simd};
use super::tile::{Taps, Tiles, tiles};
use super::vector::Pixel;
use crate::error::{Error, Result};
use crate::ops::attr::Clamp;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::strips::{Form, Strips};
use crate::ops::op::Op;

/// Conv2D.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn conv_2d<S: Simd, R: Rescale>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let strips = Strips::conv_2d(&op, io.input_desc(0)?, io.input_desc(WEIGHTS)?, io.output_desc(0)?)?;
    let end = Finish::new(io, op.clamp)?;
    // SAFETY: the caller's.
    unsafe {
        if R::HAS_RELU && end.is_relu() {
            layer::<S, R, true>(io, &strips, end)
        } else {
            layer::<S, R, false>(io, &strips, end)
        }
    }
}

/// Weights, constants and what follows the sums.
struct Layer<'a, R: Rescale> {
    weights: &'a [i8],
    channels: Channels<'a, R>,
    outputs: usize,
    end: Finish,
}

impl Finish {
    /// Of output 0 and a fused activation.
    pub(super) fn new(io: &Io<'_>, clamp: Clamp) -> Result<Self> {
        let (low, high) = clamp.as_i32();
        Ok(Finish { zero_point: io.output_desc(0)?.zero_point, low: low as i8, high: high as i8 })
    }
}

/// Any layer whose strips these are.
#[inline(always)]
pub(super) unsafe fn layer<S: Simd, R: Rescale, const RELU: bool>(
    io: &mut Io<'_>,
    s: &Strips,
    end: Finish,
) -> Result<()> {
    let [height, width, depth] = s.input;
    let [kh, kw] = s.taps;
    let [oh, ow, outputs] = s.output;
    let mut layer = Layer::<R> { weights: io.input(WEIGHTS)?, channels: Channels::new(io)?, outputs, end };
    let fill = io.input_desc(0)?.zero_point as u8 ^ OFFSET;
    let input = io.input::<u8>(0)?;
    let output = io.output::<u8>(0)?;
    let (copied, patches) = io.scratch::<u8>()?.split_at_mut_checked(s.copied).ok_or(Error::Internal)?;
    if s.form == Form::Pixels {
        let taps = Taps { step: depth, rows: 1, row_step: 0, quads: depth / 4, columns: 0 };
        let strips = input.chunks(s.row.max(1)).zip(output.chunks_mut((s.rows * outputs).max(1)));
        for (levels, slots) in strips {
            offset(levels, copied);
            let pixels = levels.len().checked_div(depth).ok_or(Error::Internal)?;
            let (x, taps) = match s.patch {
                0 => (&*copied, taps),
                patch => {
                    for (from, to) in
                        copied.chunks_exact(depth.max(1)).zip(patches.chunks_exact_mut(patch)).take(pixels)
                    {
                        to.get_mut(..depth).ok_or(Error::Internal)?.copy_from_slice(from);
                    }
                    (&*patches, Taps { step: patch, quads: patch / 4, ..taps })
                }
            };
            // SAFETY: the caller's.
            unsafe { layer.runs::<S, RELU>(x, &taps, Runs { count: 1, step: 0, pixels }, slots)? };
        }
        return Ok(());
    }
    let [stride_y, stride_x] = s.window.stride.map(usize::from);
    let [top, left, ..] = s.window.pad.map(usize::from);
    let step = stride_x * depth;
    let columns = if stride_x == 1 && s.filled == 0 && depth % 4 == 0 { kw } else { 0 };
    let mut direct =
        Taps { step: s.together * step, rows: kh, row_step: s.row, quads: kw * depth / 4, columns };
    // There is room for one or the other.
    let (again, patches) = patches.split_at_mut(if s.filled > 0 { patches.len() } else { 0 });
    if s.filled > 0 {
        direct.quads = s.filled;
        // SAFETY: the caller's.
        unsafe {
            refill::<S>(layer.weights, [kh, kw * depth], outputs, [s.filled, s.together, step], again)?
        };
        layer.weights = bytemuck::cast_slice(again);
    }
    let mut room = Default::default();
    if s.together > 1 {
        layer.channels = layer.channels.repeated(outputs, &mut room);
        layer.outputs = s.together * outputs;
    }
    let images = input.chunks_exact((height * width * depth).max(1)).take(s.batch);
    for (image, output) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))) {
        for (strip, slots) in output.chunks_mut((s.rows * ow * outputs).max(1)).enumerate() {
            let rows = slots.len().checked_div(ow * outputs).ok_or(Error::Internal)?;
            let first = strip * s.rows * stride_y;
            let count = s.padded - (s.rows - rows) * stride_y;
            let to = copied.get_mut(..count * s.row).ok_or(Error::Internal)?;
            if kh < stride_y && s.patch == 0 {
                // Rows between the windows are not read.
                for (y, to) in to.chunks_mut((stride_y * s.row).max(1)).enumerate() {
                    let to = to.get_mut(..kh * s.row).ok_or(Error::Internal)?;
                    padded(image, [width, depth], [first + y * stride_y, top, left], fill, to, s.row)?;
                }
            } else {
                padded(image, [width, depth], [first, top, left], fill, to, s.row)?;
            }
            // SAFETY: the caller's.
            unsafe {
                if s.patch == 0 {
                    let runs = Runs { count: rows, step: stride_y * s.row, pixels: ow / s.together };
                    layer.runs::<S, RELU>(copied, &direct, runs, slots)?;
                } else {
                    gather(copied, s, rows, patches)?;
                    let taps = Taps { step: s.patch, rows: 1, row_step: 0, quads: s.patch / 4, columns: 0 };
                    let runs = Runs { count: 1, step: 0, pixels: rows * ow };
                    layer.runs::<S, RELU>(patches, &taps, runs, slots)?;
                }
            }
        }
    }
    Ok(())
}

/// Lays weights of `rows` rows of `length` taps out again, every row filled up with zeros to `quads` groups of four. For
/// `together` pixels whose taps lie `step` bytes apart, each pixel's channels follow the last one's.
#[inline(always)]
unsafe fn refill<S: Simd>(
    weights: &[i8],
    [rows, length]: [usize; 2],
    outputs: usize,
    [quads, together, step]: [usize; 3],
    to: &mut [u8],
) -> Result<()> {
    const VECTOR: usize = 4 * LANES;
    let own = (rows * length).div_ceil(4);
    let blocks = outputs.div_ceil(LANES);
    // The last pixel's vectors go beyond their end.
    let room = blocks * rows * quads * VECTOR + (together - 1) * outputs * 4;
    if weights.len() < blocks * own * VECTOR || to.len() < room {
        return Err(Error::Internal);
    }
    for at in 0..blocks * rows * quads {
        let (block, row, quad) = (at / quads / rows, at / quads % rows, at % quads);
        for pixel in 0..together {
            // Of the four bytes those of the row's taps, the first of which may be before it.
            let first = (4 * quad) as isize - (pixel * step) as isize;
            let inside = |byte: isize| (0..length as isize).contains(&(first + byte));
            let mask =
                (0..4).fold(0u32, |mask, byte| if inside(byte) { mask | 0xFF << (8 * byte) } else { mask });
            let first = (row * length) as isize + first;
            let (word, byte) = (first.div_euclid(4), 8 * first.rem_euclid(4) as i32);
            // SAFETY: of the block's vectors those that are there; there is room, as just seen. What a vector writes
            // beyond its own is zero, and written again.
            unsafe {
                let w = weights.as_ptr().add(block * own * VECTOR);
                let vector = |word: isize| match usize::try_from(word) {
                    Ok(word) if word < own => S::load(w.add(word * VECTOR).cast()),
                    _ => S::splat(0),
                };
                let low = S::srl(vector(word), S::splat(byte));
                let both =
                    if byte == 0 { low } else { S::or(low, S::sll(vector(word + 1), S::splat(32 - byte))) };
                let slot = to.as_mut_ptr().add(at * VECTOR + pixel * outputs * 4);
                S::put(slot.cast(), S::and(both, S::splat(mask as i32)));
            }
        }
    }
    Ok(())
}

/// Makes patches of the taps under the windows of so many output rows.
#[inline(always)]
fn gather(rows: &[u8], s: &Strips, count: usize, patches: &mut [u8]) -> Result<()> {
    let [kh, kw] = s.taps;
    let depth = s.input[2];
    let [stride_y, stride_x] = s.window.stride.map(usize::from);
    let [down, along] = s.window.dilation.map(usize::from);
    // Taps side by side are one piece.
    let (pieces, length, step) = if along == 1 { (1, kw * depth, 0) } else { (kw, depth, along * depth) };
    for y in 0..count {
        for x in 0..s.output[1] {
            let mut to = (y * s.output[1] + x) * s.patch;
            for ky in 0..kh {
                let mut from = (y * stride_y + ky * down) * s.row + x * stride_x * depth;
                for _ in 0..pieces {
                    copy(rows, from, patches, to, length)?;
                    (from, to) = (from + step, to + length);
                }
            }
        }
    }
    Ok(())
}

/// Copies at least `length` bytes; what follows them in `to` is written later.
#[inline(always)]
fn copy(from: &[u8], mut at: usize, to: &mut [u8], mut slot: usize, length: usize) -> Result<()> {
    let end = at + length;
    while at < end {
        let piece = from.get(at..).and_then(|f| f.first_chunk::<16>()).ok_or(Error::Internal)?;
        *to.get_mut(slot..).and_then(|t| t.first_chunk_mut::<16>()).ok_or(Error::Internal)? = *piece;
        (at, slot) = (at + 16, slot + 16);
    }
    Ok(())
}

impl<R: Rescale> Layer<'_, R> {
    /// All output channels of runs of pixels.
    #[inline(always)]
    unsafe fn runs<S: Simd, const RELU: bool>(
        &self,
        x: &[u8],
        taps: &Taps,
        runs: Runs,
        output: &mut [u8],
    ) -> Result<()> {
        let blocks = self.outputs.div_ceil(LANES);
        let last = runs.count.checked_sub(1).ok_or(Error::Internal)? * runs.step;
        // What the pointers below rely on.
        let fits = taps.rows > 0
            && taps.quads > 0
            && x.len() >= last + taps.reach(runs.pixels)
            && self.weights.len() >= blocks * taps.block()
            && output.len() >= runs.count * runs.pixels * self.outputs;
        if !fits {
            return Err(Error::Internal);
        }
        if runs.count * runs.pixels == 1 {
            let (channels, end) = (&self.channels, &self.end);
            let pixel = Pixel { x: x.as_ptr(), taps: *taps, w: self.weights.as_ptr(), channels, end };
            // SAFETY: the slices are long enough, as just seen.
            unsafe { S::pixel::<R, RELU>(&pixel, output) };
            return Ok(());
        }
        let most = S::BLOCKS.min(blocks);
        let mut cover = Cover::new::<S>(&runs, most);
        let mut block = 0;
        while block < blocks {
            let together = most.min(blocks - block);
            if together < most {
                cover = Cover::new::<S>(&runs, together);
            }
            let first = block * LANES;
            // SAFETY: the slices are long enough, as just seen.
            unsafe {
                let one = self.channels.block::<S, RELU>(first);
                let two = if together == 1 { one } else { self.channels.block::<S, RELU>(first + LANES) };
                let mut t = Tiles {
                    x: x.as_ptr(),
                    taps: *taps,
                    w: self.weights.as_ptr().add(block * taps.block()),
                    runs,
                    of: [one, two],
                    to: output.as_mut_ptr().add(first),
                    outputs: self.outputs,
                    count: (self.outputs - first).min(together * LANES),
                    channels: &self.channels,
                    first,
                    end: &self.end,
                };
                tiles::<S, R, RELU>(&mut t, together, &cover);
            }
            block += together;
        }
        Ok(())
    }
}
