//! Depthwise windows three taps wide, of stride 1 or 2: a few neighbours at a time, so that what is read serves all pixels
//! that have it under their windows; then those below them, so that it is read while it is near. Channels are innermost:
//! memory is read, and read ahead, in its order.
#![allow(unsafe_code)]

use core::ops::Range;

use super::images::Images;
use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, Rows};
use crate::ops::window::Window;

/// Output rows that are computed together where all are free to be.
const ROWS: usize = 16;
/// Channels that are: so many that three rows of a tile stay near, also where many more would all want the same places of a
/// cache.
const CHANNELS: usize = 16 * LANES;

/// What all rows have in common, with at most one column of padding on each side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide<'a> {
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) clamp: (f32, f32),
    pub(super) channels: usize,
    /// Input and output columns.
    pub(super) columns: [usize; 2],
    pub(super) stride: usize,
    /// Columns of padding on the left: 0 or 1.
    pub(super) pad: usize,
    /// From one tap row to the next in the input, in floats.
    pub(super) next: usize,
}

/// An output row and the tap rows that lie inside for it. Places are in floats.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Of the first input row under the window.
    input: usize,
    /// Tap rows inside.
    taps: usize,
    /// Of the first one's weights.
    weights: usize,
    output: usize,
}

/// Whether [`Slide`] can: whole blocks of channels, a window of `taps` columns over `columns` input and output columns.
pub(super) fn serves(window: &Window, taps: usize, columns: [usize; 2], channels: usize) -> bool {
    let (stride, pad) = (usize::from(window.stride[1]), usize::from(window.pad[1]));
    // The last tap of the last pixel is at most one column past the image.
    let reach = columns[1].saturating_sub(1) * stride + 3;
    let fits = taps == 3 && window.dilation[1] == 1 && stride <= 2 && pad <= 1;
    fits && channels.is_multiple_of(LANES) && columns[1] > 0 && reach <= columns[0] + 1 + pad
}

impl Slide<'_> {
    /// Computes all rows of all images: some at a time, or one by one where input and output overlap.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn compute_all<L: Lanes>(&self, images: &Images, rows: &mut Rows<'_>) -> Result<()> {
        let ([batch, height, width, channels], window) = (images.input, &images.window);
        let place = |y: usize, before: usize, output: usize| {
            let taps = images.taps_down(y);
            let top = taps.start * usize::from(window.dilation[0]) + y * usize::from(window.stride[0]);
            let top = top.saturating_sub(usize::from(window.pad[0])).saturating_sub(before);
            let weights = taps.start * images.taps[1] * channels;
            Place { input: top * width * channels, taps: taps.len(), weights, output }
        };
        if let Some((input, output)) = rows.apart::<f32>()? {
            let [_, lines, columns, _] = images.output;
            let (length, image) = (columns * channels, height * width * channels);
            for n in 0..batch {
                let input = input.get(n * image..).ok_or(Error::Internal)?;
                let output = output.get_mut(n * lines * length..).ok_or(Error::Internal)?;
                for y in (0..lines).step_by(ROWS) {
                    let mut together = [Place::default(); ROWS];
                    let count = ROWS.min(lines - y);
                    for (i, slot) in together.iter_mut().enumerate().take(count) {
                        *slot = place(y + i, 0, (y + i) * length);
                    }
                    let together = together.get(..count).ok_or(Error::Internal)?;
                    // SAFETY: as for this function.
                    unsafe { self.compute::<L>(together, input, output) }.ok_or(Error::Internal)?;
                }
            }
            return Ok(());
        }
        // No closure for each row: it would not have the caller's instructions.
        while let Some(Row { y, first, input, output }) = rows.next_row::<f32>()? {
            // SAFETY: as for this function.
            unsafe { self.compute::<L>(&[place(y, first, 0)], input, output) }.ok_or(Error::Internal)?;
        }
        Ok(())
    }

    /// Computes rows of one image; `None` where something lies outside.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn compute<L: Lanes>(&self, rows: &[Place], input: &[f32], output: &mut [f32]) -> Option<()> {
        for row in rows {
            self.check(row, input.len(), output.len())?;
        }
        let together = together(self.columns[1], L::WIDE);
        let job = Job { slide: self, rows, together, input: input.as_ptr(), output: output.as_mut_ptr() };
        // SAFETY: all extents were compared, and `together` is no more than the columns; `serves` has seen to them.
        unsafe {
            match self.stride {
                1 => job.compute::<L, 1>(),
                _ => job.compute::<L, 2>(),
            }
        }
        Some(())
    }

    /// That everything lies inside.
    fn check(&self, row: &Place, input: usize, output: usize) -> Option<()> {
        let [width, columns] = self.columns;
        let read = match row.taps.checked_sub(1) {
            Some(last) => {
                let rows = last.checked_mul(self.next)?.checked_add(width.checked_mul(self.channels)?)?;
                row.input.checked_add(rows)?
            }
            None => 0,
        };
        let used = row.weights.checked_add(row.taps.checked_mul(3)?.checked_mul(self.channels)?)?;
        let written = row.output.checked_add(columns.checked_mul(self.channels)?)?;
        let fits = self.channels.is_multiple_of(LANES) && self.bias.is_none_or(|b| b.len() >= self.channels);
        (fits && read <= input && used <= self.weights.len() && written <= output).then_some(())
    }
}

/// Rows whose extents were compared.
#[derive(Clone, Copy, Debug)]
struct Job<'a> {
    slide: &'a Slide<'a>,
    rows: &'a [Place],
    /// Neighbours that are computed together.
    together: usize,
    input: *const f32,
    output: *mut f32,
}

impl Job<'_> {
    /// All pixels, in the tiles that compute fewest of them twice.
    #[inline(always)]
    unsafe fn compute<L: Lanes, const S: usize>(&self) {
        // SAFETY: as for this function.
        unsafe {
            match self.together {
                1 => self.tiles::<L, 1, S>(),
                2 => self.tiles::<L, 2, S>(),
                3 => self.tiles::<L, 3, S>(),
                5 => self.tiles::<L, 5, S>(),
                6 => self.tiles::<L, 6, S>(),
                7 => self.tiles::<L, 7, S>(),
                8 => self.tiles::<L, 8, S>(),
                _ => self.tiles::<L, 4, S>(),
            }
        }
    }

    /// `P` neighbours at a time; the last ones of a row may be computed twice.
    #[inline(always)]
    unsafe fn tiles<L: Lanes, const P: usize, const S: usize>(&self) {
        let last = self.slide.columns[1].saturating_sub(P);
        for first in (0..self.slide.channels).step_by(CHANNELS) {
            let channels = first..(first + CHANNELS).min(self.slide.channels);
            let mut column = 0;
            loop {
                for row in self.rows {
                    // SAFETY: there are at least `P` columns, so that all of these are inside.
                    unsafe { self.tile::<L, P, S>(row, column, channels.clone()) };
                }
                if column >= last {
                    break;
                }
                column = (column + P).min(last);
            }
        }
    }

    /// Some channels of `P` pixels.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const P: usize, const S: usize>(
        &self,
        row: &Place,
        column: usize,
        range: Range<usize>,
    ) {
        let Slide { next, channels, columns, pad, bias, clamp, .. } = *self.slide;
        let reads = S * (P - 1) + 3;
        // Only the first and the last column that a tile reads can lie in the padding.
        let left = column * S < pad;
        let right = column * S + reads > columns[0] + pad;
        let skipped = |i: usize| (i == 0 && left) || (i + 1 == reads && right);
        // SAFETY: what is read is inside but for those two, which are skipped.
        unsafe {
            let input =
                self.input.wrapping_add((row.input + column * S * channels).wrapping_sub(pad * channels));
            let weights = self.slide.weights.as_ptr().add(row.weights);
            let output = self.output.add(row.output + column * channels);
            for channel in range.step_by(LANES) {
                let mut sums = [L::splat(0.0); P];
                for ky in 0..row.taps {
                    let w = weights.add(ky * 3 * channels + channel);
                    let ws = [L::load(w), L::load(w.add(channels)), L::load(w.add(2 * channels))];
                    let x = |i: usize| input.wrapping_add(ky * next + i * channels + channel);
                    // A sum meets its taps from left to right, and neighbours' sums meanwhile theirs, so that none waits.
                    if L::WIDE {
                        let mut xs = [[L::splat(0.0); 3]; P];
                        for p in 0..P {
                            for kx in 0..3 {
                                // What the pixel before has under its window, too.
                                if p > 0 && kx + S < 3 {
                                    xs[p][kx] = xs[p - 1][kx + S];
                                } else if !skipped(p * S + kx) {
                                    xs[p][kx] = L::load(x(p * S + kx));
                                }
                            }
                        }
                        for kx in 0..3 {
                            for p in 0..P {
                                if !skipped(p * S + kx) {
                                    sums[p] = sums[p].fma_lanes(xs[p][kx], ws[kx]);
                                }
                            }
                        }
                    } else if S == 1 {
                        for i in 0..reads {
                            if skipped(i) {
                                continue;
                            }
                            let x = L::load(x(i));
                            for kx in 0..3 {
                                if i >= kx && i - kx < P {
                                    sums[i - kx] = sums[i - kx].fma_lanes(x, ws[kx]);
                                }
                            }
                        }
                    } else {
                        for p in 0..P {
                            for kx in 0..3 {
                                if !skipped(p * S + kx) {
                                    sums[p] = sums[p].fma_lanes(L::load(x(p * S + kx)), ws[kx]);
                                }
                            }
                        }
                    }
                }
                if let Some(bias) = bias {
                    let bias = L::load(bias.as_ptr().add(channel));
                    for sum in &mut sums {
                        *sum = sum.add(bias);
                    }
                }
                for p in 0..P {
                    sums[p].limit(clamp.0, clamp.1).store(output.add(p * channels + channel));
                }
            }
        }
    }
}

/// How many neighbours to compute together in rows of so many.
#[inline(always)]
fn together(columns: usize, is_wide: bool) -> usize {
    if columns < 4 || !is_wide {
        return columns.min(4);
    }
    // What a tile costs besides its pixels is about one of them.
    let cost = |p: usize| columns.div_ceil(p) * (p + 1);
    let widest = columns.min(8);
    (4..widest).rev().fold(widest, |best, p| if cost(p) < cost(best) { p } else { best })
}
