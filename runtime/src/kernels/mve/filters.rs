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
        for (x, window) in x.iter_mut().zip(windows) {
            *x = window.as_ptr();
        }
        let mut job = self.job(steps, &x, windows.len(), sums);
        let to = pixels.as_mut_ptr();
        let mut first = 0usize;
        while first < channels {
            let n = channels.wrapping_sub(first).min(CHANNELS);
            job.first = first;
            // SAFETY: every window reaches to the last channel of its last tap, and there are `n` channels from `first`
            // on, a multiple of eight; every pixel has room for all channels.
            unsafe { self.chunk(&mut job, first, n, to.wrapping_add(first)) }
            first = first.wrapping_add(n);
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
        let x = [patch.as_ptr().wrapping_sub(first)];
        let mut job = self.job(&steps, &x, 1, sums);
        job.first = first;
        // SAFETY: the patch holds the `n` channels from `first` on of every tap, `output` room for as many.
        unsafe { self.chunk(&mut job, first, n, output.as_mut_ptr()) }
        Ok(())
    }

    /// All of a job but its channels; `x` outlives it.
    #[inline(always)]
    fn job(&self, steps: &Steps, x: &[*const i8], pixels: usize, sums: &mut Sums) -> Job {
        let [rows, columns] = self.taps;
        let back = steps.row.wrapping_sub(columns.wrapping_mul(steps.column));
        Job {
            weights: self.weights.as_ptr(),
            steps: [steps.column, self.bias.len(), back],
            columns,
            rows,
            bias: self.bias.as_ptr(),
            sums: sums.as_mut_ptr(),
            pixels,
            x: x.as_ptr(),
            blocks: 0,
            first: 0,
        }
    }

    /// The `n` channels from `first` on. Levels go to `output`, those of the next pixels as many bytes on as the layer
    /// has channels.
    ///
    /// # Safety
    /// `first + n` must not exceed the channels, `n` be a multiple of eight and at most [`CHANNELS`], the job's pixels at
    /// most [`PIXELS`]. Of as many, `x` must point so that these channels are there in every tap, and there must be room
    /// for their levels.
    #[inline(never)]
    unsafe fn chunk(&self, job: &mut Job, first: usize, n: usize, output: *mut i8) {
        let pixels = job.pixels;
        if n == 0 || pixels == 0 {
            return;
        }
        let sums = job.sums;
        let wide = if self.is_3x3 { n & !15 } else { 0 };
        job.bias = self.bias.as_ptr().wrapping_add(first);
        if wide > 0 {
            job.blocks = wide >> 4;
            // SAFETY: there are weights and biases for `wide` channels from `first` on, none of them -128, and sums have
            // room for CHANNELS of each pixel; the windows are the caller's.
            unsafe { samara_mve_taps_3x3(job) }
        }
        if wide < n {
            job.first = first.wrapping_add(wide);
            job.bias = job.bias.wrapping_add(wide);
            job.sums = sums.wrapping_add(wide);
            job.blocks = n.wrapping_sub(wide) >> 3;
            // SAFETY: as above for the channels left, a multiple of eight.
            unsafe { samara_mve_taps(job) }
            job.sums = sums;
        }
        let channels = self.bias.len();
        let null = core::ptr::null_mut();
        if pixels == PIXELS {
            let second = output.wrapping_add(channels);
            let outputs = [output, second, second.wrapping_add(channels)];
            // SAFETY: the sums of `n` channels of three pixels have just been written; outputs are the caller's.
            unsafe { self.levels.run(sums, first, n, outputs, true) }
            return;
        }
        let (mut sums, mut output) = (sums, output);
        for _ in 0..pixels {
            // SAFETY: as above, for one pixel.
            unsafe { self.levels.run(sums, first, n, [output, null, null], false) }
            sums = sums.wrapping_add(CHANNELS);
            output = output.wrapping_add(channels);
        }
    }
}
