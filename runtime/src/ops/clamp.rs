//! Clamp: Relu, Relu6, ReluN1to1 and Clip where input and output share their parameters.

use crate::error::{Error, Result};
use crate::kernels::reference::clamp as reference;
use crate::layout::Layout;
use crate::ops::attr::{self, Attr};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_same;
use crate::tensor::{Desc, Dtype};

/// Operand: x of any type but bool, any shape; the output has x's scale and zero point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Clamp {
    /// The range, in the tensors' own numbers.
    pub range: attr::Clamp,
}

/// Any type but bool.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_clamp",
    dtypes: &[Dtype::I8, Dtype::U8, Dtype::I16, Dtype::I32, Dtype::F32],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Op for Clamp {
    const CODE: u16 = 19;
    const NAME: &'static str = "clamp";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Clamp { range: attr::Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.range.emit(Attr::new())
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        match x.dtype {
            Dtype::Bool => Err(Error::Dtype),
            _ => Ok(Inferred::one(x.dtype, x.shape)),
        }
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let (x, y) = (inputs.get(0)?, outputs.first().ok_or(Error::Operand)?);
        self.range.check(y.dtype)?;
        check_same(x, y)
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}
