//! Operators that treat every element alike.

use samara_runtime::Dtype;

use super::super::context::Context;
use super::super::schema::TensorType;
use crate::error::{Error, Result};
use crate::ir::{Activation, Binary, Function, Op, Quant};

type Cx<'c, 'm, 'f, 'a> = Context<'c, 'm, 'f, 'a>;

/// AddOptions: activation, pot_scale_int16 (int16 only).
pub fn add(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Add, true)
}

/// SubOptions: as AddOptions.
pub fn sub(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Sub, true)
}

/// MulOptions: activation.
pub fn mul(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Mul, true)
}

/// DivOptions: activation.
pub fn div(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Div, true)
}

/// No options.
pub fn minimum(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Minimum, false)
}

/// No options.
pub fn maximum(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    binary(cx, Binary::Maximum, false)
}

fn binary(cx: &mut Cx<'_, '_, '_, '_>, kind: Binary, fused: bool) -> Result<()> {
    let activation = if fused { cx.activation(0)? } else { Activation::NONE };
    let (a, b, y) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    let (left, right) = (cx.tensor(a), cx.tensor(b));
    if left.dtype != right.dtype {
        let cause = format!("its operands are {} and {}", left.dtype.name(), right.dtype.name());
        return Err(Error::invalid(cause));
    }
    let shape = broadcast(&left.shape, &right.shape).ok_or_else(|| {
        Error::invalid(format!("shapes {:?} and {:?} do not broadcast", left.shape, right.shape))
    })?;
    cx.expect(y, &shape)?;
    cx.node(Op::Binary { kind, activation }, &[Some(a), Some(b)], y)
}

/// NumPy's broadcasting.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |k| s[k]);
    let join = |i: usize| match (dim(a, i), dim(b, i)) {
        (x, y) if x == y || y == 1 => Some(x),
        (1, y) => Some(y),
        _ => None,
    };
    (0..rank).map(join).collect()
}

/// Clamp to [0, inf).
pub fn relu(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    clamp(cx, Activation::RELU)
}

/// Clamp to [0, 6].
pub fn relu6(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    clamp(cx, Activation::RELU6)
}

/// Clamp to [-1, 1].
pub fn relu_n1_to_1(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    clamp(cx, Activation::RELU_N1_TO_1)
}

/// Rescales first where the parameters differ: TFLite's kernel does the same two things in one.
fn clamp(cx: &mut Cx<'_, '_, '_, '_>, activation: Activation) -> Result<()> {
    let (mut x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    cx.expect(y, &shape)?;
    if cx.tensor(x).dtype == Dtype::I8 && cx.tensor(y).dtype == Dtype::I8 && cx.same_parameters(x, y).is_err()
    {
        let rescaled = cx.between("rescaled", y, shape);
        cx.node(Op::Quantize, &[Some(x)], rescaled)?;
        x = rescaled;
    }
    cx.same_parameters(x, y)?;
    cx.node(Op::Clamp { activation }, &[Some(x)], y)
}

macro_rules! functions {
    ($($name:ident => $function:expr),* $(,)?) => {$(
        /// No options.
        pub fn $name(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
            unary(cx, $function)
        }
    )*};
}
functions! {
    abs => Function::Abs,
    ceil => Function::Ceil,
    cos => Function::Cos,
    elu => Function::Elu { alpha: 1.0 },
    exp => Function::Exp,
    floor => Function::Floor,
    hard_swish => Function::HardSwish,
    log => Function::Log,
    logistic => Function::Logistic,
    neg => Function::Neg,
    round => Function::Round,
    rsqrt => Function::Rsqrt,
    sin => Function::Sin,
    sqrt => Function::Sqrt,
    square => Function::Square,
    tanh => Function::Tanh,
}

/// GeluOptions: approximate.
pub fn gelu(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let approximate = cx.options().flag(0)?;
    unary(cx, if approximate { Function::GeluTanh } else { Function::Gelu })
}

/// LeakyReluOptions: alpha.
pub fn leaky_relu(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let alpha = cx.options().f32(0, 0.0)?;
    if !alpha.is_finite() {
        return Err(Error::invalid(format!("its alpha is {alpha}")));
    }
    unary(cx, Function::LeakyRelu { alpha })
}

fn unary(cx: &mut Cx<'_, '_, '_, '_>, function: Function) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let (from, to) = (cx.tensor(x).dtype, cx.tensor(y).dtype);
    if from != to {
        return Err(Error::invalid(format!("it makes {} from {}", to.name(), from.name())));
    }
    let shape = cx.shape(x);
    cx.expect(y, &shape)?;
    cx.node(Op::Unary { function }, &[Some(x)], y)
}

/// No options; the slopes are the second operand.
pub fn prelu(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, slopes, y) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    if !cx.tensor(slopes).is_constant() {
        return Err(Error::invalid(
            "its slopes are computed when the model runs; only constants are supported",
        ));
    }
    let shape = cx.shape(x);
    if broadcast(&shape, &cx.tensor(slopes).shape).as_ref() != Some(&shape) {
        let slopes = &cx.tensor(slopes).shape;
        return Err(Error::invalid(format!("slopes of shape {slopes:?} do not broadcast to {shape:?}")));
    }
    cx.expect(y, &shape)?;
    cx.node(Op::PRelu, &[Some(x), Some(slopes)], y)
}

/// No options.
pub fn quantize(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    cx.expect(y, &shape)?;
    if cx.tensor(y).quant.is_none() {
        return Err(Error::invalid("its result has no scale"));
    }
    cx.node(Op::Quantize, &[Some(x)], y)
}

/// No options. Constants become floats at once: float16 weights reach the graph no other way.
pub fn dequantize(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    cx.expect(y, &shape)?;
    if cx.tensor(y).dtype != Dtype::F32 {
        return Err(Error::invalid(format!("its result is {}", cx.tensor(y).dtype.name())));
    }
    let t = cx.tensor(x);
    if t.dtype == Dtype::F32 {
        return match &t.data {
            Some(data) => cx.fold(y, data.clone()),
            None => Err(Error::invalid("its operand is already float")),
        };
    }
    let quant = t.quant.clone().ok_or_else(|| Error::invalid(format!("'{}' has no scale", t.name)))?;
    match t.ints() {
        Some(values) => {
            let reals = reals(&values, &shape, &quant);
            cx.fold(y, bytemuck::cast_slice(&reals).to_vec())
        }
        None => cx.node(Op::Dequantize, &[Some(x)], y),
    }
}

fn reals(values: &[i32], shape: &[usize], quant: &Quant) -> Vec<f32> {
    // Shapes and counts of scales agree by construction.
    let inner: usize = shape.iter().skip(quant.axis + 1).product();
    let channel = |i: usize| if quant.scale.len() == 1 { 0 } else { i / inner % quant.scale.len() };
    let real = |(i, &v): (usize, &i32)| {
        let c = channel(i);
        quant.scale[c] * v.wrapping_sub(quant.zero_point[c]) as f32
    };
    values.iter().enumerate().map(real).collect()
}

/// CastOptions: in_data_type, out_data_type. Converters leave both at 0; the tensors' own types decide.
pub fn cast(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let o = cx.options();
    let told = [(o.i8(0, 0)?, cx.file_type(0)), (o.i8(1, 0)?, cx.file_result_type(0))];
    for (told, actual) in told {
        if told != 0 && Some(TensorType::from_code(told)?) != actual {
            let told = TensorType::from_code(told)?.name();
            return Err(Error::invalid(format!("its options say {told}, but its tensor is of another type")));
        }
    }
    let (from, to) = (cx.tensor(x), cx.tensor(y));
    if from.quant.is_some() || to.quant.is_some() {
        return Err(Error::invalid("it casts quantized values, whose meaning is undefined"));
    }
    let (to, shape) = (to.dtype, cx.shape(x));
    cx.expect(y, &shape)?;
    cx.node(Op::Cast { to }, &[Some(x)], y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Some(vec![2, 4, 3]));
        assert_eq!(broadcast(&[], &[5]), Some(vec![5]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }

    #[test]
    fn dequantization_follows_the_axis() {
        let quant = Quant { scale: vec![1.0, 10.0], zero_point: vec![0, 1], axis: 1 };
        let x = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(reals(&x, &[2, 2, 2], &quant), [1.0, 2.0, 20.0, 30.0, 5.0, 6.0, 60.0, 70.0]);
    }
}
