//! Reductions over axes.

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axes, axis};
use crate::ir::{Op, ReduceKind};

/// ReduceMean, ReduceSum, ReduceMax: axes are an attribute in older operator sets, an input since 13 (sum) or 18.
pub(crate) fn reduce(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let (kind, since) = match call.op_type() {
        "ReduceMean" => (ReduceKind::Mean, 18),
        "ReduceSum" => (ReduceKind::Sum, 13),
        "ReduceMax" => (ReduceKind::Max, 18),
        other => return Err(Error::invalid(format!("{other} is not a supported reduction"))),
    };
    let x = call.tensor(b, 0)?;
    let rank = b.shape(x).len();
    let list = if call.opset < since { call.ints("axes")? } else { call.input_ints(1)? };
    let list = list.unwrap_or_default();
    let keep_dims = call.flag("keepdims", true)?;
    let noop = call.flag("noop_with_empty_axes", false)?;
    let mut axes = axes(&list, rank)?;
    axes.sort_unstable();
    if axes.is_empty() {
        if noop || rank == 0 {
            return one(x);
        }
        axes = (0..rank).collect();
    }
    one(b.push(&call.name, Op::Reduce { kind, axes, keep_dims }, &[x])?)
}

/// GlobalAveragePool and GlobalMaxPool.
pub(crate) fn global_pool(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let rank = b.shape(x).len();
    if rank < 3 {
        return Err(Error::invalid(format!("its input has rank {rank}, no spatial dimensions")));
    }
    let kind = if call.op_type() == "GlobalMaxPool" { ReduceKind::Max } else { ReduceKind::Mean };
    one(b.push(&call.name, Op::Reduce { kind, axes: (2..rank).collect(), keep_dims: true }, &[x])?)
}

/// ArgMax; the int64 indices are int32 here.
pub(crate) fn arg_max(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let axis = axis(call.int("axis")?.unwrap_or(0), b.shape(x).len())?;
    let keep_dims = call.flag("keepdims", true)?;
    let select_last = call.flag("select_last_index", false)?;
    one(b.push(&call.name, Op::ArgMax { axis, keep_dims, select_last }, &[x])?)
}
