//! Clamp.

use crate::error::{Error, Result};
use crate::kernels::level::Level;
use crate::ops::clamp::Clamp;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::tensor::Dtype;

/// Any type but bool; NaN passes through.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let range = Clamp::parse(attributes)?.range;
    let desc = io.output_desc(0)?;
    let n = desc.shape.elements();
    match desc.dtype {
        Dtype::I8 => levels::<i8>(io, n, |x| range.limit_i32(x)),
        Dtype::U8 => levels::<u8>(io, n, |x| range.limit_i32(x)),
        Dtype::I16 => levels::<i16>(io, n, |x| range.limit_i32(x)),
        Dtype::I32 => io.pair::<i32, i32>(0, 0)?.map(n, |x| range.limit_i32(x)),
        Dtype::F32 => io.pair::<f32, f32>(0, 0)?.map(n, |x| range.limit_f32(x)),
        Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => Err(Error::Dtype),
    }
}

fn levels<T: Level>(io: &mut Io<'_>, n: usize, f: impl Fn(i32) -> i32) -> Result<()> {
    io.pair::<T, T>(0, 0)?.map(n, |x: T| T::narrow(f(x.widen())))
}
