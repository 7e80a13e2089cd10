//! Requantize.

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::level::{Affine, Level};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::requantize::Requantize;
use crate::tensor::Dtype;

/// By multiplier and shift; under `tflite` as TFLite Micro's kernel.
pub fn fixed<R: Requant<Scale = [i32; 2]>>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let multiplier = Requantize::parse(attributes)?.multiplier;
    let (zx, zo) = (io.input_desc(0)?.zero_point, io.output_desc(0)?.zero_point);
    each(io, |x| R::apply(x.wrapping_sub(zx), multiplier).saturating_add(zo))
}

/// What dequantize, quantize give.
pub fn onnx(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let (px, po) = (Affine::of(io.input_desc(0)?), Affine::of(io.output_desc(0)?));
    each(io, |x| po.level(px.real(x)))
}

fn each(io: &mut Io<'_>, f: impl Fn(i32) -> i32) -> Result<()> {
    match io.input_desc(0)?.dtype {
        Dtype::I8 => from::<i8>(io, f),
        Dtype::U8 => from::<u8>(io, f),
        Dtype::I16 => from::<i16>(io, f),
        Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            Err(Error::Dtype)
        }
    }
}

fn from<I: Level>(io: &mut Io<'_>, f: impl Fn(i32) -> i32) -> Result<()> {
    let desc = io.output_desc(0)?;
    let n = desc.shape.elements();
    match desc.dtype {
        Dtype::I8 => io.pair::<I, i8>(0, 0)?.map(n, |x: I| i8::narrow(f(x.widen()))),
        Dtype::U8 => io.pair::<I, u8>(0, 0)?.map(n, |x: I| u8::narrow(f(x.widen()))),
        Dtype::I16 => io.pair::<I, i16>(0, 0)?.map(n, |x: I| i16::narrow(f(x.widen()))),
        Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            Err(Error::Dtype)
        }
    }
}
