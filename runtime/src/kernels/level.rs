//! Quantized element types, read and written as `i32` levels; and the float conversions of the Q/DQ form.

use bytemuck::Pod;

use crate::kernels::fixed::{limit, round_half_even};
use crate::tensor::Desc;

/// An integer element type that holds quantized values.
pub trait Level: Pod {
    /// As `i32`.
    fn widen(self) -> i32;

    /// From `i32`, saturating.
    fn narrow(level: i32) -> Self;

    /// From an `i32` that a checked clamp has limited to the type.
    fn exact(level: i32) -> Self;
}

macro_rules! level {
    ($($t:ty),*) => {$(
        impl Level for $t {
            #[inline(always)]
            fn widen(self) -> i32 {
                self as i32
            }

            #[inline(always)]
            fn narrow(level: i32) -> Self {
                limit(level, <$t>::MIN as i32, <$t>::MAX as i32) as $t
            }

            #[inline(always)]
            fn exact(level: i32) -> Self {
                level as $t
            }
        }
    )*};
}

level!(i8, u8, i16, i32);

/// The nearest `i32`.
#[inline(always)]
pub fn saturate(x: i64) -> i32 {
    if x < i32::MIN as i64 {
        i32::MIN
    } else if x > i32::MAX as i64 {
        i32::MAX
    } else {
        x as i32
    }
}

/// Scale and zero point of one tensor, for arithmetic in floats.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    scale: f32,
    zero_point: i32,
}

impl Affine {
    /// From a tensor's description.
    pub fn of(desc: &Desc) -> Self {
        Affine { scale: desc.scale, zero_point: desc.zero_point }
    }

    /// ONNX DequantizeLinear: `(level - zero_point) * scale`.
    #[inline(always)]
    pub fn real(self, level: i32) -> f32 {
        level.wrapping_sub(self.zero_point) as f32 * self.scale
    }

    /// ONNX QuantizeLinear before saturation to the type: `x / scale`, ties to even, plus the zero point.
    /// NaN gives the zero point.
    #[inline(always)]
    pub fn level(self, x: f32) -> i32 {
        round_half_even(x / self.scale).saturating_add(self.zero_point)
    }

    /// TFLite's AffineQuantize before saturation to the type: as [`Affine::level`] with ties away from zero.
    #[inline(always)]
    pub fn level_half_away(self, x: f32) -> i32 {
        (libm::roundf(x / self.scale) as i32).saturating_add(self.zero_point)
    }
}
