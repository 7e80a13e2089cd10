//! DepthwiseConv2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::reference::dot::{Dot, Float, Int8};
use crate::kernels::reference::rows::by_rows;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8, in the rounding `R`.
pub fn int8<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let dot = Int8::<R>::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let dot = Float::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

#[inline(always)]
fn walk<D: Dot>(op: &DepthwiseConv2d, io: &mut Io<'_>, dot: &D) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(1)?.shape.dims4()?;
    let multiplier = outputs.checked_div(channels).unwrap_or(1);
    by_rows::<D::Element>(io, &op.window, kh, |row| {
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            for (c, slots) in pixel.chunks_exact_mut(multiplier.max(1)).enumerate() {
                for (o, slot) in (c * multiplier..).zip(slots) {
                    let mut sum = dot.start(o);
                    for ky in 0..kh {
                        let Some(iy) = op.window.tap(0, row.y, ky, height) else { continue };
                        for kx in 0..kw {
                            let Some(ix) = op.window.tap(1, x, kx, width) else { continue };
                            let i = ((iy - row.first) * width + ix) * channels + c;
                            let k = (ky * kw + kx) * outputs + o;
                            let x = *row.input.get(i).ok_or(Error::Internal)?;
                            let w = *dot.weights().get(k).ok_or(Error::Internal)?;
                            sum = dot.add(sum, x, w);
                        }
                    }
                    *slot = dot.finish(sum, o)?;
                }
            }
        }
        Ok(())
    })
}
