//! DepthwiseConv2D: four rows of taps are interleaved byte by byte ([`super::interleave`]), so that one dot product adds a
//! column of four taps for sixteen lanes. 64 lanes are 64 consecutive bytes of an output row, whatever the number of
//! channels; they meet the weights and constants of their channels ([`super::columns`]).
#![allow(unsafe_code)]

use super::channels::Channels;
use super::columns::Pattern;
use super::finish::scatter;
use super::interleave;
use super::rescale::{Constants, Finish, Rescale};
use super::rows::{OFFSET, sorted};
use super::simd::{LANES, Simd};

use crate::error::{Error, Result};
use crate::layout::QUAD;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::layer::strips::{KEPT, Planes};
use crate::ops::op::Op;

/// Bytes of an output row that are made at a time.
const PART: usize = 64;
/// Patterns whose constants are made once for all rows.
const MADE: usize = 4;

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
    let end = Finish::new(io, op.clamp)?;
    // SAFETY: the caller's.
    unsafe {
        match (R::HAS_RELU && end.is_relu(), p.is_split) {
            (true, true) => layer::<S, R, true, true>(io, &p, end),
            (true, false) => layer::<S, R, true, false>(io, &p, end),
            (false, true) => layer::<S, R, false, true>(io, &p, end),
            (false, false) => layer::<S, R, false, false>(io, &p, end),
        }
    }
}

#[inline(always)]
unsafe fn layer<S: Simd, R: Rescale, const RELU: bool, const SPLIT: bool>(
    io: &mut Io<'_>,
    p: &Planes,
    end: Finish,
) -> Result<()> {
    let [height, width, depth] = p.input;
    let [oh, ow, outputs] = p.output;
    let [stride_y, stride_x] = p.window.stride.map(usize::from);
    let [top, left, ..] = p.window.pad.map(usize::from);
    let channels = Channels::new(io)?;
    let fill = io.input_desc(0)?.zero_point as u8;
    let taps = io.input::<u8>(WEIGHTS)?;
    let multiplier = outputs.checked_div(depth).ok_or(Error::Internal)?;
    let input = io.input::<u8>(0)?;
    let output = io.output::<u8>(0)?;
    let (kept, rest) = io.scratch::<u8>()?.split_at_mut_checked(p.interleaved).ok_or(Error::Internal)?;
    let (arranged, rest) = rest.split_at_mut_checked(p.arranged).ok_or(Error::Internal)?;
    let copied = rest.get_mut(..p.copied).ok_or(Error::Internal)?;
    let layer = Layer::<R> { planes: p, taps, channels, end };
    // SAFETY: the caller's.
    let made = unsafe { layer.made::<S, RELU>() };
    if p.is_direct {
        copied.fill(fill);
        // SAFETY: the caller's.
        unsafe { interleave::borders::<S>(kept, p, fill ^ OFFSET) };
    }
    let per_image = oh * ow * outputs;
    let images = input.chunks_exact((height * width * depth).max(1)).take(p.batch);
    for (image, output) in images.zip(output.chunks_exact_mut(per_image.max(1))) {
        for (strip, slots) in output.chunks_mut((p.rows * ow * outputs).max(1)).enumerate() {
            let rows = slots.len().checked_div(ow * outputs).ok_or(Error::Internal)?;
            if !p.is_direct {
                let first = [strip * p.rows * stride_y, top, left];
                let count = p.padded - (p.rows - rows) * stride_y;
                let to = copied.get_mut(..count * p.row).ok_or(Error::Internal)?;
                let geometry = [p.row, p.columns, p.phases, stride_x];
                sorted(image, [width, depth, multiplier], first, fill ^ OFFSET, to, geometry)?;
            }
            let part = p.kept * p.shared;
            for (index, slots) in slots.chunks_mut((part * ow * outputs).max(1)).enumerate() {
                let rows = slots.len().checked_div(ow * outputs).ok_or(Error::Internal)?;
                // SAFETY: the caller's.
                unsafe {
                    let source = interleave::Source { image: p.is_direct.then_some(image), copied };
                    source.sets::<S, SPLIT>(p, [index * part, rows], kept)?;
                    layer.rows::<S, RELU, SPLIT>(kept, arranged, &made, rows, slots)?;
                }
            }
        }
    }
    Ok(())
}

pub(super) struct Layer<'a, R: Rescale> {
    planes: &'a Planes,
    /// Weights as columns of four taps.
    taps: &'a [u8],
    channels: Channels<'a, R>,
    end: Finish,
}

/// Parts of output rows that have a pattern of channels and the same weights.
pub(super) struct Run {
    /// Rows that taps lie further down.
    shift: usize,
    /// The first one's interleaved taps, bytes to the next one's and to the next row's.
    x: *const u8,
    x_step: usize,
    x_row: usize,
    /// The weights where they are arranged.
    w: *const u8,
    /// The first one's output, and bytes to the next one's and to the next row's.
    to: *mut u8,
    to_step: usize,
    to_row: usize,
    /// Rows, and parts of each; of a row's last one so many bytes.
    rows: usize,
    parts: usize,
    last: usize,
}

/// Biases and constants of four vectors.
pub(super) type Constant<S> = ([<S as Simd>::I32; 4], [Constants<S>; 4]);

impl<R: Rescale> Layer<'_, R> {
    /// The constants of the first patterns, which are often all: rows need them again and again.
    #[inline(always)]
    unsafe fn made<S: Simd, const RELU: bool>(&self) -> [Constant<S>; MADE] {
        let of = |index| Pattern { planes: self.planes, index };
        // SAFETY: the caller's.
        unsafe {
            let mut made = [of(0).blocks::<S, R, RELU>(&self.channels); MADE];
            let mut index = 1;
            while index < MADE && index < Pattern::count(self.planes) {
                made[index] = of(index).blocks::<S, R, RELU>(&self.channels);
                index += 1;
            }
            made
        }
    }

    /// `count` output rows from their interleaved taps.
    #[inline(always)]
    unsafe fn rows<S: Simd, const RELU: bool, const SPLIT: bool>(
        &self,
        kept: &[u8],
        arranged: &mut [u8],
        made: &[Constant<S>; MADE],
        count: usize,
        output: &mut [u8],
    ) -> Result<()> {
        let p = self.planes;
        let [_, ow, outputs] = p.output;
        let (row, set) = (ow * outputs, 4 * p.row * p.groups);
        let parts = row.div_ceil(PART);
        // Parts of one pattern lie so many bytes apart, in a row and in interleaved taps.
        let patterns = Pattern::count(p).clamp(1, parts.max(1));
        let to_step = if SPLIT { outputs } else { patterns * PART };
        let x_step = 4 * if SPLIT { p.step() } else { patterns * PART };
        let columns = p.groups * p.taps[1];
        // What the pointers below rely on: 64 lanes at the furthest part of the last row and its furthest taps.
        let furthest = (0..p.taps[1]).fold(0, |most, kx| most.max(p.column(kx))) + (p.groups - 1) * p.row;
        let start = if SPLIT { ow.saturating_sub(1) * p.step() + outputs } else { parts * PART };
        let sets = count.div_ceil(p.shared.max(1));
        let fits = kept.len() >= sets.saturating_sub(1) * set + 4 * (furthest + start)
            && (p.arranged == 0 || arranged.len() >= columns * 4 * PART)
            && self.taps.len() >= columns * QUAD * outputs.next_multiple_of(LANES)
            && output.len() >= count * row;
        if !fits {
            return Err(Error::Internal);
        }
        for index in 0..patterns {
            let pattern = Pattern { planes: p, index };
            // Of the parts of a row, those from `index` on at every `patterns`.
            let parts_of_row = if SPLIT { ow } else { (parts - index).div_ceil(patterns) };
            let is_end = (index + parts_of_row.saturating_sub(1) * patterns + 1) * PART > row;
            let last = if !SPLIT && is_end { row % PART } else { PART };
            // SAFETY: the slices are long enough, as just seen; else the caller's.
            unsafe {
                let of = match made.get(index) {
                    Some(of) => *of,
                    None => pattern.blocks::<S, R, RELU>(&self.channels),
                };
                for shift in 0..p.shared.min(count) {
                    if p.arranged > 0 {
                        pattern.arrange::<S>(self.taps, shift, arranged.as_mut_ptr());
                    }
                    let run = Run {
                        shift,
                        x: kept.as_ptr().add(4 * index * PART),
                        x_step,
                        x_row: set,
                        w: arranged.as_ptr(),
                        to: output.as_mut_ptr().add(shift * row + index * PART),
                        to_step,
                        to_row: p.shared * row,
                        rows: (count - shift).div_ceil(p.shared.max(1)),
                        parts: parts_of_row,
                        last,
                    };
                    if p.arranged > 0 {
                        S::parts::<R, 0, RELU, SPLIT>(self, &pattern, &of, &run);
                    } else {
                        S::parts::<R, KEPT, RELU, SPLIT>(self, &pattern, &of, &run);
                    }
                }
            }
        }
        Ok(())
    }

    /// Parts of a row, with `TAPS` columns of taps, or any number for 0. Loops count by hand: iterators of vectors are not
    /// inlined for sure.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
        &self,
        pattern: &Pattern<'_>,
        (bias, constants): &Constant<S>,
        run: &Run,
    ) {
        let p = self.planes;
        let mut columns = [0; TAPS];
        // Copies that nothing points to stay in registers.
        let (bias, constants, end) = (*bias, *constants, self.end);
        let [a, b, c, d] = &constants;
        let is_quick = a.is_quick && b.is_quick && c.is_quick && d.is_quick;
        // SAFETY: the caller's.
        unsafe {
            let mut weights = [[S::lane_weights(S::splat(0)); 4]; TAPS];
            let mut t = 0;
            while t < TAPS {
                columns[t] = 4 * p.column(t);
                let [a, b, c, d] = pattern.column::<S>(self.taps, t, run.shift);
                weights[t] = [S::lane_weights(a), S::lane_weights(b), S::lane_weights(c), S::lane_weights(d)];
                t += 1;
            }
            let (mut x, mut to) = (run.x, run.to);
            let (mut left, mut rows) = (run.parts, run.rows);
            // Where the last part is short, so many are not whole.
            let short = usize::from(run.last < PART);
            // From a row's end to the next row.
            let x_back = run.x_row.wrapping_sub(run.parts * run.x_step);
            let to_back = run.to_row.wrapping_sub(run.parts * run.to_step);
            while rows > 0 {
                // Nothing is called in this loop, so that constants and weights stay in registers.
                while rows > 0 && left > short && is_quick {
                    let sums = self.sums::<S, TAPS>(x, &columns, &weights, bias, run.w);
                    let (bytes, is_doubtful) = R::quick::<S, RELU, SPLIT>(sums, [a, b, c, d], &end);
                    if is_doubtful {
                        break;
                    }
                    S::store(to, bytes);
                    x = x.wrapping_add(run.x_step);
                    to = to.wrapping_add(run.to_step);
                    left -= 1;
                    if left == 0 {
                        (x, to) = (x.wrapping_add(x_back), to.wrapping_add(to_back));
                        (left, rows) = (run.parts, rows - 1);
                    }
                }
                if rows == 0 {
                    break;
                }
                let sums = self.sums::<S, TAPS>(x, &columns, &weights, bias, run.w);
                let (bytes, is_doubtful) = R::quick::<S, RELU, SPLIT>(sums, [a, b, c, d], &end);
                let bytes = if is_quick && !is_doubtful {
                    bytes
                } else {
                    let scales = pattern.scales(&self.channels);
                    let sums = if SPLIT { S::transpose(sums) } else { sums };
                    S::exact::<R>(&sums, scales.each_ref(), &self.end)
                };
                scatter::<S>(bytes, [PART, if left > 1 { PART } else { run.last }, 1], to, 0);
                x = x.wrapping_add(run.x_step);
                to = to.wrapping_add(run.to_step);
                left -= 1;
                if left == 0 {
                    (x, to) = (x.wrapping_add(x_back), to.wrapping_add(to_back));
                    (left, rows) = (run.parts, rows - 1);
                }
            }
        }
    }

    /// Sums of a part.
    #[inline(always)]
    unsafe fn sums<S: Simd, const TAPS: usize>(
        &self,
        x: *const u8,
        columns: &[usize; TAPS],
        weights: &[[S::Weights; 4]; TAPS],
        bias: [S::I32; 4],
        mut w: *const u8,
    ) -> [S::I32; 4] {
        let p = self.planes;
        let mut sums = bias;
        // SAFETY: the caller's.
        unsafe {
            let mut t = 0;
            while t < TAPS {
                let x = x.add(columns[t]);
                let mut v = 0;
                while v < 4 {
                    sums[v] = S::dot_lanes(sums[v], S::load(x.add(v * PART).cast()), weights[t][v]);
                    v += 1;
                }
                t += 1;
            }
            if TAPS == 0 {
                for group in 0..p.groups {
                    for kx in 0..p.taps[1] {
                        let x = x.add(4 * (group * p.row + p.column(kx)));
                        let mut v = 0;
                        while v < 4 {
                            let weights = S::lane_weights(S::load(w.add(v * PART).cast()));
                            sums[v] = S::dot_lanes(sums[v], S::load(x.add(v * PART).cast()), weights);
                            v += 1;
                        }
                        w = w.add(4 * PART);
                    }
                }
            }
        }
        sums
    }
}
