//! Concatenation of up to eight tensors along any axis.

use crate::error::{Error, Result};
use crate::kernels::reference::concatenation as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::io::MAX_INPUTS;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: one to eight tensors of one element type, scale and zero point that agree in every dimension but
/// `axis`. Attributes: the axis as `u8`, counted from the outermost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Concatenation {
    /// Below the inputs' rank.
    pub axis: u8,
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_concatenation_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Op for Concatenation {
    const CODE: u16 = 18;
    const NAME: &'static str = "concatenation";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Concatenation { axis: r.u8()? };
        r.end()?;
        if (op.axis as usize) < MAX_RANK { Ok(op) } else { Err(Error::Attribute) }
    }

    fn emit(&self) -> Attr {
        Attr::new().u8(self.axis)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, MAX_INPUTS)?;
        let axis = self.axis as usize;
        let first = inputs.get(0)?;
        let rank = first.shape.rank();
        if axis >= rank {
            return Err(Error::Shape);
        }
        let mut along = 0u32;
        for i in 0..inputs.len() {
            let x = inputs.get(i)?;
            if x.dtype != first.dtype {
                return Err(Error::Dtype);
            }
            let fits = x.shape.rank() == rank
                && (0..rank).all(|a| a == axis || x.shape.dim(a) == first.shape.dim(a));
            if !fits {
                return Err(Error::Shape);
            }
            // Eight dimensions of at most 2^28.
            along = along.wrapping_add(x.shape.dim(axis) as u32);
        }
        let mut dims = [1u32; MAX_RANK];
        for (slot, &d) in dims.iter_mut().zip(first.shape.dims()) {
            *slot = d;
        }
        *dims.get_mut(axis).ok_or(Error::Internal)? = along;
        Ok(Inferred::one(first.dtype, Shape::new(dims.get(..rank).ok_or(Error::Internal)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        (0..inputs.len()).try_for_each(|i| same_parameters(inputs.get(i)?, y))
    }

    /// The largest lead of the output over input `i`; at axis 0 that is the place of `i` in the output, so
    /// that an input computed there need not move. Holds for any number of inputs at once, because no byte
    /// is written above the place of one that is still to be read.
    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let y = outputs.first()?;
        if o != 0 || i >= inputs.len() {
            return None;
        }
        let axis = self.axis as usize;
        let run = |d: &Desc| d.shape.dim(axis).checked_mul(d.shape.inner(axis))?.checked_mul(d.dtype.size());
        let mut ahead = 0usize;
        for before in 0..i {
            ahead = ahead.checked_add(run(inputs.get(before).ok()?)?)?;
        }
        let per_row = run(y)?.checked_sub(run(inputs.get(i).ok()?)?)?;
        y.shape.outer(axis).checked_sub(1)?.checked_mul(per_row)?.checked_add(ahead)
    }
}
