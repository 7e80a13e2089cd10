//! Operators that move or rename elements. What [`super::super::fold`] needs of them is here too.

use samara_runtime::Dtype;
use samara_runtime::ops::io::MAX_INPUTS;

use super::one;
pub(crate) use super::slice::{Ranges, gather, indices, pad, ranges, slice, split};
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axes, axis};
use crate::import::onnx::constant::graph_dtype;
use crate::import::onnx::fold::{MAX_MOVED, broadcast, count, dims};
use crate::ir::{Activation, Binary, Op, TensorId};

/// The shape that Reshape, Flatten, Squeeze or Unsqueeze gives an input of shape `from`.
pub(crate) fn reshaped(call: &Call<'_>, from: &[usize]) -> Result<Vec<usize>> {
    let rank = from.len();
    match call.op_type() {
        "Reshape" => {
            let asked = call.input_ints(1)?.ok_or_else(|| Error::invalid("its shape is missing"))?;
            resolve(&asked, from, call.flag("allowzero", false)?)
        }
        "Flatten" => {
            let at = call.int("axis")?.unwrap_or(1);
            // Unlike other axes this one may equal the rank.
            let at = if at == rank as i64 { rank } else { axis(at, rank)? };
            Ok(vec![from[..at].iter().product(), from[at..].iter().product()])
        }
        "Squeeze" => {
            let list = if call.opset < 13 { call.ints("axes")? } else { call.input_ints(1)? };
            let gone = match list {
                Some(list) => axes(&list, rank)?,
                None => (0..rank).filter(|&k| from[k] == 1).collect(),
            };
            if let Some(&k) = gone.iter().find(|&&k| from[k] != 1) {
                return Err(Error::invalid(format!("axis {k} of {from:?} is not of size 1")));
            }
            Ok((0..rank).filter(|k| !gone.contains(k)).map(|k| from[k]).collect())
        }
        _ => {
            let list = if call.opset < 13 { call.ints("axes")? } else { call.input_ints(1)? };
            let list = list.ok_or_else(|| Error::invalid("its axes are missing"))?;
            let new = axes(&list, rank + list.len())?;
            let mut old = from.iter();
            let dim = |k| if new.contains(&k) { 1 } else { old.next().copied().unwrap_or(1) };
            Ok((0..rank + new.len()).map(dim).collect())
        }
    }
}

/// Reshape's 0 (copied from the input) and -1 (inferred).
fn resolve(asked: &[i64], from: &[usize], allow_zero: bool) -> Result<Vec<usize>> {
    let wrong = || Error::invalid(format!("shape {from:?} cannot become {asked:?}"));
    let total: usize = from.iter().product();
    let mut open = None;
    let mut shape = Vec::with_capacity(asked.len());
    for (k, &d) in asked.iter().enumerate() {
        shape.push(match d {
            -1 if open.replace(k).is_none() => 1,
            0 if !allow_zero => *from.get(k).ok_or_else(wrong)?,
            d => usize::try_from(d).map_err(|_| wrong())?,
        });
    }
    let known = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(wrong)?;
    if let Some(k) = open {
        shape[k] = total.checked_div(known).ok_or_else(wrong)?;
    }
    if shape.iter().product::<usize>() == total { Ok(shape) } else { Err(wrong()) }
}

/// Reshape.
pub(crate) fn reshape(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = reshaped(call, b.shape(x))?;
    one(b.reshape(&call.name, x, shape)?)
}

/// Flatten.
pub(crate) fn flatten(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    reshape(b, call)
}

/// Squeeze and Unsqueeze.
pub(crate) fn squeeze(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    reshape(b, call)
}

/// Transpose's permutation; reverses the axes where none is given.
pub(crate) fn permutation(call: &Call<'_>, rank: usize) -> Result<Vec<usize>> {
    let Some(list) = call.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let permutation = axes(&list, rank)?;
    if permutation.len() == rank && list.iter().all(|&a| a >= 0) {
        Ok(permutation)
    } else {
        Err(Error::invalid(format!("perm {list:?} is no permutation of {rank} axes")))
    }
}

/// Transpose.
pub(crate) fn transpose(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let permutation = permutation(call, b.shape(x).len())?;
    one(b.push(&call.name, Op::Transpose { permutation }, &[x])?)
}

/// Concat; chained where there are more inputs than a step has operands. Empty inputs add nothing.
pub(crate) fn concat(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let empty = |i: usize| call.constant(i).is_some_and(|c| c.dims.contains(&0));
    let mut parts: Vec<TensorId> = Vec::new();
    for i in (0..call.values.len()).filter(|&i| !empty(i)) {
        parts.push(call.tensor(b, i)?);
    }
    let first = *parts.first().ok_or_else(|| Error::invalid("it has no inputs"))?;
    let at = call.int("axis")?.ok_or_else(|| Error::invalid("its axis is missing"))?;
    let axis = axis(at, b.shape(first).len())?;
    one(join(b, &call.name, axis, parts)?)
}

/// Concatenation of any number of tensors.
pub(super) fn join(b: &mut Builder, name: &str, axis: usize, mut parts: Vec<TensorId>) -> Result<TensorId> {
    let mut round = 0;
    while parts.len() > MAX_INPUTS {
        let mut joined = Vec::new();
        for (k, chunk) in parts.chunks(MAX_INPUTS).enumerate() {
            joined.push(match chunk {
                [one] => *one,
                many => b.push(&format!("{name}/{round}.{k}"), Op::Concatenation { axis }, many)?,
            });
        }
        parts = joined;
        round += 1;
    }
    match parts[..] {
        [one] => Ok(one),
        _ => b.push(name, Op::Concatenation { axis }, &parts),
    }
}

/// Expand: nothing where the shape already is that, else a product with ones.
pub(crate) fn expand(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let target = dims(&call.input_ints(1)?.ok_or_else(|| Error::invalid("its shape is missing"))?)?;
    let shape = broadcast(b.shape(x), &target)?;
    stretch(b, &call.name, x, shape)
}

fn stretch(b: &mut Builder, name: &str, x: TensorId, shape: Vec<usize>) -> Result<Vec<Value>> {
    if b.shape(x) == shape {
        return one(x);
    }
    if b.graph.tensors[x].dtype != Dtype::F32 {
        return Err(Error::invalid("expanding computed integers is not supported"));
    }
    let count = count(&shape, MAX_MOVED)?;
    let ones = b.floats(&format!("{name}/ones"), shape, &vec![1.0; count]);
    one(b.push(name, Op::Binary { kind: Binary::Mul, activation: Activation::NONE }, &[x, ones])?)
}

/// Where, with a condition that chooses one side altogether.
pub(crate) fn where_(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let condition = call.required_constant(0)?;
    let truth: Vec<bool> = condition.to_floats().iter().map(|&c| c != 0.0).collect();
    let dims = condition.dims.clone();
    let side = match (truth.iter().all(|&t| t), truth.iter().any(|&t| t)) {
        (true, _) => 1,
        (_, false) => 2,
        _ => return Err(Error::invalid("choosing element by element is only supported between constants")),
    };
    let (x, y) = (call.tensor(b, 1)?, call.tensor(b, 2)?);
    let shape = broadcast(&broadcast(&dims, b.shape(x))?, b.shape(y))?;
    stretch(b, &call.name, if side == 1 { x } else { y }, shape)
}

/// The type that Cast converts to.
pub(crate) fn cast_target(call: &Call<'_>) -> Result<Dtype> {
    let to = call.int("to")?.ok_or_else(|| Error::invalid("its target type is missing"))?;
    match i32::try_from(to) {
        // Half and double precision are computed in single.
        Ok(10 | 11 | 16) => Ok(Dtype::F32),
        Ok(to) => graph_dtype(to),
        Err(_) => Err(Error::invalid(format!("element type {to} is unknown"))),
    }
}
