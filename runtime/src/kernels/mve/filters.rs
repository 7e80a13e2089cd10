//! Windows times filters of their own channels: what depthwise convolutions are made of.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::mve::dot::{CHANNELS, PIXELS, Sums};
use crate::kernels::mve::level::{Levels, Vector};
use crate::kernels::mve::taps::{Job, samara_mve_least, samara_mve_taps, samara_mve_taps_3x3};
use crate::ops::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, WEIGHTS};

/// A layer's constants, which fit each other.
pub(super) struct Filters<'a, R: Requant> {
    /// As many rows of a weight for each channel as there are taps.
    weights: &'a [i8],
    /// Of a multiple of eight channels.
    bias: &'a [i32],
    taps: [usize; 2],
    /// For as many channels.
    levels: Levels<'a, R>,
    /// Whether windows are three by three, and no weight is -128.
    is_3x3: bool,
}

/// Where the taps of a window lie, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// From a tap to the next in its row.
    column: usize,
    /// From a row of taps to the next.
    row: usize,
    /// From the first tap to the last.
    span: usize,
}

impl<'a, R: Vector> Filters<'a, R> {
    /// From a step's operands, whose channels are a multiple of eight; windows have these rows and columns of taps.
    pub(super) fn new(io: &Io<'a>, taps: [usize; 2], clamp: Clamp) -> Result<Self> {
        let (weights, bias) = (io.input::<i8>(WEIGHTS)?, io.input::<i32>(BIAS)?);
        let size = taps[0].checked_mul(taps[1]).and_then(|t| t.checked_mul(bias.len()));
        if size != Some(weights.len()) || weights.is_empty() || bias.len() & 7 != 0 {
            return Err(Error::Internal);
        }
        // SAFETY: there is at least one weight.
        let least = unsafe { samara_mve_least(weights.as_ptr(), weights.len()) };
        let is_3x3 = taps == [3, 3] && least > i8::MIN.into();
        Ok(Filters { weights, bias, taps, levels: Levels::new(io, clamp, bias.len())?, is_3x3 })
    }

    /// Channels; at least 8.
    pub(super) fn channels(&self) -> usize {
        self.bias.len()
    }

    /// Taps `column` bytes apart in rows `row` bytes apart.
    pub(super) fn steps(&self, column: usize, row: usize) -> Result<Steps> {
        let [rows, columns] = self.taps;
        let reach = |step: usize, count: usize| step.checked_mul(count.checked_sub(1)?);
        let span = reach(row, rows).and_then(|y| y.checked_add(reach(column, columns)?));
        Ok(Steps { column, row, span: span.ok_or(Error::Internal)? })
    }

    /// Windows that begin where these slices do to the pixels that lie one after the other in `pixels`: one to three.
    #[inline(never)]
    pub(super) fn pixels(
        &self,
        steps: &Steps,
        windows: &[&[i8]],
        pixels: &mut [i8],
        sums: &mut Sums,
    ) -> Result<()> {
        let channels = self.bias.len();
        let end = steps.span.saturating_add(channels);
        let fits = windows.len() <= PIXELS && windows.len().wrapping_mul(channels) == pixels.len();
        if !fits || windows.iter().any(|w| w.len() < end) {
            return Err(Error::Internal);
        }
        let mut x = [core::ptr::null::<i8>(); PIXELS];
        let mut to = [core::ptr::null_mut::<i8>(); PIXELS];
        let mut output = pixels.as_mut_ptr();
        for ((x, to), window) in x.iter_mut().zip(&mut to).zip(windows) {
            (*x, *to) = (window.as_ptr(), output);
            output = output.wrapping_add(channels);
        }
        let mut first = 0usize;
        while first < channels {
            let n = channels.wrapping_sub(first).min(CHANNELS);
            // SAFETY: every window reaches to the last channel of its last tap, every output has room for all channels;
            // from `first` on there are `n`, a multiple of eight.
            unsafe { self.chunk(steps, windows.len(), x, first, n, to, sums) }
            first = first.wrapping_add(n);
            (x, to) = (x.map(|x| x.wrapping_add(n)), to.map(|to| to.wrapping_add(n)));
        }
        Ok(())
    }

    /// Channels from `first` on, as many as `output` has, of one window laid out in `patch`, tap after tap.
    #[inline(never)]
    pub(super) fn part(&self, patch: &[i8], first: usize, output: &mut [i8], sums: &mut Sums) -> Result<()> {
        let n = output.len();
        let [rows, columns] = self.taps;
        let fits = n & 7 == 0 && n <= CHANNELS && first.checked_add(n).is_some_and(|e| e <= self.bias.len());
        if !fits || rows.wrapping_mul(columns).checked_mul(n) != Some(patch.len()) {
            return Err(Error::Internal);
        }
        let steps = Steps { column: n, row: columns.wrapping_mul(n), span: patch.len().wrapping_sub(n) };
        let null = core::ptr::null_mut();
        let (x, to) = ([patch.as_ptr(); PIXELS], [output.as_mut_ptr(), null, null]);
        // SAFETY: the patch holds `n` channels of every tap, the output room for as many.
        unsafe { self.chunk(&steps, 1, x, first, n, to, sums) }
        Ok(())
    }

    /// # Safety
    /// `first + n` must not exceed the channels, `n` be a multiple of eight and at most [`CHANNELS`], `pixels` at most
    /// [`PIXELS`]. Of as many, `x` must point to the first tap, with `n` channels in each, and `outputs` to room for `n`;
    /// those of `outputs` that are beyond must be null.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn chunk(
        &self,
        steps: &Steps,
        pixels: usize,
        x: [*const i8; PIXELS],
        first: usize,
        n: usize,
        outputs: [*mut i8; PIXELS],
        sums: &mut Sums,
    ) {
        if n == 0 || pixels == 0 {
            return;
        }
        let [rows, columns] = self.taps;
        let sums = sums.as_mut_ptr();
        let back = steps.row.wrapping_sub(columns.wrapping_mul(steps.column));
        let mut job = Job {
            weights: self.weights.as_ptr().wrapping_add(first),
            steps: [steps.column, self.bias.len(), back],
            columns,
            rows,
            bias: self.bias.as_ptr().wrapping_add(first),
            sums,
            pixels,
            x: x.as_ptr(),
            blocks: n >> 4,
        };
        let wide = if self.is_3x3 { n & !15 } else { 0 };
        if wide > 0 {
            // SAFETY: there are weights and biases for `wide` channels from `first` on, none of them -128, and sums have
            // room for CHANNELS of each pixel; the windows are the caller's.
            unsafe { samara_mve_taps_3x3(&job) }
        }
        if wide < n {
            let x = x.map(|x| x.wrapping_add(wide));
            job.x = x.as_ptr();
            job.weights = job.weights.wrapping_add(wide);
            job.bias = job.bias.wrapping_add(wide);
            job.sums = job.sums.wrapping_add(wide);
            job.blocks = n.wrapping_sub(wide) >> 3;
            // SAFETY: as above for the channels left, a multiple of eight.
            unsafe { samara_mve_taps(&job) }
        }
        if pixels == PIXELS {
            // SAFETY: the sums of `n` channels of three pixels have just been written; outputs are the caller's.
            unsafe { self.levels.run(sums, first, n, outputs, true) }
            return;
        }
        let null = core::ptr::null_mut();
        for (k, to) in outputs.into_iter().enumerate().take(pixels) {
            let sums = sums.wrapping_add(k.wrapping_mul(CHANNELS));
            // SAFETY: as above, for one pixel.
            unsafe { self.levels.run(sums, first, n, [to, null, null], false) }
        }
    }
}
