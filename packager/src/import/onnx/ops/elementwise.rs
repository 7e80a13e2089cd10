//! Functions of one value, and operators with broadcasting.

use samara_runtime::Dtype;

use super::{one, shape};
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value};
use crate::import::onnx::fold::broadcast;
use crate::ir::{Activation, Binary, Function, Op};

/// Operators of one input and no state.
pub(crate) fn function(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let function = match call.op_type() {
        "Abs" => Function::Abs,
        "Ceil" => Function::Ceil,
        "Cos" => Function::Cos,
        "Elu" => Function::Elu { alpha: call.float("alpha", 1.0)? },
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Floor" => Function::Floor,
        "Gelu" => match call.string("approximate", "none")?.as_str() {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => return Err(Error::invalid(format!("approximate '{other}' is not supported"))),
        },
        "HardSigmoid" => {
            Function::HardSigmoid { alpha: call.float("alpha", 0.2)?, beta: call.float("beta", 0.5)? }
        }
        "HardSwish" => Function::HardSwish,
        "LeakyRelu" => Function::LeakyRelu { alpha: call.float("alpha", 0.01)? },
        "Log" => Function::Log,
        "Neg" => Function::Neg,
        "Reciprocal" => Function::Reciprocal,
        "Round" => Function::Round,
        "Sigmoid" => Function::Logistic,
        "Sin" => Function::Sin,
        "Softplus" => Function::Softplus,
        "Sqrt" => Function::Sqrt,
        "Tanh" => Function::Tanh,
        other => return Err(Error::invalid(format!("{other} is not a function of one value"))),
    };
    let x = call.tensor(b, 0)?;
    one(b.push(&call.name, Op::Unary { function }, &[x])?)
}

/// Add, Sub, Mul, Div, Min, Max, Sum; the last three of any number of inputs.
pub(crate) fn binary(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let kind = match call.op_type() {
        "Add" | "Sum" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Min" => Binary::Minimum,
        "Max" => Binary::Maximum,
        other => return Err(Error::invalid(format!("{other} is not a binary operator"))),
    };
    let n = call.values.len();
    if matches!(call.op_type(), "Add" | "Sub" | "Mul" | "Div") && n != 2 {
        return Err(Error::invalid(format!("it has {n} inputs, not two")));
    }
    if kind == Binary::Div
        && let Some(y) = divide(b, call)?
    {
        return Ok(y);
    }
    if n == 1 {
        return Ok(vec![call.value(0)?.clone()]);
    }
    let mut y = call.tensor(b, 0)?;
    for i in 1..n {
        let x = call.tensor(b, i)?;
        let name = if i + 1 == n { call.name.clone() } else { format!("{}/{i}", call.name) };
        y = b.push(&name, Op::Binary { kind, activation: Activation::NONE }, &[y, x])?;
    }
    one(y)
}

/// Division by a constant is a product: quantized division does not exist, and the exporters' divisors are.
fn divide(b: &mut Builder, call: &Call<'_>) -> Result<Option<Vec<Value>>> {
    let Some(d) = call.constant(1).filter(|d| d.dtype == Dtype::F32) else { return Ok(None) };
    let reciprocal: Vec<f32> = d.to_floats().iter().map(|d| 1.0 / d).collect();
    if !reciprocal.iter().all(|r| r.is_normal()) {
        return Ok(None);
    }
    let x = call.tensor(b, 0)?;
    let r = b.floats(&format!("{}/reciprocal", call.name), d.dims.clone(), &reciprocal);
    let op = Op::Binary { kind: Binary::Mul, activation: Activation::NONE };
    one(b.push(&call.name, op, &[x, r])?).map(Some)
}

/// Relu.
pub(crate) fn relu(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    one(b.push(&call.name, Op::Clamp { activation: Activation::RELU }, &[x])?)
}

/// Clip: limits are attributes before operator set 11, inputs since.
pub(crate) fn clip(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let mut activation = Activation::NONE;
    let mut y = call.tensor(b, 0)?;
    if call.opset < 11 {
        activation.lo = call.float("min", f32::NEG_INFINITY)?.max(f32::NEG_INFINITY);
        activation.hi = call.float("max", f32::INFINITY)?;
        // The old default limits are the greatest floats, which clip nothing.
        if activation.lo <= f32::MIN {
            activation.lo = f32::NEG_INFINITY;
        }
        if activation.hi >= f32::MAX {
            activation.hi = f32::INFINITY;
        }
    } else {
        for (i, kind) in [(1, Binary::Maximum), (2, Binary::Minimum)] {
            match call.optional(i) {
                None => {}
                Some(Value::Constant(c)) if c.len() == 1 && c.dtype == Dtype::F32 => {
                    let limit = c.to_floats()[0];
                    if i == 1 { activation.lo = limit } else { activation.hi = limit }
                }
                Some(_) => {
                    let limit = call.tensor(b, i)?;
                    let op = Op::Binary { kind, activation: Activation::NONE };
                    y = b.push(&format!("{}/{i}", call.name), op, &[y, limit])?;
                }
            }
        }
    }
    if activation.lo.is_nan() || activation.hi.is_nan() {
        return Err(Error::invalid("a limit is NaN"));
    }
    // Where both limits cross, the upper one wins.
    activation.lo = activation.lo.min(activation.hi);
    one(b.push(&call.name, Op::Clamp { activation }, &[y])?)
}

/// Pow with a constant exponent.
pub(crate) fn pow(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let exponents = call.required_constant(1)?;
    let values = exponents.to_floats();
    let Some(&exponent) = values.first() else { return Err(Error::invalid("its exponent is empty")) };
    if values.iter().any(|&e| e != exponent) {
        return Err(Error::invalid("only one exponent for all elements is supported"));
    }
    if broadcast(b.shape(x), &exponents.dims)? != b.shape(x) {
        return Err(Error::invalid("an exponent of a larger shape than the base is not supported"));
    }
    let function = match exponent {
        1.0 => return Ok(vec![call.value(0)?.clone()]),
        2.0 => Function::Square,
        0.5 => Function::Sqrt,
        -0.5 => Function::Rsqrt,
        -1.0 => Function::Reciprocal,
        exponent => Function::Pow { exponent },
    };
    one(b.push(&call.name, Op::Unary { function }, &[x])?)
}

/// PRelu with constant slopes.
pub(crate) fn prelu(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    call.required_constant(1)?;
    let slopes = call.tensor(b, 1)?;
    one(b.push(&call.name, Op::PRelu, &[x, slopes])?)
}

/// Cast; to the type that the tensor already has (int64 is int32 here) it is nothing.
pub(crate) fn cast(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    call.ignore("saturate");
    call.ignore("round_mode");
    let to = shape::cast_target(call)?;
    if b.graph.tensors[x].dtype == to {
        return one(x);
    }
    one(b.push(&call.name, Op::Cast { to }, &[x])?)
}

/// Identity.
pub(crate) fn identity(_: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    Ok(vec![call.value(0)?.clone()])
}

/// Dropout as inference has it: nothing.
pub(crate) fn dropout(_: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    call.ignore("ratio");
    call.ignore("seed");
    if let Some(training) = call.optional_constant(2)?
        && training.to_floats().iter().any(|&t| t != 0.0)
    {
        return Err(
            Error::invalid("training mode is not supported").remedy("export the model in evaluation mode")
        );
    }
    Ok(vec![call.value(0)?.clone()])
}
