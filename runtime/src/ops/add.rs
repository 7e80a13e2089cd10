//! Add and Sub: one definition with a sign, NumPy broadcasting, fused clamp.

use crate::error::{Error, Result};
#[cfg(all(feature = "mve", target_arch = "arm"))]
use crate::kernels::mve::additive as mve;
use crate::kernels::portable::additive as portable;
use crate::kernels::reference::additive as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::broadcast;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::{check_parameters, check_symmetric};
use crate::tensor::{Desc, Dtype};

/// `a + b`.
pub type Add = Additive<false>;

/// Levels of int8 inputs are shifted left by this before they are scaled (TFLite rounding).
pub const LEFT_SHIFT: u32 = 20;
/// As [`LEFT_SHIFT`], for int16.
pub const LEFT_SHIFT_INT16: u32 = 15;

/// Operands: a, b, either constant, of shapes that broadcast. int8 or int16 (one scale per tensor; int16 with
/// zero point 0 but under `onnx`), int32 (wrapping, not quantized) or float.
///
/// The constants mean, by rounding, with `s` the scales of a, b and the output:
/// - `tflite`: `left`, `right`, `output` are `[multiplier, shift]` as [`Tflite`](crate::kernels::fixed::Tflite)
///   has them, shifts -31..=0, for the reals `s_a / (2 max(s_a, s_b))`, `s_b / (2 max(s_a, s_b))` and
///   `2 max(s_a, s_b) / (2^20 s_out)`, for int16 `2^15`.
/// - `single`: the result is `(x_a * left[0] + x_b * right[0] + 2^(n-1)) >> n` with `n = output[1]` in 0..=30
///   (no addend for 0), where `left[0] / 2^n` stands for `s_a / s_out`, `right[0] / 2^n` for `s_b / s_out`;
///   for int8 `255 (left[0] + right[0]) + 2^n` stays below 2^31; int16 sums in 64 bits. The other numbers are 0.
/// - `onnx`, int32 and float: all 0; `onnx` computes in floats from the tensors' own parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Additive<const SUB: bool> {
    /// Constant of operand a.
    pub left: [i32; 2],
    /// Constant of operand b.
    pub right: [i32; 2],
    /// Constant of the sum.
    pub output: [i32; 2],
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_add_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::tflite::<i8, LEFT_SHIFT, false>,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_add_int8_single",
    roundings: &[Rounding::Single],
    run: reference::int8_single::<false>,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_add_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8, false>,
    ..INT8_TFLITE
};
/// TFLite rounding, int8, with the DSP extension.
#[cfg(all(feature = "dsp", target_arch = "arm"))]
pub const DSP_INT8_TFLITE: Entry = Entry {
    name: "dsp_add_int8_tflite",
    isa: Isa::CortexMDsp,
    run: crate::kernels::arm_dsp::add::int8_tflite,
    ..INT8_TFLITE
};
/// Single rounding, int8, with the DSP extension.
#[cfg(all(feature = "dsp", target_arch = "arm"))]
pub const DSP_INT8_SINGLE: Entry = Entry {
    name: "dsp_add_int8_single",
    isa: Isa::CortexMDsp,
    run: crate::kernels::arm_dsp::add::int8_single,
    ..INT8_SINGLE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_add_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::tflite::<i16, LEFT_SHIFT_INT16, false>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_add_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::int16_single::<false>,
    ..INT8_SINGLE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_add_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16, false>,
    ..INT8_ONNX
};
/// int32, wrapping.
pub const INT32: Entry = Entry {
    name: "reference_add_int32",
    dtypes: &[Dtype::I32],
    roundings: &[Rounding::None],
    run: reference::int32::<false>,
    ..INT8_TFLITE
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_add_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32::<false>,
    ..INT8_TFLITE
};

/// TFLite rounding, int8, without long multiplications where the processor has none.
pub const PORTABLE_INT8_TFLITE: Entry = Entry {
    name: "portable_add_int8_tflite",
    isa: Isa::Portable,
    run: portable::int8_tflite::<false>,
    ..INT8_TFLITE
};
/// TFLite rounding, int8, with Helium.
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub const MVE_INT8_TFLITE: Entry =
    Entry { name: "mve_add_int8_tflite", isa: Isa::CortexMMve, run: mve::int8_tflite, ..INT8_TFLITE };
/// Single rounding, int8, with Helium.
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub const MVE_INT8_SINGLE: Entry =
    Entry { name: "mve_add_int8_single", isa: Isa::CortexMMve, run: mve::int8_single, ..INT8_SINGLE };

/// Entries for x86-64 of Add or, where the last argument says so, Sub.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
macro_rules! x86 {
    ($op:ident $module:ident $isa:ident $prefix:literal tflite $rounding:ident $sub:literal) => {
        x86!(@$op $module $isa $prefix "tflite" $rounding $sub add_tflite)
    };
    ($op:ident $module:ident $isa:ident $prefix:literal single $rounding:ident $sub:literal) => {
        x86!(@$op $module $isa $prefix "single" $rounding $sub add_single)
    };
    (@$op:ident $module:ident $isa:ident $prefix:literal $suffix:literal $rounding:ident $sub:literal $run:ident) => {
        Entry {
            name: concat!($prefix, "_", stringify!($op), "_int8_", $suffix),
            roundings: &[Rounding::$rounding],
            isa: Isa::$isa,
            run: crate::kernels::x86_64::int8::$module::$run::<$sub>,
            ..crate::ops::add::INT8_TFLITE
        }
    };
}
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use x86;

/// Entries for 64-bit Arm of Add or, where the last argument says so, Sub.
#[cfg(all(feature = "std", target_arch = "aarch64"))]
macro_rules! neon {
    ($op:ident $run:ident $rounding:ident $sub:literal) => {
        Entry {
            name: concat!("neon_", stringify!($op), "_int8_", stringify!($run)),
            roundings: &[Rounding::$rounding],
            isa: Isa::Neon,
            run: crate::kernels::aarch64::add::$run::<$sub>,
            ..crate::ops::add::INT8_TFLITE
        }
    };
}
#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub(super) use neon;

/// Every entry of Add.
pub const KERNELS: &[Entry] = crate::ops::op::kept!(LIST);

const LIST: &[Entry] = &[
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(add vnni512 X86Avx512Vnni "x86_avx512_vnni" tflite Tflite false),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(add vnni512 X86Avx512Vnni "x86_avx512_vnni" single Single false),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(add avx2only X86Avx2 "x86_avx2" tflite Tflite false),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(add avx2only X86Avx2 "x86_avx2" single Single false),
    #[cfg(all(feature = "dsp", target_arch = "arm"))]
    DSP_INT8_TFLITE,
    #[cfg(all(feature = "dsp", target_arch = "arm"))]
    DSP_INT8_SINGLE,
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    neon!(add tflite Tflite false),
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    neon!(add single Single false),
    #[cfg(all(feature = "mve", target_arch = "arm"))]
    MVE_INT8_TFLITE,
    #[cfg(all(feature = "mve", target_arch = "arm"))]
    MVE_INT8_SINGLE,
    PORTABLE_INT8_TFLITE,
    INT8_TFLITE,
    INT8_SINGLE,
    INT8_ONNX,
    INT16_TFLITE,
    INT16_SINGLE,
    INT16_ONNX,
    INT32,
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    Entry {
        name: "x86_avx512_add_f32",
        isa: Isa::X86Avx512,
        run: crate::kernels::x86_64::f32::avx512::add,
        ..F32
    },
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    Entry { name: "x86_fma_add_f32", isa: Isa::X86Fma, run: crate::kernels::x86_64::f32::avx2::add, ..F32 },
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    Entry { name: "neon_add_f32", isa: Isa::Neon, run: crate::kernels::aarch64::f32::add, ..F32 },
    F32,
];

impl<const SUB: bool> Additive<SUB> {
    /// Without quantization constants: floats, int32 and `onnx`.
    pub const fn plain(clamp: Clamp) -> Self {
        Additive { left: [0; 2], right: [0; 2], output: [0; 2], clamp }
    }

    fn constants_fit(&self, dtype: Dtype, rounding: Rounding) -> bool {
        let pairs = [self.left, self.right, self.output];
        match rounding {
            Rounding::Tflite => pairs.iter().all(|&[m, s]| m >= 0 && (-31..=0).contains(&s)),
            Rounding::Single => {
                let ([left, 0], [right, 0], [0, n]) = (self.left, self.right, self.output) else {
                    return false;
                };
                let most = 255i64 * (left as i64 + right as i64) + (1i64 << (n & 31));
                let fits = dtype == Dtype::I16 || most <= i32::MAX as i64;
                left >= 0 && right >= 0 && (0..=30).contains(&n) && fits
            }
            Rounding::Onnx | Rounding::None => pairs == [[0; 2]; 3],
        }
    }
}

impl<const SUB: bool> Op for Additive<SUB> {
    const CODE: u16 = if SUB { 5 } else { 4 };
    const NAME: &'static str = if SUB { "sub" } else { "add" };
    const KERNELS: &'static [Entry] = if SUB { super::sub::KERNELS } else { KERNELS };

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = Additive {
            left: [r.i32()?, r.i32()?],
            right: [r.i32()?, r.i32()?],
            output: [r.i32()?, r.i32()?],
            clamp: Clamp::parse(&mut r)?,
        };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        let pairs = [self.left, self.right, self.output];
        self.clamp.emit(pairs.iter().flatten().fold(Attr::new(), |a, &v| a.i32(v)))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        broadcast::infer(inputs, &[Dtype::I8, Dtype::I16, Dtype::I32, Dtype::F32])
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        for d in [a, b, y] {
            check_parameters(d, constants.rounding)?;
            check_symmetric(d, constants.rounding)?;
        }
        if self.constants_fit(y.dtype, constants.rounding) { Ok(()) } else { Err(Error::Quantization) }
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        broadcast::overlap(inputs, outputs, i, o)
    }
}
