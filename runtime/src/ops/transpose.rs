//! Transpose: any permutation of up to six axes.

use crate::error::{Error, Result};
use crate::kernels::reference::transpose as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: any tensor. Attributes: per output axis, outermost first, the input axis it takes, as `u8`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transpose {
    rank: u8,
    permutation: [u8; MAX_RANK],
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_transpose_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Transpose {
    /// Output axis `a` is input axis `permutation[a]`; refuses what is no permutation.
    pub fn new(permutation: &[u8]) -> Result<Self> {
        if permutation.len() > MAX_RANK {
            return Err(Error::Attribute);
        }
        let complete = (0..permutation.len()).all(|axis| permutation.contains(&(axis as u8)));
        if !complete {
            return Err(Error::Attribute);
        }
        let mut op = Transpose { rank: permutation.len() as u8, permutation: [0; MAX_RANK] };
        for (slot, &axis) in op.permutation.iter_mut().zip(permutation) {
            *slot = axis;
        }
        Ok(op)
    }

    /// The input axis of each output axis.
    pub fn permutation(&self) -> &[u8] {
        self.permutation.get(..self.rank as usize).unwrap_or(&[])
    }

    /// Whether only axes of length 1 change places, so that the bytes stay as they are.
    pub fn moves_nothing(&self, shape: &Shape) -> bool {
        let mut last = 0u8;
        self.permutation().iter().filter(|&&axis| shape.dim(axis as usize) != 1).all(|&axis| {
            let ascending = axis >= last;
            last = axis;
            ascending
        })
    }
}

impl Op for Transpose {
    const CODE: u16 = 26;
    const NAME: &'static str = "transpose";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        Transpose::new(attributes)
    }

    fn emit(&self) -> Attr {
        self.permutation().iter().fold(Attr::new(), |a, &axis| a.u8(axis))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if x.shape.rank() != self.rank as usize {
            return Err(Error::Shape);
        }
        let mut dims = [1u32; MAX_RANK];
        for (slot, &axis) in dims.iter_mut().zip(self.permutation()) {
            *slot = x.shape.dim(axis as usize) as u32;
        }
        Ok(Inferred::one(x.dtype, Shape::new(dims.get(..x.shape.rank()).ok_or(Error::Internal)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        same_parameters(inputs.get(0)?, outputs.first().ok_or(Error::Operand)?)
    }

    /// In place only where nothing moves.
    fn overlap(&self, inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0 && self.moves_nothing(&inputs.get(0).ok()?.shape)).then_some(0)
    }
}
