//! Lut.

use crate::error::{Error, Result};
use crate::ops::io::Io;
use crate::ops::lut::KNOTS;
use crate::ops::op::Context;

/// One table entry per byte.
pub fn bytes(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let table: &[u8; 256] = io.input::<u8>(1)?.first_chunk().ok_or(Error::Internal)?;
    let n = io.output_desc(0)?.shape.elements();
    io.pair::<u8, u8>(0, 0)?.map(n, |x: u8| table[usize::from(x)])
}

/// Between the two entries around each 16-bit level, on a straight line.
pub fn interpolated(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let table: &[i16; KNOTS] = io.input::<i16>(1)?.first_chunk().ok_or(Error::Internal)?;
    let [low @ .., _] = table;
    let [_, high @ ..] = table;
    let n = io.output_desc(0)?.shape.elements();
    io.pair::<i16, i16>(0, 0)?.map(n, |x: i16| {
        let from_least = x as i32 + 32768;
        let k = (from_least >> 7) as usize % (KNOTS - 1);
        let (base, next) = (low[k] as i32, high[k] as i32);
        // Between the two entries, hence an int16.
        (base + (((next - base) * (from_least & 127) + 64) >> 7)) as i16
    })
}
