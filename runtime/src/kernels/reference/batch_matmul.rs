//! BatchMatMul, one output at a time, both operands read by strides.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::float::{Fma, Soft};
use crate::kernels::sum::RequantWide;
use crate::ops::batch_matmul::BatchMatmul;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::tensor::MAX_RANK;

/// int8 input and output, int32 accumulation that wraps.
pub fn int8<R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = BatchMatmul::parse(attributes)?;
    let scale = op.requant.scale::<R>()?;
    let (left, right) = (io.input_desc(0)?.zero_point, io.input_desc(1)?.zero_point);
    let zero = io.output_desc(0)?.zero_point;
    walk::<i8, i32>(
        &op,
        io,
        0,
        |acc, a, b| {
            let (a, b) = ((a as i32).wrapping_sub(left), (b as i32).wrapping_sub(right));
            acc.wrapping_add(a.wrapping_mul(b))
        },
        |acc| op.clamp.limit_i32(R::apply(acc, scale).wrapping_add(zero)) as i8,
    )
}

/// int16 input and output, int64 accumulation.
pub fn int16<R: RequantWide>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = BatchMatmul::parse(attributes)?;
    let scale = op.requant.scale::<R>()?;
    let (left, right) = (io.input_desc(0)?.zero_point, io.input_desc(1)?.zero_point);
    let zero = io.output_desc(0)?.zero_point;
    walk::<i16, i64>(
        &op,
        io,
        0,
        |acc, a, b| {
            let (a, b) = ((a as i32).wrapping_sub(left) as i64, (b as i32).wrapping_sub(right) as i64);
            acc.wrapping_add(a.wrapping_mul(b))
        },
        |acc| op.clamp.limit_i32(R::apply_wide(acc, scale).saturating_add(zero)) as i16,
    )
}

/// Floats in canonical order with fused multiply-add.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    f32_with::<Soft>(attributes, io)
}

/// [`f32`] with a given way to fuse, inlined into functions that enable an instruction for it.
#[inline(always)]
pub fn f32_with<F: Fma>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = BatchMatmul::parse(attributes)?;
    walk::<f32, f32>(&op, io, 0.0, |acc, a, b| F::fma(a, b, acc), |acc| op.clamp.limit_f32(acc))
}

#[inline(always)]
fn walk<T: Pod, A: Copy>(
    op: &BatchMatmul,
    io: &mut Io<'_>,
    start: A,
    mac: impl Fn(A, T, T) -> A,
    finish: impl Fn(A) -> T,
) -> Result<()> {
    let (left, right) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape);
    let sizes = op.sizes(&left, &right)?;
    let (a, b) = (io.input::<T>(0)?, io.input::<T>(1)?);
    let output = io.output::<T>(0)?;
    // Steps from one row, column and term to the next.
    let (a_row, a_term) = if op.adj_x { (1, sizes.rows) } else { (sizes.depth, 1) };
    let (b_column, b_term) = if op.adj_y { (sizes.depth, 1) } else { (1, sizes.columns) };
    let batches = Batches::new(left.aligned(), right.aligned(), &sizes);
    let matrices = output.chunks_exact_mut((sizes.rows * sizes.columns).max(1));
    for (matrix, (a_base, b_base)) in matrices.zip(batches) {
        for (i, row) in matrix.chunks_exact_mut(sizes.columns.max(1)).enumerate() {
            for (j, slot) in row.iter_mut().enumerate() {
                let (mut at, mut bt) = (a_base + i * a_row, b_base + j * b_column);
                let mut acc = start;
                for _ in 0..sizes.depth {
                    let (Some(&x), Some(&y)) = (a.get(at), b.get(bt)) else { return Err(Error::Internal) };
                    acc = mac(acc, x, y);
                    (at, bt) = (at.wrapping_add(a_term), bt.wrapping_add(b_term));
                }
                *slot = finish(acc);
            }
        }
    }
    Ok(())
}

/// Where the matrices of both operands start, output matrix by output matrix; endless.
#[derive(Debug)]
pub(crate) struct Batches {
    index: [usize; BATCH],
    lengths: [usize; BATCH],
    strides: [[usize; BATCH]; 2],
}

/// Dimensions in front of the matrices.
const BATCH: usize = MAX_RANK - 2;

impl Batches {
    pub(crate) fn new(
        left: [usize; MAX_RANK],
        right: [usize; MAX_RANK],
        sizes: &crate::ops::batch_matmul::Sizes,
    ) -> Self {
        let ([a @ .., _, _], [b @ .., _, _]) = (left, right);
        let mut lengths = a;
        for (length, &other) in lengths.iter_mut().zip(&b) {
            *length = (*length).max(other);
        }
        let strides = |dims: [usize; BATCH], matrix: usize| {
            let mut step = matrix;
            let mut out = [0usize; BATCH];
            for (slot, &d) in out.iter_mut().zip(&dims).rev() {
                // A dimension of 1 is read again and again.
                *slot = if d == 1 { 0 } else { step };
                step = step.wrapping_mul(d);
            }
            out
        };
        let (m, k, n) = (sizes.rows, sizes.depth, sizes.columns);
        Batches {
            index: [0; BATCH],
            lengths,
            strides: [strides(a, m.wrapping_mul(k)), strides(b, k.wrapping_mul(n))],
        }
    }
}

impl Iterator for Batches {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let [a, b] = &self.strides;
        let base = |strides: &[usize; BATCH]| {
            strides.iter().zip(&self.index).fold(0usize, |n, (&s, &i)| n.wrapping_add(s.wrapping_mul(i)))
        };
        let item = (base(a), base(b));
        for (i, &length) in self.index.iter_mut().zip(&self.lengths).rev() {
            *i = i.wrapping_add(1);
            if *i < length {
                break;
            }
            *i = 0;
        }
        Some(item)
    }
}
