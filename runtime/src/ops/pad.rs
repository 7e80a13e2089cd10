//! Pad: a constant value before and after the elements of any axis.

use crate::error::{Error, Result};
use crate::kernels::reference::pad as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: any tensor. Attributes: `value` (4 bytes), then per axis, outermost first, `before` and `after` as
/// `u16`; as many pairs as the input has axes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pad {
    rank: u8,
    before: [u16; MAX_RANK],
    after: [u16; MAX_RANK],
    value: [u8; 4],
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_pad_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Pad {
    /// Elements to add per axis, and one element of the output's type in little-endian bytes, zeros above it:
    /// for quantized tensors usually the zero point (`[0x80, 0, 0, 0]` is int8's -128).
    pub fn new(before: &[u16], after: &[u16], value: [u8; 4]) -> Result<Self> {
        if before.len() != after.len() || before.len() > MAX_RANK {
            return Err(Error::Attribute);
        }
        let mut pad = Pad { rank: before.len() as u8, before: [0; MAX_RANK], after: [0; MAX_RANK], value };
        for (slot, &n) in pad.before.iter_mut().zip(before) {
            *slot = n;
        }
        for (slot, &n) in pad.after.iter_mut().zip(after) {
            *slot = n;
        }
        Ok(pad)
    }

    /// Elements added before each axis, 0 outside the rank.
    pub fn before(&self) -> [u16; MAX_RANK] {
        self.before
    }

    /// Elements added after each axis, 0 outside the rank.
    pub fn after(&self) -> [u16; MAX_RANK] {
        self.after
    }

    /// The added element's bytes, as [`Pad::new`] takes them.
    pub fn value(&self) -> [u8; 4] {
        self.value
    }
}

impl Op for Pad {
    const CODE: u16 = 17;
    const NAME: &'static str = "pad";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let rank = attributes.len().saturating_sub(4) / 4;
        let mut r = reader(attributes);
        let value = r.u32()?.to_le_bytes();
        let (mut before, mut after) = ([0u16; MAX_RANK], [0u16; MAX_RANK]);
        for (b, a) in before.iter_mut().zip(&mut after).take(rank) {
            (*b, *a) = (r.u16()?, r.u16()?);
        }
        r.end()?;
        Ok(Pad { rank: rank as u8, before, after, value })
    }

    fn emit(&self) -> Attr {
        let attr = Attr::new().u32(u32::from_le_bytes(self.value));
        self.before
            .iter()
            .zip(&self.after)
            .take(self.rank as usize)
            .fold(attr, |attr, (&before, &after)| attr.u16(before).u16(after))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if x.shape.rank() != self.rank as usize {
            return Err(Error::Shape);
        }
        let mut dims = [1u32; MAX_RANK];
        for (((slot, &d), &before), &after) in
            dims.iter_mut().zip(x.shape.dims()).zip(&self.before).zip(&self.after)
        {
            // A dimension is at most 2^28.
            *slot = d.wrapping_add(before as u32).wrapping_add(after as u32);
        }
        Ok(Inferred::one(x.dtype, Shape::new(dims.get(..x.shape.rank()).ok_or(Error::Internal)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        same_parameters(inputs.get(0)?, y)?;
        let above = self.value.iter().skip(y.dtype.size()).any(|&b| b != 0);
        let [first, ..] = self.value;
        if above || (y.dtype == Dtype::Bool && first > 1) { Err(Error::Attribute) } else { Ok(()) }
    }

    /// What lies after the last element of the input is written when nothing is left to read; all padding
    /// before it pushes the output ahead of the input.
    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let (x, y) = (inputs.get(0).ok()?, outputs.first()?);
        if i != 0 || o != 0 {
            return None;
        }
        let mut last = 0usize;
        for ((&d, &n), &before) in x.shape.dims().iter().zip(y.shape.dims()).zip(&self.before) {
            let at = (d as usize).checked_sub(1)?.checked_add(before as usize)?;
            last = last.checked_mul(n as usize)?.checked_add(at)?;
        }
        last.checked_sub(x.shape.elements().checked_sub(1)?)?.checked_mul(x.dtype.size())
    }
}
