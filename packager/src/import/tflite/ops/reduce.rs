//! Reductions and softmax.

use samara_runtime::Dtype;

use super::super::context::Context;
use super::super::schema::TensorType;
use crate::error::{Error, Result};
use crate::ir::{Op, ReduceKind};

type Cx<'c, 'm, 'f, 'a> = Context<'c, 'm, 'f, 'a>;

/// ReducerOptions: keep_dims.
pub fn mean(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    reduce(cx, ReduceKind::Mean)
}

/// ReducerOptions: keep_dims.
pub fn sum(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    reduce(cx, ReduceKind::Sum)
}

/// ReducerOptions: keep_dims.
pub fn reduce_max(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    reduce(cx, ReduceKind::Max)
}

fn reduce(cx: &mut Cx<'_, '_, '_, '_>, kind: ReduceKind) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let mut axes = Vec::new();
    for a in cx.ints(1, "axes")? {
        axes.push(cx.axis(a, shape.len())?);
    }
    axes.sort_unstable();
    axes.dedup();
    let keep_dims = cx.options().flag(0)?;
    let kept = |(i, &d): (usize, &usize)| match (axes.contains(&i), keep_dims) {
        (false, _) => Some(d),
        (true, true) => Some(1),
        (true, false) => None,
    };
    let result: Vec<usize> = shape.iter().enumerate().filter_map(kept).collect();
    cx.expect(y, &result)?;
    if kind == ReduceKind::Max {
        cx.same_parameters(x, y)?;
    }
    cx.node(Op::Reduce { kind, axes, keep_dims }, &[Some(x)], y)
}

/// ArgMaxOptions: output_type. The axis is an operand.
pub fn arg_max(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let axis = cx.int(1, "axis")?;
    let axis = cx.axis(axis, shape.len())?;
    // 0 (float32) is the field's default, which no writer means.
    let told = cx.options().i8(0, 0)?;
    if told != 0 && !matches!(TensorType::from_code(told)?, TensorType::Int32 | TensorType::Int64) {
        return Err(Error::invalid("its output_type is neither int32 nor int64"));
    }
    if cx.tensor(y).dtype != Dtype::I32 {
        return Err(Error::invalid(format!("its result is {}", cx.tensor(y).dtype.name())));
    }
    let mut result = shape;
    result.remove(axis);
    cx.expect(y, &result)?;
    cx.node(Op::ArgMax { axis, keep_dims: false, select_last: false }, &[Some(x)], y)
}

/// SoftmaxOptions: beta. Always along the last axis.
pub fn softmax(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let beta = cx.options().f32(0, 0.0)?;
    if !beta.is_finite() || beta <= 0.0 {
        return Err(Error::invalid(format!("its beta is {beta}")));
    }
    let shape = cx.shape(x);
    let Some(axis) = shape.len().checked_sub(1) else {
        return Err(Error::invalid("its input is a scalar"));
    };
    cx.expect(y, &shape)?;
    cx.node(Op::Softmax { axis, beta }, &[Some(x)], y)
}
