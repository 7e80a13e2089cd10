//! Reductions: each result from its elements in row-major order.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::level::{Affine, Level};
use crate::kernels::sum::{RequantSum, Sum as Accumulator};
use crate::ops::io::Io;
use crate::ops::mean::Mean;
use crate::ops::op::{Context, Op};
use crate::ops::reduce::Reduce;
use crate::ops::reduce_max::ReduceMax;
use crate::ops::sum::Sum;
use crate::tensor::{MAX_RANK, Shape};

/// Mean of levels, requantized by one multiplier that includes the count.
pub fn mean<T: Level, A: Accumulator, R: RequantSum>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Mean::parse(attributes)?;
    rescaled::<T, A, R>(&op.reduce, op.scale, io)
}

/// Sum of levels, requantized.
pub fn sum<T: Level, A: Accumulator, R: RequantSum>(
    attributes: &[u8],
    io: &mut Io<'_>,
    _cx: &Context,
) -> Result<()> {
    let op = Sum::parse(attributes)?;
    rescaled::<T, A, R>(&op.reduce, op.scale, io)
}

/// Mean of dequantized levels in f32, quantized half to even.
pub fn mean_onnx<T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Mean::parse(attributes)?;
    let count = op.reduce.count(&io.input_desc(0)?.shape) as f32;
    dequantized::<T>(&op.reduce, io, |sum| sum / count)
}

/// Sum of dequantized levels in f32, quantized half to even.
pub fn sum_onnx<T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    dequantized::<T>(&Sum::parse(attributes)?.reduce, io, |sum| sum)
}

/// Floats summed in order, then divided.
pub fn mean_f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Mean::parse(attributes)?;
    let count = op.reduce.count(&io.input_desc(0)?.shape) as f32;
    walk::<f32, f32>(&op.reduce, io, 0.0, |acc, x| acc + x, |acc| acc / count)
}

/// Floats summed in order.
pub fn sum_f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk::<f32, f32>(&Sum::parse(attributes)?.reduce, io, 0.0, |acc, x| acc + x, |acc| acc)
}

/// The greatest level.
pub fn max_levels<T: Level + PartialOrd>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk(&ReduceMax::parse(attributes)?.reduce, io, T::narrow(i32::MIN), greater::<T>, |acc| acc)
}

/// The greatest float.
pub fn max_f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk(&ReduceMax::parse(attributes)?.reduce, io, f32::NEG_INFINITY, greater::<f32>, |acc| acc)
}

fn greater<T: PartialOrd>(acc: T, x: T) -> T {
    if x > acc { x } else { acc }
}

fn rescaled<T: Level, A: Accumulator, R: RequantSum>(
    reduce: &Reduce,
    scale: [i32; 2],
    io: &mut Io<'_>,
) -> Result<()> {
    let (zero, output_zero) = (io.input_desc(0)?.zero_point, io.output_desc(0)?.zero_point);
    walk::<T, A>(
        reduce,
        io,
        A::default(),
        |acc, x| acc.plus(x.widen().wrapping_sub(zero), 1),
        |acc| T::narrow(acc.requantize::<R>(scale).wrapping_add(output_zero)),
    )
}

fn dequantized<T: Level>(reduce: &Reduce, io: &mut Io<'_>, finish: impl Fn(f32) -> f32) -> Result<()> {
    let (x, y) = (Affine::of(io.input_desc(0)?), Affine::of(io.output_desc(0)?));
    walk::<T, f32>(reduce, io, 0.0, |acc, v| acc + x.real(v.widen()), |acc| T::narrow(y.level(finish(acc))))
}

fn walk<T: Pod, A: Copy>(
    reduce: &Reduce,
    io: &mut Io<'_>,
    start: A,
    add: impl Fn(A, T) -> A,
    finish: impl Fn(A) -> T,
) -> Result<()> {
    let shape = io.input_desc(0)?.shape;
    let xs = io.input::<T>(0)?;
    let mut elements = Odometer::new(&shape, |k| reduce.reduces(k));
    // Left out where size counts.
    #[cfg(feature = "std")]
    if let Some(last) = shape.rank().checked_sub(1).filter(|&k| !reduce.reduces(k) && shape.dim(k) > 1) {
        let mut results = Odometer::new(&shape, |k| k != last && !reduce.reduces(k));
        for row in io.output::<T>(0)?.chunks_exact_mut(shape.dim(last)) {
            side_by_side(xs, results.offset, row, &mut elements, start, &add, &finish)?;
            results.advance();
        }
        return Ok(());
    }
    let mut results = Odometer::new(&shape, |k| !reduce.reduces(k));
    for slot in io.output::<T>(0)?.iter_mut() {
        let mut acc = start;
        loop {
            let at = results.offset.wrapping_add(elements.offset);
            acc = add(acc, *xs.get(at).ok_or(Error::Internal)?);
            if !elements.advance() {
                break;
            }
        }
        *slot = finish(acc);
        results.advance();
    }
    Ok(())
}

/// Results that lie beside each other, as do the elements that each is made of, from `first` on: some at a time.
#[cfg(feature = "std")]
fn side_by_side<T: Pod, A: Copy>(
    xs: &[T],
    first: usize,
    results: &mut [T],
    elements: &mut Odometer,
    start: A,
    add: &impl Fn(A, T) -> A,
    finish: &impl Fn(A) -> T,
) -> Result<()> {
    /// How many vectors' registers hold.
    const STRIP: usize = 32;
    for (strip, slots) in results.chunks_mut(STRIP).enumerate() {
        let mut accs = [start; STRIP];
        loop {
            let at = first.wrapping_add(strip * STRIP).wrapping_add(elements.offset);
            let values = xs.get(at..).and_then(|x| x.get(..slots.len())).ok_or(Error::Internal)?;
            match values.first_chunk::<STRIP>() {
                // As many as are known here, so that they stay in vectors.
                Some(values) => accs.iter_mut().zip(values).for_each(|(acc, &x)| *acc = add(*acc, x)),
                None => accs.iter_mut().zip(values).for_each(|(acc, &x)| *acc = add(*acc, x)),
            }
            if !elements.advance() {
                break;
            }
        }
        for (slot, acc) in slots.iter_mut().zip(accs) {
            *slot = finish(acc);
        }
    }
    Ok(())
}

/// Walks some axes of a row-major tensor, the last one fastest.
struct Odometer {
    /// Innermost first: position, size, distance between neighbours.
    axes: [(usize, usize, usize); MAX_RANK],
    /// Of the element it points at.
    offset: usize,
}

impl Odometer {
    fn new(shape: &Shape, walks: impl Fn(usize) -> bool) -> Self {
        let mut axes = [(0, 1, 0); MAX_RANK];
        let walked = (0..shape.rank()).rev().filter(|&k| walks(k));
        for (slot, k) in axes.iter_mut().zip(walked) {
            *slot = (0, shape.dim(k), shape.inner(k));
        }
        Odometer { axes, offset: 0 }
    }

    /// To the next element; `false` where it wrapped around to the first one.
    fn advance(&mut self) -> bool {
        for (at, size, stride) in &mut self.axes {
            *at += 1;
            self.offset = self.offset.wrapping_add(*stride);
            if *at < *size {
                return true;
            }
            self.offset = self.offset.wrapping_sub(size.wrapping_mul(*stride));
            *at = 0;
        }
        false
    }
}
