//! A layer in pairs of channels: the calls of the loops, and what they leave to the functions that define the rounding.
#![allow(unsafe_code)]

use core::ptr::null_mut;

use super::four::{self, Four};
use super::one::{self, One};
use super::scale::{Channels, Scale};
use crate::error::{Error, Result};
use crate::layout::QUAD;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;

/// What the loops read.
pub(super) struct Layer<'a, R: Scale> {
    weights: &'a [u32],
    channels: Channels<'a, R>,
    outputs: usize,
    /// Groups of four weights of one channel, the last one padded.
    groups: usize,
    zero: i32,
    clamp: Clamp,
}

impl<'a, R: Scale> Layer<'a, R> {
    /// From a step's operands, with `depth` weights per channel.
    pub(super) fn new(io: &Io<'a>, clamp: Clamp, outputs: usize, depth: usize) -> Result<Self> {
        let (weights, groups): (&[u32], _) = (io.input(WEIGHTS)?, depth.div_ceil(QUAD));
        if groups == 0 || weights.len() != outputs.div_ceil(2) * 2 * groups {
            return Err(Error::Internal);
        }
        let channels = Channels::new(io, outputs, depth)?;
        Ok(Layer { weights, channels, outputs, groups, zero: io.output_desc(0)?.zero_point, clamp })
    }

    /// Words of one pixel's column.
    pub(super) fn words(&self) -> usize {
        2 * self.groups
    }

    /// The outputs of four pixels, one after the other, from their columns, word by word in turn.
    pub(super) fn four(&self, columns: &[u32], outputs: &mut [i8]) -> Result<()> {
        let columns = columns.get(..4 * self.words()).ok_or(Error::Internal)?.as_ptr_range();
        if outputs.len() != 4 * self.outputs {
            return Err(Error::Internal);
        }
        self.runs(outputs, |part, output| {
            let mut args = Four {
                bias: part.bias.as_ptr(),
                scales: part.scales.cast(),
                step: self.channels.step(),
                weights: part.weights.as_ptr(),
                columns: columns.start,
                end: columns.end,
                output,
                channels: self.outputs,
                zero: R::zero(self.zero),
                pairs: part.pairs,
                sums: part.sums,
                entry: four::skip(self.groups),
            };
            // SAFETY: a part has weights and biases of its pairs of channels, and constants and outputs where sums are not
            // asked for; columns and outputs are as long as checked here.
            unsafe { R::FOUR(&mut args) };
        })
    }

    /// The outputs of one pixel from its column.
    pub(super) fn one(&self, column: &[u32], outputs: &mut [i8]) -> Result<()> {
        let twice = column.get(..self.groups / 2 * 4).ok_or(Error::Internal)?.as_ptr_range();
        if column.len() < self.words() || outputs.len() != self.outputs {
            return Err(Error::Internal);
        }
        self.runs(outputs, |part, output| {
            let mut args = One {
                bias: part.bias.as_ptr(),
                scales: part.scales.cast(),
                step: self.channels.step(),
                weights: part.weights.as_ptr(),
                column: twice.start,
                end: twice.end,
                output,
                zero: R::zero(self.zero),
                pairs: part.pairs,
                sums: part.sums,
                is_odd: self.groups % 2,
                entry: one::skip(self.groups),
            };
            // SAFETY: as above.
            unsafe { R::ONE(&mut args) };
        })
    }

    /// Calls `run` for one range of plain pairs after the other, with the place of its first output, and for every other
    /// pair alone, for its sums.
    #[inline(always)]
    fn runs(&self, outputs: &mut [i8], run: impl Fn(&Part<'_, R>, *mut i8)) -> Result<()> {
        let (whole, all) = (self.outputs / 2, self.outputs.div_ceil(2));
        let mut first = 0;
        while first < all {
            let weights = self.weights.get(first * self.words()..).ok_or(Error::Internal)?;
            let (end, is_plain) =
                if first < whole { self.channels.run(first, whole, 2) } else { (all, false) };
            if is_plain {
                let (bias, scales) = self.channels.from(2 * first)?;
                let output = outputs.get_mut(2 * first..).ok_or(Error::Internal)?.as_mut_ptr();
                let pairs = end - first;
                run(&Part { bias, scales: scales.as_ptr(), weights, pairs, sums: null_mut() }, output);
            } else {
                for pair in first..end {
                    let weights = self.weights.get(pair * self.words()..).ok_or(Error::Internal)?;
                    let mut sums = [0i32; 8];
                    let bias = [self.channels.bias(2 * pair), self.channels.bias(2 * pair + 1)];
                    let scales = core::ptr::null();
                    run(
                        &Part { bias: &bias, scales, weights, pairs: 1, sums: sums.as_mut_ptr() },
                        null_mut(),
                    );
                    for (pixel, sums) in outputs.chunks_exact_mut(self.outputs).zip(sums.as_chunks::<2>().0) {
                        self.finish(pair, *sums, bias, pixel)?;
                    }
                }
            }
            first = end;
        }
        limit(self.clamp, outputs);
        Ok(())
    }

    /// A pixel's levels of a pair from what the loops make of it: the even channel's sum, and the odd one's without bias
    /// in the upper 24 bits.
    #[inline(never)]
    fn finish(&self, pair: usize, [even, odd]: [i32; 2], bias: [i32; 2], pixel: &mut [i8]) -> Result<()> {
        let sums = [even, (odd >> 8).wrapping_add(bias[1])];
        for ((o, slot), sum) in (0..).zip(pixel).skip(2 * pair).zip(sums) {
            let level = R::apply(sum, self.channels.scale(o)?).wrapping_add(self.zero);
            *slot = Clamp::i32(-128, 127).limit_i32(level) as i8;
        }
        Ok(())
    }
}

/// Pairs of channels that the loops go through at once: all plain, or a single one.
struct Part<'a, R: Scale> {
    bias: &'a [i32],
    scales: *const R::Scale,
    weights: &'a [u32],
    pairs: usize,
    /// Where the sums of the single one go, eight at most, or null.
    sums: *mut i32,
}

/// A fused activation's range, where it is not all of int8.
pub(super) fn limit(clamp: Clamp, outputs: &mut [i8]) {
    if clamp != Clamp::i32(-128, 127) {
        for level in outputs {
            *level = clamp.limit_i32(i32::from(*level)) as i8;
        }
    }
}
