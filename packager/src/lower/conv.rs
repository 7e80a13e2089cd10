//! Convolutions and fully connected layers.

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::layer::LEVELS;
use samara_runtime::ops::{Attr, Clamp, Conv2d, DepthwiseConv2d, FullyConnected, Op as _};

use super::multiplier::{activation_levels, channel_constants, wide_channel_constants};
use super::{Lowered, Operand, View, parameters};
use crate::error::{Error, Result};
use crate::ir::{Activation, Numeric, Op, Quant, Tensor};

/// Position, among a node's operands, of the table that decodes weights.
pub const TABLE: usize = 3;

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    attributes(op, Clamp::NONE)
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let activation = match view.op {
        Op::Conv2d { activation, .. }
        | Op::DepthwiseConv2d { activation, .. }
        | Op::FullyConnected { activation } => *activation,
        _ => return Err(Error::invalid("not of this family")),
    };
    let clamp = clamp(activation, view.output)?;
    let input = |i| if view.optional(i).is_some() { Operand::Input(i) } else { Operand::Absent };
    let mut operands = vec![input(0), input(1), input(2)];
    let (x, weights) = (view.input(0)?, view.input(1)?);
    match (x.dtype, weights.dtype) {
        (Dtype::F32, Dtype::F32 | Dtype::F16) => {}
        (Dtype::F32, _) => operands.push(Operand::Constant(scales(view)?)),
        _ => operands.push(Operand::Constant(requantization(view)?)),
    }
    if let Some(table) = view.optional(TABLE) {
        check_table(view.op, weights, table)?;
        operands.resize_with(TABLE + 1, || Operand::Absent);
        operands.push(Operand::Input(TABLE));
    }
    let (code, attributes) = attributes(view.op, clamp)?;
    Ok(Lowered { code, attributes, rounding: view.rounding(), kernel: 0, operands })
}

fn attributes(op: &Op, clamp: Clamp) -> Result<(u16, Attr)> {
    match *op {
        Op::Conv2d { window, groups, .. } => Ok((Conv2d::CODE, Conv2d { window, groups, clamp }.emit())),
        Op::DepthwiseConv2d { window, .. } => {
            Ok((DepthwiseConv2d::CODE, DepthwiseConv2d { window, clamp }.emit()))
        }
        Op::FullyConnected { .. } => {
            Ok((FullyConnected::CODE, FullyConnected { keep_dims: true, clamp }.emit()))
        }
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

/// `input scale * weight scale / output scale` per output channel, or once for a fully connected layer whose
/// weights have one scale.
fn requantization(view: &View<'_>) -> Result<Value> {
    let x = view.input(0)?;
    let (input, _) = parameters(x)?;
    let (output, _) = parameters(view.output)?;
    let wide = x.dtype == Dtype::I16;
    for t in [x, view.output].into_iter().filter(|_| wide) {
        if parameters(t)?.1 != 0 {
            let cause = format!("tensor '{}' (int16) has a zero point other than 0", t.name);
            return Err(Error::invalid(cause));
        }
    }
    let fully_connected = matches!(view.op, Op::FullyConnected { .. });
    let (quant, count) = weight_scales(view)?;
    let whole = quant.scale.len() == 1;
    let real = |c: usize| {
        let weight = quant.scale_at(c);
        match view.numeric {
            // TFLite's kernel multiplies the two scales of a fully connected layer as floats.
            Numeric::Tflite if fully_connected && whole => (input * weight) as f64 / output as f64,
            Numeric::Tflite | Numeric::Single => input as f64 * weight as f64 / output as f64,
            Numeric::Onnx => (input * weight / output) as f64,
        }
    };
    let reals: Vec<f64> = (0..count).map(real).collect();
    let constants = if wide { wide_channel_constants } else { channel_constants };
    constants(&reals, view.numeric.rounding())
}

/// What sums of integer weights with float inputs are multiplied by.
fn scales(view: &View<'_>) -> Result<Value> {
    let (quant, count) = weight_scales(view)?;
    let scales: Vec<f32> = (0..count).map(|c| quant.scale_at(c)).collect();
    Ok(Value::constant(Dtype::F32, &[count as u32], &scales)?)
}

/// Refuses a table that does not decode these weights.
fn check_table(op: &Op, weights: &Tensor, table: &Tensor) -> Result<()> {
    let invalid = |what: String| {
        Error::invalid(format!(
            "table '{}' of weights '{}' ({}) {what}",
            table.name,
            weights.name,
            weights.dtype.name()
        ))
    };
    let levels = table.values::<i8>().filter(|_| table.dtype == Dtype::I8);
    let levels = levels.ok_or_else(|| invalid("is not constant int8".into()))?;
    let channels = weights.shape.get(channel_axis(op)).copied().unwrap_or(1);
    let depth = weights.elements().checked_div(channels).unwrap_or(0);
    let &[rows, columns] = &table.shape[..] else {
        return Err(invalid(format!("has the shape {:?}, not two dimensions", table.shape)));
    };
    match weights.dtype {
        Dtype::U4 if (rows == 1 || rows == channels) && columns == LEVELS => Ok(()),
        Dtype::U4 => Err(invalid(format!("is {rows}x{columns}, not 1x{LEVELS} or {channels}x{LEVELS}"))),
        Dtype::I4 if matches!(op, Op::DepthwiseConv2d { .. }) => {
            Err(invalid("groups weights, which depthwise convolution does not".into()))
        }
        Dtype::I4 if rows != channels || columns == 0 || depth % columns != 0 => {
            let cause =
                format!("is {rows}x{columns}, which does not divide {channels} channels of {depth} weights");
            Err(invalid(cause))
        }
        Dtype::I4 => match levels.iter().find(|&&m| m < 1) {
            Some(m) => Err(invalid(format!("has the multiplier {m}; they are 1 to 127"))),
            None => Ok(()),
        },
        _ => Err(invalid("has nothing to decode".into())),
    }
}

/// The weights' dimension of output channels.
fn channel_axis(op: &Op) -> usize {
    if matches!(op, Op::DepthwiseConv2d { .. }) { 3 } else { 0 }
}

/// The weights' scales, one or one per output channel, with zero points of 0 as the kernels expect, and how many
/// constants the runtime wants of them.
fn weight_scales<'a>(view: &View<'a>) -> Result<(&'a Quant, usize)> {
    let (weights, axis) = (view.input(1)?, channel_axis(view.op));
    let channels = weights.shape.get(axis).copied().unwrap_or(1);
    let invalid = |what: &str| Error::invalid(format!("weights '{}' {what}", weights.name));
    let quant = weights.quant.as_ref().ok_or_else(|| invalid("have no scale"))?;
    let along = quant.scale.len() == channels && quant.axis == axis;
    if quant.scale.len() != 1 && !along {
        return Err(invalid("have scales along another axis than the output channels"));
    }
    if quant.zero_point.iter().any(|&z| z != 0) {
        return Err(invalid("have a zero point other than 0, which is not supported"));
    }
    let one = matches!(view.op, Op::FullyConnected { .. }) && quant.scale.len() == 1;
    Ok((quant, if one { 1 } else { channels }))
}

#[cfg(test)]
mod tests {
    use super::super::multiplier::tflite;
    use super::*;
    use samara_runtime::ops::Window;

    fn activation(scale: f32) -> Tensor {
        Tensor::new("t", Dtype::I8, vec![1, 1, 1, 2]).quantized(Quant::per_tensor(scale, 0))
    }

    fn weights(shape: &[usize], scale: &[f32], axis: usize) -> Tensor {
        let quant = Quant { scale: scale.to_vec(), zero_point: vec![0; scale.len()], axis };
        Tensor::constant("w", Dtype::I8, shape.to_vec(), &vec![1i8; shape.iter().product()]).quantized(quant)
    }

    fn constants(op: &Op, w: &Tensor, numeric: Numeric) -> Result<Value> {
        // Scales whose product differs in float and in double.
        let (x, y) = (activation(0.1), activation(0.7));
        let step = lower(&View { op, inputs: &[Some(&x), Some(w)], output: &y, numeric })?;
        match step.operands.last() {
            Some(Operand::Constant(value)) => Ok(value.clone()),
            _ => Err(Error::invalid("no constant")),
        }
    }

    #[test]
    fn only_fully_connected_multiplies_its_scales_as_floats() {
        let dense = Op::FullyConnected { activation: Activation::NONE };
        let conv = Op::Conv2d { window: Window::UNIT, groups: 1, activation: Activation::NONE };
        let (a, b, y) = (0.1f32, 0.3f32, 0.7f32);
        let float = tflite((a * b) as f64 / y as f64);
        let double = tflite(a as f64 * b as f64 / y as f64);
        assert_ne!(float, double);
        let value = constants(&dense, &weights(&[2, 2], &[b], 0), Numeric::Tflite).unwrap();
        assert_eq!((value.desc.shape.dims(), value.elements::<i32>()), (&[1, 2][..], &float[..]));
        let value = constants(&dense, &weights(&[2, 2], &[b, b], 0), Numeric::Tflite).unwrap();
        assert_eq!(value.elements::<i32>(), [double, double].as_flattened());
        let value = constants(&conv, &weights(&[2, 1, 1, 2], &[b], 0), Numeric::Tflite).unwrap();
        assert_eq!(value.elements::<i32>(), [double, double].as_flattened());
        let value = constants(&conv, &weights(&[2, 1, 1, 2], &[b], 0), Numeric::Onnx).unwrap();
        assert_eq!(value.elements::<f32>(), [a * b / y; 2]);
    }

    #[test]
    fn weights_that_the_kernels_cannot_honour_are_refused() {
        let depthwise = Op::DepthwiseConv2d { window: Window::UNIT, activation: Activation::NONE };
        assert!(constants(&depthwise, &weights(&[1, 1, 1, 2], &[0.1, 0.2], 3), Numeric::Single).is_ok());
        assert!(constants(&depthwise, &weights(&[1, 1, 1, 2], &[0.1, 0.2], 0), Numeric::Single).is_err());
        let mut shifted = weights(&[1, 1, 1, 2], &[0.1], 3);
        shifted.quant = Some(Quant::per_tensor(0.1, 5));
        assert!(constants(&depthwise, &shifted, Numeric::Single).is_err());
    }
}
