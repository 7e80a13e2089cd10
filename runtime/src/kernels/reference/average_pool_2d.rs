//! AveragePool2D, row by row, so that input and output may overlap by rows.

use crate::error::{Error, Result};
use crate::kernels::level::{Affine, Level};
use crate::kernels::reference::rows::{Row, by_rows};
use crate::kernels::sum::Sum;
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8, `sum / count` rounded half away from zero.
pub fn int8_tflite(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<i8, i32>(attributes, io, Sum::mean_half_away)
}

/// int8, `sum / count` rounded half up.
pub fn int8_single(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<i8, i32>(attributes, io, Sum::mean_half_up)
}

/// int16, `sum / count` rounded half away from zero.
pub fn int16_tflite(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<i16, i64>(attributes, io, Sum::mean_half_away)
}

/// int16, `sum / count` rounded half up.
pub fn int16_single(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<i16, i64>(attributes, io, Sum::mean_half_up)
}

fn levels<T: Level, S: Sum>(
    attributes: &[u8],
    io: &mut Io<'_>,
    mean: impl Fn(S, i32) -> Option<i32>,
) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    let zero = io.input_desc(0)?.zero_point;
    walk::<T, S>(
        &op,
        io,
        |acc, x| acc.plus(x.widen(), 1),
        |acc, inside, count| {
            // Counted padding holds real zeros.
            let sum = acc.plus(zero, count.wrapping_sub(inside));
            T::exact(op.clamp.limit_i32(mean(sum, count).unwrap_or(zero)))
        },
    )
}

/// Dequantized, averaged in f32, quantized half to even.
pub fn onnx<T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    let (x, y) = (Affine::of(io.input_desc(0)?), Affine::of(io.output_desc(0)?));
    walk::<T, f32>(
        &op,
        io,
        |acc, v| acc + x.real(v.widen()),
        |acc, _, count| T::exact(op.clamp.limit_i32(y.level(mean_f32(acc, count)))),
    )
}

/// Floats summed in order, then divided.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    walk::<f32, f32>(&op, io, |acc, x| acc + x, |acc, _, count| op.clamp.limit_f32(mean_f32(acc, count)))
}

fn mean_f32(sum: f32, count: i32) -> f32 {
    if count == 0 { 0.0 } else { sum / count as f32 }
}

/// `finish` gets the sum, the taps inside the image, and the divisor.
#[inline(always)]
fn walk<T: bytemuck::Pod, A: Copy + Default>(
    op: &AveragePool2d,
    io: &mut Io<'_>,
    add: impl Fn(A, T) -> A,
    finish: impl Fn(A, i32, i32) -> T,
) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let window = &op.pool.window;
    by_rows::<T>(io, window, op.pool.height(), |Row { y, first, input, output }| {
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let count = op.count([y, x], [height, width]);
            for (c, slot) in pixel.iter_mut().enumerate() {
                let (mut acc, mut inside) = (A::default(), 0i32);
                for ky in 0..op.pool.height() {
                    let Some(iy) = window.tap(0, y, ky, height) else { continue };
                    for kx in 0..op.pool.width() {
                        let Some(ix) = window.tap(1, x, kx, width) else { continue };
                        let i = ((iy - first) * width + ix) * channels + c;
                        acc = add(acc, *input.get(i).ok_or(Error::Internal)?);
                        inside += 1;
                    }
                }
                *slot = finish(acc, inside, count);
            }
        }
        Ok(())
    })
}
