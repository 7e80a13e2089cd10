//! Normalizations and Softmax.

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axis};
use crate::ir::{Activation, Binary, Function, Op, ReduceKind, TensorId};

fn binary(kind: Binary) -> Op {
    Op::Binary { kind, activation: Activation::NONE }
}

/// A per-channel constant as it broadcasts over `[N, C, ...]` of the given rank.
fn channels(b: &mut Builder, name: &str, values: &[f32], rank: usize) -> TensorId {
    let mut dims = vec![values.len()];
    dims.resize(rank - 1, 1);
    b.floats(name, dims, values)
}

/// Operands 1 and on of a normalization: one float per channel each.
fn per_channel<const N: usize>(call: &Call<'_>, channels: usize) -> Result<[Vec<f32>; N]> {
    let mut out = [const { Vec::new() }; N];
    for (k, slot) in out.iter_mut().enumerate() {
        let c = call.required_constant(k + 1)?;
        if c.len() != channels {
            return Err(Error::invalid(format!(
                "input {} has {} values for {channels} channels",
                k + 1,
                c.len()
            )));
        }
        *slot = c.to_floats();
    }
    Ok(out)
}

/// BatchNormalization as inference has it: a product and a sum per channel.
pub(crate) fn batch(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    call.ignore("momentum");
    if call.flag("training_mode", false)? {
        return Err(
            Error::invalid("training mode is not supported").remedy("export the model in evaluation mode")
        );
    }
    if !call.flag("spatial", true)? {
        return Err(Error::invalid("statistics per element (spatial=0) are not supported"));
    }
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let &[_, c, ..] = &shape[..] else {
        return Err(Error::invalid(format!("its input has shape {shape:?}")));
    };
    let [gamma, beta, mean, variance] = per_channel::<4>(call, c)?;
    let epsilon = call.float("epsilon", 1e-5)? as f64;
    let factor: Vec<f64> =
        gamma.iter().zip(&variance).map(|(&g, &v)| g as f64 / libm::sqrt(v as f64 + epsilon)).collect();
    let offset: Vec<f32> = (0..c).map(|k| (beta[k] as f64 - mean[k] as f64 * factor[k]) as f32).collect();
    let factor: Vec<f32> = factor.iter().map(|&f| f as f32).collect();
    if factor.iter().chain(&offset).any(|f| !f.is_finite()) {
        return Err(Error::invalid("its variance is not positive"));
    }
    let name = &call.name;
    let factor = channels(b, &format!("{name}/factor"), &factor, shape.len());
    let offset = channels(b, &format!("{name}/offset"), &offset, shape.len());
    let scaled = b.push(&format!("{name}/scaled"), binary(Binary::Mul), &[x, factor])?;
    one(b.push(name, binary(Binary::Add), &[scaled, offset])?)
}

/// `(x - mean) / sqrt(variance + epsilon)` over the given axes.
fn standardize(b: &mut Builder, name: &str, x: TensorId, axes: Vec<usize>, epsilon: f32) -> Result<TensorId> {
    let mean = |axes: &[usize]| Op::Reduce { kind: ReduceKind::Mean, axes: axes.to_vec(), keep_dims: true };
    let average = b.push(&format!("{name}/mean"), mean(&axes), &[x])?;
    let centred = b.push(&format!("{name}/centred"), binary(Binary::Sub), &[x, average])?;
    let square = Op::Unary { function: Function::Square };
    let square = b.push(&format!("{name}/square"), square, &[centred])?;
    let variance = b.push(&format!("{name}/variance"), mean(&axes), &[square])?;
    let epsilon = b.floats(&format!("{name}/epsilon"), vec![], &[epsilon]);
    let variance = b.push(&format!("{name}/positive"), binary(Binary::Add), &[variance, epsilon])?;
    let root = Op::Unary { function: Function::Rsqrt };
    let root = b.push(&format!("{name}/root"), root, &[variance])?;
    b.push(&format!("{name}/standard"), binary(Binary::Mul), &[centred, root])
}

/// LayerNormalization, decomposed.
pub(crate) fn layer(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    if call.int("stash_type")?.unwrap_or(1) != 1 {
        return Err(Error::invalid("only float statistics (stash_type=1) are supported"));
    }
    let x = call.tensor(b, 0)?;
    let rank = b.shape(x).len();
    let first = axis(call.int("axis")?.unwrap_or(-1), rank)?;
    let epsilon = call.float("epsilon", 1e-5)?;
    let name = &call.name;
    let mut y = standardize(b, name, x, (first..rank).collect(), epsilon)?;
    let scale = call.tensor(b, 1)?;
    y = b.push(&format!("{name}/scaled"), binary(Binary::Mul), &[y, scale])?;
    if call.optional(2).is_some() {
        let bias = call.tensor(b, 2)?;
        y = b.push(name, binary(Binary::Add), &[y, bias])?;
    }
    one(y)
}

/// InstanceNormalization, decomposed.
pub(crate) fn instance(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let &[_, c, _, ..] = &shape[..] else {
        return Err(Error::invalid(format!("its input has shape {shape:?}")));
    };
    let [scale, bias] = per_channel::<2>(call, c)?;
    let epsilon = call.float("epsilon", 1e-5)?;
    let name = &call.name;
    let y = standardize(b, name, x, (2..shape.len()).collect(), epsilon)?;
    let scale = channels(b, &format!("{name}/scale"), &scale, shape.len());
    let bias = channels(b, &format!("{name}/bias"), &bias, shape.len());
    let y = b.push(&format!("{name}/scaled"), binary(Binary::Mul), &[y, scale])?;
    one(b.push(name, binary(Binary::Add), &[y, bias])?)
}

/// Softmax and LogSoftmax. Before operator set 13 all dimensions from the axis on count as one.
pub(crate) fn softmax(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let flat = call.opset < 13;
    let at = axis(call.int("axis")?.unwrap_or(if flat { 1 } else { -1 }), shape.len())?;
    let name = &call.name;
    let joined = flat && shape[at + 1..].iter().any(|&d| d > 1);
    let (x, at) = if joined {
        let rows: usize = shape[..at].iter().product();
        let columns = shape[at..].iter().product();
        (b.reshape(&format!("{name}/rows"), x, vec![rows, columns])?, 1)
    } else {
        (x, at)
    };
    let y = if call.op_type() == "LogSoftmax" {
        log_softmax(b, name, x, at)?
    } else {
        b.push(name, Op::Softmax { axis: at, beta: 1.0 }, &[x])?
    };
    one(b.reshape(&format!("{name}/shaped"), y, shape)?)
}

/// `d - log(sum(exp(d)))` with `d = x - max(x)`: the logarithm of Softmax would lose small probabilities.
fn log_softmax(b: &mut Builder, name: &str, x: TensorId, axis: usize) -> Result<TensorId> {
    let reduce = |kind| Op::Reduce { kind, axes: vec![axis], keep_dims: true };
    let most = b.push(&format!("{name}/max"), reduce(ReduceKind::Max), &[x])?;
    let below = b.push(&format!("{name}/below"), binary(Binary::Sub), &[x, most])?;
    let exp = b.push(&format!("{name}/exp"), Op::Unary { function: Function::Exp }, &[below])?;
    let sum = b.push(&format!("{name}/sum"), reduce(ReduceKind::Sum), &[exp])?;
    let log = b.push(&format!("{name}/log"), Op::Unary { function: Function::Log }, &[sum])?;
    b.push(name, binary(Binary::Sub), &[below, log])
}
