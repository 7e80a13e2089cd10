//! Div: elementwise quotient of floats with NumPy broadcasting and fused clamp.

use crate::error::{Error, Result};
use crate::kernels::reference::mul as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::broadcast;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::tensor::{Desc, Dtype};

/// Operands: a, b (float), either constant, of shapes that broadcast. Division by zero gives what IEEE 754 says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Div {
    /// Fused activation's range.
    pub clamp: Clamp,
}

/// Float.
pub const F32: Entry = Entry {
    id: 0,
    name: "reference_div_f32",
    dtypes: &[Dtype::F32],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: true,
    run: reference::div_f32,
};

impl Op for Div {
    const CODE: u16 = 7;
    const NAME: &'static str = "div";
    const KERNELS: &'static [Entry] = &[F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Div { clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(Attr::new())
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        broadcast::infer(inputs, &[Dtype::F32])
    }

    fn check(&self, _inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        self.clamp.check(outputs.first().ok_or(Error::Operand)?.dtype)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        broadcast::overlap(inputs, outputs, i, o)
    }
}
