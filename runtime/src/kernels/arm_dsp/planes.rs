//! DepthwiseConv2D with weights channel by channel, row by row, so that input and output may overlap by rows.
#![allow(unsafe_code)]

use super::layer::limit;
use super::scale::{Channels, Scale};
use super::three::Three;
use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, by_rows};
use crate::layout::QUAD;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Context, Op};

/// int8, in the rounding `R`.
pub fn depthwise_conv_2d<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let [_, kh, _, _] = io.input_desc(WEIGHTS)?.shape.dims4()?;
    let planes = Planes::<R>::new(&op, io)?;
    let columns = planes.columns();
    by_rows::<i8>(io, &op.window, kh, |row| match columns {
        Some(columns) if !row.input.is_empty() => planes.three(columns, row),
        _ => planes.any(row),
    })
}

/// A layer, apart from the row at hand.
struct Planes<'a, R: Scale> {
    op: &'a DepthwiseConv2d,
    /// Height, width and channels.
    input: [usize; 3],
    /// Height and width of the window.
    taps: [usize; 2],
    /// Output width and channels.
    output: [usize; 2],
    weights: &'a [i8],
    filters: Channels<'a, R>,
    /// Of input and output.
    zeros: [i32; 2],
}

/// Of a row with a window of 3 by 3: which columns outputs end in.
#[derive(Clone, Copy)]
struct Columns {
    /// From output to output: 1 or 2.
    stride: usize,
    /// Columns of padding before the image: 0 or 1.
    left: usize,
    /// Columns of the image up to the last one that an output ends in.
    whole: usize,
    /// Columns of padding up to the last output.
    right: usize,
}

impl<'a, R: Scale> Planes<'a, R> {
    fn new(op: &'a DepthwiseConv2d, io: &Io<'a>) -> Result<Self> {
        let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
        let [_, kh, kw, outputs] = io.input_desc(WEIGHTS)?.shape.dims4()?;
        let [_, _, ow, _] = io.output_desc(0)?.shape.dims4()?;
        let planes = Planes {
            op,
            input: [height, width, channels],
            taps: [kh, kw],
            output: [ow, outputs],
            weights: io.input(WEIGHTS)?,
            filters: Channels::new(io, outputs, kh * kw)?,
            zeros: [io.input_desc(0)?.zero_point, io.output_desc(0)?.zero_point],
        };
        if planes.weights.len() == outputs * planes.depth() { Ok(planes) } else { Err(Error::Internal) }
    }

    /// Bytes of a channel's weights.
    fn depth(&self) -> usize {
        let [kh, kw] = self.taps;
        (kh * kw).next_multiple_of(QUAD)
    }

    /// Where the loop for windows of 3 by 3 serves: one filter per channel, strides of 1 or 2, at most one column of
    /// padding on the left and, between outputs two apart, on the right, and plain constants.
    fn columns(&self) -> Option<Columns> {
        let [_, width, channels] = self.input;
        let ([ow, outputs], window) = (self.output, &self.op.window);
        let (stride, left) = (usize::from(window.stride[1]), usize::from(window.pad[1]));
        let fits =
            self.taps == [3, 3] && window.dilation[1] == 1 && channels == outputs && self.filters.all_plain();
        // The second column is never padding.
        if !fits || !(1..=2).contains(&stride) || left > 1 || width + left < 2 {
            return None;
        }
        // The column, in the image, that the last output ends in.
        let last = (ow - 1) * stride + 2 - left;
        let beyond = (last + 1).saturating_sub(width);
        match (stride, beyond) {
            (1, _) => Some(Columns { stride, left, whole: last + 1 - beyond, right: beyond }),
            (_, 0) => Some(Columns { stride, left, whole: last + 1, right: 0 }),
            // Its second column is the image's last one.
            (_, 1) => Some(Columns { stride, left, whole: width - 1, right: 2 }),
            _ => None,
        }
    }

    /// A row with at least one row of inputs under it.
    #[inline(never)]
    fn three(&self, columns: Columns, row: Row<'_, i8>) -> Result<()> {
        let ([height, width, channels], [ow, outputs]) = (self.input, self.output);
        let at = |ky| {
            let iy = self.op.window.tap(0, row.y, ky, height)?;
            iy.checked_sub(row.first).map(|y| y * width * channels)
        };
        let [upper, middle, lower] = [at(0), at(1), at(2)];
        // What is multiplied by zero may come from any row.
        let some = upper.or(middle).or(lower).ok_or(Error::Internal)?;
        let [first, second, third] = [upper, middle, lower].map(|row| row.unwrap_or(some));
        let room = first.max(second).max(third) + width * channels;
        if row.input.len() < room || row.output.len() != ow * outputs {
            return Err(Error::Internal);
        }
        let (bias, scales) = self.filters.all();
        let input = row.input.get(first..).ok_or(Error::Internal)?.as_ptr();
        let output = row.output.as_mut_ptr();
        let behind = (3 - columns.left) * channels;
        let half = |row: Option<usize>, shift: u32| if row.is_none() { 0xFFFFu32 << shift } else { 0 };
        let padding = [half(upper, 0) | half(middle, 16), half(lower, 0) | half(lower, 16)];
        let zero = self.zeros[0] as u16 as u32;
        let fill = zero << 16 | zero;
        let mut args = Three {
            weights: self.weights.as_ptr(),
            bias: bias.as_ptr(),
            scales: scales.as_ptr().cast(),
            step: self.filters.step(),
            zero: R::zero(self.zeros[1]),
            input,
            rows: [second.wrapping_sub(first), third.wrapping_sub(first)],
            channels,
            output: match columns.stride {
                1 => (output as usize).wrapping_sub(input as usize).wrapping_sub(behind),
                _ => output as usize,
            },
            end: [columns.whole * channels, (columns.whole + columns.right) * channels],
            by_twos: usize::from(columns.stride == 2),
            left: columns.left,
            fill,
            is_masked: usize::from(padding != [0; 2]),
            masked: padding.map(|p| p & fill),
            kept: padding.map(|p| !p),
            left_over: channels,
        };
        // SAFETY: weights, biases and constants are of as many channels, as `new` has seen; all three rows lie in
        // `row.input`, as checked here; `columns` holds as many ends of outputs as an output row has pixels.
        unsafe { R::THREE(&mut args) };
        limit(self.op.clamp, row.output);
        Ok(())
    }

    /// Any window, any constants.
    #[inline(never)]
    fn any(&self, row: Row<'_, i8>) -> Result<()> {
        let ([height, width, channels], [kh, kw], [_, outputs]) = (self.input, self.taps, self.output);
        let multiplier = outputs.checked_div(channels).unwrap_or(1).max(1);
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            let planes = self.weights.chunks_exact(self.depth().max(1));
            for ((o, slot), plane) in pixel.iter_mut().enumerate().zip(planes) {
                let c = o.checked_div(multiplier).ok_or(Error::Internal)?;
                let mut sum = self.filters.bias(o);
                for (ky, weights) in plane.chunks_exact(kw.max(1)).enumerate().take(kh) {
                    let iy = self.op.window.tap(0, row.y, ky, height);
                    for (kx, &w) in weights.iter().enumerate() {
                        let x = match (iy, self.op.window.tap(1, x, kx, width)) {
                            (Some(iy), Some(ix)) => {
                                let i = ((iy - row.first) * width + ix) * channels + c;
                                i32::from(*row.input.get(i).ok_or(Error::Internal)?)
                            }
                            _ => self.zeros[0],
                        };
                        sum = sum.wrapping_add(x.wrapping_mul(i32::from(w)));
                    }
                }
                let level = self.filters.level(o, sum, self.zeros[1])?;
                *slot = self.op.clamp.limit_i32(i32::from(level)) as i8;
            }
        }
        Ok(())
    }
}
