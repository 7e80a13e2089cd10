//! Quantize: floats to levels.

use crate::error::{Error, Result};
use crate::kernels::reference::quantize as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_scale;
use crate::tensor::{Desc, Dtype};

/// Operand: x (float, any shape). The output's level is `round(x / scale) + zero_point`, saturated to its type,
/// by the output's own parameters. Ties go away from zero under `tflite` (its AffineQuantize), to even under
/// `onnx` (QuantizeLinear) and `single` (what processors do in one instruction). NaN gives the zero point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quantize {
    /// The output's type: int8, uint8 or int16.
    pub dtype: Dtype,
}

/// Ties away from zero.
pub const F32_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_quantize_f32_tflite",
    dtypes: &[Dtype::F32],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::half_away,
};
/// Ties to even.
pub const F32_EVEN: Entry = Entry {
    name: "reference_quantize_f32_even",
    roundings: &[Rounding::Single, Rounding::Onnx],
    run: reference::half_even,
    ..F32_TFLITE
};

impl Op for Quantize {
    const CODE: u16 = 23;
    const NAME: &'static str = "quantize";
    const KERNELS: &'static [Entry] = &[F32_TFLITE, F32_EVEN];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let dtype = Dtype::from_wire(r.u8()?)?;
        r.end()?;
        match dtype {
            Dtype::I8 | Dtype::U8 | Dtype::I16 => Ok(Quantize { dtype }),
            Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
                Err(Error::Attribute)
            }
        }
    }

    fn emit(&self) -> Attr {
        Attr::new().u8(self.dtype as u8)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if x.dtype == Dtype::F32 { Ok(Inferred::one(self.dtype, x.shape)) } else { Err(Error::Dtype) }
    }

    fn check(&self, _inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        check_scale(outputs.first().ok_or(Error::Operand)?)
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}
