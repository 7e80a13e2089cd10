//! BatchMatMul of floats: sixteen columns of the right operand at a time are laid side by side, a part of the sums after
//! the other, and used by all rows of the left one.
#![allow(unsafe_code)]

use super::panels::panels;
use super::tile::{End, Panel, Taps};
use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::kernels::reference::batch_matmul::Batches;
use crate::ops::batch_matmul::{BatchMatmul, Sizes};
use crate::ops::io::Io;
use crate::ops::op::Op;

/// Products of a part.
const PART: usize = 128;
/// Blocks of columns that are laid out together.
const BLOCKS: usize = 4;

/// Whether [`batch_matmul`] can: the left operand's rows lie together.
pub fn serves(attributes: &[u8]) -> Result<bool> {
    Ok(!BatchMatmul::parse(attributes)?.adj_x)
}

/// The whole operator.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn batch_matmul<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = BatchMatmul::parse(attributes)?;
    if op.adj_x {
        return Err(Error::NoKernel);
    }
    let (left, right) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape);
    let sizes = op.sizes(&left, &right)?;
    let Sizes { rows, depth, columns } = sizes;
    let (a, b) = (io.input::<f32>(0)?, io.input::<f32>(1)?);
    let output = io.output::<f32>(0)?;
    let mut batches = Batches::new(left.aligned(), right.aligned(), &sizes);
    for matrix in output.chunks_exact_mut((rows * columns).max(1)) {
        let (from_a, from_b) = batches.next().ok_or(Error::Internal)?;
        let a = a.get(from_a..from_a + rows * depth).ok_or(Error::Internal)?;
        let b = b.get(from_b..from_b + depth * columns).ok_or(Error::Internal)?;
        let mut side = [0f32; BLOCKS * PART * LANES];
        for first in (0..columns).step_by(BLOCKS * LANES) {
            let width = (columns - first).min(BLOCKS * LANES);
            for start in (0..depth).step_by(PART) {
                let length = (depth - start).min(PART);
                lay(b, &op, &sizes, [first, width], [start, length], &mut side)?;
                let end = End { bias: None, clamp: op.clamp.as_f32() };
                let count = width.div_ceil(LANES);
                let part = Panel {
                    input: a.as_ptr().wrapping_add(start),
                    output: matrix.as_mut_ptr().wrapping_add(first),
                    weights: side.as_ptr(),
                    block: PART * LANES,
                    tail: width - (count - 1) * LANES,
                    pixels: [1, rows],
                    from: [0, depth],
                    to: [0, columns],
                    taps: Taps { runs: [1, 1], length, input: [0, 0], weights: [0, 0] },
                    begins: start == 0,
                    end: (start + length == depth).then_some(end),
                    ahead: 0,
                    is_far: false,
                };
                // SAFETY: rows of `depth` and of `columns` fill the slices; `side` holds `count` blocks of at least
                // `length`; the caller has the instructions.
                unsafe { panels::<L>(&part, count) };
            }
        }
    }
    Ok(())
}

/// Lays a part of some columns of the right matrix side by side; lanes beyond the last one are zeros.
#[inline(always)]
fn lay(
    b: &[f32],
    op: &BatchMatmul,
    sizes: &Sizes,
    [first, width]: [usize; 2],
    [start, length]: [usize; 2],
    side: &mut [f32; BLOCKS * PART * LANES],
) -> Result<()> {
    for (block, slots) in side.chunks_exact_mut(PART * LANES).enumerate() {
        let from = block * LANES;
        let lanes = width.saturating_sub(from).min(LANES);
        if lanes == 0 {
            break;
        }
        if op.adj_y {
            for lane in 0..lanes {
                let at = (first + from + lane) * sizes.depth + start;
                let column = b.get(at..at + length).ok_or(Error::Internal)?;
                for (slot, &x) in slots.iter_mut().skip(lane).step_by(LANES).zip(column) {
                    *slot = x;
                }
            }
        } else {
            for (k, slots) in slots.chunks_exact_mut(LANES).take(length).enumerate() {
                let at = (start + k) * sizes.columns + first + from;
                let row = b.get(at..at + lanes).ok_or(Error::Internal)?;
                slots.iter_mut().zip(row).for_each(|(slot, &x)| *slot = x);
            }
        }
    }
    Ok(())
}
