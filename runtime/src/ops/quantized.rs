//! Quantization parameters, and checks of them that operators share.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::Rounding;
use crate::tensor::{Desc, Dtype};

/// One requantization constant for a whole tensor, in eight bytes of attributes: `[multiplier, shift]` as two
/// `i32` for [`Tflite`] and [`Single`], an `f32` and four zero bytes for [`Onnx`], zeros for floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerTensor([u32; 2]);

impl PerTensor {
    /// Nothing is requantized.
    pub const NONE: PerTensor = PerTensor([0; 2]);

    /// Multiplier and shift, as [`Tflite`] or [`Single`] define them.
    pub const fn fixed(multiplier: i32, shift: i32) -> Self {
        PerTensor([multiplier as u32, shift as u32])
    }

    /// The real multiplier.
    pub const fn float(scale: f32) -> Self {
        PerTensor([scale.to_bits(), 0])
    }

    /// Eight bytes of attributes.
    pub fn emit(self, attr: Attr) -> Attr {
        let [a, b] = self.0;
        attr.u32(a).u32(b)
    }

    /// The counterpart of [`PerTensor::emit`].
    #[inline(always)]
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        Ok(PerTensor([r.u32()?, r.u32()?]))
    }

    /// The constant as a way of rounding reads it.
    pub fn scale<R: Requant>(&self) -> Result<R::Scale> {
        let bytes = bytemuck::bytes_of(&self.0).get(..size_of::<R::Scale>()).ok_or(Error::Internal)?;
        bytemuck::try_pod_read_unaligned(bytes).map_err(|_| Error::Internal)
    }

    /// Refuses what is out of the range of `rounding`.
    pub fn check(&self, rounding: Rounding) -> Result<()> {
        let valid = match rounding {
            Rounding::Tflite => Tflite::valid(self.scale::<Tflite>()?),
            Rounding::Single => Single::valid(self.scale::<Single>()?),
            Rounding::Onnx => Onnx::valid(self.scale::<Onnx>()?) && matches!(self.0, [_, 0]),
            Rounding::None => return Err(Error::Attribute),
        };
        if valid { Ok(()) } else { Err(Error::Quantization) }
    }
}

/// The zero point must be a value of the tensor's own type.
#[cfg_attr(target_os = "none", inline(never))]
pub fn check_zero_point(d: &Desc) -> Result<()> {
    let ok = match d.dtype {
        Dtype::I8 => (-128..=127).contains(&d.zero_point),
        Dtype::U8 => (0..=255).contains(&d.zero_point),
        Dtype::I16 => (-32768..=32767).contains(&d.zero_point),
        Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            d.zero_point == 0
        }
    };
    if ok { Ok(()) } else { Err(Error::Quantization) }
}

/// A scale that divides: positive and finite, with the zero point in its type's range.
#[cfg_attr(target_os = "none", inline(never))]
pub fn check_scale(d: &Desc) -> Result<()> {
    check_zero_point(d)?;
    if d.scale.is_finite() && d.scale > 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

/// For operators that only move or select data: both tensors must mean the same by the same level.
#[cfg_attr(target_os = "none", inline(never))]
pub fn check_same(a: &Desc, b: &Desc) -> Result<()> {
    check_zero_point(a)?;
    let same = a.zero_point == b.zero_point && a.scale.to_bits() == b.scale.to_bits();
    if same { Ok(()) } else { Err(Error::Quantization) }
}

/// One multiplier and shift in attributes: in the rounding's range, and zero where the rounding has none.
pub fn check_multiplier(pair: [i32; 2], rounding: Rounding) -> Result<()> {
    let ok = match rounding {
        Rounding::Tflite => Tflite::valid(pair),
        Rounding::Single => Single::valid(pair),
        Rounding::Onnx | Rounding::None => pair == [0, 0],
    };
    if ok { Ok(()) } else { Err(Error::Quantization) }
}

/// What `rounding` needs of a tensor's own parameters: `onnx` divides by scales, the others only know zero points.
pub fn check_parameters(d: &Desc, rounding: Rounding) -> Result<()> {
    match rounding {
        Rounding::Onnx => check_scale(d),
        Rounding::Tflite | Rounding::Single | Rounding::None => check_zero_point(d),
    }
}

/// int16 levels have zero point 0 wherever integers are multiplied: their differences would not fit 16 bits.
pub fn check_symmetric(d: &Desc, rounding: Rounding) -> Result<()> {
    let free = d.dtype != Dtype::I16 || rounding == Rounding::Onnx || d.zero_point == 0;
    if free { Ok(()) } else { Err(Error::Quantization) }
}
