//! Cast: the same numbers in another element type.

use crate::error::{Error, Result};
use crate::kernels::reference::cast as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype};

/// Operands: any tensor without scale. Attributes: the output's [`Dtype`] as `u8`.
///
/// Integers wrap into narrower ones; floats are cut towards zero and saturate, NaN becomes 0; integers become
/// the nearest float; bool is whether the number differs from 0, so that NaN is true.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cast {
    /// The output's element type.
    pub to: Dtype,
}

/// Between any two element types.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_cast_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::any,
};

impl Op for Cast {
    const CODE: u16 = 33;
    const NAME: &'static str = "cast";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let to = Dtype::from_wire(r.u8()?).map_err(|_| Error::Attribute)?;
        r.end()?;
        Ok(Cast { to })
    }

    fn emit(&self) -> Attr {
        Attr::new().u8(self.to as u8)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        let computed = !x.dtype.is_constant_only() && !self.to.is_constant_only();
        if computed { Ok(Inferred::one(self.to, x.shape)) } else { Err(Error::Dtype) }
    }

    /// Levels of a quantized tensor are not its numbers: those need quantize or dequantize.
    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        let plain = |d: &Desc| d.scale == 0.0 && d.zero_point == 0;
        let both = plain(inputs.get(0)?) && plain(outputs.first().ok_or(Error::Operand)?);
        if both { Ok(()) } else { Err(Error::Quantization) }
    }

    /// Ascending order never overtakes an input whose elements are as large, or that lies far enough ahead.
    fn overlap(&self, inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let x = inputs.get(0).ok()?;
        let growth = self.to.size().saturating_sub(x.dtype.size());
        // While the last element is written, it must have been read: element k ends at (k + 1) * size.
        (i == 0 && o == 0).then(|| x.shape.elements().wrapping_sub(1).wrapping_mul(growth))
    }
}
