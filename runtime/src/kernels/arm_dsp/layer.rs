//! The constants of a layer in pairs of channels, and the calls of the loops over them.
#![allow(unsafe_code)]

use core::ptr::null_mut;

use super::four::{self, Four};
use super::one::{self, One};
use super::scale::Scale;
use crate::error::{Error, Result};
use crate::kernels::reference::dot::of_channel;
use crate::layout::QUAD;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};

/// What the loops read, long enough for `outputs` channels.
#[derive(Debug)]
pub(super) struct Layer<'a, R: Scale> {
    weights: &'a [u32],
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    outputs: usize,
    /// Groups of four weights of one channel, the last one padded.
    groups: usize,
    /// Pairs of channels from the first on that need nothing but the loops.
    plain: usize,
    zero: i32,
    clamp: Clamp,
}

impl<'a, R: Scale> Layer<'a, R> {
    /// From a step's operands, with `depth` weights per channel.
    pub(super) fn new(io: &Io<'a>, clamp: Clamp, outputs: usize, depth: usize) -> Result<Self> {
        let (weights, bias): (&[u32], Option<&[i32]>) = (io.input(WEIGHTS)?, io.optional(BIAS)?);
        let scales: &[R::Scale] = io.input(CONSTANTS)?;
        let groups = depth.div_ceil(QUAD);
        let lengths = [weights.len(), bias.map_or(outputs, <[i32]>::len), scales.len()];
        let [w, b, s] = lengths;
        if w != outputs.div_ceil(2) * 2 * groups || b != outputs || (s != outputs && s != 1) || groups == 0 {
            return Err(Error::Internal);
        }
        let is_plain = bias.is_some() && scales.iter().all(|&s| R::is_plain(s));
        let plain = if is_plain { outputs / 2 } else { 0 };
        let zero = io.output_desc(0)?.zero_point;
        Ok(Layer { weights, bias, scales, outputs, groups, plain, zero, clamp })
    }

    /// Words of one pixel's column.
    pub(super) fn words(&self) -> usize {
        2 * self.groups
    }

    /// The outputs of four pixels, one after the other, from their columns, word by word in turn.
    pub(super) fn four(&self, columns: &[u32], outputs: &mut [i8]) -> Result<()> {
        let columns = columns.get(..4 * self.words()).ok_or(Error::Internal)?;
        if outputs.len() != 4 * self.outputs {
            return Err(Error::Internal);
        }
        let mut args = Four {
            bias: self.bias.unwrap_or(&[]).as_ptr(),
            scales: self.scales.as_ptr().cast(),
            step: if self.scales.len() == 1 { 0 } else { 8 },
            weights: self.weights.as_ptr(),
            columns: columns.as_ptr(),
            end: columns.as_ptr_range().end,
            output: outputs.as_mut_ptr(),
            channels: self.outputs,
            zero: R::zero(self.zero),
            pairs: self.plain,
            sums: null_mut(),
            entry: four::skip(self.groups),
        };
        if self.plain > 0 {
            // SAFETY: `plain` pairs are plain, and have their biases, constants and weights, as `new` has seen; columns and
            // outputs are as long as checked here.
            unsafe { R::FOUR(&mut args) };
        }
        for pair in self.plain..self.outputs.div_ceil(2) {
            let (bias, weights) = self.pair(pair)?;
            let mut sums = [0i32; 8];
            args.bias = bias.as_ptr();
            args.weights = weights.as_ptr();
            args.sums = sums.as_mut_ptr();
            args.entry = four::skip(self.groups);
            // SAFETY: with `sums`, of eight words, one pair is computed from its weights and bias, and no more is read.
            unsafe { R::FOUR(&mut args) };
            for (pixel, sums) in outputs.chunks_exact_mut(self.outputs).zip(sums.as_chunks::<2>().0) {
                self.finish(pair, *sums, bias, pixel)?;
            }
        }
        limit(self.clamp, outputs);
        Ok(())
    }

    /// The outputs of one pixel from its column.
    pub(super) fn one(&self, column: &[u32], outputs: &mut [i8]) -> Result<()> {
        let column = column.get(..self.words()).ok_or(Error::Internal)?;
        if outputs.len() != self.outputs {
            return Err(Error::Internal);
        }
        let twice = column.get(..self.groups / 2 * 4).ok_or(Error::Internal)?;
        let mut args = One {
            bias: self.bias.unwrap_or(&[]).as_ptr(),
            scales: self.scales.as_ptr().cast(),
            step: if self.scales.len() == 1 { 0 } else { 8 },
            weights: self.weights.as_ptr(),
            column: column.as_ptr(),
            end: twice.as_ptr_range().end,
            output: outputs.as_mut_ptr(),
            zero: R::zero(self.zero),
            pairs: self.plain,
            sums: null_mut(),
            is_odd: self.groups % 2,
            entry: one::skip(self.groups),
        };
        if self.plain > 0 {
            // SAFETY: `plain` pairs are plain, and have their biases, constants and weights, as `new` has seen; column and
            // outputs are as long as checked here.
            unsafe { R::ONE(&mut args) };
        }
        for pair in self.plain..self.outputs.div_ceil(2) {
            let (bias, weights) = self.pair(pair)?;
            let mut sums = [0i32; 2];
            args.bias = bias.as_ptr();
            args.weights = weights.as_ptr();
            args.sums = sums.as_mut_ptr();
            args.entry = one::skip(self.groups);
            // SAFETY: with `sums`, of two words, one pair is computed from its weights and bias, and no more is read.
            unsafe { R::ONE(&mut args) };
            self.finish(pair, sums, bias, outputs)?;
        }
        limit(self.clamp, outputs);
        Ok(())
    }

    /// Biases and weights of a pair of channels.
    fn pair(&self, pair: usize) -> Result<([i32; 2], &'a [u32])> {
        let bias = |o: usize| self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0);
        let weights = self.weights.chunks_exact(self.words()).nth(pair).ok_or(Error::Internal)?;
        Ok(([bias(2 * pair), bias(2 * pair + 1)], weights))
    }

    /// A pixel's levels of a pair from what the loops make of it: the even channel's sum, and the odd one's without bias
    /// in the upper 24 bits.
    fn finish(&self, pair: usize, [even, odd]: [i32; 2], bias: [i32; 2], pixel: &mut [i8]) -> Result<()> {
        let sums = [even, (odd >> 8).wrapping_add(bias[1])];
        for ((o, slot), sum) in (0..).zip(pixel).skip(2 * pair).zip(sums) {
            let level = R::level(sum, of_channel(self.scales, o)?).wrapping_add(self.zero);
            *slot = Clamp::i32(-128, 127).limit_i32(level) as i8;
        }
        Ok(())
    }
}

/// A fused activation's range, where it is not all of int8.
pub(super) fn limit(clamp: Clamp, outputs: &mut [i8]) {
    if clamp != Clamp::i32(-128, 127) {
        for level in outputs {
            *level = clamp.limit_i32(i32::from(*level)) as i8;
        }
    }
}
