//! Between floats and levels, and between levels of different parameters.

use samara_runtime::ops::{Attr, Dequantize, Op as _, Quantize, Requantize, Rounding};
use samara_runtime::{Desc, Dtype};

use super::multiplier::fixed;
use super::{Lowered, View, parameters};
use crate::error::{Error, Result};
use crate::ir::Op;

/// See [`super::bare`]. The output's type is the output tensor's own, which inference does not see: it takes
/// int8, and who wants another type sets the tensor's.
pub fn bare(op: &Op, inputs: &[Option<Desc>]) -> Result<(u16, Attr)> {
    let float = inputs.first().copied().flatten().is_some_and(|d| d.dtype == Dtype::F32);
    match op {
        Op::Quantize if float => Ok((Quantize::CODE, Quantize { dtype: Dtype::I8 }.emit())),
        Op::Quantize => Ok((Requantize::CODE, Requantize { dtype: Dtype::I8, multiplier: [0; 2] }.emit())),
        Op::Dequantize => Ok((Dequantize::CODE, Dequantize.emit())),
        _ => Err(Error::invalid("not of this family")),
    }
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let (x, y) = (view.input(0)?, view.output);
    match view.op {
        Op::Dequantize => {
            parameters(x)?;
            Ok(Lowered::plain((Dequantize::CODE, Dequantize.emit()), Rounding::None, 1))
        }
        Op::Quantize => {
            if !matches!(y.dtype, Dtype::I8 | Dtype::U8 | Dtype::I16) {
                let cause = format!("cannot quantize to {}", y.dtype.name());
                return Err(Error::invalid(cause).remedy("int8, uint8 and int16 are supported"));
            }
            let rounding = view.numeric.rounding();
            let (scale, _) = parameters(y)?;
            if x.dtype == Dtype::F32 {
                return Ok(Lowered::plain((Quantize::CODE, Quantize { dtype: y.dtype }.emit()), rounding, 1));
            }
            let multiplier = match rounding {
                Rounding::Onnx => [0; 2],
                _ => fixed(parameters(x)?.0 as f64 / scale as f64, rounding)?,
            };
            let attributes = Requantize { dtype: y.dtype, multiplier }.emit();
            Ok(Lowered::plain((Requantize::CODE, attributes), rounding, 1))
        }
        _ => Err(Error::invalid("not of this family")),
    }
}
