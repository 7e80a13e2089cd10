//! NumPy broadcasting of two operands, shared by every binary elementwise operator.

use crate::error::{Error, Result};
use crate::ops::op::{Inferred, Inputs};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// The shape two operands broadcast to: aligned at the last dimension, each pair equal or one of them 1.
pub fn shape(a: &Shape, b: &Shape) -> Result<Shape> {
    let rank = a.rank().max(b.rank());
    let mut dims = [1u32; MAX_RANK];
    for ((slot, x), y) in dims.iter_mut().zip(a.aligned()).zip(b.aligned()) {
        *slot = match (x, y) {
            (1, n) | (n, 1) => n as u32,
            (n, m) if n == m => n as u32,
            _ => return Err(Error::Shape),
        };
    }
    Shape::new(dims.get(MAX_RANK.wrapping_sub(rank)..).unwrap_or(&[]))
}

/// Inference of two operands of one type out of `dtypes`, giving the same type.
pub fn infer(inputs: &Inputs<'_>, dtypes: &[Dtype]) -> Result<Inferred> {
    inputs.count(2, 2)?;
    let (a, b) = (inputs.get(0)?, inputs.get(1)?);
    if a.dtype != b.dtype || !dtypes.contains(&a.dtype) {
        return Err(Error::Dtype);
    }
    Ok(Inferred::one(a.dtype, shape(&a.shape, &b.shape)?))
}

/// Elementwise in ascending order: an input of the output's full shape may start where the output does, or
/// anywhere above.
pub fn overlap(inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
    let (x, y) = (inputs.get(i).ok()?, outputs.get(o)?);
    (x.dtype == y.dtype && x.shape.aligned() == y.shape.aligned()).then_some(0)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Axis {
    len: usize,
    a: usize,
    b: usize,
}

impl Axis {
    const UNIT: Axis = Axis { len: 1, a: 0, b: 0 };
}

/// The output's elements in order, as runs within which each operand advances by one element or by none.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Innermost first; neighbours that are contiguous in both operands are merged.
    axes: [Axis; MAX_RANK],
}

impl Walk {
    /// Of operands whose shapes broadcast to `y`.
    pub fn new(a: &Shape, b: &Shape, y: &Shape) -> Self {
        let mut axes = [Axis::UNIT; MAX_RANK];
        let mut slots = axes.iter_mut();
        let mut current: Option<&mut Axis> = None;
        let (mut stride_a, mut stride_b) = (1usize, 1usize);
        // Arrays turned round rather than `rev` on the zip, whose unequal-length branch could panic.
        for ((x, z), len) in innermost(a).into_iter().zip(innermost(b)).zip(innermost(y)) {
            let a = if x == 1 { 0 } else { stride_a };
            let b = if z == 1 { 0 } else { stride_b };
            (stride_a, stride_b) = (stride_a.wrapping_mul(x), stride_b.wrapping_mul(z));
            if len == 1 {
                continue;
            }
            match &mut current {
                Some(last) if a == last.a.wrapping_mul(last.len) && b == last.b.wrapping_mul(last.len) => {
                    last.len = last.len.wrapping_mul(len);
                }
                _ => {
                    current = slots.next();
                    if let Some(slot) = &mut current {
                        **slot = Axis { len, a, b };
                    }
                }
            }
        }
        Walk { axes }
    }

    /// Elements of one run, and by how much each operand advances in it (0 or 1).
    pub fn run(&self) -> (usize, usize, usize) {
        let [Axis { len, a, b }, ..] = self.axes;
        (len, a, b)
    }

    /// Calls `f` with each run's first element in the two operands and the output.
    pub fn each(&self, mut f: impl FnMut(usize, usize, usize) -> Result<()>) -> Result<()> {
        let [run, outer @ ..] = &self.axes;
        let mut at = [0usize; MAX_RANK - 1];
        let (mut a, mut b, mut y) = (0usize, 0usize, 0usize);
        loop {
            f(a, b, y)?;
            y = y.wrapping_add(run.len);
            let mut more = false;
            for (axis, k) in outer.iter().zip(at.iter_mut()) {
                (a, b) = (a.wrapping_add(axis.a), b.wrapping_add(axis.b));
                *k = k.wrapping_add(1);
                if *k < axis.len {
                    more = true;
                    break;
                }
                a = a.wrapping_sub(axis.a.wrapping_mul(axis.len));
                b = b.wrapping_sub(axis.b.wrapping_mul(axis.len));
                *k = 0;
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Dimensions padded with ones, the last first.
fn innermost(shape: &Shape) -> [usize; MAX_RANK] {
    let mut dims = shape.aligned();
    dims.reverse();
    dims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_of_one_shape_are_a_single_run() {
        let s = Shape::new(&[2, 3, 4]).unwrap();
        let walk = Walk::new(&s, &s, &s);
        assert_eq!(walk.run(), (24, 1, 1));
        let mut calls = 0;
        walk.each(|_, _, _| {
            calls += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(calls, 1);
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_refused() {
        let s = |d: &[u32]| Shape::new(d).unwrap();
        assert_eq!(shape(&s(&[2, 3]), &s(&[2])), Err(Error::Shape));
        assert_eq!(shape(&s(&[4, 1, 3]), &s(&[5, 1])), Ok(s(&[4, 5, 3])));
        assert_eq!(shape(&s(&[]), &s(&[5, 1])), Ok(s(&[5, 1])));
        assert_eq!(shape(&s(&[1 << 20, 1]), &s(&[1, 1 << 20])), Err(Error::Limit));
    }

    #[test]
    fn every_run_starts_where_naive_indexing_says() {
        let dims: [[&[u32]; 2]; 5] = [
            [&[2, 1, 3, 1], &[1, 4, 1, 5]],
            [&[2, 3, 4], &[1]],
            [&[2, 3, 4], &[3, 1]],
            [&[1, 1, 4], &[2, 3, 1]],
            [&[2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2]],
        ];
        for [a, b] in dims {
            let (a, b) = (Shape::new(a).unwrap(), Shape::new(b).unwrap());
            let y = shape(&a, &b).unwrap();
            let naive = |s: &Shape, mut at: usize| {
                let (mut index, mut stride) = (0, 1);
                for (d, n) in s.aligned().into_iter().zip(y.aligned()).rev() {
                    index += if d == 1 { 0 } else { (at % n) * stride };
                    (at, stride) = (at / n, stride * d);
                }
                index
            };
            let walk = Walk::new(&a, &b, &y);
            let (n, da, db) = walk.run();
            let mut next = 0;
            walk.each(|ia, ib, iy| {
                assert_eq!(iy, next);
                for k in 0..n {
                    assert_eq!((ia + k * da, ib + k * db), (naive(&a, iy + k), naive(&b, iy + k)));
                }
                next += n;
                Ok(())
            })
            .unwrap();
            assert_eq!(next, y.elements());
        }
    }
}
