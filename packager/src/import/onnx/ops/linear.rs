//! Matrix products.

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value};
use crate::import::onnx::constant::{Constant, Data};
use crate::ir::{Activation, Binary, Op, TensorId};

const FULLY_CONNECTED: Op = Op::FullyConnected { activation: Activation::NONE };

/// MatMul: with a constant matrix on the right a fully connected layer, else a batched product.
pub(crate) fn mat_mul(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let name = &call.name;
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    if let Some(w) = call.constant(1).filter(|w| w.dims.len() <= 2) {
        let (w, vector) = match w.dims[..] {
            [k] => (w.reshape(vec![1, k]), true),
            [_, _] => (w.transpose(&[1, 0]), false),
            _ => return Err(Error::invalid("its second input is a scalar")),
        };
        let weights = b.graph.add(w.tensor(&format!("{name}/weights"))?);
        let rows =
            if shape.len() == 1 { b.reshape(&format!("{name}/row"), x, vec![1, shape[0]])? } else { x };
        let y = b.push(name, FULLY_CONNECTED, &[rows, weights])?;
        return one(squeeze(b, name, y, shape.len() == 1, vector)?);
    }
    let y = call.tensor(b, 1)?;
    let right = b.shape(y).to_vec();
    let x = if let [k] = shape[..] { b.reshape(&format!("{name}/row"), x, vec![1, k])? } else { x };
    let y = if let [k] = right[..] { b.reshape(&format!("{name}/column"), y, vec![k, 1])? } else { y };
    let z = b.push(name, Op::BatchMatMul { adj_x: false, adj_y: false }, &[x, y])?;
    one(squeeze(b, name, z, shape.len() == 1, right.len() == 1)?)
}

/// Drops the dimension that a vector operand was given, on either side.
fn squeeze(b: &mut Builder, name: &str, y: TensorId, row: bool, column: bool) -> Result<TensorId> {
    let mut shape = b.shape(y).to_vec();
    if column {
        shape.pop();
    }
    if row && !shape.is_empty() {
        shape.remove(shape.len() - if column { 1 } else { 2 });
    }
    b.reshape(&format!("{name}/vector"), y, shape)
}

/// Gemm: `alpha * A * B + beta * C`.
pub(crate) fn gemm(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let name = &call.name;
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let (trans_a, trans_b) = (call.flag("transA", false)?, call.flag("transB", false)?);
    let mut x = call.tensor(b, 0)?;
    if b.shape(x).len() != 2 {
        return Err(Error::invalid(format!(
            "its first input has shape {:?}, not two dimensions",
            b.shape(x)
        )));
    }
    let Some(w) = call.constant(1) else { return product(b, call, x, [alpha, beta], [trans_a, trans_b]) };
    if w.dims.len() != 2 {
        return Err(Error::invalid(format!("its second input has shape {:?}, not two dimensions", w.dims)));
    }
    if trans_a {
        x = b.push(&format!("{name}/a"), Op::Transpose { permutation: vec![1, 0] }, &[x])?;
    }
    let w = if trans_b { (**w).clone() } else { w.transpose(&[1, 0]) };
    let units = w.dims[0];
    let weights = b.graph.add(scaled(&w, alpha).tensor(&format!("{name}/weights"))?);
    let mut inputs = vec![Some(x), Some(weights)];
    let bias = call.constant(2).and_then(|c| row(c, units)).map(|c| scaled(&c, beta));
    let fused = bias.is_some();
    if let Some(bias) = bias {
        inputs.push(Some(b.constant(&format!("{name}/bias"), &bias)?));
    }
    let y = b.push_optional(name, FULLY_CONNECTED, &inputs)?;
    if fused || call.optional(2).is_none() {
        return one(y);
    }
    one(add(b, call, y, beta)?)
}

/// A bias that is the same for every row, as `[units]`.
fn row(c: &Constant, units: usize) -> Option<Constant> {
    match c.dims[..] {
        [n] | [1, n] if n == units => Some(c.reshape(vec![units])),
        [] | [1] | [1, 1] => Some(c.gather(vec![units], std::iter::repeat_n(0, units))),
        _ => None,
    }
}

fn scaled(c: &Constant, factor: f32) -> Constant {
    match &c.data {
        Data::Float(v) if factor != 1.0 => {
            Constant::floats(c.dims.clone(), v.iter().map(|x| x * factor).collect())
        }
        Data::Float(_) | Data::Int(_) => c.clone(),
    }
}

/// Gemm of two computed matrices.
fn product(
    b: &mut Builder,
    call: &Call<'_>,
    x: TensorId,
    [alpha, beta]: [f32; 2],
    [adj_x, adj_y]: [bool; 2],
) -> Result<Vec<Value>> {
    let y = call.tensor(b, 1)?;
    let mut z = b.push(&call.name, Op::BatchMatMul { adj_x, adj_y }, &[x, y])?;
    if alpha != 1.0 {
        z = times(b, &format!("{}/alpha", call.name), z, alpha)?;
    }
    if call.optional(2).is_some() { one(add(b, call, z, beta)?) } else { one(z) }
}

/// `y + beta * C`.
fn add(b: &mut Builder, call: &Call<'_>, y: TensorId, beta: f32) -> Result<TensorId> {
    let mut c = call.tensor(b, 2)?;
    if beta != 1.0 {
        c = times(b, &format!("{}/beta", call.name), c, beta)?;
    }
    let op = Op::Binary { kind: Binary::Add, activation: Activation::NONE };
    b.push(&format!("{}/sum", call.name), op, &[y, c])
}

fn times(b: &mut Builder, name: &str, x: TensorId, factor: f32) -> Result<TensorId> {
    let factor = b.floats(&format!("{name}/factor"), vec![], &[factor]);
    b.push(name, Op::Binary { kind: Binary::Mul, activation: Activation::NONE }, &[x, factor])
}
