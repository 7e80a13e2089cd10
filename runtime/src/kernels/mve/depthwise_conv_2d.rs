//! DepthwiseConv2D, row by row, up to three pixels at a time.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{CHANNELS, PIXELS, Sums};
use crate::kernels::mve::level::{Levels, Vector};
use crate::kernels::mve::taps::{Taps, taps};
use crate::kernels::portable::depthwise_conv_2d as portable;
use crate::kernels::portable::patches::Patches;
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`. Channels that do not come in eights of their own input channels are left to portable code.
pub fn int8<R: Vector + Scale>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let (input, zero) = (io.input_desc(0)?, io.output_desc(0)?.zero_point);
    let [_, height, width, channels] = input.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    if outputs != channels || channels & 7 != 0 {
        return portable::int8::<R>(attributes, io, cx);
    }
    let [dy, dx] = op.window.dilation;
    let column = channels.wrapping_mul(dx as usize);
    let row = width.wrapping_mul(channels).wrapping_mul(dy as usize);
    let layer = Layer::<R> {
        weights: io.input(WEIGHTS)?,
        bias: io.input(BIAS)?,
        levels: Levels { scales: io.input(CONSTANTS)?, zero, clamp: op.clamp },
        patches: Patches::new(&op.window, [kh, kw], [height, width, channels], input.zero_point),
        image: Taps { rows: kh, columns: kw, column, row },
    };
    let scratch = io.scratch::<i8>()?;
    by_rows::<i8>(io, &op.window, kh, |row| layer.row(scratch, row))
}

/// A layer's constants and geometry.
struct Layer<'a, R: Vector> {
    weights: &'a [i8],
    bias: &'a [i32],
    levels: Levels<'a, R>,
    patches: Patches,
    image: Taps,
}

impl<R: Vector> Layer<'_, R> {
    fn row(&self, scratch: &mut [i8], mut row: Row<'_, i8>) -> Result<()> {
        let channels = self.bias.len().max(1);
        let mut rest = core::mem::take(&mut row.output);
        let mut x = 0usize;
        while !rest.is_empty() {
            // As many pixels as have their whole window in the image, else one.
            let most = rest.len().checked_div(channels).unwrap_or(0).min(PIXELS);
            let mut starts = [0usize; PIXELS];
            let mut count = 0usize;
            for start in starts.iter_mut().take(most) {
                let Some(at) = self.patches.whole(&row, x.wrapping_add(count)) else { break };
                *start = at;
                count = count.wrapping_add(1);
            }
            let starts = starts.get(..count).unwrap_or(&[]);
            let pixels = count.max(1);
            let (now, after) =
                rest.split_at_mut_checked(pixels.wrapping_mul(channels)).ok_or(Error::Internal)?;
            self.pixels(&row, x, starts, scratch, now)?;
            rest = after;
            x = x.wrapping_add(pixels);
        }
        Ok(())
    }

    /// Pixels whose windows begin at `starts` of the row's input, or one that reaches into the padding.
    fn pixels(
        &self,
        row: &Row<'_, i8>,
        x: usize,
        starts: &[usize],
        scratch: &mut [i8],
        pixels: &mut [i8],
    ) -> Result<()> {
        let mut sums: Sums = [0; CHANNELS * PIXELS + 4];
        let channels = self.bias.len().max(1);
        let mut first = 0usize;
        for bias in self.bias.chunks(CHANNELS) {
            let end = first.wrapping_add(bias.len());
            let mut windows = [&[][..]; PIXELS];
            let weights = (self.weights, channels, first);
            if starts.is_empty() {
                let size = self.patches.taps().wrapping_mul(bias.len());
                let patch = scratch.get_mut(..size).ok_or(Error::TooSmall)?;
                self.patches.lay_out(row, x, first..end, patch)?;
                let Taps { rows, columns, .. } = self.image;
                let shape = Taps { rows, columns, column: bias.len(), row: columns.wrapping_mul(bias.len()) };
                taps(&shape, &[patch], weights, bias, &mut sums)?;
            } else {
                for (window, &start) in windows.iter_mut().zip(starts) {
                    *window = row.input.get(start.wrapping_add(first)..).ok_or(Error::Internal)?;
                }
                let windows = windows.get(..starts.len()).unwrap_or(&[]);
                taps(&self.image, windows, weights, bias, &mut sums)?;
            }
            let mut each = pixels.chunks_exact_mut(channels).filter_map(|p| p.get_mut(first..end));
            match (each.next(), each.next(), each.next()) {
                (Some(a), Some(b), Some(c)) => self.levels.write(&sums, first, [a, b, c])?,
                (a, b, _) => {
                    for part in [a, b].into_iter().flatten() {
                        self.levels.write(&sums, first, [part])?;
                        sums.copy_within(CHANNELS.., 0);
                    }
                }
            }
            first = end;
        }
        Ok(())
    }
}
