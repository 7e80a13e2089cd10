//! PRelu: `x` where it is not negative, else `x * slope`.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Single, Tflite};
use crate::kernels::reference::prelu as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::broadcast;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::{check_multiplier, check_parameters, check_symmetric};
use crate::tensor::{Desc, Dtype, Place};

/// Operands: x (int8, int16 or float), slopes (constant, of x's type, broadcastable to x's shape: `[C]` for one per
/// channel; quantized slopes have their own scale and zero point, which for int16 is 0 but under `onnx`).
///
/// The constants are `[multiplier, shift]` of the rounding; 0 under `onnx` (which computes in floats from the
/// tensors' own parameters) and for floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PRelu {
    /// For `s_x / s_out`, applied where x is not negative.
    pub identity: [i32; 2],
    /// For `s_x * s_slope / s_out`, applied to the product of negative x and slope.
    pub slope: [i32; 2],
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_prelu_int8_tflite",
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
    name: "reference_prelu_int8_single",
    roundings: &[Rounding::Single],
    run: reference::fixed::<i8, Single>,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_prelu_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_prelu_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::fixed::<i16, Tflite>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_prelu_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::fixed::<i16, Single>,
    ..INT8_SINGLE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_prelu_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16>,
    ..INT8_ONNX
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_prelu_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};

impl PRelu {
    /// Without quantization constants: floats and `onnx`.
    pub const PLAIN: PRelu = PRelu { identity: [0; 2], slope: [0; 2] };
}

impl Op for PRelu {
    const CODE: u16 = 22;
    const NAME: &'static str = "prelu";
    const KERNELS: &'static [Entry] =
        &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT16_TFLITE, INT16_SINGLE, INT16_ONNX, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = PRelu { identity: [r.i32()?, r.i32()?], slope: [r.i32()?, r.i32()?] };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        [self.identity, self.slope].iter().flatten().fold(Attr::new(), |a, &v| a.i32(v))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        let inferred = broadcast::infer(inputs, &[Dtype::I8, Dtype::I16, Dtype::F32])?;
        let (x, slopes) = (inputs.get(0)?, inputs.get(1)?);
        if slopes.place != Place::Weights {
            return Err(Error::Operand);
        }
        match inferred.outputs() {
            [y] if y.shape == x.shape => Ok(inferred),
            _ => Err(Error::Shape),
        }
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        for d in [inputs.get(0)?, inputs.get(1)?, y] {
            check_parameters(d, constants.rounding)?;
            check_symmetric(d, constants.rounding)?;
        }
        check_multiplier(self.identity, constants.rounding)?;
        check_multiplier(self.slope, constants.rounding)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        if i == 0 { broadcast::overlap(inputs, outputs, i, o) } else { None }
    }
}
