//! Operands and kernels of the layers with weights: convolutions and fully connected layers.
//!
//! | operand | of O output channels, each of K weights |
//! |---|---|
//! | 0 input | int8, int16 (zero point 0, as the output's) or float |
//! | 1 weights | constant, zero point 0: int8, int4 or indices of 4 bits; with a float input also float32 and float16 |
//! | 2 bias | constant, optional, `[O]`: int32, int64 with an int16 input, float with a float one |
//! | 3 constants | constant: for an integer input those of requantization, `[O,2]` int32 or `[O]` float; for integer weights with a float input their scales, `[O]` float; else absent |
//! | 4 table | constant int8: for int4 weights, optional, `[O,G]` multipliers from 1 to 127 of groups of K/G weights in storage order (never for depthwise convolution); for indices `[1,16]` or `[O,16]` levels; else absent |
//!
//! What an integer weight stands for is its level, times its group's multiplier, or its index' level.

#[macro_use]
mod entries;
pub mod kernel;
#[cfg(feature = "std")]
mod prepare;
pub mod scratch;
#[cfg(feature = "std")]
pub mod strips;

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::ops::attr::Clamp;
use crate::ops::op::{Constants, Inputs, Rounding, constant};
use crate::ops::quantized::check_zero_point;
use crate::tensor::{Desc, Dtype};

#[cfg(feature = "std")]
pub(crate) use entries::by_id;
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use entries::lanes;
pub(crate) use entries::{entries, faster};
#[cfg(feature = "std")]
pub use prepare::{Prepared, prepare};

/// Position of the weights.
pub const WEIGHTS: usize = 1;
/// Position of the bias.
pub const BIAS: usize = 2;
/// Position of the requantization constants or the weights' scales.
pub const CONSTANTS: usize = 3;
/// Position of the table that decodes weights.
pub const DECODE: usize = 4;
/// Operands, absent ones included.
pub const OPERANDS: usize = 5;
/// Levels of a table that indices of 4 bits point into.
pub const LEVELS: usize = 16;

/// Holds types and shapes of all operands but the input's shape against weights of dimensions `dims` for `channels`
/// output channels; `depth` is the number of weights of one where those lie together. Returns the output's type.
pub fn infer(inputs: &Inputs<'_>, dims: &[usize], channels: usize, depth: Option<usize>) -> Result<Dtype> {
    let (x, w) = (inputs.get(0)?.dtype, inputs.get(WEIGHTS)?.dtype);
    let bias = match (x, w) {
        (Dtype::I8, Dtype::I8 | Dtype::I4 | Dtype::U4) => Dtype::I32,
        (Dtype::I16, Dtype::I8 | Dtype::I4 | Dtype::U4) => Dtype::I64,
        (Dtype::F32, Dtype::F32 | Dtype::F16 | Dtype::I8 | Dtype::I4 | Dtype::U4) => Dtype::F32,
        _ => return Err(Error::Dtype),
    };
    constant(inputs, WEIGHTS, w, dims)?;
    if inputs.optional(BIAS).is_some() {
        constant(inputs, BIAS, bias, &[channels])?;
    }
    match (w, inputs.optional(DECODE)) {
        (Dtype::U4, table) => {
            let tables = if table.is_some_and(|t| t.shape.dim(0) == 1) { 1 } else { channels };
            constant(inputs, DECODE, Dtype::I8, &[tables, LEVELS])?;
        }
        (Dtype::I4, Some(table)) => {
            let groups = table.shape.dim(1);
            constant(inputs, DECODE, Dtype::I8, &[channels, groups])?;
            if depth.ok_or(Error::Operand)?.checked_rem(groups) != Some(0) {
                return Err(Error::Shape);
            }
        }
        (_, None) => {}
        (_, Some(_)) => return Err(Error::Operand),
    }
    Ok(x)
}

/// Holds what inference does not see against its range: the activation's bounds, zero points, the constants of as many
/// channels as given or as the output has, and multipliers of groups.
pub fn check(
    inputs: &Inputs<'_>,
    outputs: &[Desc],
    constants: &Constants<'_>,
    clamp: Clamp,
    channels: Option<usize>,
) -> Result<()> {
    let (x, w, output) = (inputs.get(0)?, inputs.get(WEIGHTS)?, outputs.first().ok_or(Error::Operand)?);
    clamp.check(output.dtype)?;
    let last = || output.shape.dim(output.shape.rank().wrapping_sub(1));
    let channels = channels.unwrap_or_else(last);
    check_zero_point(x)?;
    check_zero_point(output)?;
    // int16 kernels have no zero points.
    let symmetric = x.dtype != Dtype::I16 || (x.zero_point == 0 && output.zero_point == 0);
    if !symmetric || w.zero_point != 0 {
        return Err(Error::Quantization);
    }
    if !w.layout.is_padded_with_zeros(&w.shape, constants.bytes(WEIGHTS)?) {
        return Err(Error::Tensor);
    }
    let valid = match (x.dtype, w.dtype, constants.rounding) {
        (Dtype::F32, Dtype::F32 | Dtype::F16, _) => {
            return if inputs.optional(CONSTANTS).is_none() { Ok(()) } else { Err(Error::Operand) };
        }
        (Dtype::F32, ..) | (_, _, Rounding::Onnx) => {
            constant(inputs, CONSTANTS, Dtype::F32, &[channels])?;
            constants.get::<f32>(CONSTANTS)?.iter().all(|&s| Onnx::valid(s))
        }
        (_, _, Rounding::None) => return Err(Error::Attribute),
        (dtype, _, Rounding::Tflite | Rounding::Single) => {
            constant(inputs, CONSTANTS, Dtype::I32, &[channels, 2])?;
            let pairs = constants.get::<[i32; 2]>(CONSTANTS)?;
            pairs.iter().all(|&pair| match (constants.rounding, dtype) {
                (Rounding::Single, Dtype::I8) => Single::valid(pair),
                // As `tflite`, whose shifts may be negative: products of int16 need all bits of the multiplier.
                _ => Tflite::valid(pair),
            })
        }
    };
    let grouped = w.dtype == Dtype::I4 && inputs.optional(DECODE).is_some();
    let positive = !grouped || constants.get::<i8>(DECODE)?.iter().all(|&m| m > 0);
    if valid && positive { Ok(()) } else { Err(Error::Quantization) }
}
