//! AveragePool2D: the mean under a window of NHWC images.

use crate::error::{Error, Result};
#[cfg(all(feature = "mve", target_arch = "arm"))]
use crate::kernels::mve::pool;
use crate::kernels::portable::average_pool_2d as portable;
use crate::kernels::reference::average_pool_2d as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp, Reader};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding};
use crate::ops::pool::Pool;
use crate::ops::quantized::{check_same, check_scale};
use crate::tensor::{Desc, Dtype};

/// Operand: input `[N,H,W,C]`.
///
/// int8 and int16, with `count` the taps inside the image plus the counted padding (which holds real zeros):
/// - `tflite`: levels are averaged, `sum / count` rounded half away from zero; input and output share scale and
///   zero point (the packager requantizes otherwise).
/// - `single`: the same with half rounded up.
/// - `onnx`: levels are dequantized with the input's scale, summed in order and divided by `count` in f32,
///   divided by the output's scale and rounded half to even; the parameters may differ.
///
/// A dilated window without a tap in the image gives real zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AveragePool2d {
    /// The window.
    pub pool: Pool,
    /// How much of the padding on each side (top, left, bottom, right) enters the divisor: none for TFLite, all
    /// of it for ONNX's `count_include_pad`, less where `ceil_mode` has widened the padding.
    pub counted: [u16; 4],
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_average_pool_2d_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::int8_tflite,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_average_pool_2d_int8_single",
    roundings: &[Rounding::Single],
    run: reference::int8_single,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_average_pool_2d_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_average_pool_2d_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::int16_tflite,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_average_pool_2d_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::int16_single,
    ..INT8_SINGLE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_average_pool_2d_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16>,
    ..INT8_ONNX
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_average_pool_2d_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};
/// Float, channels side by side.
#[cfg(feature = "std")]
pub const F32_PORTABLE: Entry = Entry {
    name: "portable_average_pool_2d_f32",
    isa: Isa::Portable,
    run: crate::kernels::lanes::average_pool_2d::f32,
    ..F32
};

/// Float, channels in lanes.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
const F32_AVX512: Entry = Entry {
    name: "x86_avx512_average_pool_2d_f32",
    isa: Isa::X86Avx512,
    run: crate::kernels::x86_64::f32::avx512::average_pool_2d,
    ..F32
};
/// Float, channels in lanes.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
const F32_FMA: Entry = Entry {
    name: "x86_fma_average_pool_2d_f32",
    isa: Isa::X86Fma,
    run: crate::kernels::x86_64::f32::avx2::average_pool_2d,
    ..F32
};

#[cfg(all(feature = "std", target_arch = "x86_64"))]
macro_rules! x86 {
    ($module:ident $isa:ident $prefix:literal $plain:ident $suffix:literal $half_up:literal) => {
        Entry {
            name: concat!($prefix, "_average_pool_2d_int8_", $suffix),
            isa: Isa::$isa,
            run: crate::kernels::x86_64::int8::$module::average_pool_2d::<$half_up>,
            ..$plain
        }
    };
}

#[cfg(all(feature = "std", target_arch = "aarch64"))]
macro_rules! neon {
    ($plain:ident $suffix:literal $half_up:literal) => {
        Entry {
            name: concat!("neon_average_pool_2d_int8_", $suffix),
            isa: Isa::Neon,
            run: crate::kernels::aarch64::average_pool_2d::<$half_up>,
            ..$plain
        }
    };
}

/// TFLite rounding, int8, many channels at a time.
pub const PORTABLE_INT8_TFLITE: Entry = Entry {
    name: "portable_average_pool_2d_int8_tflite",
    isa: Isa::Portable,
    run: portable::int8_tflite::<portable::Plain>,
    ..INT8_TFLITE
};
/// Single rounding, int8, many channels at a time.
pub const PORTABLE_INT8_SINGLE: Entry = Entry {
    name: "portable_average_pool_2d_int8_single",
    isa: Isa::Portable,
    run: portable::int8_single::<portable::Plain>,
    ..INT8_SINGLE
};

/// TFLite rounding, int8, with Helium.
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub const MVE_INT8_TFLITE: Entry = Entry {
    name: "mve_average_pool_2d_int8_tflite",
    isa: Isa::CortexMMve,
    run: portable::int8_tflite::<pool::Vectors>,
    ..INT8_TFLITE
};
/// Single rounding, int8, with Helium.
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub const MVE_INT8_SINGLE: Entry = Entry {
    name: "mve_average_pool_2d_int8_single",
    isa: Isa::CortexMMve,
    run: portable::int8_single::<pool::Vectors>,
    ..INT8_SINGLE
};

impl AveragePool2d {
    /// Taps that enter the divisor at output row and column `at`, in the image or in counted padding.
    pub(crate) fn count(&self, [y, x]: [usize; 2], [height, width]: [usize; 2]) -> i32 {
        let (pool, [top, left, bottom, right]) = (&self.pool, self.counted);
        let rows = pool.window.taps(0, y, pool.height(), top as usize, height.wrapping_add(bottom as usize));
        let columns = pool.window.taps(1, x, pool.width(), left as usize, width.wrapping_add(right as usize));
        rows.len().wrapping_mul(columns.len()) as i32
    }
}

impl Op for AveragePool2d {
    const CODE: u16 = 10;
    const NAME: &'static str = "average_pool_2d";
    const KERNELS: &'static [Entry] = &[
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        x86!(vnni512 X86Avx512Vnni "x86_avx512_vnni" INT8_TFLITE "tflite" false),
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        x86!(vnni512 X86Avx512Vnni "x86_avx512_vnni" INT8_SINGLE "single" true),
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        x86!(avx2only X86Avx2 "x86_avx2" INT8_TFLITE "tflite" false),
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        x86!(avx2only X86Avx2 "x86_avx2" INT8_SINGLE "single" true),
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        neon!(INT8_TFLITE "tflite" false),
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        neon!(INT8_SINGLE "single" true),
        #[cfg(all(feature = "mve", target_arch = "arm"))]
        MVE_INT8_TFLITE,
        #[cfg(all(feature = "mve", target_arch = "arm"))]
        MVE_INT8_SINGLE,
        PORTABLE_INT8_TFLITE,
        PORTABLE_INT8_SINGLE,
        INT8_TFLITE,
        INT8_SINGLE,
        INT8_ONNX,
        INT16_TFLITE,
        INT16_SINGLE,
        INT16_ONNX,
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        F32_AVX512,
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        F32_FMA,
        #[cfg(feature = "std")]
        F32_PORTABLE,
        F32,
    ];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<36>(attributes)?;
        let op = AveragePool2d {
            pool: Pool::parse(&mut r)?,
            counted: [r.u16()?, r.u16()?, r.u16()?, r.u16()?],
            clamp: Clamp::parse(&mut r)?,
        };
        r.end()?;
        let ([t, l, b, r], [top, left, bottom, right]) = (op.counted, op.pool.window.pad);
        let within = t <= top && l <= left && b <= bottom && r <= right;
        // Keeps twice the sum of a window's int8 levels within 32 bits.
        let taps = u32::from(op.pool.size[0]) * u32::from(op.pool.size[1]);
        if within && taps <= 1 << 22 { Ok(op) } else { Err(Error::Attribute) }
    }

    fn emit(&self) -> Attr {
        let attr = self.counted.iter().fold(self.pool.emit(Attr::new()), |a, &c| a.u16(c));
        self.clamp.emit(attr)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        self.pool.infer(inputs)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let (x, y) = (inputs.get(0)?, outputs.first().ok_or(Error::Operand)?);
        self.clamp.check(y.dtype)?;
        match constants.rounding {
            Rounding::None => Ok(()),
            Rounding::Tflite | Rounding::Single => check_same(x, y),
            Rounding::Onnx => check_scale(x).and(check_scale(y)),
        }
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.pool.overlap(inputs, outputs, i, o)
    }

    fn overlap_descending(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.pool.overlap_descending(inputs, outputs, i, o)
    }

    fn macs(&self, _inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        self.pool.macs(outputs)
    }
}
