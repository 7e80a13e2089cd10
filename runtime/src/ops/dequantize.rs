//! Dequantize: levels to floats.

use crate::error::{Error, Result};
use crate::kernels::reference::quantize as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_scale;
use crate::tensor::{Desc, Dtype};

/// Operand: x (int8, uint8, int16 or int32, any shape), with a scale. The output is
/// `(level - zero_point) as float * scale`. No attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dequantize;

/// Any integer type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_dequantize",
    dtypes: &[Dtype::I8, Dtype::U8, Dtype::I16, Dtype::I32],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::dequantize,
};

impl Op for Dequantize {
    const CODE: u16 = 24;
    const NAME: &'static str = "dequantize";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        reader(attributes).end()?;
        Ok(Dequantize)
    }

    fn emit(&self) -> Attr {
        Attr::new()
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        match x.dtype {
            Dtype::I8 | Dtype::U8 | Dtype::I16 | Dtype::I32 => Ok(Inferred::one(Dtype::F32, x.shape)),
            Dtype::F32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => Err(Error::Dtype),
        }
    }

    fn check(&self, inputs: &Inputs<'_>, _outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        check_scale(inputs.get(0)?)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        widening(inputs, outputs, i, o)
    }
}

/// Elementwise in ascending order between types of different size: the input's bytes must stay ahead of the
/// output's, which grow faster by the difference of the sizes.
pub fn widening(inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
    let (x, y) = (inputs.get(i).ok()?, outputs.get(o)?);
    if i != 0 || o != 0 {
        return None;
    }
    Some(y.bytes().saturating_sub(x.bytes()))
}
