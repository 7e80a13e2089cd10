//! What convolution and fully connected layers share: windows of one or two pixels against all rows of weights.

use crate::error::{Error, Result};
use crate::kernels::portable::dot::{one, two};
use crate::kernels::portable::scale::{Levels, Scale};
use crate::ops::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};

/// A layer's constants.
pub(crate) struct Layer<'a, R: Scale> {
    weights: &'a [i8],
    bias: &'a [i32],
    levels: Levels<'a, R>,
}

impl<'a, R: Scale> Layer<'a, R> {
    /// From a step's operands.
    pub(crate) fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        let zero = io.output_desc(0)?.zero_point;
        let levels = Levels { scales: io.input(CONSTANTS)?, zero, clamp };
        Ok(Layer { weights: io.input(WEIGHTS)?, bias: io.input(BIAS)?, levels })
    }

    /// One window to one pixel.
    #[inline(never)]
    pub(crate) fn one(&self, window: &[i8], pixel: &mut [i8]) -> Result<()> {
        let depth = window.len().max(1);
        let weights = self.weights.chunks(depth.wrapping_mul(2).max(1));
        for (k, ((pair, bias), slots)) in
            weights.zip(self.bias.chunks(2)).zip(pixel.chunks_mut(2)).enumerate()
        {
            let o = k.wrapping_mul(2);
            let (rows, biases) = pair_of(pair, bias, depth)?;
            let sums = one(window, rows, biases);
            for (i, (slot, sum)) in slots.iter_mut().zip(sums).enumerate() {
                *slot = self.levels.level(sum, o.wrapping_add(i))?;
            }
        }
        Ok(())
    }

    /// Two windows to two pixels.
    #[inline(never)]
    pub(crate) fn two(&self, windows: [&[i8]; 2], pixels: [&mut [i8]; 2]) -> Result<()> {
        let depth = windows[0].len().max(1);
        let weights = self.weights.chunks(depth.wrapping_mul(2).max(1));
        let [a, b] = pixels;
        let slots = a.chunks_mut(2).zip(b.chunks_mut(2));
        for (k, ((pair, bias), (a, b))) in weights.zip(self.bias.chunks(2)).zip(slots).enumerate() {
            let o = k.wrapping_mul(2);
            let (rows, biases) = pair_of(pair, bias, depth)?;
            let [xs, ys] = two(windows, rows, biases);
            for (i, ((a, b), (x, y))) in a.iter_mut().zip(b).zip(xs.into_iter().zip(ys)).enumerate() {
                *a = self.levels.level(x, o.wrapping_add(i))?;
                *b = self.levels.level(y, o.wrapping_add(i))?;
            }
        }
        Ok(())
    }
}

/// Two rows of weights with their biases; the last of an odd number counts twice.
#[inline(always)]
fn pair_of<'a>(pair: &'a [i8], bias: &[i32], depth: usize) -> Result<([&'a [i8]; 2], [i32; 2])> {
    let (first, second) = pair.split_at_checked(depth).ok_or(Error::Internal)?;
    match *bias {
        [a, b] => Ok(([first, second], [a, b])),
        [a] => Ok(([first, first], [a, a])),
        _ => Err(Error::Internal),
    }
}
