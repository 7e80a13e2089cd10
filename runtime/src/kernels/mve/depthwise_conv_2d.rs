//! DepthwiseConv2D, row by row, up to three pixels at a time.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{CHANNELS, NO_SUMS, PIXELS, Sums};
use crate::kernels::mve::level::{Levels, Vector};
use crate::kernels::mve::moves::Vectors;
use crate::kernels::mve::taps::{Taps, taps};
use crate::kernels::portable::depthwise_conv_2d as portable;
use crate::kernels::portable::patches::{Band, Patches};
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::scratch::CHANNELS as LAID_OUT;
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
    let mut sums = NO_SUMS;
    by_rows::<i8>(io, &op.window, kh, |row| layer.row(scratch, &mut sums, row))
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
    fn row(&self, scratch: &mut [i8], sums: &mut Sums, mut row: Row<'_, i8>) -> Result<()> {
        let channels = self.bias.len().max(1);
        let band = self.patches.band(&row);
        let mut rest = core::mem::take(&mut row.output);
        let mut x = 0usize;
        while !rest.is_empty() {
            // As many pixels as have their whole window in the image, else one.
            let most = rest.len().checked_div(channels).unwrap_or(0).min(PIXELS);
            let mut windows = [&[][..]; PIXELS];
            let mut count = 0usize;
            for window in windows.iter_mut().take(most) {
                let Some(at) = self.patches.whole(&band, x.wrapping_add(count)) else { break };
                *window = row.input.get(at..).ok_or(Error::Internal)?;
                count = count.wrapping_add(1);
            }
            let pixels = count.max(1);
            let (now, after) =
                rest.split_at_mut_checked(pixels.wrapping_mul(channels)).ok_or(Error::Internal)?;
            match count {
                0 => self.padded(&band, row.input, x, scratch, sums, now)?,
                _ => self.inside(windows.get(..count).unwrap_or(&[]), sums, now)?,
            }
            rest = after;
            x = x.wrapping_add(pixels);
        }
        Ok(())
    }

    /// Pixels whose windows lie in the image, and start at the slices' starts.
    #[inline(never)]
    fn inside(&self, windows: &[&[i8]], sums: &mut Sums, pixels: &mut [i8]) -> Result<()> {
        let channels = self.bias.len().max(1);
        let mut first = 0usize;
        for bias in self.bias.chunks(CHANNELS) {
            let end = first.wrapping_add(bias.len());
            taps(&self.image, windows, first, (self.weights, channels, first), bias, sums)?;
            let mut each = pixels.chunks_exact_mut(channels).filter_map(|p| p.get_mut(first..end));
            match (each.next(), each.next(), each.next()) {
                (Some(a), Some(b), Some(c)) => self.levels.write(sums, 0, first, [a, b, c])?,
                (a, b, _) => {
                    for (k, part) in [a, b].into_iter().flatten().enumerate() {
                        self.levels.write(sums, k, first, [part])?;
                    }
                }
            }
            first = end;
        }
        Ok(())
    }

    /// The pixel at `x`, whose window reaches into the padding.
    #[inline(never)]
    fn padded(
        &self,
        band: &Band,
        input: &[i8],
        x: usize,
        scratch: &mut [i8],
        sums: &mut Sums,
        pixel: &mut [i8],
    ) -> Result<()> {
        let channels = self.bias.len().max(1);
        let Taps { rows, columns, .. } = self.image;
        let mut first = 0usize;
        for (bias, part) in self.bias.chunks(LAID_OUT).zip(pixel.chunks_mut(LAID_OUT)) {
            let n = bias.len();
            let patch = scratch.get_mut(..self.patches.taps().wrapping_mul(n)).ok_or(Error::TooSmall)?;
            let range = first..first.wrapping_add(n);
            self.patches.lay_out::<Vectors>(band, input, x, range, patch)?;
            let shape = Taps { rows, columns, column: n, row: columns.wrapping_mul(n) };
            taps(&shape, &[patch], 0, (self.weights, channels, first), bias, sums)?;
            self.levels.write(sums, 0, first, [part])?;
            first = first.wrapping_add(n);
        }
        Ok(())
    }
}
