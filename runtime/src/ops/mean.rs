//! Mean over any set of axes.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Single, Tflite};
use crate::kernels::reference::reduce as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::reduce::{Reduce, check_rescaled};
use crate::tensor::{Desc, Dtype};

/// Operand: input of any shape.
///
/// int8 and int16 (which sums in 64 bits), with `count` the elements of one mean: `tflite` and `single` requantize `sum(x - zero point)` by
/// `scale`; `onnx` dequantizes, sums in order, divides by `count` and by the output's scale in f32, and rounds
/// half to even.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mean {
    /// The axes.
    pub reduce: Reduce,
    /// `[multiplier, shift]` of `input scale / (output scale * count)`, as the step's rounding reads it; `[0, 0]`
    /// for floats and `onnx`. TFLite derives it from the pair `[m, s]` of `input scale / output scale`:
    /// `k = min(floor(log2(count)), 32, 31 + s)`, multiplier `(m << k) / count` rounded down, shift `s - k`.
    pub scale: [i32; 2],
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_mean_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: false,
    run: reference::mean::<i8, i32, Tflite>,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_mean_int8_single",
    roundings: &[Rounding::Single],
    run: reference::mean::<i8, i32, Single>,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_mean_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::mean_onnx::<i8>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_mean_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::mean::<i16, i64, Tflite>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_mean_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::mean::<i16, i64, Single>,
    ..INT8_SINGLE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_mean_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::mean_onnx::<i16>,
    ..INT8_ONNX
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_mean_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::mean_f32,
    ..INT8_TFLITE
};

impl Op for Mean {
    const CODE: u16 = 12;
    const NAME: &'static str = "mean";
    const KERNELS: &'static [Entry] =
        &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT16_TFLITE, INT16_SINGLE, INT16_ONNX, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Mean { reduce: Reduce::parse(&mut r)?, scale: [r.i32()?, r.i32()?] };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.reduce.emit(Attr::new()).i32(self.scale[0]).i32(self.scale[1])
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        self.reduce.infer(inputs)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        check_rescaled(inputs.get(0)?, y, self.scale, constants.rounding)
    }

    fn macs(&self, inputs: &Inputs<'_>, _outputs: &[Desc]) -> u64 {
        self.reduce.macs(inputs)
    }
}
