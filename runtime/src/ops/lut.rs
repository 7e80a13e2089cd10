//! Lut: any function of one 8-bit value, as a table that is computed off the device.

use crate::error::{Error, Result};
use crate::kernels::reference::lut as reference;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, constant, reader};
use crate::ops::quantized::check_zero_point;
use crate::tensor::{Desc, Dtype};

/// Operands: x (int8 or uint8, any shape), table `[256]` (constant, int8 or uint8: the output's type). Entry `k`
/// is the result for the level whose byte is `k`: for int8 first 0..=127, then -128..=-1. No attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lut;

/// int8 and uint8.
pub const BYTES: Entry = Entry {
    id: 0,
    name: "reference_lut_int8",
    dtypes: &[Dtype::I8, Dtype::U8],
    roundings: &[Rounding::None],
    isa: Isa::Portable,
    overlap: true,
    run: reference::bytes,
};

impl Op for Lut {
    const CODE: u16 = 20;
    const NAME: &'static str = "lut";
    const KERNELS: &'static [Entry] = &[BYTES];

    fn parse(attributes: &[u8]) -> Result<Self> {
        reader(attributes).end()?;
        Ok(Lut)
    }

    fn emit(&self) -> Attr {
        Attr::new()
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, 2)?;
        let (x, dtype) = (inputs.get(0)?, inputs.get(1)?.dtype);
        if ![x.dtype, dtype].iter().all(|d| matches!(d, Dtype::I8 | Dtype::U8)) {
            return Err(Error::Dtype);
        }
        constant(inputs, 1, dtype, &[256])?;
        Ok(Inferred::one(dtype, x.shape))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        check_zero_point(inputs.get(0)?)?;
        check_zero_point(outputs.first().ok_or(Error::Operand)?)
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}
