//! Rows of weights times windows: what convolutions and fully connected layers are made of.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::mve::dot::{CHANNELS, Job, PIXELS, Sums, samara_mve_dot_1, samara_mve_dot_3};
use crate::kernels::mve::level::{Levels, Vector};
use crate::ops::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, WEIGHTS};

/// A layer's constants, which fit each other.
pub(super) struct Matrix<'a, R: Requant> {
    /// As many rows of `depth` bytes as there are biases.
    weights: &'a [i8],
    bias: &'a [i32],
    depth: usize,
    /// For as many channels.
    levels: Levels<'a, R>,
}

impl<'a, R: Vector> Matrix<'a, R> {
    /// From a step's operands; each output channel has `depth` weights.
    pub(super) fn new(io: &Io<'a>, depth: usize, clamp: Clamp) -> Result<Self> {
        let (weights, bias) = (io.input::<i8>(WEIGHTS)?, io.input::<i32>(BIAS)?);
        if bias.len().checked_mul(depth) != Some(weights.len()) || weights.is_empty() {
            return Err(Error::Internal);
        }
        Ok(Matrix { weights, bias, depth, levels: Levels::new(io, clamp, bias.len())? })
    }

    /// Bytes of a window; at least 1.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Output channels; at least 1.
    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Windows to the pixels that lie one after the other in `pixels`: one to three of them.
    #[inline(never)]
    pub(super) fn pixels(&self, windows: &[&[i8]], pixels: &mut [i8], sums: &mut Sums) -> Result<()> {
        let (n, depth) = (self.bias.len(), self.depth);
        let fits = windows.len().wrapping_mul(n) == pixels.len() && windows.iter().all(|w| w.len() == depth);
        if !fits {
            return Err(Error::Internal);
        }
        if let [a, b, c] = windows {
            let to = pixels.as_mut_ptr();
            let outputs = [to, to.wrapping_add(n), to.wrapping_add(n).wrapping_add(n)];
            // SAFETY: every window is as long as a row of weights; there is room for `n` levels at each output.
            unsafe { self.three([a.as_ptr(), b.as_ptr(), c.as_ptr()], outputs, sums) }
            return Ok(());
        }
        for (window, pixel) in windows.iter().zip(pixels.chunks_exact_mut(n.max(1))) {
            // SAFETY: the window is as long as a row of weights; a pixel has room for `n` levels.
            unsafe { self.one(window.as_ptr(), pixel.as_mut_ptr(), sums) }
        }
        Ok(())
    }

    /// # Safety
    /// Each of `x` must point to `depth` bytes, each of `outputs` to room for a level of every channel.
    unsafe fn three(&self, x: [*const i8; PIXELS], outputs: [*mut i8; PIXELS], sums: &mut Sums) {
        let (outputs_len, depth) = (self.bias.len(), self.depth);
        let sums = sums.as_mut_ptr();
        let (bias, weights) = (self.bias.as_ptr(), self.weights.as_ptr());
        let mut job = Job { x, depth, bias, sums, end: sums, weights, stride: depth };
        let mut first = 0usize;
        while first < outputs_len {
            let n = outputs_len.wrapping_sub(first).min(CHANNELS);
            let even = n & !1;
            job.end = sums.wrapping_add(even);
            if even > 0 {
                // SAFETY: from `first` on there are rows of weights and biases for `even` channels, at most CHANNELS,
                // which each row of sums has room for; the windows are the caller's.
                unsafe { samara_mve_dot_3(&job) }
            }
            if even < n {
                let o = first.wrapping_add(even);
                let twice = [self.bias.get(o).copied().unwrap_or(0); 2];
                let weights = self.weights.as_ptr().wrapping_add(o.wrapping_mul(depth));
                let (sums, end) = (job.end, job.end.wrapping_add(2));
                let odd = Job { x, depth, bias: twice.as_ptr(), sums, end, weights, stride: 0 };
                // SAFETY: both rows of weights are row `o`; `even` is at most CHANNELS - 2.
                unsafe { samara_mve_dot_3(&odd) }
            }
            let to = outputs.map(|o| o.wrapping_add(first));
            // SAFETY: the sums of `n` channels of three pixels have just been written; outputs are the caller's.
            unsafe { self.levels.run(sums, first, n, to, true) }
            first = first.wrapping_add(n);
            job.bias = job.bias.wrapping_add(n);
            job.weights = job.weights.wrapping_add(n.wrapping_mul(depth));
        }
    }

    /// # Safety
    /// `x` must point to `depth` bytes, `output` to room for a level of every channel.
    unsafe fn one(&self, x: *const i8, output: *mut i8, sums: &mut Sums) {
        let (outputs_len, depth) = (self.bias.len(), self.depth);
        let sums = sums.as_mut_ptr();
        let x = [x; PIXELS];
        let (bias, weights) = (self.bias.as_ptr(), self.weights.as_ptr());
        let mut job = Job { x, depth, bias, sums, end: sums, weights, stride: depth };
        let mut first = 0usize;
        while first < outputs_len {
            let n = outputs_len.wrapping_sub(first).min(CHANNELS * PIXELS);
            let fours = n & !3;
            job.end = sums.wrapping_add(fours);
            if fours > 0 {
                // SAFETY: from `first` on there are rows of weights and biases for `fours` channels, at most
                // CHANNELS * PIXELS, which sums have room for; the window is the caller's.
                unsafe { samara_mve_dot_1(&job) }
            }
            for k in fours..n {
                let o = first.wrapping_add(k);
                let bias = [self.bias.get(o).copied().unwrap_or(0); 4];
                let weights = self.weights.as_ptr().wrapping_add(o.wrapping_mul(depth));
                let (sums, end) = (sums.wrapping_add(k), sums.wrapping_add(k).wrapping_add(4));
                let single = Job { x, depth, bias: bias.as_ptr(), sums, end, weights, stride: 0 };
                // SAFETY: all rows of weights are row `o`; three sums too many go where the next channel's come, or
                // into the room after the last.
                unsafe { samara_mve_dot_1(&single) }
            }
            let to = [output.wrapping_add(first), core::ptr::null_mut(), core::ptr::null_mut()];
            // SAFETY: the sums of `n` channels have just been written; the output is the caller's.
            unsafe { self.levels.run(sums, first, n, to, false) }
            first = first.wrapping_add(n);
            job.bias = job.bias.wrapping_add(n);
            job.weights = job.weights.wrapping_add(n.wrapping_mul(depth));
        }
    }
}
