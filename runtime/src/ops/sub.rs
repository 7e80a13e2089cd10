//! Sub: [`Additive`] with the second operand negated.

use crate::kernels::reference::additive as reference;
use crate::ops::add::{self, Additive};
use crate::ops::op::Entry;

/// `a - b`.
pub type Sub = Additive<true>;

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry =
    Entry { name: "reference_sub_int8_tflite", run: reference::int8_tflite::<true>, ..add::INT8_TFLITE };
/// Single rounding, int8.
pub const INT8_SINGLE: Entry =
    Entry { name: "reference_sub_int8_single", run: reference::int8_single::<true>, ..add::INT8_SINGLE };
/// In floats, int8.
pub const INT8_ONNX: Entry =
    Entry { name: "reference_sub_int8_onnx", run: reference::int8_onnx::<true>, ..add::INT8_ONNX };
/// int32, wrapping.
pub const INT32: Entry = Entry { name: "reference_sub_int32", run: reference::int32::<true>, ..add::INT32 };
/// Float.
pub const F32: Entry = Entry { name: "reference_sub_f32", run: reference::f32::<true>, ..add::F32 };

/// Every entry.
pub const KERNELS: &[Entry] = &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT32, F32];
