//! What the reductions share: the set of axes, and inference.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Requant, Single, Tflite};
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::{Inferred, Inputs, Rounding};
use crate::ops::quantized::{check_scale, check_symmetric, check_zero_point};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Which axes are reduced, and whether they stay as dimensions of 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reduce {
    /// Bit `k` is set where axis `k` is reduced; no bit reduces nothing.
    pub axes: u8,
    /// Whether reduced axes remain with size 1; otherwise they are dropped.
    pub keep_dims: bool,
}

impl Reduce {
    /// Two bytes of attributes.
    pub fn emit(&self, attr: Attr) -> Attr {
        attr.u8(self.axes).u8(u8::from(self.keep_dims))
    }

    /// The counterpart of [`Reduce::emit`].
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        let reduce = Reduce { axes: r.u8()?, keep_dims: r.flag()? };
        if u32::from(reduce.axes) >> MAX_RANK == 0 { Ok(reduce) } else { Err(Error::Attribute) }
    }

    /// Whether axis `k` is reduced.
    pub fn reduces(&self, k: usize) -> bool {
        u32::from(self.axes).checked_shr(k as u32).is_some_and(|bits| bits & 1 == 1)
    }

    /// Type and shape of the result; int8, int16 and floats only.
    pub fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if !matches!(x.dtype, Dtype::I8 | Dtype::I16 | Dtype::F32) {
            return Err(Error::Dtype);
        }
        if u32::from(self.axes) >> x.shape.rank() != 0 {
            return Err(Error::Attribute);
        }
        let mut dims = [1u32; MAX_RANK];
        let mut slots = dims.iter_mut();
        let mut rank = 0;
        for (k, &d) in x.shape.dims().iter().enumerate() {
            if self.reduces(k) && !self.keep_dims {
                continue;
            }
            *slots.next().ok_or(Error::Shape)? = if self.reduces(k) { 1 } else { d };
            rank += 1;
        }
        Ok(Inferred::one(x.dtype, Shape::new(dims.get(..rank).ok_or(Error::Shape)?)?))
    }

    /// How many elements one result is made of.
    pub fn count(&self, x: &Shape) -> usize {
        let reduced = x.dims().iter().enumerate().filter(|(k, _)| self.reduces(*k));
        reduced.fold(1usize, |n, (_, &d)| n.wrapping_mul(d as usize))
    }

    /// Elements read in one run.
    pub fn macs(&self, inputs: &Inputs<'_>) -> u64 {
        inputs.get(0).map_or(0, |x| x.shape.elements() as u64)
    }
}

/// Quantization of a rescaling reduction: `scale` must be a valid `[multiplier, shift]` of the step's rounding,
/// and `[0, 0]` where that rounding uses the tensors' own scales instead.
pub fn check_rescaled(x: &Desc, y: &Desc, scale: [i32; 2], rounding: Rounding) -> Result<()> {
    let unused = if scale == [0, 0] { Ok(()) } else { Err(Error::Quantization) };
    let valid = match rounding {
        Rounding::None => return unused,
        Rounding::Onnx => return check_scale(x).and(check_scale(y)).and(unused),
        Rounding::Tflite => Tflite::valid(scale),
        Rounding::Single => Single::valid(scale),
    };
    for d in [x, y] {
        check_zero_point(d)?;
        check_symmetric(d, rounding)?;
    }
    if valid { Ok(()) } else { Err(Error::Quantization) }
}
