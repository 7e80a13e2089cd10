//! Operators evaluated at import: the shape arithmetic that exporters write, in int64 and float.
//!
//! Large float constants are left to the graph's own constant folding, which uses the runtime's kernels.

use samara_runtime::Dtype;

use super::builder::{Builder, Call, Value, axis};
use super::constant::{Constant, Data};
use super::ops::shape::{self, Ranges};
use crate::error::{Error, Result};

/// Most elements of a folded arithmetic result.
const MAX_ELEMENTS: usize = 1 << 16;
/// Most elements of a constant that folding makes by moving or repeating others.
pub(super) const MAX_MOVED: usize = 1 << 24;

type Folded = Result<Option<Vec<Constant>>>;

fn one(c: Constant) -> Folded {
    Ok(Some(vec![c]))
}

/// Every operand, where all are constants.
fn all<'c>(call: &'c Call<'_>) -> Option<Vec<&'c Constant>> {
    let constant = |v: &'c Option<Value>| match v {
        Some(Value::Constant(c)) => Some(&**c),
        Some(Value::Tensor(_)) | None => None,
    };
    call.values.iter().map(constant).collect()
}

/// Constant: every form but sparse tensors and strings.
pub(super) fn constant(_: &Builder, call: &Call<'_>) -> Folded {
    if let Some(c) = call.tensor_attribute("value")? {
        return one(c);
    }
    if let Some(v) = call.ints("value_ints")? {
        return one(Constant::ints(vec![v.len()], v));
    }
    if let Some(v) = call.int("value_int")? {
        return one(Constant::ints(vec![], vec![v]));
    }
    if let Some(v) = call.floats("value_floats")? {
        return one(Constant::floats(vec![v.len()], v));
    }
    let v = call.float("value_float", f32::NAN)?;
    if v.is_nan() {
        return Err(Error::invalid("it has no value of a supported kind"));
    }
    one(Constant::floats(vec![], vec![v]))
}

/// ConstantOfShape.
pub(super) fn constant_of_shape(_: &Builder, call: &Call<'_>) -> Folded {
    let dims = dims(&call.input_ints(0)?.ok_or_else(|| Error::invalid("input 0 is missing"))?)?;
    let n = count(&dims, MAX_MOVED)?;
    let value = call.tensor_attribute("value")?;
    one(match value {
        None => Constant::floats(dims, vec![0.0; n]),
        Some(v) if v.len() == 1 => v.gather(dims, std::iter::repeat_n(0, n)),
        Some(v) => return Err(Error::invalid(format!("its value has {} elements, not one", v.len()))),
    })
}

/// Shape (with start and end) and Size.
pub(super) fn shape(b: &Builder, call: &Call<'_>) -> Folded {
    let dims: Vec<i64> = match call.value(0)? {
        Value::Constant(c) => c.dims.iter().map(|&d| d as i64).collect(),
        Value::Tensor(t) => b.shape(*t).iter().map(|&d| d as i64).collect(),
    };
    if call.op_type() == "Size" {
        return one(Constant::ints(vec![], vec![dims.iter().product()]));
    }
    let rank = dims.len() as i64;
    let limit = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (limit(call.int("start")?.unwrap_or(0)), limit(call.int("end")?.unwrap_or(rank)));
    let part = dims.get(start..end).unwrap_or(&[]).to_vec();
    one(Constant::ints(vec![part.len()], part))
}

/// Gather of constants.
pub(super) fn gather(_: &Builder, call: &Call<'_>) -> Folded {
    let (Some(data), Some(indices)) = (call.constant(0), call.constant(1)) else { return Ok(None) };
    let axis = axis(call.int("axis")?.unwrap_or(0), data.dims.len())?;
    let indices_ints = indices.as_ints().ok_or_else(|| Error::invalid("its indices must be integers"))?;
    let at = shape::indices(indices_ints, data.dims[axis])?;
    let (outer, size) = (data.dims[..axis].iter().product::<usize>(), data.dims[axis]);
    let inner: usize = data.dims[axis + 1..].iter().product();
    let mut dims = data.dims[..axis].to_vec();
    dims.extend(&indices.dims);
    dims.extend(&data.dims[axis + 1..]);
    count(&dims, MAX_MOVED)?;
    let at = &at;
    let source = (0..outer)
        .flat_map(|o| at.iter().flat_map(move |&i| (0..inner).map(move |k| (o * size + i) * inner + k)));
    one(data.gather(dims, source))
}

/// Reshape, Flatten, Squeeze, Unsqueeze of a constant.
pub(super) fn reshape(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0) else { return Ok(None) };
    one(x.reshape(shape::reshaped(call, &x.dims)?))
}

/// Transpose of a constant.
pub(super) fn transpose(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0) else { return Ok(None) };
    one(x.transpose(&shape::permutation(call, x.dims.len())?))
}

/// Concat of constants.
pub(super) fn concat(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(parts) = all(call) else { return Ok(None) };
    let first = *parts.first().ok_or_else(|| Error::invalid("it has no inputs"))?;
    let rank = first.dims.len();
    let axis = axis(call.int("axis")?.ok_or_else(|| Error::invalid("its axis is missing"))?, rank)?;
    let fits =
        |p: &&Constant| p.dims.len() == rank && (0..rank).all(|k| k == axis || p.dims[k] == first.dims[k]);
    if !parts.iter().all(fits) {
        return Err(Error::invalid("its inputs do not fit together"));
    }
    let outer: usize = first.dims[..axis].iter().product();
    let mut dims = first.dims.clone();
    dims[axis] = parts.iter().map(|p| p.dims[axis]).sum();
    count(&dims, MAX_MOVED)?;
    let rows = |p: &Constant| p.dims[axis..].iter().product::<usize>();
    let data = match &first.data {
        Data::Float(_) => {
            let parts: Vec<(Vec<f32>, usize)> = parts.iter().map(|p| (p.to_floats(), rows(p))).collect();
            Data::Float(interleave(&parts, outer))
        }
        Data::Int(_) => {
            let ints = |p: &&Constant| Some((p.as_ints()?.to_vec(), rows(p)));
            let parts: Option<Vec<(Vec<i64>, usize)>> = parts.iter().map(ints).collect();
            Data::Int(interleave(&parts.ok_or_else(|| Error::invalid("its inputs differ in type"))?, outer))
        }
    };
    one(Constant::new(first.dtype, dims, data))
}

fn interleave<T: Copy>(parts: &[(Vec<T>, usize)], outer: usize) -> Vec<T> {
    let row = |o: usize| parts.iter().flat_map(move |(v, n)| v[o * n..(o + 1) * n].iter().copied());
    (0..outer).flat_map(row).collect()
}

/// Slice of a constant.
pub(super) fn slice(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0) else { return Ok(None) };
    let Ranges { begin, size, stride } = shape::ranges(call, &x.dims)?;
    let mut strides = vec![1usize; x.dims.len()];
    for k in (0..x.dims.len().saturating_sub(1)).rev() {
        strides[k] = strides[k + 1] * x.dims[k + 1];
    }
    let mut source = vec![0i64];
    for k in 0..x.dims.len() {
        let step = |&at: &i64| {
            let (b, s, w) = (begin[k], stride[k], strides[k] as i64);
            (0..size[k] as i64).map(move |i| at + (b + i * s) * w)
        };
        source = source.iter().flat_map(step).collect();
    }
    one(x.gather(size, source.into_iter().map(|i| i as usize)))
}

/// Expand of a constant.
pub(super) fn expand(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0) else { return Ok(None) };
    let target = dims(&call.input_ints(1)?.ok_or_else(|| Error::invalid("input 1 is missing"))?)?;
    let dims = broadcast(&x.dims, &target)?;
    count(&dims, MAX_ELEMENTS)?;
    let source = positions(&x.dims, &dims);
    one(x.gather(dims, source.into_iter()))
}

/// Where of constants.
pub(super) fn where_(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(parts) = all(call) else { return Ok(None) };
    let [condition, x, y] = parts[..] else { return Err(Error::invalid("it needs three inputs")) };
    let dims = broadcast(&broadcast(&condition.dims, &x.dims)?, &y.dims)?;
    if count(&dims, MAX_ELEMENTS).is_err() {
        return Ok(None);
    }
    let truth: Vec<bool> = condition.to_floats().iter().map(|&c| c != 0.0).collect();
    let (c, i, j) = (positions(&condition.dims, &dims), positions(&x.dims, &dims), positions(&y.dims, &dims));
    let n = c.len();
    let data = match (&x.data, &y.data) {
        (Data::Float(x), Data::Float(y)) => {
            Data::Float((0..n).map(|k| if truth[c[k]] { x[i[k]] } else { y[j[k]] }).collect())
        }
        (Data::Int(x), Data::Int(y)) => {
            Data::Int((0..n).map(|k| if truth[c[k]] { x[i[k]] } else { y[j[k]] }).collect())
        }
        _ => return Err(Error::invalid("its inputs differ in type")),
    };
    one(Constant::new(x.dtype, dims, data))
}

/// Range.
pub(super) fn range(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(parts) = all(call) else { return Ok(None) };
    let [start, limit, delta] = parts[..] else { return Err(Error::invalid("it needs three inputs")) };
    if let (Some(&[start]), Some(&[limit]), Some(&[delta])) =
        (start.as_ints(), limit.as_ints(), delta.as_ints())
    {
        let span = i128::from(limit) - i128::from(start);
        let (span, delta) = if delta < 0 { (-span, -i128::from(delta)) } else { (span, i128::from(delta)) };
        if delta == 0 {
            return Err(Error::invalid("its step is 0"));
        }
        let n = usize::try_from((span.max(0) + delta - 1) / delta).unwrap_or(usize::MAX);
        count(&[n], MAX_ELEMENTS)?;
        let sign = if parts[2].as_ints().is_some_and(|d| d[0] < 0) { -1 } else { 1 };
        let step = sign * delta as i64;
        return one(Constant::ints(vec![n], (0..n as i64).map(|k| start + k * step).collect()));
    }
    let (Some(start), Some(limit), Some(delta)) = (start.scalar(), limit.scalar(), delta.scalar()) else {
        return Err(Error::invalid("its inputs must be scalars of one type"));
    };
    let n = ((limit as f64 - start as f64) / delta as f64).ceil().max(0.0);
    if n.is_nan() || n > MAX_ELEMENTS as f64 {
        return Err(Error::invalid("its range is too long"));
    }
    one(Constant::floats(vec![n as usize], (0..n as usize).map(|k| start + k as f32 * delta).collect()))
}

/// ReduceProd of integers over all axes, as shape arithmetic has it.
pub(super) fn reduce_prod(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(v) = call.constant(0).and_then(|c| c.as_ints()) else { return Ok(None) };
    if call.constant(0).is_some_and(|c| c.dims.len() > 1) {
        return Err(Error::invalid("only the product of a vector is supported"));
    }
    call.ignore("axes");
    let keep = call.flag("keepdims", true)?;
    let product = v.iter().try_fold(1i64, |n, &x| n.checked_mul(x)).ok_or_else(overflow)?;
    one(Constant::ints(if keep { vec![1] } else { vec![] }, vec![product]))
}

/// Cast of a constant; float to integer truncates.
pub(super) fn cast(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0) else { return Ok(None) };
    call.ignore("saturate");
    call.ignore("round_mode");
    let to = shape::cast_target(call)?;
    let data = match (&x.data, to) {
        (Data::Float(v), Dtype::F32) => Data::Float(v.clone()),
        (Data::Int(v), Dtype::F32) => Data::Float(v.iter().map(|&i| i as f32).collect()),
        (_, Dtype::Bool) => Data::Int(x.to_floats().iter().map(|&f| (f != 0.0).into()).collect()),
        (Data::Float(v), _) => Data::Int(v.iter().map(|&f| f as i64).collect()),
        (Data::Int(v), _) => Data::Int(v.clone()),
    };
    one(Constant::new(to, x.dims.clone(), data))
}

/// Unary arithmetic on small constants.
pub(super) fn unary(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(x) = call.constant(0).filter(|c| c.len() <= MAX_ELEMENTS) else { return Ok(None) };
    let data = match &x.data {
        Data::Float(v) => {
            let f: fn(f32) -> f32 = match call.op_type() {
                "Abs" => f32::abs,
                "Ceil" => libm::ceilf,
                "Floor" => libm::floorf,
                "Neg" => |x| -x,
                "Round" => libm::rintf,
                "Sqrt" => libm::sqrtf,
                _ => return Ok(None),
            };
            Data::Float(v.iter().map(|&x| f(x)).collect())
        }
        Data::Int(v) => {
            let f: fn(i64) -> Option<i64> = match call.op_type() {
                "Abs" => i64::checked_abs,
                "Neg" => i64::checked_neg,
                "Not" => |x| Some((x == 0).into()),
                _ => return Ok(None),
            };
            Data::Int(v.iter().map(|&x| f(x)).collect::<Option<_>>().ok_or_else(overflow)?)
        }
    };
    one(Constant::new(x.dtype, x.dims.clone(), data))
}

/// Binary arithmetic and comparisons on small constants, with broadcasting.
pub(super) fn binary(_: &Builder, call: &Call<'_>) -> Folded {
    let Some(parts) = all(call) else { return Ok(None) };
    let [a, b] = parts[..] else { return Ok(None) };
    let dims = broadcast(&a.dims, &b.dims)?;
    if count(&dims, MAX_ELEMENTS).is_err() {
        return Ok(None);
    }
    let (i, j) = (positions(&a.dims, &dims), positions(&b.dims, &dims));
    let pairs = || i.iter().zip(&j);
    let op = call.op_type();
    let (dtype, data) = match (&a.data, &b.data) {
        (Data::Int(a_), Data::Int(b_)) => {
            let f: fn(i64, i64) -> Option<i64> = match op {
                "Add" => i64::checked_add,
                "Sub" => i64::checked_sub,
                "Mul" => i64::checked_mul,
                "Div" => i64::checked_div,
                "Mod" => {
                    |a, b| a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
                }
                "Min" => |a, b| Some(a.min(b)),
                "Max" => |a, b| Some(a.max(b)),
                "Equal" => |a, b| Some((a == b).into()),
                "Greater" => |a, b| Some((a > b).into()),
                "Less" => |a, b| Some((a < b).into()),
                _ => return Ok(None),
            };
            if op == "Mod" && call.flag("fmod", false)? {
                return Err(Error::invalid("attribute 'fmod' is not supported for integers"));
            }
            let values: Option<Vec<i64>> = pairs().map(|(&i, &j)| f(a_[i], b_[j])).collect();
            let values = values.ok_or_else(overflow)?;
            (if compares(op) { Dtype::Bool } else { a.dtype }, Data::Int(values))
        }
        (Data::Float(a), Data::Float(b)) => {
            let f: fn(f32, f32) -> f32 = match op {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Min" => f32::min,
                "Max" => f32::max,
                "Equal" => |a, b| (a == b).into(),
                "Greater" => |a, b| (a > b).into(),
                "Less" => |a, b| (a < b).into(),
                _ => return Ok(None),
            };
            let values: Vec<f32> = pairs().map(|(&i, &j)| f(a[i], b[j])).collect();
            if compares(op) {
                (Dtype::Bool, Data::Int(values.iter().map(|&v| v as i64).collect()))
            } else {
                (Dtype::F32, Data::Float(values))
            }
        }
        _ => return Err(Error::invalid("its inputs differ in type")),
    };
    one(Constant::new(dtype, dims, data))
}

fn compares(op: &str) -> bool {
    matches!(op, "Equal" | "Greater" | "Less")
}

/// Dimensions from int64 values.
pub(super) fn dims(v: &[i64]) -> Result<Vec<usize>> {
    let dims: Option<Vec<usize>> = v.iter().map(|&d| usize::try_from(d).ok()).collect();
    dims.ok_or_else(|| Error::invalid(format!("the shape {v:?} has a negative dimension")))
}

pub(super) fn count(dims: &[usize], limit: usize) -> Result<usize> {
    let n = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= limit);
    n.ok_or_else(|| Error::invalid(format!("a constant of shape {dims:?} is too large")))
}

fn overflow() -> Error {
    Error::invalid("its integer arithmetic overflows or divides by zero")
}

/// NumPy's broadcast shape.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], k: usize| (k + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|k| match (dim(a, k), dim(b, k)) {
            (1, d) | (d, 1) => Ok(d),
            (x, y) if x == y => Ok(x),
            _ => Err(Error::invalid(format!("shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// For each element of the broadcast shape `to`, its position in `from`.
fn positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut stride = 1;
    let mut strides = vec![0; to.len()];
    for (k, &d) in from.iter().enumerate().rev() {
        strides[k + to.len() - from.len()] = if d == 1 { 0 } else { stride };
        stride *= d;
    }
    let mut at = vec![0usize];
    for (k, &d) in to.iter().enumerate() {
        at = at.iter().flat_map(|&a| (0..d).map(move |i| (a, i))).map(|(a, i)| a + i * strides[k]).collect();
    }
    at
}
