//! FullyConnected, one input row after the other, so that input and output may overlap by rows.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::float::{Fma, Soft};
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8 input and output, int32 accumulation that wraps.
pub fn int8<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let zero = io.input_desc(0)?.zero_point;
    let output_zero = io.output_desc(0)?.zero_point;
    let bias = io.optional::<i32>(2)?;
    let scales = io.input::<R::Scale>(3)?;
    let clamp = FullyConnected::parse(attributes)?.clamp;
    walk::<i8, i32>(
        io,
        |o| bias.and_then(|b| b.get(o).copied()).unwrap_or(0),
        |acc, x, w| acc.wrapping_add((x as i32).wrapping_sub(zero).wrapping_mul(w as i32)),
        |acc, o| {
            // One constant serves all channels where the weights have one scale.
            let scale = *scales.get(o).or(scales.first()).ok_or(Error::Internal)?;
            Ok(clamp.limit_i32(R::apply(acc, scale).wrapping_add(output_zero)) as i8)
        },
    )
}

/// Floats in canonical order with fused multiply-add.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let bias = io.optional::<f32>(2)?;
    let clamp = FullyConnected::parse(attributes)?.clamp;
    walk::<f32, f32>(
        io,
        |o| bias.and_then(|b| b.get(o).copied()).unwrap_or(0.0),
        |acc, x, w| Soft::fma(x, w, acc),
        |acc, _| Ok(clamp.limit_f32(acc)),
    )
}

fn walk<T: Pod, A: Copy>(
    io: &mut Io<'_>,
    start: impl Fn(usize) -> A,
    mac: impl Fn(A, T, T) -> A,
    finish: impl Fn(A, usize) -> Result<T>,
) -> Result<()> {
    let weights = io.input::<T>(1)?;
    by_matrix_rows::<T>(io, |xs, ys| {
        for ((o, slot), ws) in ys.iter_mut().enumerate().zip(weights.chunks_exact(xs.len().max(1))) {
            let mut acc = start(o);
            for (&x, &w) in xs.iter().zip(ws) {
                acc = mac(acc, x, w);
            }
            *slot = finish(acc, o)?;
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
