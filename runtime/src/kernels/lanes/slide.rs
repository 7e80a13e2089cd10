//! Depthwise windows three taps wide, of stride 1 or 2: row by row, and what is read serves all pixels of a tile that
//! have it under their windows.
#![allow(unsafe_code)]

use super::{LANES, Lanes};
use crate::ops::window::Window;

/// One output row and the input rows under its window, with at most one column of padding on each side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// Input rows from the first tap row inside the image on.
    pub(super) input: &'a [f32],
    /// Tap rows inside.
    pub(super) taps: usize,
    /// From one to the next in the input, in floats.
    pub(super) next: usize,
    /// From the first of these tap rows on.
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) clamp: (f32, f32),
    pub(super) channels: usize,
    /// Input and output columns.
    pub(super) columns: [usize; 2],
    pub(super) stride: usize,
    /// Columns of padding on the left: 0 or 1.
    pub(super) pad: usize,
}

/// Whether [`Row`] can: whole blocks of channels, a window of `taps` columns over `columns` input and output columns.
pub(super) fn serves(window: &Window, taps: usize, columns: [usize; 2], channels: usize) -> bool {
    let (stride, pad) = (usize::from(window.stride[1]), usize::from(window.pad[1]));
    // The last tap of the last pixel is at most one column past the image.
    let reach = columns[1].saturating_sub(1) * stride + 3;
    let fits = taps == 3 && window.dilation[1] == 1 && stride <= 2 && pad <= 1;
    fits && channels.is_multiple_of(LANES) && columns[1] > 0 && reach <= columns[0] + 1 + pad
}

impl Row<'_> {
    /// Computes the row; `None` where something lies outside.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn compute<L: Lanes>(&self, output: &mut [f32]) -> Option<()> {
        let [width, columns] = self.columns;
        let rows = self.taps.checked_sub(1);
        let read = rows
            .map_or(Some(0), |r| r.checked_mul(self.next)?.checked_add(width.checked_mul(self.channels)?))?;
        let used = self.taps.checked_mul(3)?.checked_mul(self.channels)?;
        let written = columns.checked_mul(self.channels)?;
        let bias = self.bias.is_none_or(|b| b.len() >= self.channels);
        if !self.channels.is_multiple_of(LANES)
            || read > self.input.len()
            || used > self.weights.len()
            || written > output.len()
            || !bias
        {
            return None;
        }
        let mut channel = 0;
        while channel < self.channels {
            let block = Block { row: self, channel, output: output.as_mut_ptr() };
            // SAFETY: all extents were compared; `serves` has seen to the columns.
            unsafe {
                match self.stride {
                    1 => block.compute::<L, 1>(),
                    _ => block.compute::<L, 2>(),
                }
            }
            channel += LANES;
        }
        Some(())
    }
}

/// Sixteen channels of a row.
#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    row: &'a Row<'a>,
    channel: usize,
    output: *mut f32,
}

impl Block<'_> {
    /// All pixels, in tiles as wide as there are columns, up to the widest.
    #[inline(always)]
    unsafe fn compute<L: Lanes, const S: usize>(&self) {
        // SAFETY: as for this function.
        unsafe {
            match (self.row.columns[1], L::WIDE) {
                (1, _) => self.tiles::<L, 1, S>(),
                (2, _) => self.tiles::<L, 2, S>(),
                (3, _) => self.tiles::<L, 3, S>(),
                (5, true) => self.tiles::<L, 5, S>(),
                (6, true) => self.tiles::<L, 6, S>(),
                (7, true) => self.tiles::<L, 7, S>(),
                (8.., true) => self.tiles::<L, 8, S>(),
                _ => self.tiles::<L, 4, S>(),
            }
        }
    }

    /// `P` neighbours at a time; the last ones of a row may be computed twice.
    #[inline(always)]
    unsafe fn tiles<L: Lanes, const P: usize, const S: usize>(&self) {
        let last = self.row.columns[1].saturating_sub(P);
        let mut column = 0;
        loop {
            // SAFETY: there are at least `P` columns, so that all of these are inside.
            unsafe { self.tile::<L, P, S>(column) };
            if column >= last {
                break;
            }
            column = (column + P).min(last);
        }
    }

    #[inline(always)]
    unsafe fn tile<L: Lanes, const P: usize, const S: usize>(&self, column: usize) {
        let Row { taps, next, channels, columns, pad, bias, clamp, .. } = *self.row;
        let reads = S * (P - 1) + 3;
        // Only the first and the last column that a tile reads can lie in the padding.
        let left = column * S < pad;
        let right = column * S + reads > columns[0] + pad;
        // SAFETY: what is read is inside but for those two, which are skipped.
        unsafe {
            let first = (column * S * channels + self.channel).wrapping_sub(pad * channels);
            let input = self.row.input.as_ptr().wrapping_add(first);
            let weights = self.row.weights.as_ptr().add(self.channel);
            let mut sums = [L::splat(0.0); P];
            for ky in 0..taps {
                let w = weights.add(ky * 3 * channels);
                let ws = [L::load(w), L::load(w.add(channels)), L::load(w.add(2 * channels))];
                let x = |column: usize| input.wrapping_add(ky * next + column * channels);
                let skipped = |column: usize| (column == 0 && left) || (column + 1 == reads && right);
                // A sum meets its taps from left to right.
                if S == 1 {
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
                                let x = L::load(x(p * S + kx));
                                sums[p] = sums[p].fma_lanes(x, ws[kx]);
                            }
                        }
                    }
                }
            }
            if let Some(bias) = bias {
                let bias = L::load(bias.as_ptr().add(self.channel));
                for sum in &mut sums {
                    *sum = sum.add(bias);
                }
            }
            let output = self.output.add(column * channels + self.channel);
            for p in 0..P {
                sums[p].limit(clamp.0, clamp.1).store(output.add(p * channels));
            }
        }
    }
}
