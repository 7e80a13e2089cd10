//! Sub: [`Additive`] with the second operand negated.

use crate::kernels::portable::additive as portable;
use crate::kernels::reference::additive as reference;
#[cfg(all(feature = "std", target_arch = "aarch64"))]
use crate::ops::add::neon;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use crate::ops::add::x86;
use crate::ops::add::{self, Additive, LEFT_SHIFT, LEFT_SHIFT_INT16};
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
use crate::ops::op::Rounding;
use crate::ops::op::{Entry, Isa};

/// `a - b`.
pub type Sub = Additive<true>;

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    name: "reference_sub_int8_tflite",
    run: reference::tflite::<i8, LEFT_SHIFT, true>,
    ..add::INT8_TFLITE
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry =
    Entry { name: "reference_sub_int8_single", run: reference::int8_single::<true>, ..add::INT8_SINGLE };
/// In floats, int8.
pub const INT8_ONNX: Entry =
    Entry { name: "reference_sub_int8_onnx", run: reference::onnx::<i8, true>, ..add::INT8_ONNX };
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_sub_int16_tflite",
    run: reference::tflite::<i16, LEFT_SHIFT_INT16, true>,
    ..add::INT16_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry =
    Entry { name: "reference_sub_int16_single", run: reference::int16_single::<true>, ..add::INT16_SINGLE };
/// In floats, int16.
pub const INT16_ONNX: Entry =
    Entry { name: "reference_sub_int16_onnx", run: reference::onnx::<i16, true>, ..add::INT16_ONNX };
/// int32, wrapping.
pub const INT32: Entry = Entry { name: "reference_sub_int32", run: reference::int32::<true>, ..add::INT32 };
/// Float.
pub const F32: Entry = Entry { name: "reference_sub_f32", run: reference::f32::<true>, ..add::F32 };

/// TFLite rounding, int8, without long multiplications where the processor has none.
pub const PORTABLE_INT8_TFLITE: Entry = Entry {
    name: "portable_sub_int8_tflite",
    isa: Isa::Portable,
    run: portable::int8_tflite::<true>,
    ..INT8_TFLITE
};

/// Every entry.
pub const KERNELS: &[Entry] = crate::ops::op::kept!(LIST);

const LIST: &[Entry] = &[
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(sub vnni512 X86Avx512Vnni "x86_avx512_vnni" tflite Tflite true),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(sub vnni512 X86Avx512Vnni "x86_avx512_vnni" single Single true),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(sub avx2only X86Avx2 "x86_avx2" tflite Tflite true),
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    x86!(sub avx2only X86Avx2 "x86_avx2" single Single true),
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    neon!(sub tflite Tflite true),
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    neon!(sub single Single true),
    PORTABLE_INT8_TFLITE,
    INT8_TFLITE,
    INT8_SINGLE,
    INT8_ONNX,
    INT16_TFLITE,
    INT16_SINGLE,
    INT16_ONNX,
    INT32,
    F32,
];
