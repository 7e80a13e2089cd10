//! DepthwiseConv2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::float::{Fma, Soft};
use crate::kernels::reference::rows::by_rows;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8 input and output, int32 accumulation that wraps.
pub fn int8<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let zero = io.input_desc(0)?.zero_point;
    let output_zero = io.output_desc(0)?.zero_point;
    let weights = io.input::<i8>(1)?;
    let bias = io.optional::<i32>(2)?;
    let scales = io.input::<R::Scale>(3)?;
    let clamp = DepthwiseConv2d::parse(attributes)?.clamp;
    walk::<i8, i32>(
        attributes,
        io,
        weights,
        |o| bias.and_then(|b| b.get(o).copied()).unwrap_or(0),
        |acc, x, w| acc.wrapping_add((x as i32).wrapping_sub(zero).wrapping_mul(w as i32)),
        |acc, o| {
            let scale = *scales.get(o).ok_or(Error::Internal)?;
            Ok(clamp.limit_i32(R::apply(acc, scale).wrapping_add(output_zero)) as i8)
        },
    )
}

/// Floats in canonical order with fused multiply-add.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let weights = io.input::<f32>(1)?;
    let bias = io.optional::<f32>(2)?;
    let clamp = DepthwiseConv2d::parse(attributes)?.clamp;
    walk::<f32, f32>(
        attributes,
        io,
        weights,
        |o| bias.and_then(|b| b.get(o).copied()).unwrap_or(0.0),
        |acc, x, w| Soft::fma(x, w, acc),
        |acc, _| Ok(clamp.limit_f32(acc)),
    )
}

#[inline(always)]
fn walk<T: bytemuck::Pod, A: Copy>(
    attributes: &[u8],
    io: &mut Io<'_>,
    weights: &[T],
    start: impl Fn(usize) -> A,
    mac: impl Fn(A, T, T) -> A,
    finish: impl Fn(A, usize) -> Result<T>,
) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, kh, kw, outputs] = io.input_desc(1)?.shape.dims4()?;
    let multiplier = outputs.checked_div(channels).unwrap_or(1);
    by_rows::<T>(io, &op.window, kh, |row| {
        for (x, pixel) in row.output.chunks_exact_mut(outputs.max(1)).enumerate() {
            for (c, slots) in pixel.chunks_exact_mut(multiplier.max(1)).enumerate() {
                for (o, slot) in (c * multiplier..).zip(slots) {
                    let mut acc = start(o);
                    for ky in 0..kh {
                        let Some(iy) = op.window.tap(0, row.y, ky, height) else { continue };
                        for kx in 0..kw {
                            let Some(ix) = op.window.tap(1, x, kx, width) else { continue };
                            let i = ((iy - row.first) * width + ix) * channels + c;
                            let k = (ky * kw + kx) * outputs + o;
                            let x = *row.input.get(i).ok_or(Error::Internal)?;
                            let w = *weights.get(k).ok_or(Error::Internal)?;
                            acc = mac(acc, x, w);
                        }
                    }
                    *slot = finish(acc, o)?;
                }
            }
        }
        Ok(())
    })
}
