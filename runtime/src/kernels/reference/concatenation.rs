//! Concatenation: for each index outside the axis, one run of bytes per input.

use crate::error::Result;
use crate::ops::concatenation::Concatenation;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let axis = Concatenation::parse(attributes)?.axis as usize;
    let outer = io.output_desc(0)?.shape.outer(axis);
    let count = io.input_count();
    let mut moves = io.moves(0)?;
    let mut to = 0usize;
    for row in 0..outer {
        for i in 0..count {
            let x = io.input_desc(i)?;
            let run = x.shape.dim(axis).wrapping_mul(x.shape.inner(axis)).wrapping_mul(x.dtype.size());
            moves.copy(i, row.wrapping_mul(run), to, run)?;
            to = to.wrapping_add(run);
        }
    }
    Ok(())
}
