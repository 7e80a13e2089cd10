//! DepthwiseConv2D, row by row: the taps of a window one after the other, each for many channels.

use crate::error::{Error, Result};
use crate::kernels::portable::patches::Patches;
use crate::kernels::portable::scale::{Levels, Scale};
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};
use crate::ops::op::{Context, Op};

/// Channels whose sums are kept at once.
const CHANNELS: usize = 32;

/// Channels of a round of the loops.
const ROUND: usize = 4;

/// A layer's constants and geometry.
struct Layer<'a, R: Scale> {
    weights: &'a [i8],
    bias: &'a [i32],
    levels: Levels<'a, R>,
    patches: Patches,
    taps: [usize; 2],
    zero: i32,
    /// Outputs of an input channel.
    multiplier: usize,
}

/// int8 in the rounding `R`.
pub fn int8<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let (input, zero) = (io.input_desc(0)?, io.output_desc(0)?.zero_point);
    let [_, height, width, channels] = input.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    let layer = Layer::<R> {
        weights: io.input(WEIGHTS)?,
        bias: io.input(BIAS)?,
        levels: Levels { scales: io.input(CONSTANTS)?, zero, clamp: op.clamp },
        patches: Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point),
        taps: [kh, kw],
        zero: input.zero_point,
        multiplier: outputs.checked_div(channels).unwrap_or(1).max(1),
    };
    by_rows::<i8>(io, &op.window, kh, |mut row| {
        let output = core::mem::take(&mut row.output);
        for (x, pixel) in output.chunks_exact_mut(outputs.max(1)).enumerate() {
            for (k, part) in pixel.chunks_mut(CHANNELS).enumerate() {
                layer.part(&row, x, k.wrapping_mul(CHANNELS), part)?;
            }
        }
        Ok(())
    })
}

impl<R: Scale> Layer<'_, R> {
    /// The channels of one pixel from `first` on.
    #[inline(never)]
    fn part(&self, row: &Row<'_, i8>, x: usize, first: usize, part: &mut [i8]) -> Result<()> {
        let [kh, kw] = self.taps;
        let n = part.len();
        let mut sums = [0i32; CHANNELS];
        let sums = sums.get_mut(..n).ok_or(Error::Internal)?;
        let bias = self.bias.get(first..first.wrapping_add(n)).ok_or(Error::Internal)?;
        for (sum, &bias) in sums.iter_mut().zip(bias) {
            *sum = bias;
        }
        let mut at = first;
        for ky in 0..kh {
            for kx in 0..kw {
                let weights = self.weights.get(at..at.wrapping_add(n)).ok_or(Error::Internal)?;
                at = at.wrapping_add(self.bias.len());
                match self.patches.tap(row, x, [ky, kx]) {
                    None => add_same(sums, self.zero, weights),
                    Some(start) if self.multiplier == 1 => {
                        let start = start.wrapping_add(first);
                        let xs = row.input.get(start..start.wrapping_add(n)).ok_or(Error::Internal)?;
                        add_products(sums, xs, weights);
                    }
                    Some(start) => {
                        let xs = row.input.get(start..).ok_or(Error::Internal)?;
                        add_multiplied(sums, xs, weights, first, self.multiplier);
                    }
                }
            }
        }
        for ((o, slot), &sum) in (first..).zip(part).zip(sums.iter()) {
            *slot = self.levels.level(sum, o)?;
        }
        Ok(())
    }
}

/// `sums[c] += xs[c] * weights[c]`.
#[inline(always)]
fn add_products(sums: &mut [i32], xs: &[i8], weights: &[i8]) {
    let add = |sum: &mut i32, x: i8, w: i8| *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
    let (sums, rest) = sums.as_chunks_mut::<ROUND>();
    let ((xs, x_rest), (ws, w_rest)) = (xs.as_chunks::<ROUND>(), weights.as_chunks::<ROUND>());
    for ((sums, x), w) in sums.iter_mut().zip(xs).zip(ws) {
        add(&mut sums[0], x[0], w[0]);
        add(&mut sums[1], x[1], w[1]);
        add(&mut sums[2], x[2], w[2]);
        add(&mut sums[3], x[3], w[3]);
    }
    for ((sum, &x), &w) in rest.iter_mut().zip(x_rest).zip(w_rest) {
        add(sum, x, w);
    }
}

/// As [`add_products`] for one `x`.
#[inline(never)]
fn add_same(sums: &mut [i32], x: i32, weights: &[i8]) {
    for (sum, &w) in sums.iter_mut().zip(weights) {
        *sum = sum.wrapping_add(x.wrapping_mul(i32::from(w)));
    }
}

/// As [`add_products`] where `multiplier` channels of the output, of which `sums` starts at `first`, share one of `xs`.
#[inline(never)]
fn add_multiplied(sums: &mut [i32], xs: &[i8], weights: &[i8], first: usize, multiplier: usize) {
    let c = first.checked_div(multiplier).unwrap_or(0);
    let shared = xs.iter().skip(c).flat_map(|&x| core::iter::repeat_n(x, multiplier));
    let skip = first.wrapping_sub(c.wrapping_mul(multiplier));
    for ((sum, &w), x) in sums.iter_mut().zip(weights).zip(shared.skip(skip)) {
        *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
    }
}
