//! Computes constant int32 operators while importing, because converters build shapes out of them
//! (SHAPE, STRIDED_SLICE, PACK, then RESHAPE).

use samara_runtime::Dtype;

use crate::ir::{Binary, Op, Tensor};

/// Most elements that are worth computing here.
const MOST: usize = 4096;

/// The result's bytes, where all operands are small int32 constants and the operator is one of shape arithmetic.
pub fn evaluate(op: &Op, inputs: &[Option<&Tensor>], output: &Tensor) -> Option<Vec<u8>> {
    let inputs: Vec<&Tensor> = inputs.iter().copied().collect::<Option<_>>()?;
    let small = |t: &Tensor| t.dtype == Dtype::I32 && t.quant.is_none() && t.elements() <= MOST;
    if inputs.is_empty() || output.is_constant() || !small(output) || !inputs.iter().all(|t| small(t)) {
        return None;
    }
    let values: Vec<Vec<i32>> = inputs.iter().map(|t| t.ints()).collect::<Option<_>>()?;
    let result: Vec<i32> = match op {
        Op::Reshape { .. } | Op::Cast { to: Dtype::I32 } => values.into_iter().next()?,
        Op::Concatenation { axis: 0 } => values.concat(),
        Op::StridedSlice { begin, size, stride } => slice(&values[0], &inputs[0].shape, begin, size, stride)?,
        Op::Gather { axis: 0 } if inputs[0].shape.len() == 1 => {
            let pick = |&i: &i32| values[0].get(usize::try_from(i).ok()?).copied();
            values[1].iter().map(pick).collect::<Option<_>>()?
        }
        Op::Binary { kind, activation } if *activation == crate::ir::Activation::NONE => {
            let [a, b] = &values[..] else { return None };
            let n = a.len().max(b.len());
            let fits = |v: &[i32]| v.len() == n || v.len() == 1;
            if !fits(a) || !fits(b) || inputs.iter().any(|t| t.shape.len() > 1) {
                return None;
            }
            let at = |v: &[i32], i: usize| if v.len() == 1 { v[0] } else { v[i] };
            (0..n).map(|i| binary(*kind, at(a, i), at(b, i))).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (result.len() == output.elements()).then(|| bytemuck::cast_slice(&result).to_vec())
}

fn binary(kind: Binary, a: i32, b: i32) -> Option<i32> {
    match kind {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        // Shape arithmetic only divides evenly; anything else is left to whoever defines its rounding.
        Binary::Div => (a.checked_rem(b) == Some(0)).then(|| a / b),
        Binary::Minimum => Some(a.min(b)),
        Binary::Maximum => Some(a.max(b)),
    }
}

fn slice(x: &[i32], shape: &[usize], begin: &[i32], size: &[usize], stride: &[i32]) -> Option<Vec<i32>> {
    let count: usize = size.iter().product();
    let mut out = Vec::with_capacity(count.min(MOST));
    for k in 0..count {
        let (mut rest, mut at, mut step) = (k, 0usize, 1usize);
        for axis in (0..shape.len()).rev() {
            let i = i64::from(*begin.get(axis)?)
                + (rest % size.get(axis)?) as i64 * i64::from(*stride.get(axis)?);
            at += usize::try_from(i).ok()?.checked_mul(step)?;
            step *= shape[axis];
            rest /= size[axis];
        }
        out.push(*x.get(at)?);
    }
    Some(out)
}
