//! ArgMax, one output at a time.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::level::Level;
use crate::ops::arg_max::ArgMax;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Levels.
pub fn levels<T: Level + PartialOrd>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk::<T>(attributes, io, |_| true)
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk::<f32>(attributes, io, |x| !x.is_nan())
}

fn walk<T: Pod + PartialOrd>(attributes: &[u8], io: &mut Io<'_>, number: impl Fn(T) -> bool) -> Result<()> {
    let op = ArgMax::parse(attributes)?;
    let shape = io.input_desc(0)?.shape;
    let axis = op.axis as usize;
    let (length, inner) = (shape.dim(axis), shape.inner(axis));
    let input = io.input::<T>(0)?;
    let output = io.output::<i32>(0)?;
    // No `zip` of the two: it divides by both chunk sizes, and a panic path survives.
    let mut blocks = input.chunks_exact(length.wrapping_mul(inner).max(1));
    for out in output.chunks_exact_mut(inner.max(1)) {
        let block = blocks.next().ok_or(Error::Internal)?;
        for (column, slot) in out.iter_mut().enumerate() {
            let mut best = *block.get(column).ok_or(Error::Internal)?;
            let mut index = 0usize;
            for k in 1..length {
                let x = *block.get(k * inner + column).ok_or(Error::Internal)?;
                let wins = match (number(x), number(best)) {
                    (true, true) => x > best || (op.last && x == best),
                    (true, false) => true,
                    (false, true) => false,
                    (false, false) => op.last,
                };
                if wins {
                    (best, index) = (x, k);
                }
            }
            *slot = index as i32;
        }
    }
    Ok(())
}
