//! A layer in pairs of channels: the calls of the loops, and what they leave to the functions that define the rounding.
#![allow(unsafe_code)]

use core::ptr::{null, null_mut};

use super::args::Args;
use super::scale::{Channels, Scale};
use super::{four, one};
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
    args: Args,
}

impl<'a, R: Scale> Layer<'a, R> {
    /// From a step's operands, with `depth` weights per channel.
    pub(super) fn new(io: &Io<'a>, clamp: Clamp, outputs: usize, depth: usize) -> Result<Self> {
        let (weights, groups): (&[u32], _) = (io.input(WEIGHTS)?, depth.div_ceil(QUAD));
        if groups == 0 || weights.len() != outputs.div_ceil(2) * 2 * groups {
            return Err(Error::Internal);
        }
        let (channels, zero) = (Channels::new(io, outputs, depth)?, io.output_desc(0)?.zero_point);
        let args = Args {
            zeros: [0; 8],
            entry: 0,
            columns: null(),
            bias: null(),
            scales: null(),
            output: null_mut(),
            zero: R::zero(zero),
            is_special: 0,
            weights: null(),
            step: channels.step() * 2,
            last: null(),
            channels: outputs,
            end: null(),
            sums: null_mut(),
            is_odd: 0,
        };
        Ok(Layer { weights, channels, outputs, groups, zero, clamp, args })
    }

    /// Words of one pixel's column.
    pub(super) fn words(&self) -> usize {
        2 * self.groups
    }

    /// The outputs of four pixels or of one, one pixel after the other, from their columns, word by word in turn.
    #[inline(never)]
    pub(super) fn levels(&mut self, pixels: usize, columns: &[u32], outputs: &mut [i8]) -> Result<()> {
        let (end, entry) = match pixels {
            4 => (4 * self.words(), four::skip(self.groups)),
            _ => (self.groups / 2 * 4, one::skip(self.groups)),
        };
        let run = columns.get(..end).ok_or(Error::Internal)?.as_ptr_range();
        if columns.len() < pixels * self.words() || outputs.len() != pixels * self.outputs {
            return Err(Error::Internal);
        }
        (self.args.columns, self.args.end) = (run.start, run.end);
        self.args.is_odd = if pixels == 1 { self.groups % 2 } else { 0 };
        let all = self.outputs.div_ceil(2);
        let mut first = 0;
        while first < all {
            let args = &mut self.args;
            args.weights = self.weights.get(first * 2 * self.groups..).ok_or(Error::Internal)?.as_ptr();
            args.entry = entry;
            // Plain pairs of channels go through the loops together, others alone, for their sums.
            let plain = self.channels.plain(first, self.outputs / 2);
            if plain > 0 {
                let (bias, scales) = self.channels.pairs(first, plain)?;
                (args.bias, args.scales) = (bias.as_ptr(), scales.as_ptr().cast());
                args.last = bias.as_ptr_range().end;
                args.output = outputs.get_mut(2 * first..).ok_or(Error::Internal)?.as_mut_ptr();
                (args.sums, args.is_special) = (null_mut(), args.is_odd);
                // SAFETY: there are so many pairs' weights, biases, constants and outputs; columns and outputs are as long
                // as checked above.
                unsafe { R::PAIRS[usize::from(pixels == 4)](args) };
            } else {
                self.sums(pixels, first, outputs)?;
            }
            first += plain.max(1);
        }
        limit(self.clamp, outputs);
        Ok(())
    }

    /// The outputs of one pair of channels by way of its sums; its weights are among the arguments.
    #[inline(never)]
    fn sums(&mut self, pixels: usize, pair: usize, outputs: &mut [i8]) -> Result<()> {
        let mut sums = [0i32; 8];
        (self.args.sums, self.args.is_special) = (sums.as_mut_ptr(), 1);
        // SAFETY: one pair's weights are there, and eight sums at most are written; columns are as long as `levels` has
        // checked.
        unsafe { R::PAIRS[usize::from(pixels == 4)](&mut self.args) };
        for (pixel, [even, odd]) in outputs.chunks_exact_mut(self.outputs.max(1)).zip(sums.as_chunks::<2>().0)
        {
            // Without bias, the odd channel's in the upper 24 bits.
            for ((o, slot), sum) in (0..).zip(pixel).skip(2 * pair).zip([*even, *odd >> 8]) {
                *slot = self.channels.level(o, sum.wrapping_add(self.channels.bias(o)), self.zero)?;
            }
        }
        Ok(())
    }
}

/// A fused activation's range, where it is not all of int8.
#[inline(never)]
pub(super) fn limit(clamp: Clamp, outputs: &mut [i8]) {
    if clamp != Clamp::i32(-128, 127) {
        for level in outputs {
            *level = clamp.limit_i32(i32::from(*level)) as i8;
        }
    }
}
