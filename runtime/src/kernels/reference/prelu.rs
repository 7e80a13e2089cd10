//! PRelu.

use crate::error::Result;
use crate::kernels::fixed::Requant;
use crate::kernels::level::{Affine, Level};
use crate::kernels::reference::additive::zero_points;
use crate::kernels::reference::elementwise::binary;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::prelu::PRelu;

/// One rescaling per sign; under `tflite` as TFLite Micro's kernel.
pub fn fixed<T: Level, R: Requant<Scale = [i32; 2]>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = PRelu::parse(attributes)?;
    let [zx, zs, zo] = zero_points(io)?;
    binary::<T>(io, |x, slope| {
        let x = x.widen().wrapping_sub(zx);
        let y = if x >= 0 {
            R::apply(x, op.identity)
        } else {
            R::apply(x.wrapping_mul(slope.widen().wrapping_sub(zs)), op.slope)
        };
        T::narrow(y.wrapping_add(zo))
    })
}

/// What dequantize, PRelu, quantize give.
pub fn onnx<T: Level>(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let (px, ps) = (Affine::of(io.input_desc(0)?), Affine::of(io.input_desc(1)?));
    let po = Affine::of(io.output_desc(0)?);
    binary::<T>(io, |x, slope| T::narrow(po.level(prelu(px.real(x.widen()), ps.real(slope.widen())))))
}

/// Floats.
pub fn f32(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    binary::<f32>(io, prelu)
}

#[inline(always)]
fn prelu(x: f32, slope: f32) -> f32 {
    if x >= 0.0 { x } else { x * slope }
}
