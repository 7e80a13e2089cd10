//! ResizeBilinear: every output pixel mixes the four input pixels around its coordinate.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Single, Tflite};
use crate::kernels::reference::resize_bilinear as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_zero_point;
use crate::ops::sampling::Sampling;
use crate::tensor::{Desc, Dtype};

/// Operands: input `[N,H,W,C]`. Attributes: [`Sampling`].
///
/// int8 and int16 keep scale and zero point, except in `onnx` rounding, which dequantizes, mixes in floats and
/// quantizes to the output's own parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeBilinear {
    /// Output size and coordinates.
    pub sampling: Sampling,
}

/// TFLite rounding, int8: weights of 10 bits, the sum rounded half away from zero.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_resize_bilinear_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: false,
    run: reference::levels::<i8, Tflite>,
};
/// Single rounding, int8: weights of 10 bits, the sum rounded half up.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_resize_bilinear_int8_single",
    roundings: &[Rounding::Single],
    run: reference::levels::<i8, Single>,
    ..INT8_TFLITE
};
/// Float arithmetic on int8, rounded half to even.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_resize_bilinear_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_resize_bilinear_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::levels::<i16, Tflite>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_resize_bilinear_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::levels::<i16, Single>,
    ..INT8_SINGLE
};
/// Float arithmetic on int16, rounded half to even.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_resize_bilinear_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16>,
    ..INT8_ONNX
};
/// Float, without fused multiply-add: four products summed in reading order.
pub const F32: Entry = Entry {
    name: "reference_resize_bilinear_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};

impl Op for ResizeBilinear {
    const CODE: u16 = 29;
    const NAME: &'static str = "resize_bilinear";
    const KERNELS: &'static [Entry] =
        &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT16_TFLITE, INT16_SINGLE, INT16_ONNX, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let sampling = Sampling::parse(&mut r)?;
        r.end()?;
        Ok(ResizeBilinear { sampling })
    }

    fn emit(&self) -> Attr {
        self.sampling.emit(Attr::new())
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        match inputs.get(0)?.dtype {
            Dtype::F32 | Dtype::I8 | Dtype::I16 => self.sampling.infer(inputs),
            Dtype::U8 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
                Err(Error::Dtype)
            }
        }
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let (x, y) = (inputs.get(0)?, outputs.first().ok_or(Error::Operand)?);
        if constants.rounding != Rounding::Onnx {
            return same_parameters(x, y);
        }
        check_zero_point(x)?;
        check_zero_point(y)?;
        let scaled = [x.scale, y.scale].iter().all(|s| s.is_finite() && *s > 0.0);
        if scaled { Ok(()) } else { Err(Error::Quantization) }
    }

    fn macs(&self, _inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        outputs.first().map_or(0, |y| 4 * y.shape.elements() as u64)
    }
}
