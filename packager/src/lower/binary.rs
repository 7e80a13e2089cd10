//! Operators of two operands with broadcasting.

use samara_runtime::ops::{self, Add, Attr, Clamp, Div, Maximum, Minimum, Mul, Op as _, Rounding, Sub};
use samara_runtime::{Desc, Dtype};

use super::conv::clamp;
use super::multiplier::{fixed, tflite};
use super::{Lowered, View, parameters};
use crate::error::{Error, Result};
use crate::ir::{Activation, Binary, Op};

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    Ok(attributes(kind(op)?.0, Quantized::default(), Clamp::NONE))
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let (kind, activation) = kind(view.op)?;
    let dtype = view.input(0)?.dtype;
    let quantized = matches!(dtype, Dtype::I8 | Dtype::I16);
    let range = if view.output.quant.is_some() || view.is_float() {
        clamp(activation, view.output)?
    } else {
        integer_clamp(activation)
    };
    let moves = matches!(kind, Binary::Minimum | Binary::Maximum);
    if !quantized || moves {
        if moves && !view.is_float() {
            same_parameters(view)?;
        }
        return Ok(Lowered::plain(attributes(kind, Quantized::default(), range), Rounding::None, 2));
    }
    let (a, b) = (parameters(view.input(0)?)?.0, parameters(view.input(1)?)?.0);
    let y = parameters(view.output)?.0;
    let constants = constants(kind, dtype, view.rounding(), [a, b, y])?;
    Ok(Lowered::plain(attributes(kind, constants, range), view.rounding(), 2))
}

/// Quantization constants as the runtime's operators document them.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Quantized {
    left: [i32; 2],
    right: [i32; 2],
    output: [i32; 2],
}

fn kind(op: &Op) -> Result<(Binary, Activation)> {
    match *op {
        Op::Binary { kind, activation } => Ok((kind, activation)),
        _ => Err(Error::invalid("not of this family")),
    }
}

fn attributes(kind: Binary, Quantized { left, right, output }: Quantized, clamp: Clamp) -> (u16, Attr) {
    match kind {
        Binary::Add => (Add::CODE, Add { left, right, output, clamp }.emit()),
        Binary::Sub => (Sub::CODE, Sub { left, right, output, clamp }.emit()),
        Binary::Mul => (Mul::CODE, Mul { multiplier: output, clamp }.emit()),
        Binary::Div => (Div::CODE, Div { clamp }.emit()),
        Binary::Minimum => (Minimum::CODE, Minimum { clamp }.emit()),
        Binary::Maximum => (Maximum::CODE, Maximum { clamp }.emit()),
    }
}

fn constants(kind: Binary, dtype: Dtype, rounding: Rounding, scales: [f32; 3]) -> Result<Quantized> {
    let [a, b, y] = scales.map(f64::from);
    match (kind, rounding) {
        (_, Rounding::Onnx) if kind != Binary::Div => Ok(Quantized::default()),
        (Binary::Add | Binary::Sub, Rounding::Tflite) => additive_tflite(kind, dtype, scales),
        (Binary::Add | Binary::Sub, _) => additive_single(dtype, a / y, b / y),
        (Binary::Mul, _) => Ok(Quantized { output: fixed(a * b / y, rounding)?, ..Quantized::default() }),
        (Binary::Div | Binary::Minimum | Binary::Maximum, _) => {
            Err(Error::invalid(format!("it has no {} form", dtype.name())).remedy("multiply by a reciprocal"))
        }
    }
}

/// Both inputs on twice the greater scale, with 20 bits more (int16: 15). Add's scales are divided in double, Sub's in float:
/// so TFLite Micro has it.
fn additive_tflite(kind: Binary, dtype: Dtype, [a, b, y]: [f32; 3]) -> Result<Quantized> {
    let bits = if dtype == Dtype::I16 { ops::add::LEFT_SHIFT_INT16 } else { ops::add::LEFT_SHIFT };
    let shift = (1u32 << bits) as f32;
    let twice = 2.0 * a.max(b);
    let divide = |p: f32, q: f32| match kind {
        Binary::Sub => (p / q) as f64,
        _ => p as f64 / q as f64,
    };
    // A power of two: exact in float as in double.
    let output = tflite(divide(twice, shift * y));
    if output[1] > 0 {
        return Err(Error::invalid(format!("its input scales {a}, {b} are too large for its output's {y}")));
    }
    Ok(Quantized { left: tflite(divide(a, twice)), right: tflite(divide(b, twice)), output })
}

/// The most fraction bits with which the weighted sum of two 9-bit differences stays in 32 bits; for int16, which
/// sums in 64 bits, the weights themselves.
fn additive_single(dtype: Dtype, a: f64, b: f64) -> Result<Quantized> {
    let fits = |left: f64, right: f64, unit: f64| match dtype {
        Dtype::I16 => left.max(right) <= i32::MAX as f64,
        _ => 255.0 * (left + right) + unit <= i32::MAX as f64,
    };
    for bits in (0..=30).rev() {
        let [left, right] = [a, b].map(|r| libm::round(libm::ldexp(r, bits)));
        if fits(left, right, libm::ldexp(1.0, bits)) {
            return Ok(Quantized { left: [left as i32, 0], right: [right as i32, 0], output: [0, bits] });
        }
    }
    Err(Error::invalid("its input scales are too large for its output's"))
}

/// The clamp of integers that stand for themselves.
fn integer_clamp(activation: Activation) -> Clamp {
    // Float to int saturates, so infinities become the type's ends.
    Clamp::i32(libm::ceilf(activation.lo) as i32, libm::floorf(activation.hi) as i32)
}

fn same_parameters(view: &View<'_>) -> Result<()> {
    let descs: Vec<Desc> = view.inputs.iter().flatten().map(|t| t.desc()).collect::<Result<_>>()?;
    let y = view.output.desc()?;
    match descs.iter().find(|d| (d.scale.to_bits(), d.zero_point) != (y.scale.to_bits(), y.zero_point)) {
        None => Ok(()),
        Some(d) => Err(Error::invalid(format!(
            "compares levels, but an input has scale {} and zero point {}, the output {} and {}",
            d.scale, d.zero_point, y.scale, y.zero_point
        ))
        .remedy("requantize its inputs to the output's parameters first")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_constants_stand_for_their_ratios() {
        for (a, b) in [(0.5, 0.5), (1.0, 1e-3), (1e-6, 1e-7), (1000.0, 3.0), (8e6, 1.0)] {
            let q = additive_single(Dtype::I8, a, b).unwrap();
            let unit = libm::ldexp(1.0, -q.output[1]);
            assert!((q.left[0] as f64 * unit - a).abs() <= unit / 2.0 && unit < 1.1e-6 * a.max(1.0));
            assert!((q.right[0] as f64 * unit - b).abs() <= unit / 2.0);
            let op = Add { left: q.left, right: q.right, output: q.output, clamp: Clamp::i32(-128, 127) };
            assert!(255 * (op.left[0] as i64 + op.right[0] as i64) + (1 << op.output[1]) <= i32::MAX as i64);
        }
        assert!(additive_single(Dtype::I8, 1e8, 1.0).is_err());
        // Sums of 64 bits leave the weights all of their own 31.
        for (a, b) in [(0.5, 0.5), (1.0, 1e-3), (1e8, 3.0)] {
            let q = additive_single(Dtype::I16, a, b).unwrap();
            let unit = libm::ldexp(1.0, -q.output[1]);
            assert!((q.left[0] as f64 * unit - a).abs() <= unit / 2.0 && unit < 2e-9 * a.max(1.0));
            assert!((q.right[0] as f64 * unit - b).abs() <= unit / 2.0);
        }
        assert!(additive_single(Dtype::I16, 1e10, 1.0).is_err());
    }

    #[test]
    fn tflite_constants_are_the_reference_ones() {
        // Equal scales: both inputs are halved exactly; 2 * 0.5 / 2^20 / 0.25 = 2^-18.
        let q = additive_tflite(Binary::Add, Dtype::I8, [0.5, 0.5, 0.25]).unwrap();
        assert_eq!(q, Quantized { left: [1 << 30, 0], right: [1 << 30, 0], output: [1 << 30, -17] });
        assert!(additive_tflite(Binary::Add, Dtype::I8, [0.5, 0.5, 1e-9]).is_err());
        // int16 is shifted by 15.
        let q = additive_tflite(Binary::Add, Dtype::I16, [0.5, 0.5, 0.25]).unwrap();
        assert_eq!(q.output, [1 << 30, -12]);
    }
}
