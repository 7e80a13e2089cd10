//! Mul and Div.

use crate::error::Result;
use crate::kernels::fixed::Requant;
use crate::kernels::level::{Affine, Level};
use crate::kernels::reference::additive::zero_points;
use crate::kernels::reference::elementwise::binary;
use crate::ops::div::Div;
use crate::ops::io::Io;
use crate::ops::mul::Mul;
use crate::ops::op::{Context, Op};

/// The exact product of levels, rescaled once.
pub fn fixed<T: Level, R: Requant<Scale = [i32; 2]>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Mul::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    binary::<T>(io, |a, b| {
        let product = a.widen().wrapping_sub(za).wrapping_mul(b.widen().wrapping_sub(zb));
        T::exact(op.clamp.limit_i32(R::apply(product, op.multiplier).wrapping_add(zo)))
    })
}

/// What dequantize, multiply, quantize give.
pub fn onnx<T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Mul::parse(attributes)?.clamp;
    let (pa, pb) = (Affine::of(io.input_desc(0)?), Affine::of(io.input_desc(1)?));
    let po = Affine::of(io.output_desc(0)?);
    binary::<T>(io, |a, b| T::exact(clamp.limit_i32(po.level(pa.real(a.widen()) * pb.real(b.widen())))))
}

/// Wrapping.
pub fn int32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Mul::parse(attributes)?.clamp;
    binary::<i32>(io, |a, b| clamp.limit_i32(a.wrapping_mul(b)))
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Mul::parse(attributes)?.clamp;
    binary::<f32>(io, |a, b| clamp.limit_f32(a * b))
}

/// Quotients of floats.
pub fn div_f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Div::parse(attributes)?.clamp;
    binary::<f32>(io, |a, b| clamp.limit_f32(a / b))
}
