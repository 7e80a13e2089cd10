//! DepthwiseConv2D: four rows of taps are interleaved byte by byte, so that one dot product adds a column of four taps for
//! sixteen channels.
#![allow(unsafe_code)]

use super::channels::{Block, Channels};
use super::rescale::Rescale;
use super::rows::{OFFSET, padded, sorted};
use super::simd::{LANES, Simd};
use super::tile::{Finish, finish, scatter};
use crate::error::{Error, Result};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::strips::Planes;
use crate::ops::op::Op;

/// Bytes of a vector.
const VECTOR: usize = 64;

/// DepthwiseConv2D.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn depthwise_conv_2d<S: Simd, R: Rescale>(
    attributes: &[u8],
    io: &mut Io<'_>,
) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let p = Planes::new(&op, io.input_desc(0)?, io.input_desc(WEIGHTS)?, io.output_desc(0)?)?;
    let [height, width, depth] = p.input;
    let [oh, ow, outputs] = p.output;
    let [stride, _] = p.window.stride.map(usize::from);
    let [top, left, ..] = p.window.pad.map(usize::from);
    let fill = io.input_desc(0)?.zero_point as u8 ^ OFFSET;
    let layer = Layer::<R> {
        planes: &p,
        weights: io.input(WEIGHTS)?,
        channels: Channels::new(io)?,
        end: Finish::new(io, op.clamp)?,
    };
    let multiplier = outputs.checked_div(depth).ok_or(Error::Internal)?;
    let input = io.input::<u8>(0)?;
    let output = io.output::<u8>(0)?;
    let (copied, rest) = io.scratch::<u8>()?.split_at_mut_checked(p.copied).ok_or(Error::Internal)?;
    let (taps, kept) = rest.split_at_mut_checked(p.groups * p.taps[1] * VECTOR).ok_or(Error::Internal)?;
    let images = input.chunks_exact((height * width * depth).max(1)).take(p.batch);
    for (image, output) in images.zip(output.chunks_exact_mut((oh * ow * outputs).max(1))) {
        for (strip, slots) in output.chunks_mut((p.rows * ow * outputs).max(1)).enumerate() {
            let rows = slots.len().checked_div(ow * outputs).ok_or(Error::Internal)?;
            let first = [strip * p.rows * stride, top, left];
            let to =
                copied.get_mut(..(p.padded - (p.rows - rows) * stride) * p.row).ok_or(Error::Internal)?;
            if p.phases == 1 && multiplier == 1 {
                padded(image, [width, depth], first, fill, to, p.row)?;
            } else {
                let geometry = [p.row, p.columns, p.phases, p.window.stride[1] as usize];
                sorted(image, [width, depth, multiplier], first, fill, to, geometry)?;
            }
            for (part, slots) in slots.chunks_mut((p.kept * ow * outputs).max(1)).enumerate() {
                let rows = slots.len().checked_div(ow * outputs).ok_or(Error::Internal)?;
                // SAFETY: the caller's.
                unsafe {
                    layer.interleave::<S>(copied, part * p.kept, rows, kept)?;
                    layer.rows::<S>(kept, taps, rows, slots)?;
                }
            }
        }
    }
    Ok(())
}

struct Layer<'a, R: Rescale> {
    planes: &'a Planes,
    weights: &'a [i8],
    channels: Channels<'a, R>,
    end: Finish,
}

impl<R: Rescale> Layer<'_, R> {
    /// Interleaves the rows of taps of `count` output rows of a strip, from `first` on.
    #[inline(always)]
    unsafe fn interleave<S: Simd>(
        &self,
        rows: &[u8],
        first: usize,
        count: usize,
        to: &mut [u8],
    ) -> Result<()> {
        let p = self.planes;
        let (stride, dilation) = (p.window.stride[0] as usize, p.window.dilation[0] as usize);
        let mut slots = to.chunks_exact_mut((4 * p.row).max(1));
        for y in first..first + count {
            for group in 0..p.groups {
                let slots = slots.next().ok_or(Error::Internal)?;
                let row = |i: usize| {
                    // Rows that are not there meet weights that are zero.
                    let tap = (4 * group + i).min(p.taps[0] - 1);
                    let at = (y * stride + tap * dilation) * p.row;
                    rows.get(at..at + p.row).ok_or(Error::Internal)
                };
                let rows = [row(0)?, row(1)?, row(2)?, row(3)?];
                for at in (0..p.row).step_by(VECTOR) {
                    // SAFETY: rows are multiples of a vector, slots four times as long; else the caller's.
                    unsafe {
                        let four = [
                            S::bytes(rows[0].as_ptr().add(at)),
                            S::bytes(rows[1].as_ptr().add(at)),
                            S::bytes(rows[2].as_ptr().add(at)),
                            S::bytes(rows[3].as_ptr().add(at)),
                        ];
                        let to = slots.as_mut_ptr().add(4 * at).cast::<i32>();
                        for (i, v) in S::interleave(four).into_iter().enumerate() {
                            S::put(to.add(i * LANES), v);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// `count` output rows from their interleaved taps.
    #[inline(always)]
    unsafe fn rows<S: Simd>(
        &self,
        kept: &[u8],
        taps: &mut [u8],
        count: usize,
        output: &mut [u8],
    ) -> Result<()> {
        let p = self.planes;
        let [oh_bytes, outputs] = [p.output[1] * p.output[2], p.output[2]];
        // Few channels: sixteen lanes are several pixels.
        let is_flat = outputs < LANES && LANES % outputs == 0;
        let (patterns, positions, step) = if is_flat {
            (1, oh_bytes.div_ceil(LANES), LANES)
        } else {
            (outputs.div_ceil(LANES), p.output[1], outputs)
        };
        let stored = 4 * p.row * p.groups;
        // What the pointers below rely on: sixteen lanes at the last position of the last column of taps.
        let reach =
            4 * (self.column(p.taps[1] - 1) + (positions - 1) * step + (patterns - 1) * LANES) + VECTOR;
        let quads = (p.taps[0] * p.taps[1]).div_ceil(4);
        let fits = kept.len() >= (count * p.groups - 1) * 4 * p.row + reach
            && self.weights.len() >= outputs.div_ceil(LANES) * quads * VECTOR
            && taps.len() >= p.groups * p.taps[1] * VECTOR
            && output.len() >= count * oh_bytes;
        if !fits {
            return Err(Error::Internal);
        }
        for pattern in 0..patterns {
            let first = pattern * LANES;
            let valid = if is_flat { LANES } else { LANES.min(outputs - first) };
            // SAFETY: the slices are long enough, as just seen; else the caller's.
            unsafe {
                let of = if is_flat {
                    self.channels.repeated::<S>(outputs)
                } else {
                    self.channels.block::<S>(first)
                };
                self.columns::<S>(self.weights.as_ptr().add(pattern * quads * VECTOR), is_flat, taps);
                for row in 0..count {
                    let x = kept.as_ptr().add(row * stored + 4 * first);
                    let to = output.as_mut_ptr().add(row * oh_bytes);
                    let shape = [positions, step, valid];
                    let end = if is_flat { oh_bytes } else { usize::MAX };
                    match p.groups * p.taps[1] {
                        3 => self.row::<S, 3>(x, taps.as_ptr(), &of, shape, to.add(first), end),
                        5 => self.row::<S, 5>(x, taps.as_ptr(), &of, shape, to.add(first), end),
                        _ => self.row::<S, 0>(x, taps.as_ptr(), &of, shape, to.add(first), end),
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes of a row before what tap column `kx` of the first output reads.
    fn column(&self, kx: usize) -> usize {
        let p = self.planes;
        let (stride, at) = (p.window.stride[1] as usize, kx * p.window.dilation[1] as usize);
        let (phase, shift) = (at.checked_rem(stride).unwrap_or(0), at.checked_div(stride).unwrap_or(0));
        (phase * p.columns + shift) * p.output[2]
    }

    /// The weights of sixteen channels, stored as `[taps / 4][16][4]` at `w`, as vectors of the four taps of each group of
    /// rows and each column.
    #[inline(always)]
    unsafe fn columns<S: Simd>(&self, w: *const i8, is_flat: bool, to: &mut [u8]) {
        let [kh, kw] = self.planes.taps;
        for (index, slot) in to.chunks_exact_mut(VECTOR).enumerate() {
            let (group, kx) = (index.checked_div(kw).unwrap_or(0), index.checked_rem(kw).unwrap_or(0));
            let mut lanes = [0u32; LANES];
            // SAFETY: tap numbers are below the window's; a vector has sixteen lanes; else the caller's.
            unsafe {
                let mut column = S::splat(0);
                for (i, ky) in (4 * group..kh).take(4).enumerate() {
                    let tap = ky * kw + kx;
                    let byte =
                        S::srl(S::load(w.add(tap / 4 * VECTOR).cast()), S::splat(8 * (tap % 4) as i32));
                    let byte = S::and(byte, S::splat(255));
                    column = S::or(column, S::sll(byte, S::splat(8 * i as i32)));
                }
                S::put(lanes.as_mut_ptr().cast(), column);
            }
            if is_flat {
                let own = lanes;
                for (lane, slot) in lanes.iter_mut().enumerate() {
                    let channel = lane.checked_rem(self.planes.output[2]).unwrap_or(0);
                    *slot = own.get(channel).copied().unwrap_or(0);
                }
            }
            for (slot, lane) in slot.chunks_exact_mut(4).zip(lanes) {
                slot.copy_from_slice(&lane.to_ne_bytes());
            }
        }
    }

    /// `positions` times sixteen lanes, `step` lanes apart, with `TAPS` columns of taps, or any number for 0. Writes
    /// `valid` bytes of each, no more than `end` in all.
    #[inline(always)]
    unsafe fn row<S: Simd, const TAPS: usize>(
        &self,
        x: *const u8,
        taps: *const u8,
        of: &Block<S>,
        [positions, step, valid]: [usize; 3],
        to: *mut u8,
        end: usize,
    ) {
        let p = self.planes;
        let kw = p.taps[1];
        let column = |t: usize| {
            let (group, kx) = (t.checked_div(kw).unwrap_or(0), t.checked_rem(kw).unwrap_or(0));
            4 * (group * p.row + self.column(kx))
        };
        let mut offsets = [0usize; TAPS];
        for (t, offset) in offsets.iter_mut().enumerate() {
            *offset = column(t);
        }
        // SAFETY: the caller's.
        unsafe {
            let mut weights = [S::lane_weights(S::load(taps.cast())); TAPS];
            for (t, weights) in weights.iter_mut().enumerate() {
                *weights = S::lane_weights(S::load(taps.add(t * VECTOR).cast()));
            }
            let mut position = 0;
            while position < positions {
                let last = positions - 1;
                let at =
                    [position, (position + 1).min(last), (position + 2).min(last), (position + 3).min(last)];
                let x = [
                    x.add(4 * at[0] * step),
                    x.add(4 * at[1] * step),
                    x.add(4 * at[2] * step),
                    x.add(4 * at[3] * step),
                ];
                let mut sums = [of.bias; 4];
                if TAPS > 0 {
                    for (&offset, &w) in offsets.iter().zip(&weights) {
                        for (sum, x) in sums.iter_mut().zip(x) {
                            *sum = S::dot_lanes(*sum, S::load(x.add(offset).cast()), w);
                        }
                    }
                } else {
                    for t in 0..p.groups * kw {
                        let w = S::lane_weights(S::load(taps.add(t * VECTOR).cast()));
                        let offset = column(t);
                        for (sum, x) in sums.iter_mut().zip(x) {
                            *sum = S::dot_lanes(*sum, S::load(x.add(offset).cast()), w);
                        }
                    }
                }
                let bytes = finish::<S, R>(sums, [&of.constants; 4], of.ordinary, &self.end);
                let to = to.add(position * step);
                let left = end.saturating_sub(position * step);
                if step == LANES && valid == LANES && left < VECTOR {
                    // The end of a row of lanes that are several pixels, or of one pixel each.
                    let count = left.min((positions - position) * step);
                    scatter::<S>(bytes, [VECTOR, count, 1], to, VECTOR);
                } else {
                    scatter::<S>(bytes, [LANES, valid, 4.min(positions - position)], to, step);
                }
                position += 4;
            }
        }
    }
}
