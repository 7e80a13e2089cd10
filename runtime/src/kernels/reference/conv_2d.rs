//! Conv2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::reference::dot::{Dot, Float, Int8};
use crate::kernels::reference::rows::by_rows;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8, in the rounding `R`.
pub fn int8<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Int8::<R>::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Float::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

#[inline(always)]
fn walk<D: Dot>(op: &Conv2d, io: &mut Io<'_>, dot: &D) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [outputs, kh, kw, per_group] = io.input_desc(1)?.shape.dims4()?;
    let per_output_group = outputs.checked_div(op.groups as usize).ok_or(Error::Attribute)?;
    by_rows::<D::Element>(io, &op.window, kh, |row| {
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            for (o, slot) in pixel.iter_mut().enumerate() {
                let group = o.checked_div(per_output_group).unwrap_or(0);
                let mut sum = dot.start(o);
                for ky in 0..kh {
                    let Some(iy) = op.window.tap(0, row.y, ky, height) else { continue };
                    for kx in 0..kw {
                        let Some(ix) = op.window.tap(1, x, kx, width) else { continue };
                        let i = ((iy - row.first) * width + ix) * channels + group * per_group;
                        let k = ((o * kh + ky) * kw + kx) * per_group;
                        let xs = row.input.get(i..i + per_group).ok_or(Error::Internal)?;
                        let ws = dot.weights().get(k..k + per_group).ok_or(Error::Internal)?;
                        for (&x, &w) in xs.iter().zip(ws) {
                            sum = dot.add(sum, x, w);
                        }
                    }
                }
                *slot = dot.finish(sum, o)?;
            }
        }
        Ok(())
    })
}
