//! DepthwiseConv2D with weights channel by channel, row by row, so that input and output may overlap by rows.
#![allow(unsafe_code)]

use core::ptr::null;

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
    let mut three = planes.columns().map(|columns| planes.three(columns));
    by_rows::<i8>(io, &op.window, kh, |row| match &mut three {
        Some(three) if !row.input.is_empty() => planes.row(three, row),
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
            (1, _) | (_, 0) => Some(Columns { whole: last + 1 - beyond, right: beyond }),
            // Its second column is the image's last one.
            (_, 1) => Some(Columns { whole: width - 1, right: 2 }),
            _ => None,
        }
    }

    /// What is the same for all rows.
    fn three(&self, Columns { whole, right }: Columns) -> Three {
        let [_, _, channels] = self.input;
        let zero = u32::from(self.zeros[0] as u16);
        Three {
            weights: null(),
            bias: null(),
            scales: null(),
            step: self.filters.step(),
            zero: R::zero(self.zeros[1]),
            input: null(),
            rows: [0; 2],
            channels,
            output: 0,
            end: [whole * channels, (whole + right) * channels],
            by_twos: usize::from(self.op.window.stride[1] == 2),
            left: usize::from(self.op.window.pad[1]),
            fill: zero << 16 | zero,
            is_masked: 0,
            masked: [0; 2],
            kept: [0; 2],
            left_over: 0,
        }
    }

    /// A row with at least one row of inputs under it.
    #[inline(never)]
    fn row(&self, three: &mut Three, row: Row<'_, i8>) -> Result<()> {
        let ([height, width, channels], [ow, outputs]) = (self.input, self.output);
        let (taps, down) = (self.op.window.taps(0, row.y, 3, 0, height), self.op.window.dilation[0]);
        // What is multiplied by zero may come from any row: the first one is there.
        let (mut rows, mut padding) = ([0; 3], [0u32; 3]);
        for ((ky, slot), padding) in rows.iter_mut().enumerate().zip(&mut padding) {
            if taps.contains(&ky) {
                *slot = (ky - taps.start) * usize::from(down) * width * channels;
            } else {
                *padding = u32::MAX;
            }
        }
        let [upper, middle, lower] = rows;
        let room = upper.max(middle).max(lower) + width * channels;
        if row.input.len() < room || row.output.len() != ow * outputs {
            return Err(Error::Internal);
        }
        let input = row.input.get(upper..).ok_or(Error::Internal)?.as_ptr();
        let output = row.output.as_mut_ptr() as usize;
        let behind = input as usize + (3 - three.left) * channels;
        let padding = [padding[0] & 0xFFFF | padding[1] << 16, padding[2]];
        let (bias, scales) = self.filters.all();
        (three.weights, three.bias) = (self.weights.as_ptr(), bias.as_ptr());
        (three.scales, three.left_over) = (scales.as_ptr().cast(), channels);
        three.input = input;
        three.rows = [middle.wrapping_sub(upper), lower.wrapping_sub(upper)];
        three.output = if three.by_twos == 1 { output } else { output.wrapping_sub(behind) };
        three.is_masked = usize::from(padding != [0; 2]);
        three.masked = padding.map(|p| p & three.fill);
        three.kept = padding.map(|p| !p);
        // SAFETY: weights, biases and constants are of as many channels, as `new` has seen; all three rows lie in
        // `row.input`, as checked here; `columns` holds as many ends of outputs as an output row has pixels.
        unsafe { R::THREE(three) };
        limit(self.op.clamp, row.output);
        Ok(())
    }

    /// Any window, any constants.
    #[inline(never)]
    fn any(&self, row: Row<'_, i8>) -> Result<()> {
        let ([height, width, channels], [kh, kw], [_, outputs]) = (self.input, self.taps, self.output);
        let (window, multiplier) = (&self.op.window, outputs.checked_div(channels).unwrap_or(1).max(1));
        let [down, right] = window.dilation.map(usize::from);
        let rows = window.taps(0, row.y, kh, 0, height);
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            let columns = window.taps(1, x, kw, 0, width);
            let left = window.tap(1, x, columns.start, width).unwrap_or(0);
            let planes = self.weights.chunks_exact(self.depth().max(1));
            for ((o, slot), plane) in pixel.iter_mut().enumerate().zip(planes) {
                let c = o.checked_div(multiplier).ok_or(Error::Internal)?;
                let mut sum = self.filters.bias(o);
                for (k, &w) in plane.iter().enumerate().take(kh * kw) {
                    let ky = k.checked_div(kw).ok_or(Error::Internal)?;
                    let kx = k - ky * kw;
                    let x = if rows.contains(&ky) && columns.contains(&kx) {
                        let at = (ky - rows.start) * down * width + (kx - columns.start) * right + left;
                        i32::from(*row.input.get(at * channels + c).ok_or(Error::Internal)?)
                    } else {
                        self.zeros[0]
                    };
                    sum = sum.wrapping_add(x.wrapping_mul(i32::from(w)));
                }
                let level = self.filters.level(o, sum, self.zeros[1])?;
                *slot = self.op.clamp.limit_i32(i32::from(level)) as i8;
            }
        }
        Ok(())
    }
}
