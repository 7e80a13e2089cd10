//! Gather: for each index outside the axis and each picked index, one run of bytes.

use crate::error::{Error, Result};
use crate::ops::gather::{Gather, resolve};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let axis = Gather::parse(attributes)?.axis as usize;
    let x = io.input_desc(0)?;
    let (outer, length) = (x.shape.outer(axis), x.shape.dim(axis));
    let run = x.shape.inner(axis).wrapping_mul(x.dtype.size());
    let indices = io.input::<i32>(1)?;
    let mut moves = io.moves(0)?;
    let mut to = 0usize;
    for block in 0..outer {
        for &index in indices {
            let at = resolve(index, length).ok_or(Error::Value)?;
            moves.copy(0, block.wrapping_mul(length).wrapping_add(at).wrapping_mul(run), to, run)?;
            to = to.wrapping_add(run);
        }
    }
    Ok(())
}
