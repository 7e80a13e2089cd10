//! Quantize and Dequantize.

use crate::error::{Error, Result};
use crate::kernels::level::{Affine, Level};
use crate::ops::io::Io;
use crate::ops::op::Context;
use crate::tensor::Dtype;

/// Floats to levels, ties away from zero.
pub fn half_away(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    quantize(io, Affine::level_half_away)
}

/// Floats to levels, ties to even.
pub fn half_even(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    quantize(io, Affine::level)
}

#[inline(always)]
fn quantize(io: &mut Io<'_>, level: impl Fn(Affine, f32) -> i32) -> Result<()> {
    let desc = io.output_desc(0)?;
    let (n, affine) = (desc.shape.elements(), Affine::of(desc));
    match desc.dtype {
        Dtype::I8 => io.pair::<f32, i8>(0, 0)?.map(n, |x: f32| i8::narrow(level(affine, x))),
        Dtype::U8 => io.pair::<f32, u8>(0, 0)?.map(n, |x: f32| u8::narrow(level(affine, x))),
        Dtype::I16 => io.pair::<f32, i16>(0, 0)?.map(n, |x: f32| i16::narrow(level(affine, x))),
        Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            Err(Error::Dtype)
        }
    }
}

/// Levels to floats.
pub fn dequantize(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let desc = io.input_desc(0)?;
    let (n, affine) = (desc.shape.elements(), Affine::of(desc));
    match desc.dtype {
        Dtype::I8 => io.pair::<i8, f32>(0, 0)?.map(n, |x: i8| affine.real(x.widen())),
        Dtype::U8 => io.pair::<u8, f32>(0, 0)?.map(n, |x: u8| affine.real(x.widen())),
        Dtype::I16 => io.pair::<i16, f32>(0, 0)?.map(n, |x: i16| affine.real(x.widen())),
        Dtype::I32 => io.pair::<i32, f32>(0, 0)?.map(n, |x: i32| affine.real(x)),
        Dtype::F32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => Err(Error::Dtype),
    }
}
