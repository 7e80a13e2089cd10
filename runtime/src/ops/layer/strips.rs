//! What kernels of [`kernel::DOT_OFFSET`](super::kernel::DOT_OFFSET) copy of an input before they multiply: strips of
//! rows, padded, with 128 added to every level, and where taps do not lie in groups of four, patches made of them.
//! Packager, loader and kernels take the bytes of scratch from here.

use crate::error::{Error, Result};
use crate::layout::{BLOCK, QUAD};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::window::Window;
use crate::tensor::Desc;

/// What a strip should stay below, so that it, its weights and its output fit a processor's first cache.
const BUDGET: usize = 16 << 10;
/// The same for interleaved rows.
const INTERLEAVED: usize = 24 << 10;
/// Columns of up to four taps that kernels of depthwise convolutions keep in registers.
pub const KEPT: usize = 3;
/// Vectors are read and written whole: so many bytes beyond the last one.
pub const SLACK: usize = 64;

/// How taps are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Pixels one after the other, each under a window of its own size: all images as one row.
    Pixels,
    /// Rows of taps under a window, each a number of groups of four.
    Rows,
}

/// A convolution's strips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strips {
    /// How taps are found.
    pub form: Form,
    /// Images.
    pub batch: usize,
    /// Input height, width and channels.
    pub input: [usize; 3],
    /// Window height and width in taps.
    pub taps: [usize; 2],
    /// Output height, width and channels.
    pub output: [usize; 3],
    /// Strides, dilations and padding.
    pub window: Window,
    /// Output rows of a strip; with [`Form::Pixels`] pixels.
    pub rows: usize,
    /// Bytes of a padded row.
    pub row: usize,
    /// Padded rows of a strip.
    pub padded: usize,
    /// Bytes of all padded rows, [`SLACK`] included.
    pub copied: usize,
    /// Bytes of a pixel's patch, or 0 where taps are read from the rows.
    pub patch: usize,
    /// Groups of four bytes of a row of taps where the weights are laid out again with every row of taps filled up to such
    /// groups, so that no patches are needed; else 0.
    pub filled: usize,
    /// Neighbouring pixels that are computed as one with the channels of all: where channels are few, they fill vectors
    /// together, and share taps. Weights are laid out again for that, too.
    pub together: usize,
    /// Bytes of scratch.
    pub bytes: usize,
}

fn limit(n: Option<usize>) -> Result<usize> {
    n.ok_or(Error::Limit)
}

/// Taps from the first one to the last one of a window.
fn reach(taps: usize, dilation: u16) -> Result<usize> {
    limit(taps.checked_sub(1).and_then(|n| n.checked_mul(dilation as usize)).and_then(|n| n.checked_add(1)))
}

/// Pixels of a row of `width` whose `outputs` channels fill a block of sixteen, or nearly.
fn together(outputs: usize, width: usize) -> usize {
    let most = BLOCK.checked_div(outputs).unwrap_or(1).max(1).ilog2();
    1 << most.min(width.trailing_zeros())
}

impl Strips {
    /// Of a convolution without groups.
    pub fn conv_2d(op: &Conv2d, x: &Desc, weights: &Desc, y: &Desc) -> Result<Self> {
        if op.groups != 1 {
            return Err(Error::NoKernel);
        }
        let [batch, height, width, channels] = x.shape.dims4()?;
        let [outputs, kh, kw, _] = weights.shape.dims4()?;
        let [_, oh, ow, _] = y.shape.dims4()?;
        let w = &op.window;
        if [kh, kw] == [1, 1] && w.stride == [1, 1] && w.pad == [0; 4] {
            let pixels = limit(batch.checked_mul(height).and_then(|n| n.checked_mul(width)))?;
            return Strips::pixels(pixels, channels, outputs);
        }
        let row_taps = limit(kw.checked_mul(channels))?;
        let is_row = w.dilation == [1, 1];
        // Worth it where more is multiplied than laid out.
        let is_large = oh.saturating_mul(ow) >= 64;
        let quads = row_taps.div_ceil(QUAD);
        let together = if is_row && is_large { together(outputs, ow) } else { 1 };
        let shared = limit((together - 1).checked_mul(w.stride[1] as usize))?;
        let shared =
            limit(shared.checked_mul(channels).and_then(|n| n.checked_add(row_taps)))?.div_ceil(QUAD);
        let (together, quads) =
            if shared < quads.saturating_mul(together) { (together, shared) } else { (1, quads) };
        let is_direct = is_row && row_taps & 3 == 0 && together == 1;
        let is_filled = is_row && is_large && !is_direct;
        let filled = if is_filled { quads } else { 0 };
        let patch = if is_direct || is_filled {
            0
        } else {
            limit(row_taps.checked_mul(kh).and_then(|n| n.checked_next_multiple_of(4)))?
        };
        let padded = limit(ow.checked_sub(1).and_then(|n| n.checked_mul(w.stride[1] as usize)))?;
        let row = limit(padded.checked_add(reach(kw, w.dilation[1])?))?;
        let row = limit(row.checked_mul(channels))?;
        let per_row = limit(ow.checked_mul(patch))?.max(limit(row.checked_mul(w.stride[0] as usize))?);
        let strips = Strips {
            form: Form::Rows,
            batch,
            input: [height, width, channels],
            taps: [kh, kw],
            output: [oh, ow, outputs],
            window: *w,
            rows: BUDGET.checked_div(per_row).unwrap_or(1).clamp(1, oh.max(1)),
            row,
            padded: 0,
            copied: 0,
            patch,
            filled,
            together,
            bytes: 0,
        };
        let down = limit(strips.rows.checked_sub(1).and_then(|n| n.checked_mul(w.stride[0] as usize)))?;
        strips.measured(
            limit(down.checked_add(reach(kh, w.dilation[0])?))?,
            limit(strips.rows.checked_mul(ow))?,
        )
    }

    /// Of a fully connected layer.
    pub fn fully_connected(x: &Desc, weights: &Desc) -> Result<Self> {
        let (outputs, depth) = (weights.shape.dim(0), weights.shape.dim(1));
        Strips::pixels(limit(x.shape.elements().checked_div(depth))?, depth, outputs)
    }

    /// Of `pixels` pixels of `depth` channels that are multiplied each by itself, as a fully connected layer does.
    pub fn pixels(pixels: usize, depth: usize, outputs: usize) -> Result<Self> {
        let patch = if depth & 3 == 0 { 0 } else { limit(depth.checked_next_multiple_of(4))? };
        let rows = BUDGET.checked_div(depth).unwrap_or(1).clamp(24, pixels.max(24)).min(pixels.max(1));
        let strips = Strips {
            form: Form::Pixels,
            batch: 1,
            input: [1, pixels, depth],
            taps: [1, 1],
            output: [1, pixels, outputs],
            window: Window::UNIT,
            rows,
            row: limit(rows.checked_mul(depth))?,
            padded: 0,
            copied: 0,
            patch,
            filled: 0,
            together: 1,
            bytes: 0,
        };
        strips.measured(1, rows)
    }

    /// With the bytes of `padded` rows and of patches of `pixels`.
    fn measured(self, padded: usize, pixels: usize) -> Result<Self> {
        let copied = self.row.checked_mul(padded).and_then(|n| n.checked_add(SLACK));
        let copied = limit(copied.and_then(|n| n.checked_next_multiple_of(SLACK)))?;
        let patches = match self.patch {
            0 => 0,
            patch => limit(pixels.checked_mul(patch).and_then(|n| n.checked_add(SLACK)))?,
        };
        let blocks = self.output[2].div_ceil(BLOCK);
        let weights = self.filled.checked_mul(self.taps[0]).and_then(|n| n.checked_mul(blocks));
        let weights = weights.and_then(|n| n.checked_mul(BLOCK * QUAD));
        let weights = limit(weights.and_then(|n| n.checked_add(if self.together > 1 { SLACK } else { 0 })))?;
        let bytes = copied.checked_add(patches).and_then(|n| n.checked_add(weights));
        Ok(Strips { padded, copied, bytes: limit(bytes)?, ..self })
    }
}

/// How a depthwise convolution's taps lie in memory: four rows are interleaved, so that 32 bits are a column of four taps
/// of one channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planes {
    /// Images.
    pub batch: usize,
    /// Input height, width and channels.
    pub input: [usize; 3],
    /// Window height and width in taps.
    pub taps: [usize; 2],
    /// Output height, width and channels.
    pub output: [usize; 3],
    /// Strides, dilations and padding.
    pub window: Window,
    /// Whether pixels are a number of 64 bytes, which may then be in any order.
    pub is_split: bool,
    /// Whether rows are interleaved as they are in the input, or two phases of them, which are told apart on the way.
    /// Else they are copied with columns sorted, and every channel repeated by the multiplier.
    pub is_direct: bool,
    /// Columns of a row; of one phase, where there are several.
    pub columns: usize,
    /// Columns are sorted by their number modulo the stride, so that taps of neighbouring outputs are neighbours: so many
    /// remainders occur; 1 where they are not sorted.
    pub phases: usize,
    /// Columns of padding on the left; where phases are told apart, an even number, so that the input's own begin at the
    /// same place of both.
    pub left: usize,
    /// Bytes of a padded row, a multiple of 64.
    pub row: usize,
    /// Output rows of a strip, whose input rows are copied together.
    pub rows: usize,
    /// Padded rows of a strip.
    pub padded: usize,
    /// Bytes of all copied rows, [`SLACK`] included; a row of padding where none are copied.
    pub copied: usize,
    /// Groups of four rows of taps, the last one perhaps short.
    pub groups: usize,
    /// Output rows that the same interleaved rows serve.
    pub shared: usize,
    /// How many times so many rows are interleaved before outputs are made of them.
    pub kept: usize,
    /// Bytes of the interleaved rows, [`SLACK`] included.
    pub interleaved: usize,
    /// Bytes of the weights that 64 lanes meet; 0 where they stay in registers.
    pub arranged: usize,
    /// Bytes of scratch.
    pub bytes: usize,
}

impl Planes {
    /// Of a depthwise convolution.
    pub fn new(op: &DepthwiseConv2d, x: &Desc, weights: &Desc, y: &Desc) -> Result<Self> {
        let [batch, height, width, channels] = x.shape.dims4()?;
        let [_, kh, kw, outputs] = weights.shape.dims4()?;
        let [_, oh, ow, _] = y.shape.dims4()?;
        let w = &op.window;
        let stride = [w.stride[0] as usize, w.stride[1] as usize];
        let padded = limit(ow.checked_sub(1).and_then(|n| n.checked_mul(stride[1])))?;
        let padded = limit(padded.checked_add(reach(kw, w.dilation[1])?))?;
        let is_split = channels == outputs && outputs & 63 == 0;
        let is_apart = channels == outputs && stride[1] == 2 && padded > 1 && matches!(channels, 8 | 16 | 32);
        let phases = if is_split { 1 } else { stride[1].min(padded) };
        let own = w.pad[1] as usize;
        let left = if is_apart { own.next_multiple_of(2) } else { own };
        let padded = limit(padded.checked_add(left - own))?;
        let columns = if is_apart {
            // The input's own in whole vectors.
            let first = left / 2;
            first + padded.div_ceil(2).saturating_sub(first).next_multiple_of(64 / channels)
        } else if is_split {
            padded
        } else {
            padded.div_ceil(stride[1].max(1))
        };
        let is_direct = channels == outputs && (phases == 1 || is_apart);
        let row = columns.checked_mul(phases).and_then(|n| n.checked_mul(outputs));
        let row = limit(row.and_then(|n| n.checked_next_multiple_of(64)))?;
        let groups = kh.div_ceil(4);
        let shared = if kh <= 3 && stride[0] == 1 && w.dilation[0] == 1 { 2 } else { 1 };
        let sets = oh.div_ceil(shared);
        let (rows, padded, copied) = if is_direct {
            (oh, 0, row)
        } else {
            let per_row = limit(row.checked_mul(stride[0]))?;
            let rows = BUDGET.checked_div(per_row).unwrap_or(1).next_multiple_of(shared);
            let rows = rows.clamp(1, oh.max(1));
            let down = limit(rows.checked_sub(1).and_then(|n| n.checked_mul(stride[0])))?;
            let padded = limit(down.checked_add(reach(kh, w.dilation[0])?))?;
            (rows, padded, limit(row.checked_mul(padded))?)
        };
        let copied = limit(copied.checked_add(SLACK))?;
        let set = limit(row.checked_mul(4).and_then(|n| n.checked_mul(groups)))?;
        let kept = INTERLEAVED.checked_div(set).unwrap_or(1).clamp(1, sets.max(1));
        let interleaved = limit(set.checked_mul(kept).and_then(|n| n.checked_add(8 * SLACK)))?;
        let taps = limit(groups.checked_mul(kw))?;
        let arranged = if taps == KEPT && groups == 1 { 0 } else { limit(taps.checked_mul(256))? };
        let bytes = copied.checked_add(interleaved).and_then(|n| n.checked_add(arranged));
        let bytes = limit(bytes)?;
        Ok(Planes {
            batch,
            input: [height, width, channels],
            taps: [kh, kw],
            output: [oh, ow, outputs],
            window: *w,
            is_split,
            is_direct,
            columns,
            phases,
            left,
            row,
            rows,
            padded,
            copied,
            groups,
            shared,
            kept,
            interleaved,
            arranged,
            bytes,
        })
    }

    /// Bytes of a row from one output's taps to the next one's.
    pub fn step(&self) -> usize {
        if self.is_split { self.window.stride[1] as usize * self.output[2] } else { self.output[2] }
    }

    /// Bytes of a row before what tap column `kx` of the first output reads.
    pub fn column(&self, kx: usize) -> usize {
        let (stride, at) = (self.window.stride[1] as usize, kx * self.window.dilation[1] as usize);
        if self.is_split {
            return at * self.output[2];
        }
        let at = at + self.left - self.window.pad[1] as usize;
        let (phase, shift) = (at.checked_rem(stride).unwrap_or(0), at.checked_div(stride).unwrap_or(0));
        (phase * self.columns + shift) * self.output[2]
    }
}
