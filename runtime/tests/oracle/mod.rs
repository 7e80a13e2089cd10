//! Tensors and data for the operators' case files.

use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Shape};

/// A quantized activation.
pub(crate) fn int8(dims: &[u32], scale: f32, zero_point: i32, data: &[i8]) -> Value {
    Value::new(Desc { scale, zero_point, ..Desc::new(Dtype::I8, Shape::new(dims).unwrap()) }, data).unwrap()
}

/// A quantized activation of 16 bits.
#[allow(dead_code)] // not every file that includes this has one
pub(crate) fn int16(dims: &[u32], scale: f32, zero_point: i32, data: &[i16]) -> Value {
    Value::new(Desc { scale, zero_point, ..Desc::new(Dtype::I16, Shape::new(dims).unwrap()) }, data).unwrap()
}

/// A float activation.
pub(crate) fn float(dims: &[u32], data: &[f32]) -> Value {
    Value::new(Desc::new(Dtype::F32, Shape::new(dims).unwrap()), data).unwrap()
}

#[allow(dead_code)] // not every file that includes this compares floats
/// Whether floats agree within rounding of a sum of moderate length.
pub(crate) fn close(a: f32, b: f64) -> bool {
    (a as f64 - b).abs() <= 1e-5 + 1e-5 * b.abs()
}

/// A deterministic stream of small numbers, for data whose exact values do not matter.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// Next number in `lo..=hi`.
    pub(crate) fn int(&mut self, lo: i64, hi: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        lo + ((self.0 >> 33) as i64).rem_euclid(hi - lo + 1)
    }

    /// `n` levels of int8.
    pub(crate) fn int8(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.int(-128, 127) as i8).collect()
    }

    /// `n` levels of int16; every third at an end of the range, so that sums grow.
    #[allow(dead_code)] // not every file that includes this has 16 bits
    pub(crate) fn int16(&mut self, n: usize) -> Vec<i16> {
        (0..n).map(|k| if k % 3 == 0 { -32768 } else { self.int(-32768, 32767) as i16 }).collect()
    }

    /// `n` floats in -2..2.
    pub(crate) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.int(-20000, 20000) as f32 / 10000.0).collect()
    }
}
