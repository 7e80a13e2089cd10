//! FullyConnected, one input row after the other, so that input and output may overlap by rows.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::reference::dot::{Dot, Float, Int8, Int16};
#[cfg(feature = "std")]
use crate::kernels::reference::stored::Folded;
use crate::kernels::reference::weights::{Format, Weights};
use crate::kernels::sum::RequantWide;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8 with weights stored as `F`, in the rounding `R`.
pub fn int8<R: Requant, F: Format<Value: Into<i32>>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let dot = Int8::<R, F>::new(io, op.clamp)?;
    walk(io, &dot)
}

/// int8 as kernel id `ID` has it, in the rounding `R`.
#[cfg(feature = "std")]
pub fn folded<R: Requant, const ID: u8>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let dot = Folded::<R, ID>::new(io, op.clamp, false)?;
    walk(io, &dot)
}

/// int16 with weights stored as `F`, in the rounding `R`.
pub fn int16<R: RequantWide, F: Format<Value: Into<i32>>>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let dot = Int16::<R, F>::new(io, op.clamp)?;
    walk(io, &dot)
}

/// Floats with weights stored as `F`.
pub fn f32<F: Format>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = FullyConnected::parse(attributes)?;
    let dot = Float::<F>::new(io, op.clamp)?;
    walk(io, &dot)
}

fn walk<D: Dot>(io: &mut Io<'_>, dot: &D) -> Result<()> {
    by_matrix_rows::<D::Element>(io, |xs, ys| {
        for (o, slot) in ys.iter_mut().enumerate() {
            let mut sum = dot.start(o);
            for (&x, w) in xs.iter().zip(dot.weights().row(o, o * xs.len(), xs.len())?) {
                sum = dot.add(sum, x, w);
            }
            *slot = dot.finish(sum, o)?;
        }
        Ok(())
    })
}

/// Calls `each` with every input row, as long as a row of the weights, and its output row.
#[inline(always)]
pub fn by_matrix_rows<T: Pod>(
    io: &mut Io<'_>,
    mut each: impl FnMut(&[T], &mut [T]) -> Result<()>,
) -> Result<()> {
    let shape = io.input_desc(1)?.shape;
    let (outputs, depth) = (shape.dim(0), shape.dim(1));
    let batch = io.input_desc(0)?.shape.elements().checked_div(depth).ok_or(Error::Internal)?;
    let mut pair = io.pair::<T, T>(0, 0)?;
    let descending = pair.descending();
    for k in 0..batch {
        let n = if descending { batch - 1 - k } else { k };
        let (xs, ys) = pair.window::<T, T>(n * depth..(n + 1) * depth, n * outputs..(n + 1) * outputs)?;
        each(xs, ys)?;
    }
    Ok(())
}
