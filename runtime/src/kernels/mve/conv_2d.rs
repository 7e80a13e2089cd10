//! Conv2D, row by row, three pixels at a time.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{CHANNELS, NO_SUMS, PIXELS, Sums, dot_1, dot_3};
use crate::kernels::mve::level::{Levels, Vector};
use crate::kernels::mve::moves::Vectors;
use crate::kernels::portable::patches::Patches;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::{Io, Pair};
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};
use crate::ops::op::{Context, Op};

/// A layer's operands beside the input.
struct Layer<'a, R: Vector> {
    weights: &'a [i8],
    bias: &'a [i32],
    levels: Levels<'a, R>,
    depth: usize,
}

/// int8 in the rounding `R`, one group.
pub fn int8<R: Vector>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let (input, output) = (io.input_desc(0)?, io.output_desc(0)?);
    let [batch, height, width, channels] = input.shape.dims4()?;
    let [_, kh, kw, _] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    let patches = Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point);
    let layer = Layer::<R> {
        weights: io.input(WEIGHTS)?,
        bias: io.input(BIAS)?,
        levels: Levels { scales: io.input(CONSTANTS)?, zero: output.zero_point, clamp: op.clamp },
        depth: patches.depth(),
    };
    let mut sums = NO_SUMS;
    if patches.are_all_pixels() && width >= PIXELS {
        let pixels = batch.wrapping_mul(height).wrapping_mul(width);
        return layer.all(io.pair::<i8, i8>(0, 0)?, pixels, &mut sums);
    }
    let scratch = io.scratch::<i8>()?;
    by_rows::<i8>(io, &op.window, kh, |row| layer.row(&patches, scratch, &mut sums, row))
}

impl<R: Vector> Layer<'_, R> {
    /// Pixels to pixels, whatever their rows. Groups no longer than a row keep apart in shared memory what rows would:
    /// what is left to read and what has been written change linearly from group to group.
    fn all(&self, mut pair: Pair<'_>, pixels: usize, sums: &mut Sums) -> Result<()> {
        let (channels, outputs) = (self.depth, self.bias.len());
        let descending = pair.descending();
        let mut done = 0usize;
        while done < pixels {
            let count = pixels.wrapping_sub(done).min(PIXELS);
            let start = if descending { pixels.wrapping_sub(done).wrapping_sub(count) } else { done };
            let end = start.wrapping_add(count);
            let (input, output) = pair.window::<i8, i8>(
                start.wrapping_mul(channels)..end.wrapping_mul(channels),
                start.wrapping_mul(outputs)..end.wrapping_mul(outputs),
            )?;
            let mut windows = [&[][..]; PIXELS];
            for (window, pixel) in windows.iter_mut().zip(input.chunks_exact(channels.max(1))) {
                *window = pixel;
            }
            self.pixels(windows, output, sums)?;
            done = done.wrapping_add(count);
        }
        Ok(())
    }

    fn row(
        &self,
        patches: &Patches,
        scratch: &mut [i8],
        sums: &mut Sums,
        mut row: Row<'_, i8>,
    ) -> Result<()> {
        let (outputs, depth) = (self.bias.len().max(1), self.depth.max(1));
        let band = patches.band(&row);
        let rest = core::mem::take(&mut row.output);
        for (group, pixels) in rest.chunks_mut(outputs.wrapping_mul(PIXELS).max(1)).enumerate() {
            let x = group.wrapping_mul(PIXELS);
            let mut windows = [&[][..]; PIXELS];
            if patches.are_pixels() {
                for (k, (window, _)) in windows.iter_mut().zip(pixels.chunks_exact(outputs)).enumerate() {
                    *window = patches.pixel(&row, x.wrapping_add(k))?;
                }
            } else {
                let scratch = scratch.get_mut(..depth.wrapping_mul(PIXELS)).ok_or(Error::TooSmall)?;
                let laid = scratch.chunks_exact_mut(depth).zip(pixels.chunks_exact(outputs));
                for (k, (patch, _)) in laid.enumerate() {
                    let x = x.wrapping_add(k);
                    patches.lay_out::<Vectors>(&band, row.input, x, patches.channels(), patch)?;
                }
                for (window, patch) in windows.iter_mut().zip(scratch.chunks_exact(depth)) {
                    *window = patch;
                }
            }
            self.pixels(windows, pixels, sums)?;
        }
        Ok(())
    }

    /// As many of `pixels` as there are, of the windows.
    #[inline(never)]
    fn pixels(&self, windows: [&[i8]; PIXELS], pixels: &mut [i8], sums: &mut Sums) -> Result<()> {
        let mut each = pixels.chunks_exact_mut(self.bias.len().max(1));
        match (each.next(), each.next(), each.next()) {
            (Some(a), Some(b), Some(c)) => {
                let parts = a.chunks_mut(CHANNELS).zip(b.chunks_mut(CHANNELS)).zip(c.chunks_mut(CHANNELS));
                for (k, ((a, b), c)) in parts.enumerate() {
                    let first = k.wrapping_mul(CHANNELS);
                    let (weights, bias) = self.channels(first, a.len())?;
                    dot_3(windows, weights, bias, sums)?;
                    self.levels.write(sums, 0, first, [a, b, c])?;
                }
            }
            (a, b, _) => {
                for (window, pixel) in windows.into_iter().zip([a, b].into_iter().flatten()) {
                    for (k, part) in pixel.chunks_mut(CHANNELS * PIXELS).enumerate() {
                        let first = k.wrapping_mul(CHANNELS * PIXELS);
                        let (weights, bias) = self.channels(first, part.len())?;
                        dot_1(window, weights, bias, sums)?;
                        self.levels.write(sums, 0, first, [part])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Weights and bias of `count` channels.
    fn channels(&self, first: usize, count: usize) -> Result<(&[i8], &[i32])> {
        let end = first.wrapping_add(count);
        let weights = self.weights.get(first.wrapping_mul(self.depth)..end.wrapping_mul(self.depth));
        Ok((weights.ok_or(Error::Internal)?, self.bias.get(first..end).ok_or(Error::Internal)?))
    }
}
