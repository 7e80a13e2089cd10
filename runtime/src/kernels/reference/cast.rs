//! Cast, element by element in ascending order.

use crate::error::{Error, Result};
use crate::ops::cast::Cast;
use crate::ops::io::{Io, Pair};
use crate::ops::op::{Context, Op};
use crate::tensor::Dtype;

/// A number of any element type, exactly.
#[derive(Clone, Copy)]
enum Number {
    Integer(i32),
    Float(f32),
}

/// Between any two element types.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let to = Cast::parse(attributes)?.to;
    let x = io.input_desc(0)?;
    // The element types only matter to the reads and writes below.
    let mut pair = io.pair::<u8, u8>(0, 0)?;
    for k in 0..x.shape.elements() {
        let number = load(&pair, x.dtype, k)?;
        store(&mut pair, to, k, number)?;
    }
    Ok(())
}

fn load(pair: &Pair<'_>, dtype: Dtype, k: usize) -> Result<Number> {
    Ok(match dtype {
        Dtype::F32 => Number::Float(pair.read::<f32>(k)?),
        Dtype::I8 => Number::Integer(pair.read::<i8>(k)? as i32),
        Dtype::U8 | Dtype::Bool => Number::Integer(pair.read::<u8>(k)? as i32),
        Dtype::I16 => Number::Integer(pair.read::<i16>(k)? as i32),
        Dtype::I32 => Number::Integer(pair.read::<i32>(k)?),
        Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => return Err(Error::Dtype),
    })
}

fn store(pair: &mut Pair<'_>, dtype: Dtype, k: usize, number: Number) -> Result<()> {
    match (dtype, number) {
        (Dtype::F32, Number::Integer(n)) => pair.write(k, n as f32),
        (Dtype::F32, Number::Float(x)) => pair.write(k, x),
        (Dtype::I8, Number::Integer(n)) => pair.write(k, n as i8),
        (Dtype::I8, Number::Float(x)) => pair.write(k, x as i8),
        (Dtype::U8, Number::Integer(n)) => pair.write(k, n as u8),
        (Dtype::U8, Number::Float(x)) => pair.write(k, x as u8),
        (Dtype::I16, Number::Integer(n)) => pair.write(k, n as i16),
        (Dtype::I16, Number::Float(x)) => pair.write(k, x as i16),
        (Dtype::I32, Number::Integer(n)) => pair.write(k, n),
        (Dtype::I32, Number::Float(x)) => pair.write(k, x as i32),
        (Dtype::Bool, Number::Integer(n)) => pair.write(k, u8::from(n != 0)),
        (Dtype::Bool, Number::Float(x)) => pair.write(k, u8::from(x != 0.0)),
        (Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64, _) => Err(Error::Dtype),
    }
}
