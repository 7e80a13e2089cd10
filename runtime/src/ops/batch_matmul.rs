//! BatchMatMul: matrix products of two tensors that may both be computed at run time.

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Single, Tflite};
use crate::kernels::reference::batch_matmul as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Clamp};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::quantized::{PerTensor, check_symmetric, check_zero_point};
use crate::tensor::{Desc, Dtype, MAX_RANK, Shape};

/// Operands: left `[…,M,K]` and right `[…,K,N]`, constant or not, of one element type; the dimensions in front of
/// the matrices are broadcast against each other. Output `[…,M,N]`.
///
/// int8 sums `(left - zero) * (right - zero)` in int32 that wraps, which cannot happen for K up to 33,025; int16 in
/// int64, with zero points of 0 but under `onnx`. From there `tflite` rounds int16 once, by 16 bits of the multiplier,
/// as TFLite does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchMatmul {
    /// Left holds its matrices transposed, `[…,K,M]`.
    pub adj_x: bool,
    /// Right holds its matrices transposed, `[…,N,K]`.
    pub adj_y: bool,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
    /// int8 and int16: left scale * right scale / output scale; [`PerTensor::NONE`] for floats. Under `single` int16's
    /// shift reaches from -31 to 30.
    pub requant: PerTensor,
}

/// TFLite rounding, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_batch_matmul_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: false,
    run: reference::int8::<Tflite>,
};
/// Single rounding, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_batch_matmul_int8_single",
    roundings: &[Rounding::Single],
    run: reference::int8::<Single>,
    ..INT8_TFLITE
};
/// Float requantization, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_batch_matmul_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::int8::<Onnx>,
    ..INT8_TFLITE
};
/// TFLite rounding, int16.
pub const INT16_TFLITE: Entry = Entry {
    name: "reference_batch_matmul_int16_tflite",
    dtypes: &[Dtype::I16],
    run: reference::int16::<Tflite>,
    ..INT8_TFLITE
};
/// Single rounding, int16.
pub const INT16_SINGLE: Entry = Entry {
    name: "reference_batch_matmul_int16_single",
    dtypes: &[Dtype::I16],
    run: reference::int16::<Single>,
    ..INT8_SINGLE
};
/// Float requantization, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_batch_matmul_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::int16::<Onnx>,
    ..INT8_ONNX
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_batch_matmul_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};
/// Float, with AVX-512.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub const F32_X86_AVX512: Entry = Entry {
    name: "x86_avx512_batch_matmul_f32",
    isa: Isa::X86Avx512,
    run: crate::kernels::x86_64::fma::batch_matmul_avx512,
    ..F32
};
/// Float, with NEON.
#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub const F32_NEON: Entry = Entry {
    name: "neon_batch_matmul_f32",
    isa: Isa::Neon,
    run: crate::kernels::aarch64::f32::batch_matmul,
    ..F32
};
/// Float, with FMA3 and AVX2.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub const F32_X86_FMA: Entry = Entry {
    name: "x86_fma_batch_matmul_f32",
    isa: Isa::X86Fma,
    run: crate::kernels::x86_64::fma::batch_matmul,
    ..F32
};

/// Rows, depth and columns of the product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Rows of left and of the output.
    pub rows: usize,
    /// What is summed over.
    pub depth: usize,
    /// Columns of right and of the output.
    pub columns: usize,
}

impl BatchMatmul {
    /// Matrix sizes, transpositions resolved.
    pub fn sizes(&self, left: &Shape, right: &Shape) -> Result<Sizes> {
        if left.rank() < 2 || right.rank() < 2 {
            return Err(Error::Shape);
        }
        let [.., x, y] = left.aligned();
        let (rows, depth) = if self.adj_x { (y, x) } else { (x, y) };
        let [.., x, y] = right.aligned();
        let (inner, columns) = if self.adj_y { (y, x) } else { (x, y) };
        if inner == depth { Ok(Sizes { rows, depth, columns }) } else { Err(Error::Shape) }
    }
}

impl Op for BatchMatmul {
    const CODE: u16 = 31;
    const NAME: &'static str = "batch_matmul";
    const KERNELS: &'static [Entry] = &[
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        F32_X86_AVX512,
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        F32_X86_FMA,
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        F32_NEON,
        INT8_TFLITE,
        INT8_SINGLE,
        INT8_ONNX,
        INT16_TFLITE,
        INT16_SINGLE,
        INT16_ONNX,
        F32,
    ];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let op = BatchMatmul {
            adj_x: r.flag()?,
            adj_y: r.flag()?,
            clamp: Clamp::parse(&mut r)?,
            requant: PerTensor::parse(&mut r)?,
        };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        let attr = Attr::new().u8(u8::from(self.adj_x)).u8(u8::from(self.adj_y));
        self.requant.emit(self.clamp.emit(attr))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, 2)?;
        let (left, right) = (inputs.get(0)?, inputs.get(1)?);
        if left.dtype != right.dtype || !matches!(left.dtype, Dtype::I8 | Dtype::I16 | Dtype::F32) {
            return Err(Error::Dtype);
        }
        let sizes = self.sizes(&left.shape, &right.shape)?;
        let mut dims = [1u32; MAX_RANK];
        for ((slot, a), b) in dims.iter_mut().zip(left.shape.aligned()).zip(right.shape.aligned()).take(4) {
            *slot = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(Error::Shape),
            } as u32;
        }
        let [.., rows, columns] = &mut dims;
        (*rows, *columns) = (sizes.rows as u32, sizes.columns as u32);
        let first = MAX_RANK.wrapping_sub(left.shape.rank().max(right.shape.rank()));
        Ok(Inferred::one(left.dtype, Shape::new(dims.get(first..).ok_or(Error::Internal)?)?))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let y = outputs.first().ok_or(Error::Operand)?;
        self.clamp.check(y.dtype)?;
        for d in [inputs.get(0)?, inputs.get(1)?, y] {
            check_zero_point(d)?;
            check_symmetric(d, constants.rounding)?;
        }
        match y.dtype {
            Dtype::F32 if self.requant == PerTensor::NONE => Ok(()),
            Dtype::F32 => Err(Error::Quantization),
            Dtype::I16 if constants.rounding == Rounding::Single => {
                let [multiplier, shift] = self.requant.scale::<Single>()?;
                let valid = multiplier >= 0 && (-31..=30).contains(&shift);
                if valid { Ok(()) } else { Err(Error::Quantization) }
            }
            _ => self.requant.check(constants.rounding),
        }
    }

    fn macs(&self, inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        let (Ok(left), Ok(right), Some(y)) = (inputs.get(0), inputs.get(1), outputs.first()) else {
            return 0;
        };
        let depth = self.sizes(&left.shape, &right.shape).map_or(1, |s| s.depth);
        (y.shape.elements() as u64).wrapping_mul(depth as u64)
    }
}
