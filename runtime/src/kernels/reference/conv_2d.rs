//! Conv2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::reference::dot::{Dot, Float, Int8, Int16};
use crate::kernels::reference::rows::by_rows;
#[cfg(feature = "std")]
use crate::kernels::reference::stored::Folded;
use crate::kernels::reference::weights::{Format, Weights};
use crate::kernels::sum::RequantWide;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8 with weights stored as `F`, in the rounding `R`.
pub fn int8<R: Requant, F: Format<Value: Into<i32>>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Int8::<R, F>::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

/// int8 as kernel id `ID` has it, in the rounding `R`.
#[cfg(feature = "std")]
pub fn folded<R: Requant, const ID: u8>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Folded::<R, ID>::new(io, op.clamp, false)?;
    walk(&op, io, &dot)
}

/// int16 with weights stored as `F`, in the rounding `R`.
pub fn int16<R: RequantWide, F: Format<Value: Into<i32>>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Int16::<R, F>::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

/// Floats with weights stored as `F`.
pub fn f32<F: Format>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let dot = Float::<F>::new(io, op.clamp)?;
    walk(&op, io, &dot)
}

#[inline(always)]
fn walk<D: Dot>(op: &Conv2d, io: &mut Io<'_>, dot: &D) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [outputs, kh, kw, per_group] = io.input_desc(1)?.shape.dims4()?;
    let per_output_group = outputs.checked_div(op.groups as usize).ok_or(Error::Attribute)?;
    // Taps side by side are one run where their channels are, too.
    let is_run = op.groups == 1 && op.window.dilation[1] == 1;
    by_rows::<D::Element>(io, &op.window, kh, |row| {
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            let taps = op.window.taps(1, x, kw, 0, width);
            let run = if is_run { taps.len().max(1) } else { 1 };
            for (o, slot) in pixel.iter_mut().enumerate() {
                let group = o.checked_div(per_output_group).unwrap_or(0);
                let mut sum = dot.start(o);
                for ky in 0..kh {
                    let Some(iy) = op.window.tap(0, row.y, ky, height) else { continue };
                    for kx in taps.clone().step_by(run) {
                        let Some(ix) = op.window.tap(1, x, kx, width) else { continue };
                        let i = ((iy - row.first) * width + ix) * channels + group * per_group;
                        let k = ((o * kh + ky) * kw + kx) * per_group;
                        let xs = row.input.get(i..i + run * per_group).ok_or(Error::Internal)?;
                        let ws = dot.weights().row(o, k, run * per_group)?;
                        for (&x, w) in xs.iter().zip(ws) {
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
