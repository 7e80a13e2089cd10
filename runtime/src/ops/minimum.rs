//! Minimum and Maximum: one definition with a direction, NumPy broadcasting, fused clamp.

use crate::error::{Error, Result};
use crate::kernels::reference::extremum as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::broadcast;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::check_same;
use crate::tensor::{Desc, Dtype};

/// The lesser of two operands.
pub type Minimum = Extremum<false>;

/// Operands: a, b, either constant, of shapes that broadcast, any type but bool. Both have the output's scale and
/// zero point, so nothing is rescaled. A NaN in either operand gives NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Extremum<const MAX: bool> {
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// int8.
pub const INT8: Entry = Entry {
    id: 0,
    name: "reference_minimum_int8",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::integer::<false, i8>,
};
/// uint8.
pub const UINT8: Entry = Entry {
    name: "reference_minimum_uint8",
    dtypes: &[Dtype::U8],
    run: reference::integer::<false, u8>,
    ..INT8
};
/// int16.
pub const INT16: Entry = Entry {
    name: "reference_minimum_int16",
    dtypes: &[Dtype::I16],
    run: reference::integer::<false, i16>,
    ..INT8
};
/// int32.
pub const INT32: Entry = Entry {
    name: "reference_minimum_int32",
    dtypes: &[Dtype::I32],
    run: reference::integer::<false, i32>,
    ..INT8
};
/// Float.
pub const F32: Entry =
    Entry { name: "reference_minimum_f32", dtypes: &[Dtype::F32], run: reference::f32::<false>, ..INT8 };

impl<const MAX: bool> Op for Extremum<MAX> {
    const CODE: u16 = if MAX { 9 } else { 8 };
    const NAME: &'static str = if MAX { "maximum" } else { "minimum" };
    const KERNELS: &'static [Entry] =
        if MAX { super::maximum::KERNELS } else { &[INT8, UINT8, INT16, INT32, F32] };

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Extremum { clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(Attr::new())
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        broadcast::infer(inputs, &[Dtype::I8, Dtype::U8, Dtype::I16, Dtype::I32, Dtype::F32])
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        check_same(inputs.get(0)?, y)?;
        check_same(inputs.get(1)?, y)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        broadcast::overlap(inputs, outputs, i, o)
    }
}
