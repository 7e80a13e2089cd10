//! Gather: slices of the data along one axis, picked by indices.

use crate::error::{Error, Result};
use crate::kernels::reference::gather as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype, MAX_RANK, Place, Shape};

/// Operands: data of rank 1 or more; int32 indices of any shape, constant or not, in `-n..n` for an axis of
/// length `n` (negative ones count from the end). Attributes: the axis as `u8`.
///
/// The indices' dimensions take the axis' place in the output. Constant indices are checked at load; others
/// while running, where a bad one ends the run with [`Error::Value`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gather {
    /// Below the data's rank.
    pub axis: u8,
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_gather_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: false,
    run: reference::any,
};

/// The index that `index` means on an axis of `length`, or `None` outside it.
pub fn resolve(index: i32, length: usize) -> Option<usize> {
    let length = length as i64;
    let at = index as i64;
    let at = if at < 0 { at + length } else { at };
    (0 <= at && at < length).then_some(at as usize)
}

impl Op for Gather {
    const CODE: u16 = 32;
    const NAME: &'static str = "gather";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Gather { axis: r.u8()? };
        r.end()?;
        if (op.axis as usize) < MAX_RANK { Ok(op) } else { Err(Error::Attribute) }
    }

    fn emit(&self) -> Attr {
        Attr::new().u8(self.axis)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, 2)?;
        let (x, indices) = (inputs.get(0)?, inputs.get(1)?);
        let axis = self.axis as usize;
        if indices.dtype != Dtype::I32 {
            return Err(Error::Dtype);
        }
        let (before, picked) = (x.shape.dims().get(..axis), indices.shape.dims());
        let (Some(before), Some(after)) = (before, x.shape.dims().get(axis.wrapping_add(1)..)) else {
            return Err(Error::Shape);
        };
        let rank = before.len() + picked.len() + after.len();
        let mut dims = [1u32; MAX_RANK];
        for (slot, &d) in dims.iter_mut().zip(before.iter().chain(picked).chain(after)) {
            *slot = d;
        }
        Ok(Inferred::one(x.dtype, Shape::new(dims.get(..rank).ok_or(Error::Shape)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let (x, indices) = (inputs.get(0)?, inputs.get(1)?);
        same_parameters(x, outputs.first().ok_or(Error::Operand)?)?;
        if indices.scale != 0.0 || indices.zero_point != 0 {
            return Err(Error::Quantization);
        }
        if indices.place == Place::Weights {
            let length = x.shape.dim(self.axis as usize);
            if constants.get::<i32>(1)?.iter().any(|&i| resolve(i, length).is_none()) {
                return Err(Error::Value);
            }
        }
        Ok(())
    }
}
