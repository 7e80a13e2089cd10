//! Slice, Split, Gather with constant indices, and Pad.

use samara_runtime::Dtype;

use super::one;
use super::shape::join;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axes, axis};
use crate::import::onnx::proto::data_type;
use crate::ir::{Op, Quant, Tensor, TensorId};

/// What Slice takes: `begin + k * stride` for `k < size`, per axis.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    pub(crate) begin: Vec<i64>,
    pub(crate) size: Vec<usize>,
    pub(crate) stride: Vec<i64>,
}

/// The ranges of a Slice node: attributes before operator set 10, inputs since.
pub(crate) fn ranges(call: &Call<'_>, dims: &[usize]) -> Result<Ranges> {
    let (starts, ends, listed, steps) = if call.opset < 10 {
        (call.ints("starts")?, call.ints("ends")?, call.ints("axes")?, None)
    } else {
        (call.input_ints(1)?, call.input_ints(2)?, call.input_ints(3)?, call.input_ints(4)?)
    };
    let missing = || Error::invalid("its starts or ends are missing");
    let (starts, ends) = (starts.ok_or_else(missing)?, ends.ok_or_else(missing)?);
    let listed = match listed {
        Some(list) => axes(&list, dims.len())?,
        None => (0..starts.len()).collect(),
    };
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    let n = starts.len();
    if ends.len() != n || listed.len() != n || steps.len() != n || n > dims.len() {
        return Err(Error::invalid("its starts, ends, axes and steps differ in length"));
    }
    let mut out = Ranges { begin: vec![0; dims.len()], size: dims.to_vec(), stride: vec![1; dims.len()] };
    for (k, &axis) in listed.iter().enumerate() {
        let d = dims[axis] as i64;
        let from_end = |i: i64| if i < 0 { i.saturating_add(d) } else { i };
        let step = steps[k];
        let (start, end) = match step {
            0 => return Err(Error::invalid("a step is 0")),
            1.. => (from_end(starts[k]).clamp(0, d), from_end(ends[k]).clamp(0, d)),
            _ => (from_end(starts[k]).clamp(0, (d - 1).max(0)), from_end(ends[k]).clamp(-1, d - 1)),
        };
        let span = if step > 0 { end - start } else { start - end };
        out.begin[axis] = start;
        out.size[axis] = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as usize;
        out.stride[axis] = step;
    }
    Ok(out)
}

/// A strided slice, or `x` itself where everything is taken.
fn strided(b: &mut Builder, name: &str, x: TensorId, r: Ranges) -> Result<TensorId> {
    if r.size == b.shape(x) && r.stride.iter().all(|&s| s == 1) {
        return Ok(x);
    }
    if r.size.contains(&0) {
        return Err(Error::invalid("its result is empty"));
    }
    let narrow = |v: Vec<i64>| -> Result<Vec<i32>> {
        let v: Option<Vec<i32>> = v.into_iter().map(|i| i32::try_from(i).ok()).collect();
        v.ok_or_else(|| Error::invalid("a step is out of range"))
    };
    // A step longer than its axis takes one element, whatever its length.
    let stride = r.stride.iter().zip(&r.size).map(|(&s, &n)| if n == 1 { 1 } else { s }).collect();
    let op = Op::StridedSlice { begin: narrow(r.begin)?, size: r.size, stride: narrow(stride)? };
    b.push(name, op, &[x])
}

/// Slice.
pub(crate) fn slice(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let ranges = ranges(call, b.shape(x))?;
    one(strided(b, &call.name, x, ranges)?)
}

/// Rows `begin..begin + size` along one axis.
fn rows(dims: &[usize], axis: usize, begin: usize, size: usize) -> Ranges {
    let mut r = Ranges { begin: vec![0; dims.len()], size: dims.to_vec(), stride: vec![1; dims.len()] };
    (r.begin[axis], r.size[axis]) = (begin as i64, size);
    r
}

/// Split: sizes are an attribute before operator set 13, an input since; without sizes the parts are equal,
/// and from operator set 18 on the last may be smaller.
pub(crate) fn split(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let dims = b.shape(x).to_vec();
    let axis = axis(call.int("axis")?.unwrap_or(0), dims.len())?;
    let sizes = if call.opset < 13 { call.ints("split")? } else { call.input_ints(1)? };
    let parts = call.int("num_outputs")?.map_or(call.outputs(), |n| usize::try_from(n).unwrap_or(0));
    let sizes: Vec<usize> = match sizes {
        Some(sizes) => crate::import::onnx::fold::dims(&sizes)?,
        None if parts == 0 => return Err(Error::invalid("it has no outputs")),
        None => {
            let part = dims[axis].div_ceil(parts);
            (0..parts).map(|k| part.min(dims[axis].saturating_sub(k * part))).collect()
        }
    };
    if sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s)) != Some(dims[axis])
        || sizes.len() != call.outputs()
    {
        return Err(Error::invalid(format!("parts {sizes:?} do not fill axis {axis} of {dims:?}")));
    }
    let mut begin = 0;
    let mut outputs = Vec::new();
    for (k, &size) in sizes.iter().enumerate() {
        let part = strided(b, &format!("{}/{k}", call.name), x, rows(&dims, axis, begin, size))?;
        outputs.push(Value::Tensor(part));
        begin += size;
    }
    Ok(outputs)
}

/// Indices counted from the end where negative.
pub(crate) fn indices(list: &[i64], size: usize) -> Result<Vec<usize>> {
    let at =
        |&i: &i64| axis(i, size).map_err(|_| Error::invalid(format!("index {i} is outside of {size} rows")));
    list.iter().map(at).collect()
}

/// Gather: constant indices become slices, others a run-time operator.
pub(crate) fn gather(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let dims = b.shape(x).to_vec();
    let axis = axis(call.int("axis")?.unwrap_or(0), dims.len())?;
    let Some(list) = call.constant(1) else {
        let list = call.tensor(b, 1)?;
        return one(b.push(&call.name, Op::Gather { axis }, &[x, list])?);
    };
    let ints = list.as_ints().ok_or_else(|| Error::invalid("its indices must be integers"))?;
    let at = indices(ints, dims[axis])?;
    let (Some(&first), Some(&last)) = (at.first(), at.last()) else {
        return Err(Error::invalid("its result is empty"));
    };
    let step = at.get(1).map_or(1, |&second| second as i64 - first as i64);
    let name = &call.name;
    let regular = step != 0 && at.windows(2).all(|w| w[1] as i64 - w[0] as i64 == step);
    let taken = if regular {
        let mut r = rows(&dims, axis, first, at.len());
        r.stride[axis] = step;
        strided(b, &format!("{name}/rows"), x, r)?
    } else {
        let mut parts = Vec::new();
        let mut from = 0;
        for k in 0..at.len() {
            // Runs of neighbours are one slice.
            if at.get(k + 1) != Some(&(at[k] + 1)) {
                let part = rows(&dims, axis, at[from], k + 1 - from);
                parts.push(strided(b, &format!("{name}/{from}"), x, part)?);
                from = k + 1;
            }
        }
        debug_assert_eq!(from, at.len(), "every index up to {last} is in a run");
        join(b, &format!("{name}/rows"), axis, parts)?
    };
    let mut shape = dims[..axis].to_vec();
    shape.extend(&list.dims);
    shape.extend(&dims[axis + 1..]);
    one(b.reshape(name, taken, shape)?)
}

/// Pad with a constant; amounts are an attribute before operator set 11, an input since. Negative amounts cut.
pub(crate) fn pad(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let mode = call.string("mode", "constant")?;
    if mode != "constant" {
        return Err(Error::invalid(format!("mode '{mode}' is not supported, only 'constant' is")));
    }
    let x = call.tensor(b, 0)?;
    let dims = b.shape(x).to_vec();
    let rank = dims.len();
    let (amounts, value, listed) = if call.opset < 11 {
        (call.ints("pads")?, call.float("value", 0.0)?, None)
    } else {
        let value = match call.optional_constant(2)? {
            None => 0.0,
            Some(c) => *c.to_floats().first().ok_or_else(|| Error::invalid("its value is empty"))?,
        };
        (call.input_ints(1)?, value, call.input_ints(3)?)
    };
    let amounts = amounts.ok_or_else(|| Error::invalid("its amounts are missing"))?;
    let listed = match listed {
        Some(list) => axes(&list, rank)?,
        None => (0..rank).collect(),
    };
    if amounts.len() != 2 * listed.len() {
        return Err(Error::invalid(format!("{} amounts do not fit {} axes", amounts.len(), listed.len())));
    }
    let (mut before, mut after) = (vec![0usize; rank], vec![0usize; rank]);
    let mut cut = Ranges { begin: vec![0; rank], size: dims.clone(), stride: vec![1; rank] };
    for (k, &axis) in listed.iter().enumerate() {
        for (amount, side) in [(amounts[k], &mut before), (amounts[k + listed.len()], &mut after)] {
            let size = usize::try_from(amount.unsigned_abs())
                .map_err(|_| Error::invalid("an amount is too large"))?;
            if amount >= 0 {
                side[axis] = size;
            } else {
                let left = cut.size[axis].checked_sub(size).filter(|&n| n > 0);
                cut.size[axis] = left.ok_or_else(|| Error::invalid("its result is empty"))?;
            }
        }
        cut.begin[axis] = (-amounts[k]).max(0);
    }
    let x = strided(b, &format!("{}/cut", call.name), x, cut)?;
    if before.iter().chain(&after).all(|&n| n == 0) {
        return one(x);
    }
    let Tensor { dtype, quant, .. } = &b.graph.tensors[x];
    let value = match quant.as_ref().and_then(Quant::single) {
        // The model pads with a level, the graph with a real.
        Some((scale, zero_point)) if *dtype != Dtype::F32 => {
            let shift = match call.constant(2).map(|c| c.kind) {
                Some(data_type::UINT16) => 32768.0,
                None if *dtype == Dtype::I16 && b.unsigned16 => {
                    return Err(Error::invalid("whether its input is int16 or uint16 is not known")
                        .remedy("give it a value, whose type says so"));
                }
                _ => 0.0,
            };
            (value - shift - zero_point as f32) * scale
        }
        _ if *dtype != Dtype::F32 && value != 0.0 => {
            return Err(Error::invalid(format!("padding {} with {value} is not supported", dtype.name())));
        }
        _ => value,
    };
    one(b.push(&call.name, Op::Pad { before, after, value }, &[x])?)
}
