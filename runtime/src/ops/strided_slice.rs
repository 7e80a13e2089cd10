//! StridedSlice: a box of the input, with steps of either sign; also Slice, and Split output by output.

use crate::error::{Error, Result};
use crate::kernels::reference::strided_slice as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, constant, reader};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: any tensor; strides `[rank]` int32 (constant, optional, none of them 0; all 1 where absent).
/// Attributes: per axis, outermost first, `begin` and `size` as `u32`; as many pairs as the input has axes.
///
/// Output index `i` of an axis is input index `begin + i * stride`. The packager resolves negative indices,
/// `end`, masks and ellipses; an axis that is dropped needs a [`Reshape`](crate::ops::Reshape) after it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StridedSlice {
    rank: u8,
    begin: [u32; MAX_RANK],
    size: [u32; MAX_RANK],
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_strided_slice_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl StridedSlice {
    /// First index and number of indices taken, per axis.
    pub fn new(begin: &[u32], size: &[u32]) -> Result<Self> {
        if begin.len() != size.len() || begin.len() > MAX_RANK || size.contains(&0) {
            return Err(Error::Attribute);
        }
        let mut op = StridedSlice { rank: begin.len() as u8, begin: [0; MAX_RANK], size: [1; MAX_RANK] };
        for (slot, &n) in op.begin.iter_mut().zip(begin) {
            *slot = n;
        }
        for (slot, &n) in op.size.iter_mut().zip(size) {
            *slot = n;
        }
        Ok(op)
    }

    /// First index of each axis, 0 outside the rank.
    pub fn begin(&self) -> [u32; MAX_RANK] {
        self.begin
    }

    /// Indices taken of each axis, 1 outside the rank.
    pub fn size(&self) -> [u32; MAX_RANK] {
        self.size
    }

    /// Whether every index that `strides` lead to is inside `shape`.
    fn inside(&self, shape: &Shape, strides: impl IntoIterator<Item = i32>) -> bool {
        shape.dims().iter().zip(&self.begin).zip(&self.size).zip(strides).all(
            |(((&d, &begin), &size), stride)| {
                // |stride| < 2^32 and size <= 2^32: no overflow.
                let last = begin as i64 + (size as i64 - 1) * stride as i64;
                stride != 0 && begin < d && (0..d as i64).contains(&last)
            },
        )
    }
}

impl Op for StridedSlice {
    const CODE: u16 = 27;
    const NAME: &'static str = "strided_slice";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let rank = attributes.len() / 8;
        let (mut begin, mut size) = ([0u32; MAX_RANK], [1u32; MAX_RANK]);
        let mut r = reader(attributes);
        for (b, s) in begin.iter_mut().zip(&mut size).take(rank) {
            (*b, *s) = (r.u32()?, r.u32()?);
        }
        r.end()?;
        if size.contains(&0) {
            return Err(Error::Attribute);
        }
        Ok(StridedSlice { rank: rank as u8, begin, size })
    }

    fn emit(&self) -> Attr {
        self.begin
            .iter()
            .zip(&self.size)
            .take(self.rank as usize)
            .fold(Attr::new(), |a, (&begin, &size)| a.u32(begin).u32(size))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 2)?;
        let x = inputs.get(0)?;
        let rank = self.rank as usize;
        if x.shape.rank() != rank {
            return Err(Error::Shape);
        }
        if inputs.optional(1).is_some() {
            constant(inputs, 1, Dtype::I32, &[rank])?;
        } else if !self.inside(&x.shape, [1; MAX_RANK]) {
            return Err(Error::Shape);
        }
        Ok(Inferred::one(x.dtype, Shape::new(self.size.get(..rank).ok_or(Error::Internal)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let x = inputs.get(0)?;
        same_parameters(x, outputs.first().ok_or(Error::Operand)?)?;
        if inputs.optional(1).is_some() {
            let strides = constants.get::<i32>(1)?;
            if strides.len() != x.shape.rank() || !self.inside(&x.shape, strides.iter().copied()) {
                return Err(Error::Attribute);
            }
        }
        Ok(())
    }

    /// Without strides every element moves down or stays.
    fn overlap(&self, inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0 && inputs.optional(1).is_none()).then_some(0)
    }
}
