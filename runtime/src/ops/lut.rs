//! Lut: any function of one integer level, as a table that is computed off the device.

use crate::error::{Error, Result};
use crate::kernels::reference::lut as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, constant, reader};
use crate::ops::quantized::check_zero_point;
use crate::tensor::{Desc, Dtype};

/// Entries of the table of a 16-bit input: every 128th level from -32768 to 32768.
pub const KNOTS: usize = 513;

/// Operands: x (any shape), table (constant). No attributes.
///
/// - x int8 or uint8, table `[256]` int8 or uint8: the output's type. Entry `k` is the result for the level whose
///   byte is `k`: for int8 first 0..=127, then -128..=-1.
/// - x int16, table `[513]` int16. Entry `k` stands for the level `128 k - 32768`; a level `r` above entry `k`'s has
///   the result `t[k] + (((t[k + 1] - t[k]) r + 64) >> 7)`, as in TFLite's 16-bit tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lut;

/// int8 and uint8.
pub const BYTES: Entry = Entry {
    id: 0,
    name: "reference_lut_int8",
    dtypes: &[Dtype::I8, Dtype::U8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::bytes,
};

/// int16.
pub const INT16: Entry =
    Entry { name: "reference_lut_int16", dtypes: &[Dtype::I16], run: reference::interpolated, ..BYTES };

impl Op for Lut {
    const CODE: u16 = 20;
    const NAME: &'static str = "lut";
    const KERNELS: &'static [Entry] = &[BYTES, INT16];

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
        let entries = match (x.dtype, dtype) {
            (Dtype::I8 | Dtype::U8, Dtype::I8 | Dtype::U8) => 256,
            (Dtype::I16, Dtype::I16) => KNOTS,
            _ => return Err(Error::Dtype),
        };
        constant(inputs, 1, dtype, &[entries])?;
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
