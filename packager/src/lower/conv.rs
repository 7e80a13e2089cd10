//! Convolutions and fully connected layers.

use samara_runtime::Dtype;
use samara_runtime::ops::{Attr, Clamp, Conv2d, Op as _};

use super::multiplier::{activation_levels, channel_constants};
use super::{Lowered, Operand, View, parameters};
use crate::error::{Error, Result};
use crate::ir::{Activation, Op, Tensor};

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    attributes(op, Clamp::NONE)
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let activation = match view.op {
        Op::Conv2d { activation, .. } => *activation,
        _ => return Err(Error::invalid("not of this family")),
    };
    let clamp = clamp(activation, view.output)?;
    let bias = if view.optional(2).is_some() { Operand::Input(2) } else { Operand::Absent };
    let mut operands = vec![Operand::Input(0), Operand::Input(1), bias];
    if !view.is_float() {
        operands.push(Operand::Constant(requantization(view)?));
    }
    let (code, attributes) = attributes(view.op, clamp)?;
    Ok(Lowered { code, attributes, rounding: view.rounding(), kernel: 0, operands })
}

fn attributes(op: &Op, clamp: Clamp) -> Result<(u16, Attr)> {
    match *op {
        Op::Conv2d { window, groups, .. } => Ok((Conv2d::CODE, Conv2d { window, groups, clamp }.emit())),
        _ => Err(Error::invalid("not of this family")),
    }
}

/// A fused activation in the output's own numbers.
pub fn clamp(activation: Activation, output: &Tensor) -> Result<Clamp> {
    if output.dtype == Dtype::F32 {
        return Ok(Clamp::f32(activation.lo, activation.hi));
    }
    let (scale, zero_point) = parameters(output)?;
    let (lo, hi) = activation_levels(activation, output.dtype, scale, zero_point)?;
    Ok(Clamp::i32(lo, hi))
}

/// `input scale * weight scale / output scale` per output channel. Convolutions multiply in double.
fn requantization(view: &View<'_>) -> Result<samara_runtime::ops::eval::Value> {
    let (input, _) = parameters(view.input(0)?)?;
    let (output, _) = parameters(view.output)?;
    let weights = view.input(1)?;
    let quant = weights.quant.as_ref().ok_or_else(|| Error::invalid("its weights have no scale"))?;
    let channels = view.output.shape.last().copied().unwrap_or(1);
    let reals: Vec<f64> =
        (0..channels).map(|c| input as f64 * quant.scale_at(c) as f64 / output as f64).collect();
    channel_constants(&reals, view.numeric.rounding())
}
