//! DepthwiseConv2D: each input channel by its own filters, with stride, dilation and explicit padding.

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Clamp, Reader};
use crate::ops::layer::{self, OPERANDS, entries};
use crate::ops::op::{Constants, Inferred, Inputs, Op};
use crate::ops::window::Window;
use crate::tensor::{Desc, Dtype};

/// Operands of a [`layer`]: input `[N,H,W,C]`, weights `[1,kh,kw,O]` with O a multiple of C, bias, constants, table.
/// Output channel `o` reads input channel `o / (O / C)`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DepthwiseConv2d {
    /// Strides, dilations and padding; padding contributes nothing to the sum.
    pub window: Window,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

entries!(depthwise_conv_2d true; F32_X86_AVX512);

impl Op for DepthwiseConv2d {
    const CODE: u16 = 2;
    const NAME: &'static str = "depthwise_conv_2d";
    const KERNELS: &'static [Entry] = ENTRIES;

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<24>(attributes)?;
        let op = DepthwiseConv2d { window: Window::parse(&mut r)?, clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(self.window.emit(Attr::new()))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, OPERANDS)?;
        let x = inputs.get(0)?;
        let [_, kh, kw, o] = inputs.get(1)?.shape.dims4()?;
        if o.checked_rem(x.shape.dim(3)) != Some(0) {
            return Err(Error::Shape);
        }
        let dtype = layer::infer(inputs, &[1, kh, kw, o], o, None)?;
        self.window.slide(x, [kh, kw], dtype, o)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        layer::check(inputs, outputs, constants, self.clamp, None)
    }

    fn scratch(&self, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
        layer::scratch::depthwise_conv_2d(self, inputs, outputs, id)
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
        let taps = w.shape.dim(1).wrapping_mul(w.shape.dim(2));
        (y.shape.elements() as u64).wrapping_mul(taps as u64)
    }
}
