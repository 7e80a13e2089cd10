//! Operators that move elements without changing them.

use samara_runtime::Dtype;

use super::super::context::Context;
use super::super::schema::TensorType;
use crate::error::{Error, Result};
use crate::ir::{Op, Quant, TensorId};

type Cx<'c, 'm, 'f, 'a> = Context<'c, 'm, 'f, 'a>;

/// ReshapeOptions: new_shape, which counts only without a second operand.
pub fn reshape(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let wanted = if cx.optional(1)?.is_some() { cx.ints(1, "shape")? } else { cx.options().i32s(0)? };
    let elements = cx.tensor(x).elements();
    let unknown = wanted.iter().filter(|&&d| d == -1).count();
    let known = wanted
        .iter()
        .filter(|&&d| d != -1)
        .try_fold(1usize, |n, &d| usize::try_from(d).ok().and_then(|d| n.checked_mul(d)));
    let rest = match (unknown, known) {
        (0, Some(n)) if n == elements => Some(1),
        (1, Some(n)) if n > 0 && elements.is_multiple_of(n) => Some(elements / n),
        _ => None,
    };
    let Some(rest) = rest else {
        return Err(Error::invalid(format!("{elements} elements do not have the shape {wanted:?}")));
    };
    let shape: Vec<usize> = wanted.iter().map(|&d| if d == -1 { rest } else { d as usize }).collect();
    same_elements(cx, x, shape)
}

/// SqueezeOptions: squeeze_dims; none means all dimensions of 1.
pub fn squeeze(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let mut gone = Vec::new();
    for d in cx.options().i32s(0)? {
        let axis = cx.axis(d, shape.len())?;
        if shape[axis] != 1 {
            return Err(Error::invalid(format!("it squeezes dimension {axis} of the shape {shape:?}")));
        }
        gone.push(axis);
    }
    let all = gone.is_empty();
    let stays = |i: usize| if all { shape[i] != 1 } else { !gone.contains(&i) };
    same_elements(cx, x, (0..shape.len()).filter(|&i| stays(i)).map(|i| shape[i]).collect())
}

/// No options; the axis is an operand.
pub fn expand_dims(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let mut shape = cx.shape(x);
    let axis = cx.int(1, "axis")?;
    shape.insert(cx.axis(axis, shape.len() + 1)?, 1);
    same_elements(cx, x, shape)
}

fn same_elements(cx: &mut Cx<'_, '_, '_, '_>, x: TensorId, shape: Vec<usize>) -> Result<()> {
    let y = cx.output(0)?;
    cx.expect(y, &shape)?;
    cx.same_parameters(x, y)?;
    cx.node(Op::Reshape { shape }, &[Some(x)], y)
}

/// ShapeOptions: out_type. Shapes are known, so the result is a constant.
pub fn shape(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let told = cx.options().i8(0, 0)?;
    if told != 0 && !matches!(TensorType::from_code(told)?, TensorType::Int32 | TensorType::Int64) {
        return Err(Error::invalid("its out_type is neither int32 nor int64"));
    }
    if cx.tensor(y).dtype != Dtype::I32 {
        return Err(Error::invalid(format!("its result is {}", cx.tensor(y).dtype.name())));
    }
    let dims: std::result::Result<Vec<i32>, _> = cx.shape(x).into_iter().map(i32::try_from).collect();
    let dims = dims.map_err(|_| Error::invalid("a dimension is above int32"))?;
    cx.expect(y, &[dims.len()])?;
    cx.fold(y, bytemuck::cast_slice(&dims).to_vec())
}

/// No options; the permutation is an operand.
pub fn transpose(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let mut permutation = Vec::new();
    for p in cx.ints(1, "permutation")? {
        permutation.push(cx.axis(p, shape.len())?);
    }
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..shape.len()) {
        return Err(Error::invalid(format!("{permutation:?} is no permutation of {} axes", shape.len())));
    }
    cx.expect(y, &permutation.iter().map(|&p| shape[p]).collect::<Vec<_>>())?;
    cx.same_parameters(x, y)?;
    cx.node(Op::Transpose { permutation }, &[Some(x)], y)
}

/// PAD fills with real zero, PADV2 with its third operand. No options.
pub fn pad(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let pairs = cx.ints(1, "paddings")?;
    if Some(pairs.len()) != shape.len().checked_mul(2) || pairs.iter().any(|&p| p < 0) {
        return Err(Error::invalid(format!("its paddings {pairs:?} do not fit the shape {shape:?}")));
    }
    let side = |k: usize| pairs.iter().skip(k).step_by(2).map(|&p| p as usize).collect::<Vec<_>>();
    let (before, after) = (side(0), side(1));
    let sums = shape.iter().zip(before.iter().zip(&after));
    let result: Option<Vec<usize>> = sums.map(|(&d, (&b, &a))| d.checked_add(b)?.checked_add(a)).collect();
    cx.expect(y, &result.ok_or_else(|| Error::invalid("its result is too large"))?)?;
    cx.same_parameters(x, y)?;
    let value = match cx.optional(2)? {
        Some(fill) => real(cx, fill, y)?,
        None => 0.0,
    };
    cx.node(Op::Pad { before, after, value }, &[Some(x)], y)
}

/// The real value of a constant scalar that shares the parameters of `like`.
fn real(cx: &Cx<'_, '_, '_, '_>, id: TensorId, like: TensorId) -> Result<f32> {
    cx.same_parameters(id, like)?;
    let t = cx.tensor(id);
    let value = match (t.f32s().as_deref(), t.ints().as_deref(), t.quant.as_ref().and_then(Quant::single)) {
        (Some(&[v]), _, _) => v,
        (_, Some(&[v]), Some((scale, zero_point))) => scale * v.wrapping_sub(zero_point) as f32,
        (_, Some(&[v]), None) if v.unsigned_abs() <= 1 << 24 => v as f32,
        _ => return Err(Error::invalid(format!("its padding value '{}' is no constant scalar", t.name))),
    };
    if value.is_nan() { Err(Error::invalid("its padding value is not a number")) } else { Ok(value) }
}

/// ConcatenationOptions: axis, activation.
pub fn concatenation(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    if cx.options().i8(1, 0)? != 0 {
        return Err(Error::invalid("its fused activation is not supported"));
    }
    let axis = cx.options().i32(0, 0)?;
    let first = cx.input(0)?;
    let mut result = cx.shape(first);
    let axis = cx.axis(axis, result.len())?;
    result[axis] = 0;
    let mut inputs = Vec::new();
    for i in 0..cx.input_count() {
        let x = cx.input(i)?;
        let shape = cx.shape(x);
        let fits =
            shape.len() == result.len() && (0..shape.len()).all(|k| k == axis || shape[k] == result[k]);
        let grown = shape.get(axis).and_then(|&d| result[axis].checked_add(d));
        match grown {
            Some(grown) if fits => result[axis] = grown,
            _ => {
                return Err(Error::invalid(format!(
                    "its operand {i} of shape {shape:?} does not fit the others"
                )));
            }
        }
        inputs.push(x);
    }
    let y = cx.output(0)?;
    cx.expect(y, &result)?;
    concatenate(cx, axis, inputs, y)
}

/// Rescales the operands that have other parameters than the result.
fn concatenate(cx: &mut Cx<'_, '_, '_, '_>, axis: usize, inputs: Vec<TensorId>, y: TensorId) -> Result<()> {
    let mut operands = Vec::new();
    for (i, mut x) in inputs.into_iter().enumerate() {
        let integer = cx.tensor(x).dtype == Dtype::I8 && cx.tensor(y).dtype == Dtype::I8;
        if integer && cx.same_parameters(x, y).is_err() {
            let rescaled = cx.between(&format!("rescaled_{i}"), y, cx.shape(x));
            cx.node(Op::Quantize, &[Some(x)], rescaled)?;
            x = rescaled;
        }
        cx.same_parameters(x, y)?;
        operands.push(Some(x));
    }
    cx.node(Op::Concatenation { axis }, &operands, y)
}

/// PackOptions: values_count, axis. A new dimension in each, then concatenation.
pub fn pack(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let o = cx.options();
    let (count, axis) = (o.i32(0, 0)?, o.i32(1, 0)?);
    if usize::try_from(count) != Ok(cx.input_count()) {
        return Err(Error::invalid(format!("its values_count is {count} for {} operands", cx.input_count())));
    }
    let first = cx.input(0)?;
    let shape = cx.shape(first);
    let axis = cx.axis(axis, shape.len() + 1)?;
    let mut expanded = shape.clone();
    expanded.insert(axis, 1);
    let mut inputs = Vec::new();
    for i in 0..cx.input_count() {
        let x = cx.input(i)?;
        if cx.shape(x) != shape {
            return Err(Error::invalid(format!("its operand {i} has another shape than the first")));
        }
        let wide = cx.between(&format!("expanded_{i}"), x, expanded.clone());
        cx.node(Op::Reshape { shape: expanded.clone() }, &[Some(x)], wide)?;
        inputs.push(wide);
    }
    let y = cx.output(0)?;
    expanded[axis] = inputs.len();
    cx.expect(y, &expanded)?;
    concatenate(cx, axis, inputs, y)
}

/// UnpackOptions: num, axis. A slice for each result, then its dimension goes.
pub fn unpack(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let o = cx.options();
    let (count, axis) = (o.i32(0, 0)?, o.i32(1, 0)?);
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.axis(axis, shape.len())?;
    let results = cx.output_count();
    if usize::try_from(count) != Ok(results) || shape[axis] != results {
        let cause = format!("its num is {count} for {results} results of dimension {axis} of {shape:?}");
        return Err(Error::invalid(cause));
    }
    let (mut size, mut rest) = (shape.clone(), shape.clone());
    size[axis] = 1;
    rest.remove(axis);
    for i in 0..results {
        let y = cx.output(i)?;
        cx.expect(y, &rest)?;
        cx.same_parameters(x, y)?;
        let mut begin = vec![0i32; shape.len()];
        begin[axis] = i as i32;
        let slice = cx.between(&format!("slice_{i}"), x, size.clone());
        let op = Op::StridedSlice { begin, size: size.clone(), stride: vec![1; shape.len()] };
        cx.node(op, &[Some(x)], slice)?;
        cx.node(Op::Reshape { shape: rest.clone() }, &[Some(slice)], y)?;
    }
    Ok(())
}

/// GatherOptions: axis, batch_dims.
pub fn gather(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, indices, y) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    let o = cx.options();
    if o.i32(1, 0)? != 0 {
        return Err(Error::invalid(format!("its batch_dims is {}; only 0 is supported", o.i32(1, 0)?)));
    }
    let shape = cx.shape(x);
    let axis = cx.axis(o.i32(0, 0)?, shape.len())?;
    if cx.tensor(indices).dtype != Dtype::I32 {
        return Err(Error::invalid(format!("its indices are {}", cx.tensor(indices).dtype.name())));
    }
    if let Some(values) = cx.tensor(indices).ints() {
        let bad = values.iter().find(|&&i| !usize::try_from(i).is_ok_and(|i| i < shape[axis]));
        if let Some(i) = bad {
            return Err(Error::invalid(format!("its index {i} is outside dimension {axis} of {shape:?}")));
        }
    }
    let result = [&shape[..axis], &cx.shape(indices), &shape[axis + 1..]].concat();
    cx.expect(y, &result)?;
    cx.same_parameters(x, y)?;
    cx.node(Op::Gather { axis }, &[Some(x), Some(indices)], y)
}
