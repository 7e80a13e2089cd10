//! DepthwiseConv2D: four rows of taps are interleaved byte by byte, so that one dot product adds a column of four taps for
//! sixteen channels.
#![allow(unsafe_code)]

use super::channels::{Block, Channels};
use super::rescale::{Finish, Rescale};
use super::rows::{OFFSET, padded, sorted};
use super::simd::{LANES, Simd};
use super::tile::{Pieces, finish, scatter};
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
    let end = Finish::new(io, op.clamp)?;
    // SAFETY: the caller's.
    unsafe {
        if end.is_relu() { layer::<S, R, true>(io, &op, end) } else { layer::<S, R, false>(io, &op, end) }
    }
}

#[inline(always)]
unsafe fn layer<S: Simd, R: Rescale, const RELU: bool>(
    io: &mut Io<'_>,
    op: &DepthwiseConv2d,
    end: Finish,
) -> Result<()> {
    let p = Planes::new(op, io.input_desc(0)?, io.input_desc(WEIGHTS)?, io.output_desc(0)?)?;
    let [height, width, depth] = p.input;
    let [oh, ow, outputs] = p.output;
    let [stride, _] = p.window.stride.map(usize::from);
    let [top, left, ..] = p.window.pad.map(usize::from);
    let fill = io.input_desc(0)?.zero_point as u8 ^ OFFSET;
    let layer = Layer::<R> { planes: &p, weights: io.input(WEIGHTS)?, channels: Channels::new(io)?, end };
    let multiplier = outputs.checked_div(depth).ok_or(Error::Internal)?;
    let input = io.input::<u8>(0)?;
    let output = io.output::<u8>(0)?;
    let (copied, rest) = io.scratch::<u8>()?.split_at_mut_checked(p.copied).ok_or(Error::Internal)?;
    let (taps, rest) = rest.split_at_mut_checked(p.groups * p.taps[1] * VECTOR).ok_or(Error::Internal)?;
    let (starts, kept) = rest.split_at_mut_checked(p.starts).ok_or(Error::Internal)?;
    let starts: &mut [u32] = bytemuck::try_cast_slice_mut(starts).map_err(|_| Error::Alignment)?;
    let positions = Positions::new(&p);
    positions.starts(if positions.are_whole() { p.kept } else { 1 }, starts);
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
                    layer.rows::<S, RELU>(kept, taps, starts, rows, slots)?;
                }
            }
        }
    }
    Ok(())
}

/// Sixteen lanes at a time: where, in the interleaved rows, those of each position start.
struct Positions {
    /// Whether channels are so few that sixteen lanes are several pixels.
    is_flat: bool,
    /// Bytes of an output row.
    row: usize,
    /// Positions of a row.
    per_row: usize,
    /// Lanes from one position to the next.
    step: usize,
    /// Bytes of a row's interleaved taps.
    stored: usize,
}

impl Positions {
    fn new(p: &Planes) -> Self {
        let outputs = p.output[2];
        let row = p.output[1] * outputs;
        let is_flat = outputs < LANES && LANES.checked_rem(outputs) == Some(0);
        let step = if is_flat { LANES } else { outputs };
        let per_row = row.div_ceil(step.max(1));
        Positions { is_flat, row, per_row, step, stored: 4 * p.row * p.groups }
    }

    /// Whether rows are whole positions, so that several rows are done as one.
    #[inline(always)]
    fn are_whole(&self) -> bool {
        self.row.checked_rem(self.step) == Some(0)
    }

    /// For so many rows, the last one again up to the end.
    #[inline(always)]
    fn starts(&self, kept: usize, slots: &mut [u32]) {
        let mut slots = slots.iter_mut();
        let mut last = 0;
        for y in 0..kept {
            for (x, slot) in (0..self.per_row).zip(&mut slots) {
                last = (y * self.stored + 4 * x * self.step) as u32;
                *slot = last;
            }
        }
        slots.for_each(|slot| *slot = last);
    }
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
                let mut four = [&[][..]; 4];
                for (i, slot) in four.iter_mut().enumerate() {
                    // Rows that are not there meet weights that are zero.
                    let tap = (4 * group + i).min(p.taps[0] - 1);
                    let at = (y * stride + tap * dilation) * p.row;
                    *slot = rows.get(at..at + p.row).ok_or(Error::Internal)?;
                }
                let rows = four;
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

    /// `count` output rows from their interleaved taps, at places that [`Positions::starts`] gave.
    #[inline(always)]
    unsafe fn rows<S: Simd, const RELU: bool>(
        &self,
        kept: &[u8],
        taps: &mut [u8],
        starts: &[u32],
        count: usize,
        output: &mut [u8],
    ) -> Result<()> {
        let p = self.planes;
        let outputs = p.output[2];
        let Positions { is_flat, row, per_row, step, stored } = Positions::new(p);
        let patterns = if is_flat { 1 } else { outputs.div_ceil(LANES) };
        // Rows of whole vectors follow each other in the output; others are done one by one.
        let together = if Positions::new(p).are_whole() { count } else { 1 };
        let positions = together * per_row;
        // What the pointers below rely on: sixteen lanes at the furthest position and column of taps of the last part.
        let starts = starts.get(..positions.next_multiple_of(4)).ok_or(Error::Internal)?;
        let furthest = starts.iter().fold(0, |most, &start| most.max(start)) as usize;
        let column = (0..p.taps[1]).fold(0, |most, kx| most.max(self.column(kx)));
        let parts = count.checked_div(together).unwrap_or(0);
        let reach = parts.saturating_sub(1) * stored
            + furthest
            + 4 * ((p.groups - 1) * p.row + column + (patterns - 1) * LANES)
            + VECTOR;
        let quads = (p.taps[0] * p.taps[1]).div_ceil(4);
        let fits = kept.len() >= reach
            && self.weights.len() >= outputs.div_ceil(LANES) * quads * VECTOR
            && taps.len() >= p.groups * p.taps[1] * VECTOR
            && output.len() >= count * row;
        if !fits {
            return Err(Error::Internal);
        }
        for pattern in 0..patterns {
            let first = pattern * LANES;
            let valid = if is_flat { LANES } else { LANES.min(outputs - first) };
            // SAFETY: the slices are long enough, as just seen; else the caller's.
            unsafe {
                let of = if is_flat {
                    self.channels.repeated::<S, RELU>(outputs)
                } else {
                    self.channels.block::<S, RELU>(first)
                };
                self.columns::<S>(self.weights.as_ptr().add(pattern * quads * VECTOR), is_flat, taps);
                for part in 0..parts {
                    let x = kept.as_ptr().add(part * stored + 4 * first);
                    let run = Run {
                        taps: taps.as_ptr(),
                        starts,
                        positions,
                        step,
                        valid,
                        end: together * row,
                        to: output.as_mut_ptr().add(part * row + first),
                    };
                    match p.groups * p.taps[1] {
                        3 => self.run::<S, 3, RELU>(x, &of, &run),
                        5 => self.run::<S, 5, RELU>(x, &of, &run),
                        _ => self.run::<S, 0, RELU>(x, &of, &run),
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

    /// Positions of one pattern of channels, with `TAPS` columns of taps, or any number for 0.
    #[inline(always)]
    unsafe fn run<S: Simd, const TAPS: usize, const RELU: bool>(
        &self,
        x: *const u8,
        of: &Block<S, R>,
        run: &Run<'_>,
    ) {
        let p = self.planes;
        let kw = p.taps[1];
        let column = |t: usize| {
            let (group, kx) = (t.checked_div(kw).unwrap_or(0), t.checked_rem(kw).unwrap_or(0));
            4 * (group * p.row + self.column(kx))
        };
        let mut columns = [x; TAPS];
        // SAFETY: the caller's.
        unsafe {
            let mut weights = [S::lane_weights(S::load(run.taps.cast())); TAPS];
            // Counted by hand, as in `tile`.
            let mut t = 0;
            while t < TAPS {
                weights[t] = S::lane_weights(S::load(run.taps.add(t * VECTOR).cast()));
                columns[t] = x.add(column(t));
                t += 1;
            }
            let (starts, step) = (run.starts.as_chunks::<4>().0, run.step);
            let kind = if step == LANES { Pieces::One } else { Pieces::Quarters };
            // Whole pieces first: nothing is called in between, so that constants stay in registers.
            let is_whole = run.valid == LANES;
            let whole = if is_whole { run.positions.min(run.end / step) / 4 } else { 0 };
            let mut to = run.to;
            let mut i = 0;
            while i < whole.min(starts.len()) {
                let sums = self.sums::<S, TAPS>(x, &columns, &weights, run.taps, of, &starts[i]);
                let bytes = finish::<S, R, RELU>(sums, [of; 4], &self.end);
                match kind {
                    Pieces::One => Pieces::One.store::<S>(bytes, to, step),
                    _ => Pieces::Quarters.store::<S>(bytes, to, step),
                }
                to = to.add(4 * step);
                i += 1;
            }
            for (i, starts) in starts.iter().enumerate().skip(whole) {
                let sums = self.sums::<S, TAPS>(x, &columns, &weights, run.taps, of, starts);
                let bytes = finish::<S, R, RELU>(sums, [of; 4], &self.end);
                let to = run.to.add(4 * i * step);
                if step == LANES && is_whole {
                    // What is left of a row, whose last sixteen lanes need not be whole.
                    let left = run.end.saturating_sub(4 * i * step).min(VECTOR);
                    scatter::<S>(bytes, [VECTOR, left, 1], to, 0);
                } else {
                    scatter::<S>(bytes, [LANES, run.valid, 4.min(run.positions - 4 * i)], to, step);
                }
            }
        }
    }

    /// Sums at four positions.
    #[inline(always)]
    unsafe fn sums<S: Simd, const TAPS: usize>(
        &self,
        x: *const u8,
        columns: &[*const u8; TAPS],
        weights: &[S::Weights; TAPS],
        taps: *const u8,
        of: &Block<S, R>,
        starts: &[u32; 4],
    ) -> [S::I32; 4] {
        let mut sums = [of.bias; 4];
        // SAFETY: the caller's.
        unsafe {
            if TAPS > 0 {
                let mut t = 0;
                while t < TAPS {
                    let (x, w) = (columns[t], weights[t]);
                    let mut i = 0;
                    while i < 4 {
                        sums[i] = S::dot_lanes(sums[i], S::load(x.add(starts[i] as usize).cast()), w);
                        i += 1;
                    }
                    t += 1;
                }
                return sums;
            }
            let p = self.planes;
            for group in 0..p.groups {
                for kx in 0..p.taps[1] {
                    let w = S::lane_weights(S::load(taps.add((group * p.taps[1] + kx) * VECTOR).cast()));
                    let x = x.add(4 * (group * p.row + self.column(kx)));
                    let mut i = 0;
                    while i < 4 {
                        sums[i] = S::dot_lanes(sums[i], S::load(x.add(starts[i] as usize).cast()), w);
                        i += 1;
                    }
                }
            }
        }
        sums
    }
}

/// Positions of one pattern of channels.
struct Run<'a> {
    /// Weights, a vector for each column of taps.
    taps: *const u8,
    /// Where the taps of each position start, the last one again up to a multiple of four.
    starts: &'a [u32],
    positions: usize,
    /// Bytes from one output to the next.
    step: usize,
    /// Channels, at most sixteen.
    valid: usize,
    /// Bytes from `to` to the end of the output; of interest where `step` is sixteen.
    end: usize,
    to: *mut u8,
}
