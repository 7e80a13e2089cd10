//! ArgMax: where along one axis the largest element is.

use crate::error::{Error, Result};
use crate::kernels::reference::arg_max as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: int8, int16 or float tensor of rank 1 or more. Output: int32 indices. Attributes: `axis`, `last`, `keep_dims`, one
/// byte each.
///
/// NaN loses against every number; where there is nothing else, the result is the first (or last) index.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ArgMax {
    /// Below the input's rank.
    pub axis: u8,
    /// Of equal elements the last one, not the first: ONNX's `select_last_index`.
    pub last: bool,
    /// Keep the axis with length 1 rather than drop it.
    pub keep_dims: bool,
}

/// int8.
pub const INT8: Entry = Entry {
    id: 0,
    name: "reference_arg_max_int8",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: false,
    run: reference::levels::<i8>,
};
/// int16.
pub const INT16: Entry =
    Entry { name: "reference_arg_max_int16", dtypes: &[Dtype::I16], run: reference::levels::<i16>, ..INT8 };
/// Float.
pub const F32: Entry =
    Entry { name: "reference_arg_max_f32", dtypes: &[Dtype::F32], run: reference::f32, ..INT8 };

impl Op for ArgMax {
    const CODE: u16 = 30;
    const NAME: &'static str = "arg_max";
    const KERNELS: &'static [Entry] = &[INT8, INT16, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = ArgMax { axis: r.u8()?, last: r.flag()?, keep_dims: r.flag()? };
        r.end()?;
        if (op.axis as usize) < MAX_RANK { Ok(op) } else { Err(Error::Attribute) }
    }

    fn emit(&self) -> Attr {
        Attr::new().u8(self.axis).u8(u8::from(self.last)).u8(u8::from(self.keep_dims))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if !matches!(x.dtype, Dtype::I8 | Dtype::I16 | Dtype::F32) {
            return Err(Error::Dtype);
        }
        let axis = self.axis as usize;
        if axis >= x.shape.rank() {
            return Err(Error::Shape);
        }
        let mut dims = [1u32; MAX_RANK];
        let kept = x.shape.dims().iter().enumerate().filter(|&(a, _)| self.keep_dims || a != axis);
        for (slot, (a, &d)) in dims.iter_mut().zip(kept) {
            *slot = if a == axis { 1 } else { d };
        }
        let rank = x.shape.rank() - usize::from(!self.keep_dims);
        Ok(Inferred::one(Dtype::I32, Shape::new(dims.get(..rank).ok_or(Error::Internal)?)?))
    }

    fn check(&self, _inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        // Indices are plain numbers.
        if y.scale == 0.0 && y.zero_point == 0 { Ok(()) } else { Err(Error::Quantization) }
    }

    fn macs(&self, inputs: &Inputs<'_>, _outputs: &[Desc]) -> u64 {
        inputs.get(0).map_or(0, |x| x.shape.elements() as u64)
    }
}
