//! Maximum over any set of axes.

use crate::error::{Error, Result};
use crate::kernels::reference::reduce as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_same;
use crate::ops::reduce::Reduce;
use crate::tensor::{Desc, Dtype};

/// Operand: input of any shape. Levels are compared as they are, so quantized input and output share scale and
/// zero point, and nothing is rounded. NaN is never the greatest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReduceMax {
    /// The axes.
    pub reduce: Reduce,
}

/// int8.
pub const INT8: Entry = Entry {
    id: 0,
    name: "reference_reduce_max_int8",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: false,
    run: reference::max_levels::<i8>,
};
/// int16.
pub const INT16: Entry = Entry {
    name: "reference_reduce_max_int16",
    dtypes: &[Dtype::I16],
    run: reference::max_levels::<i16>,
    ..INT8
};
/// Float.
pub const F32: Entry =
    Entry { name: "reference_reduce_max_f32", dtypes: &[Dtype::F32], run: reference::max_f32, ..INT8 };

impl Op for ReduceMax {
    const CODE: u16 = 14;
    const NAME: &'static str = "reduce_max";
    const KERNELS: &'static [Entry] = &[INT8, INT16, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = ReduceMax { reduce: Reduce::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.reduce.emit(Attr::new())
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        self.reduce.infer(inputs)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        check_same(inputs.get(0)?, outputs.first().ok_or(Error::Operand)?)
    }

    fn macs(&self, inputs: &Inputs<'_>, _outputs: &[Desc]) -> u64 {
        self.reduce.macs(inputs)
    }
}
