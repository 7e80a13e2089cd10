//! DepthwiseConv2D: each input channel by its own filters, with stride, dilation and explicit padding.

use crate::error::{Error, Result};
use crate::kernels::reference::depthwise_conv_2d as reference;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, constant, reader};
use crate::ops::quantized::{check_bias, check_channels, requant_operand};
use crate::ops::window::Window;
use crate::tensor::{Desc, Dtype, Shape};

/// Operands: input `[N,H,W,C]`, weights `[1,kh,kw,O]` with O a multiple of C (constant, zero point 0),
/// bias `[O]` (constant, optional; int32 or float), requantization constants `[O,2]` int32 or `[O]` float
/// (constant; absent for floats). Output channel `o` reads input channel `o / (O / C)`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DepthwiseConv2d {
    /// Strides, dilations and padding; padding contributes nothing to the sum.
    pub window: Window,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_depthwise_conv_2d_int8_tflite",
    dtypes: &[Dtype::I8],
    roundings: &[Rounding::Tflite],
    isa: Isa::Portable,
    overlap: true,
    run: reference::int8::<crate::kernels::fixed::Tflite>,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_depthwise_conv_2d_int8_single",
    roundings: &[Rounding::Single],
    run: reference::int8::<crate::kernels::fixed::Single>,
    ..INT8_TFLITE
};
/// Float requantization, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_depthwise_conv_2d_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::int8::<crate::kernels::fixed::Onnx>,
    ..INT8_TFLITE
};
/// Float.
pub const F32: Entry = Entry {
    id: 0,
    name: "reference_depthwise_conv_2d_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    isa: Isa::Portable,
    overlap: true,
    run: reference::f32,
};
/// Float with FMA3 and AVX2: the same bits, faster.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub const F32_X86_FMA: Entry = Entry {
    name: "x86_fma_depthwise_conv_2d_f32",
    isa: Isa::X86Fma,
    run: crate::kernels::x86_64::fma::depthwise_conv_2d,
    ..F32
};

impl Op for DepthwiseConv2d {
    const CODE: u16 = 2;
    const NAME: &'static str = "depthwise_conv_2d";
    const KERNELS: &'static [Entry] = &[
        INT8_TFLITE,
        INT8_SINGLE,
        INT8_ONNX,
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        F32_X86_FMA,
        F32,
    ];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = DepthwiseConv2d { window: Window::parse(&mut r)?, clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(self.window.emit(Attr::new()))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, 4)?;
        let x = inputs.get(0)?;
        if !matches!(x.dtype, Dtype::I8 | Dtype::F32) {
            return Err(Error::Dtype);
        }
        let [n, h, w, c] = x.shape.dims4()?;
        let [_, kh, kw, o] = inputs.get(1)?.shape.dims4()?;
        if o.checked_rem(c) != Some(0) {
            return Err(Error::Shape);
        }
        constant(inputs, 1, x.dtype, &[1, kh, kw, o])?;
        check_bias(inputs, 2, o)?;
        let [oh, ow] = self.window.output([h, w], [kh, kw])?;
        Ok(Inferred::one(x.dtype, Shape::new(&[n as u32, oh as u32, ow as u32, o as u32])?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        check_channels(inputs, y, constants, requant_operand(3), y.shape.dim(3))
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        if i == 0 && o == 0 { self.window.overlap(inputs.get(0).ok()?, outputs.first()?) } else { None }
    }

    fn overlap_descending(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let (x, taps, y) = (inputs.get(0).ok()?, inputs.get(1).ok()?.shape.dim(1), outputs.first()?);
        if i == 0 && o == 0 { self.window.overlap_descending(x, y, taps) } else { None }
    }

    fn macs(&self, inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        let (Ok(w), Some(y)) = (inputs.get(1), outputs.first()) else { return 0 };
        let taps = w.shape.dim(1).wrapping_mul(w.shape.dim(2));
        (y.shape.elements() as u64).wrapping_mul(taps as u64)
    }
}
