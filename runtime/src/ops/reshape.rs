//! Reshape: the same elements in the same order under other dimensions; also Squeeze, ExpandDims and Flatten.

use crate::error::{Error, Result};
use crate::kernels::reference::reshape as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding};
use crate::tensor::{Desc, Dtype, Shape};

/// Operands: any tensor. Attributes: the output's dimensions as `u32` each, none for a scalar; -1 and 0 of the
/// source formats are resolved by the packager.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reshape {
    /// The output's dimensions; as many elements as the input has.
    pub shape: Shape,
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_reshape_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Op for Reshape {
    const CODE: u16 = 16;
    const NAME: &'static str = "reshape";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let (dims, rest) = attributes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Error::Attribute);
        }
        let shape = Shape::of(dims.len(), |axis| dims.get(axis).map_or(1, |&d| u32::from_le_bytes(d)));
        Ok(Reshape { shape: shape.map_err(|_| Error::Attribute)? })
    }

    fn emit(&self) -> Attr {
        self.shape.dims().iter().fold(Attr::new(), |a, &d| a.u32(d))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if x.shape.elements() != self.shape.elements() {
            return Err(Error::Shape);
        }
        Ok(Inferred::one(x.dtype, self.shape))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        same_parameters(inputs.get(0)?, outputs.first().ok_or(Error::Operand)?)
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}
