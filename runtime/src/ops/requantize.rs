//! Requantize: levels of one scale to levels of another.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Single, Tflite};
use crate::kernels::reference::requantize as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::dequantize::widening;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::{check_multiplier, check_parameters};
use crate::tensor::{Desc, Dtype};

/// Operand: x (int8, uint8 or int16, any shape).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requantize {
    /// The output's type: int8, uint8 or int16.
    pub dtype: Dtype,
    /// `[multiplier, shift]` of the rounding for the real `s_x / s_out`; 0 under `onnx`, which computes in floats
    /// from the tensors' own parameters.
    pub multiplier: [i32; 2],
}

/// TFLite rounding.
pub const TFLITE: Entry = Entry {
    id: 0,
    name: "reference_requantize_tflite",
    dtypes: &[Dtype::I8, Dtype::U8, Dtype::I16],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::fixed::<Tflite>,
};
/// Single rounding.
pub const SINGLE: Entry = Entry {
    name: "reference_requantize_single",
    roundings: &[Rounding::Single],
    run: reference::fixed::<Single>,
    ..TFLITE
};
/// In floats.
pub const ONNX: Entry =
    Entry { name: "reference_requantize_onnx", roundings: &[Rounding::Onnx], run: reference::onnx, ..TFLITE };

impl Op for Requantize {
    const CODE: u16 = 25;
    const NAME: &'static str = "requantize";
    const KERNELS: &'static [Entry] = &[TFLITE, SINGLE, ONNX];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Requantize { dtype: Dtype::from_wire(r.u8()?)?, multiplier: [r.i32()?, r.i32()?] };
        r.end()?;
        match op.dtype {
            Dtype::I8 | Dtype::U8 | Dtype::I16 => Ok(op),
            Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
                Err(Error::Attribute)
            }
        }
    }

    fn emit(&self) -> Attr {
        let [multiplier, shift] = self.multiplier;
        Attr::new().u8(self.dtype as u8).i32(multiplier).i32(shift)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        match x.dtype {
            Dtype::I8 | Dtype::U8 | Dtype::I16 => Ok(Inferred::one(self.dtype, x.shape)),
            Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
                Err(Error::Dtype)
            }
        }
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        for d in [inputs.get(0)?, outputs.first().ok_or(Error::Operand)?] {
            check_parameters(d, constants.rounding)?;
        }
        check_multiplier(self.multiplier, constants.rounding)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        widening(inputs, outputs, i, o)
    }
}
