//! Lut.

use crate::error::{Error, Result};
use crate::ops::io::Io;
use crate::ops::op::Context;

/// One table entry per byte.
pub fn bytes(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let table: &[u8; 256] = io.input::<u8>(1)?.first_chunk().ok_or(Error::Internal)?;
    let n = io.output_desc(0)?.shape.elements();
    io.pair::<u8, u8>(0, 0)?.map(n, |x: u8| table[usize::from(x)])
}
