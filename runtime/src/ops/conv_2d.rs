//! Conv2D: NHWC input, OHWI weights, with stride, dilation, explicit padding and groups.

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Clamp, Reader};
use crate::ops::layer::{self, OPERANDS, entries};
use crate::ops::op::{Constants, Inferred, Inputs, Op};
use crate::ops::window::Window;
use crate::tensor::{Desc, Dtype};

/// Operands of a [`layer`]: input `[N,H,W,C]`, weights `[O,kh,kw,C/groups]`, bias, constants, table.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2d {
    /// Strides, dilations and padding; padding contributes nothing to the sum.
    pub window: Window,
    /// Channel groups; divides C and O.
    pub groups: u16,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

entries!(conv_2d false, LANES);

impl Op for Conv2d {
    const CODE: u16 = 1;
    const NAME: &'static str = "conv_2d";
    const KERNELS: &'static [Entry] = ENTRIES;

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<26>(attributes)?;
        let op = Conv2d { window: Window::parse(&mut r)?, groups: r.u16()?, clamp: Clamp::parse(&mut r)? };
        r.end()?;
        if op.groups == 0 { Err(Error::Attribute) } else { Ok(op) }
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(self.window.emit(Attr::new()).u16(self.groups))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, OPERANDS)?;
        let x = inputs.get(0)?;
        let c = x.shape.dim(3);
        let [o, kh, kw, per_group] = inputs.get(1)?.shape.dims4()?;
        let groups = self.groups as usize;
        if per_group.checked_mul(groups) != Some(c) || o.checked_rem(groups) != Some(0) {
            return Err(Error::Shape);
        }
        let depth = kh.wrapping_mul(kw).wrapping_mul(per_group);
        let dtype = layer::infer(inputs, &[o, kh, kw, per_group], o, Some(depth))?;
        self.window.slide(x, [kh, kw], dtype, o)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        layer::check(inputs, outputs, constants, self.clamp, None)
    }

    fn scratch(&self, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
        layer::scratch::conv_2d(self, inputs, outputs, id)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.window.overlap(inputs, outputs, i, o)
    }

    fn overlap_descending(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let taps = inputs.optional(1)?.shape.dim(1);
        self.window.overlap_descending(inputs, outputs, i, o, taps)
    }

    fn macs(&self, inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        let (Ok(w), Some(y)) = (inputs.get(1), outputs.first()) else { return 0 };
        (y.shape.elements() as u64).wrapping_mul(w.shape.inner(0) as u64)
    }
}
