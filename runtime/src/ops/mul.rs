//! Mul: elementwise product with NumPy broadcasting and fused clamp.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Single, Tflite};
use crate::kernels::reference::mul as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::broadcast;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::{check_multiplier, check_parameters, check_symmetric};
use crate::tensor::{Desc, Dtype};

/// Operands: a, b, either constant, of shapes that broadcast. int8 or int16 (one scale per tensor; int16 with zero
/// point 0 but under `onnx`), int32 (wrapping, not quantized) or float.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mul {
    /// `[multiplier, shift]` of the rounding for the real `s_a * s_b / s_out`; 0 under `onnx` (which computes in
    /// floats from the tensors' own parameters), for int32 and floats.
    pub multiplier: [i32; 2],
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_mul_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::fixed::<i8, Tflite>,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_mul_int8_single",
    roundings: &[Rounding::Single],
    run: reference::fixed::<i8, Single>,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_mul_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_mul_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::fixed::<i16, Tflite>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_mul_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::fixed::<i16, Single>,
    ..INT8_SINGLE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_mul_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16>,
    ..INT8_ONNX
};
/// int32, wrapping.
pub const INT32: Entry = Entry {
    name: "reference_mul_int32",
    dtypes: &[Dtype::I32],
    roundings: &[Rounding::None],
    run: reference::int32,
    ..INT8_TFLITE
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_mul_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};

impl Mul {
    /// Without a quantization constant: floats, int32 and `onnx`.
    pub const fn plain(clamp: Clamp) -> Self {
        Mul { multiplier: [0; 2], clamp }
    }
}

impl Op for Mul {
    const CODE: u16 = 6;
    const NAME: &'static str = "mul";
    const KERNELS: &'static [Entry] =
        &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT16_TFLITE, INT16_SINGLE, INT16_ONNX, INT32, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Mul { multiplier: [r.i32()?, r.i32()?], clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        let [multiplier, shift] = self.multiplier;
        self.clamp.emit(Attr::new().i32(multiplier).i32(shift))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        broadcast::infer(inputs, &[Dtype::I8, Dtype::I16, Dtype::I32, Dtype::F32])
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        for d in [inputs.get(0)?, inputs.get(1)?, y] {
            check_parameters(d, constants.rounding)?;
            check_symmetric(d, constants.rounding)?;
        }
        check_multiplier(self.multiplier, constants.rounding)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        broadcast::overlap(inputs, outputs, i, o)
    }
}
