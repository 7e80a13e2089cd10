//! Pad, row by row of the output in ascending order.

use crate::error::{Error, Result};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::pad::Pad;
use crate::tensor::MAX_RANK;

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Pad::parse(attributes)?;
    let (x, y) = (io.input_desc(0)?, io.output_desc(0)?);
    let size = x.dtype.size();
    let value = op.value();
    let element = value.get(..size).ok_or(Error::Internal)?;
    // The innermost axis is a row; an element alone is a row of one.
    let inner = x.shape.rank().saturating_sub(1);
    let before = op.before().get(inner).copied().unwrap_or(0) as usize * size;
    let (input_row, output_row) = (x.shape.dim(inner) * size, y.shape.dim(inner) * size);
    let after = output_row.checked_sub(input_row + before).ok_or(Error::Internal)?;
    let rows = y.shape.outer(inner);
    let mut moves = io.moves(0)?;
    let mut index = [0usize; MAX_RANK];
    let (mut from, mut to) = (0usize, 0usize);
    for _ in 0..rows {
        let within = (0..inner).zip(&index).zip(&op.before()).all(|((axis, &at), &before)| {
            at.checked_sub(before as usize).is_some_and(|at| at < x.shape.dim(axis))
        });
        if within {
            moves.fill(to, before, element)?;
            moves.copy(0, from, to.wrapping_add(before), input_row)?;
            moves.fill(to.wrapping_add(before).wrapping_add(input_row), after, element)?;
            from = from.wrapping_add(input_row);
        } else {
            moves.fill(to, output_row, element)?;
        }
        to = to.wrapping_add(output_row);
        for (axis, at) in index.iter_mut().enumerate().take(inner).rev() {
            *at = at.wrapping_add(1);
            if *at < y.shape.dim(axis) {
                break;
            }
            *at = 0;
        }
    }
    Ok(())
}
