//! Functions of one value: clamps, tables, PRelu, softmax.

use samara_runtime::kernels::reference::unary;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::softmax::{FINE, TABLE, TABLE_MAX};
use samara_runtime::ops::{Attr, Clamp, Function, Lut, Mul, Op as _, PRelu, Rounding, Softmax, Unary, clamp};
use samara_runtime::{Desc, Dtype};

use super::multiplier::{activation_levels, fixed, tflite};
use super::table::{self, Side};
use super::{Lowered, Operand, View, conv, knots, parameters};
use crate::error::{Error, Result};
use crate::ir::{Activation, Op, Tensor};

/// See [`super::bare`].
pub fn bare(op: &Op, inputs: &[Option<Desc>]) -> Result<(u16, Attr)> {
    let float = inputs.first().copied().flatten().is_some_and(|d| d.dtype == Dtype::F32);
    match *op {
        Op::Softmax { beta, .. } => Ok(softmax_attributes(Softmax { beta, multiplier: [0; 2], diff_min: 0 })),
        Op::PRelu => Ok((PRelu::CODE, PRelu::PLAIN.emit())),
        Op::Unary { function } if float => Ok(unary_attributes(function)),
        // A table keeps type and shape, as a clamp does; the table itself is not there yet.
        Op::Unary { .. } | Op::Clamp { .. } => Ok(clamp_attributes(Clamp::NONE)),
        _ => Err(Error::invalid("not of this family")),
    }
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    match *view.op {
        Op::Softmax { axis, beta } => softmax(view, axis, beta),
        Op::PRelu => prelu(view),
        Op::Unary { function } if view.is_float() => {
            Ok(Lowered::plain(unary_attributes(function), Rounding::None, 1))
        }
        Op::Unary { function } => lut(unary_table(view, function)?),
        Op::Clamp { activation } => lower_clamp(view, activation),
        _ => Err(Error::invalid("not of this family")),
    }
}

fn softmax_attributes(op: Softmax) -> (u16, Attr) {
    (Softmax::CODE, op.emit())
}

fn unary_attributes(function: Function) -> (u16, Attr) {
    (Unary::CODE, Unary { function }.emit())
}

fn clamp_attributes(range: Clamp) -> (u16, Attr) {
    (clamp::Clamp::CODE, clamp::Clamp { range }.emit())
}

fn lut(table: Value) -> Result<Lowered> {
    let operands = vec![Operand::Input(0), Operand::Constant(table)];
    Ok(Lowered { operands, ..Lowered::plain((Lut::CODE, Lut.emit()), Rounding::None, 1) })
}

/// In the tensors' own numbers where both have the same parameters, else a table; for int16, whose tables would
/// round off the bends, a product with 1.
fn lower_clamp(view: &View<'_>, activation: Activation) -> Result<Lowered> {
    let x = view.input(0)?;
    let same = x.desc()?.scale.to_bits() == view.output.desc()?.scale.to_bits()
        && x.desc()?.zero_point == view.output.desc()?.zero_point;
    if same {
        let range = match (x.dtype, &view.output.quant) {
            // Integers that stand for themselves; float to int saturates.
            (Dtype::I32, None) => {
                Clamp::i32(libm::ceilf(activation.lo) as i32, libm::floorf(activation.hi) as i32)
            }
            _ => conv::clamp(activation, view.output)?,
        };
        return Ok(Lowered::plain(clamp_attributes(range), Rounding::None, 1));
    }
    let (input, output) = sides(view)?;
    if input.is_wide() {
        return rescaled_clamp(view, conv::clamp(activation, view.output)?);
    }
    lut(match view.rounding() {
        Rounding::Tflite => {
            let range = activation_levels(activation, output.dtype, output.scale, output.zero_point)?;
            table::relu_tflite(input, output, range)?
        }
        rounding => table::of_reals(input, output, rounding, |x| {
            Clamp::f32(activation.lo, activation.hi).limit_f32(x)
        })?,
    })
}

/// `min(max(x * 1, lo), hi)` with the product's rescaling.
fn rescaled_clamp(view: &View<'_>, clamp: Clamp) -> Result<Lowered> {
    let x = view.input(0)?;
    let mut one = Value::constant(Dtype::I16, &[1], &[1i16])?;
    one.desc.scale = 1.0;
    let real = parameters(x)?.0 as f64 / parameters(view.output)?.0 as f64;
    let rounding = view.rounding();
    let multiplier = if rounding == Rounding::Onnx { [0; 2] } else { fixed(real, rounding)? };
    let operands = vec![Operand::Input(0), Operand::Constant(one)];
    let step = Lowered::plain((Mul::CODE, Mul { multiplier, clamp }.emit()), rounding, 1);
    Ok(Lowered { operands, ..step })
}

/// Input and output, both of 8 bits or both int16.
fn sides(view: &View<'_>) -> Result<(Side, Side)> {
    let (input, output) = (Side::of(view.input(0)?)?, Side::of(view.output)?);
    if input.is_wide() == output.is_wide() {
        return Ok((input, output));
    }
    let (from, to) = (input.dtype.name(), output.dtype.name());
    Err(Error::invalid(format!("its input is {from}, its output {to}"))
        .remedy("requantize its input to the output's type first"))
}

/// TFLite Micro's own fixed point where it has one and the output is what it assumes; floats otherwise.
fn unary_table(view: &View<'_>, function: Function) -> Result<Value> {
    let (input, output) = sides(view)?;
    if input.is_wide() {
        return knots::of_function(input, output, function);
    }
    let rounding = view.rounding();
    let fixed_output = |scale, zero_point| output == Side { dtype: Dtype::I8, scale, zero_point };
    match function {
        Function::Logistic if rounding == Rounding::Tflite && fixed_output(1.0 / 256.0, -128) => {
            table::logistic_tflite(input, output)
        }
        Function::Tanh if rounding == Rounding::Tflite && fixed_output(1.0 / 128.0, 0) => {
            table::tanh_tflite(input, output)
        }
        Function::HardSwish if rounding == Rounding::Tflite => table::hard_swish_tflite(input, output),
        Function::LeakyRelu { alpha } if rounding == Rounding::Tflite => {
            table::leaky_relu_tflite(input, output, alpha)
        }
        _ => table::of_reals(input, output, rounding, |x| unary::apply(function, x)),
    }
}

fn prelu(view: &View<'_>) -> Result<Lowered> {
    let (x, slopes) = (view.input(0)?, view.input(1)?);
    if !slopes.is_constant() {
        return Err(Error::invalid(format!("its slopes '{}' are not constant", slopes.name)));
    }
    if view.is_float() {
        return Ok(Lowered::plain((PRelu::CODE, PRelu::PLAIN.emit()), Rounding::None, 2));
    }
    let [sx, ss, sy] = [parameters(x)?.0, parameters(slopes)?.0, parameters(view.output)?.0].map(f64::from);
    let rounding = view.rounding();
    let op = match rounding {
        Rounding::Onnx => PRelu::PLAIN,
        _ => PRelu { identity: fixed(sx / sy, rounding)?, slope: fixed(sx * ss / sy, rounding)? },
    };
    Ok(Lowered::plain((PRelu::CODE, op.emit()), rounding, 2))
}

fn softmax(view: &View<'_>, axis: usize, beta: f32) -> Result<Lowered> {
    let x = view.input(0)?;
    if axis + 1 != x.shape.len() {
        let last = format!("its axis is {axis}, not the last of {:?}", x.shape);
        return Err(Error::invalid(last).remedy("transpose the axis to the end first"));
    }
    if !(beta.is_finite() && beta > 0.0) {
        return Err(Error::invalid(format!("its beta {beta} is not positive and finite")));
    }
    let rounding = view.rounding();
    let neutral = Softmax { beta: 0.0, multiplier: [0; 2], diff_min: 0 };
    match rounding {
        Rounding::None | Rounding::Onnx => {
            Ok(Lowered::plain(softmax_attributes(Softmax { beta, ..neutral }), rounding, 1))
        }
        Rounding::Tflite | Rounding::Single if x.dtype == Dtype::I16 => {
            fixed_output(view.output)?;
            let tables = fine_exponentials(beta, parameters(x)?.0)?;
            let operands = vec![Operand::Input(0), Operand::Constant(tables)];
            Ok(Lowered { operands, ..Lowered::plain(softmax_attributes(neutral), rounding, 1) })
        }
        Rounding::Tflite => {
            fixed_output(view.output)?;
            let op = softmax_tflite(beta, parameters(x)?.0)?;
            Ok(Lowered::plain(softmax_attributes(op), rounding, 1))
        }
        Rounding::Single => {
            fixed_output(view.output)?;
            let table = exponentials(beta, parameters(x)?.0, x.shape[axis])?;
            let operands = vec![Operand::Input(0), Operand::Constant(table)];
            Ok(Lowered { operands, ..Lowered::plain(softmax_attributes(neutral), rounding, 1) })
        }
    }
}

/// Probabilities are in steps of 1/256 from -128; int16 ones in steps of 1/32768 from 0.
fn fixed_output(y: &Tensor) -> Result<()> {
    let (scale, zero_point) = parameters(y)?;
    let (steps, zero) = if y.dtype == Dtype::I16 { (32768.0, 0) } else { (256.0, -128) };
    if scale == 1.0 / steps && zero_point == zero {
        return Ok(());
    }
    let softmax = format!("{} softmax has 1/{steps} and {zero}", y.dtype.name());
    Err(Error::invalid(format!("its output has scale {scale} and zero point {zero_point}, where {softmax}")))
}

/// TFLite's PreprocessSoftmaxScaling and CalculateInputRadius with 5 integer bits.
fn softmax_tflite(beta: f32, scale: f32) -> Result<Softmax> {
    const FRACTION: i32 = 31 - 5;
    let real = libm::ldexp(beta as f64 * scale as f64, FRACTION).min((1u32 << 31) as f64 - 1.0);
    if real <= 1.0 {
        return Err(Error::invalid(format!("its input scale {scale} times beta {beta} is too small")));
    }
    let multiplier = tflite(real);
    let radius = libm::floor(libm::ldexp(31.0, FRACTION - multiplier[1]));
    Ok(Softmax { beta: 0.0, multiplier, diff_min: -(radius as i32) })
}

/// `exp(-beta * scale * d)` for every difference `d`, times the greatest power of two that keeps a row of `row`
/// elements in 32 bits.
fn exponentials(beta: f32, scale: f32, row: usize) -> Result<Value> {
    let mut unit = TABLE_MAX;
    while unit as u64 * row as u64 >= 1 << 32 {
        unit /= 2;
    }
    let step = beta as f64 * scale as f64;
    let entry = |d: usize| libm::round(libm::exp(-step * d as f64) * unit as f64) as i32;
    let table: Vec<i32> = (0..TABLE).map(entry).collect();
    Ok(Value::constant(Dtype::I32, &[TABLE as u32], &table)?)
}

/// `exp(-beta * scale * d)` for the differences `256 h` and `l`, whose product is that of any int16 difference.
fn fine_exponentials(beta: f32, scale: f32) -> Result<Value> {
    let step = beta as f64 * scale as f64;
    let entry = |d: usize| libm::round(libm::exp(-step * d as f64) * (1u32 << FINE) as f64) as i32;
    let tables: Vec<i32> = (0..TABLE).map(|h| entry(256 * h)).chain((0..TABLE).map(entry)).collect();
    Ok(Value::constant(Dtype::I32, &[2, TABLE as u32], &tables)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_constants_stand_for_the_scale() {
        // 0.0625 * 2^26 = 2^22 = 2^-1 * 2^23; 31 * 2^26 / 2^23 = 248.
        let op = softmax_tflite(1.0, 0.0625).unwrap();
        assert_eq!((op.multiplier, op.diff_min), ([1 << 30, 23], -248));
        assert!(softmax_tflite(1.0, 1e-9).is_err());
        // Scales beyond 32 are cut off; one level is then everything.
        let op = softmax_tflite(1.0, 1e3).unwrap();
        assert!(op.multiplier[1] <= 30 && op.diff_min == -1);
    }

    #[test]
    fn exponentials_leave_room_for_the_row() {
        for row in [1, 10, 511, 512, 1000, 1 << 20] {
            let table = exponentials(1.0, 0.1, row).unwrap();
            let table = table.elements::<i32>();
            assert!((table[0] as u64 * row as u64) < 1 << 32 && table[0] >= 1 << 11);
            assert!((table[10] as f64 / table[0] as f64 - (-0.1f32 as f64 * 10.0).exp()).abs() < 3e-4);
        }
    }
}
