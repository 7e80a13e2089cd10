//! Add and Sub.

use crate::error::Result;
use crate::kernels::fixed::{Requant, Tflite};
use crate::kernels::level::{Affine, Level, saturate};
use crate::kernels::reference::elementwise::binary;
use crate::ops::add::Additive;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// TFLite Micro's kernel: both inputs on a common scale with `SHIFT` more bits, then to the output's.
pub fn tflite<T: Level, const SHIFT: u32, const SUB: bool>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    binary::<T>(io, |a, b| {
        let a = Tflite::apply(a.widen().wrapping_sub(za).wrapping_shl(SHIFT), op.left);
        let b = Tflite::apply(b.widen().wrapping_sub(zb).wrapping_shl(SHIFT), op.right);
        let sum = if SUB { a.wrapping_sub(b) } else { a.wrapping_add(b) };
        T::exact(op.clamp.limit_i32(Tflite::apply(sum, op.output).wrapping_add(zo)))
    })
}

/// One rounding of the exact weighted sum, in 32 bits.
pub fn int8_single<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    let ([left, _], [right, _], [_, shift]) = (op.left, op.right, op.output);
    let right = if SUB { right.wrapping_neg() } else { right };
    let half = 1i32.wrapping_shl(shift as u32) >> 1;
    binary::<i8>(io, |a, b| {
        let a = a.widen().wrapping_sub(za).wrapping_mul(left);
        let b = b.widen().wrapping_sub(zb).wrapping_mul(right);
        let sum = a.wrapping_add(b).wrapping_add(half).wrapping_shr(shift as u32);
        op.clamp.limit_i32(sum.wrapping_add(zo)) as i8
    })
}

/// As [`int8_single`], in 64 bits.
pub fn int16_single<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    let ([left, _], [right, _], [_, shift]) = (op.left, op.right, op.output);
    let (left, right) = (left as i64, if SUB { (right as i64).wrapping_neg() } else { right as i64 });
    let half = 1i64.wrapping_shl(shift as u32) >> 1;
    binary::<i16>(io, |a, b| {
        let a = (a.widen().wrapping_sub(za) as i64).wrapping_mul(left);
        let b = (b.widen().wrapping_sub(zb) as i64).wrapping_mul(right);
        let sum = a.wrapping_add(b).wrapping_add(half).wrapping_shr(shift as u32);
        op.clamp.limit_i32(saturate(sum).saturating_add(zo)) as i16
    })
}

/// What dequantize, add, quantize give.
pub fn onnx<T: Level, const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    let (pa, pb) = (Affine::of(io.input_desc(0)?), Affine::of(io.input_desc(1)?));
    let po = Affine::of(io.output_desc(0)?);
    binary::<T>(io, |a, b| {
        let (a, b) = (pa.real(a.widen()), pb.real(b.widen()));
        T::exact(op.clamp.limit_i32(po.level(if SUB { a - b } else { a + b })))
    })
}

/// Wrapping.
pub fn int32<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Additive::<SUB>::parse(attributes)?.clamp;
    binary::<i32>(io, |a, b| clamp.limit_i32(if SUB { a.wrapping_sub(b) } else { a.wrapping_add(b) }))
}

/// Floats.
pub fn f32<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Additive::<SUB>::parse(attributes)?.clamp;
    binary::<f32>(io, |a, b| clamp.limit_f32(if SUB { a - b } else { a + b }))
}

/// Of the two inputs and the output.
pub(crate) fn zero_points(io: &Io<'_>) -> Result<[i32; 3]> {
    Ok([io.input_desc(0)?.zero_point, io.input_desc(1)?.zero_point, io.output_desc(0)?.zero_point])
}
