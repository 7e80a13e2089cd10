//! Softmax over the last axis: `exp(beta * x) / sum(exp(beta * x))`.

use crate::error::{Error, Result};
use crate::kernels::reference::softmax as reference;
use crate::layout::Layout;
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, constant};
use crate::ops::quantized::{check_scale, check_zero_point};
use crate::tensor::{Desc, Dtype};

/// Entries of a table of exponentials.
pub const TABLE: usize = 256;
/// Greatest entry of int8's table.
pub const TABLE_MAX: i32 = 1 << 23;
/// Fraction bits of the entries of int16's tables.
pub const FINE: u32 = 30;

/// Operands: x of rank 1 or more, int8, int16 or float; and under a fixed-point rounding constant tables:
/// - int8 `single`: `[256]` int32 whose entry `d` is `exp(-beta * scale * d)` times any common factor: entries in
///   0..=2^23, the first positive, the greatest times the row's length below 2^32.
/// - int16 `tflite` and `single`: `[2, 256]` int32, first `exp(-beta * scale * 256 d)`, then
///   `exp(-beta * scale * d)`, both times 2^30, their first entries exactly that. The result is within a level of
///   the real function's; it is not that of TFLite Micro's coarser tables.
///
/// Under `tflite` and `single` the output has scale 1/256 and zero point -128, for int16 1/32768 and 0; under `onnx`
/// the computation is in floats between the tensors' own parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Softmax {
    /// Factor of the logits, finite; 0 under `tflite` and `single`, whose constants hold it.
    pub beta: f32,
    /// int8 `tflite`: `[multiplier, left shift 0..=30]` standing for `min(beta * scale * 2^26, 2^31 - 1)`; else 0.
    pub multiplier: [i32; 2],
    /// int8 `tflite`: differences to the row's maximum below this (at most 0) count as probability 0, as TFLite's
    /// CalculateInputRadius has it; else 0.
    pub diff_min: i32,
}

/// TFLite's fixed point, int8.
pub const INT8_TFLITE: Entry = Entry {
    id: 0,
    name: "reference_softmax_int8_tflite",
    dtypes: &[Dtype::I8],
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::Tflite],
    isa: Isa::Reference,
    overlap: true,
    run: reference::int8_tflite,
};
/// Table and integer division, int8.
pub const INT8_SINGLE: Entry = Entry {
    name: "reference_softmax_int8_single",
    roundings: &[Rounding::Single],
    run: reference::int8_single,
    ..INT8_TFLITE
};
/// In floats, int8.
pub const INT8_ONNX: Entry = Entry {
    name: "reference_softmax_int8_onnx",
    roundings: &[Rounding::Onnx],
    run: reference::onnx::<i8>,
    ..INT8_TFLITE
};
/// Two tables and one division per row, int16.
pub const INT16_FIXED: Entry = Entry {
    name: "reference_softmax_int16_fixed",
    dtypes: &[Dtype::I16],
    roundings: &[Rounding::Tflite, Rounding::Single],
    run: reference::int16,
    ..INT8_TFLITE
};
/// In floats, int16.
pub const INT16_ONNX: Entry = Entry {
    name: "reference_softmax_int16_onnx",
    dtypes: &[Dtype::I16],
    run: reference::onnx::<i16>,
    ..INT8_ONNX
};
/// Float.
pub const F32: Entry = Entry {
    name: "reference_softmax_f32",
    dtypes: &[Dtype::F32],
    roundings: &[Rounding::None],
    run: reference::f32,
    ..INT8_TFLITE
};

impl Op for Softmax {
    const CODE: u16 = 15;
    const NAME: &'static str = "softmax";
    const KERNELS: &'static [Entry] = &[INT8_TFLITE, INT8_SINGLE, INT8_ONNX, INT16_FIXED, INT16_ONNX, F32];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<16>(attributes)?;
        let op = Softmax { beta: r.f32()?, multiplier: [r.i32()?, r.i32()?], diff_min: r.i32()? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        let [multiplier, shift] = self.multiplier;
        Attr::new().f32(self.beta).i32(multiplier).i32(shift).i32(self.diff_min)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 2)?;
        let x = inputs.get(0)?;
        match x.dtype {
            Dtype::I8 | Dtype::I16 | Dtype::F32 if x.shape.rank() > 0 => Ok(Inferred::one(x.dtype, x.shape)),
            Dtype::I8 | Dtype::I16 | Dtype::F32 => Err(Error::Shape),
            _ => Err(Error::Dtype),
        }
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let (x, y) = (inputs.get(0)?, outputs.first().ok_or(Error::Operand)?);
        check_zero_point(x)?;
        check_zero_point(y)?;
        let wide = x.dtype == Dtype::I16;
        let (fixed, multiplied) = match constants.rounding {
            Rounding::None | Rounding::Onnx => (false, false),
            Rounding::Tflite => (true, !wide),
            Rounding::Single => (true, false),
        };
        let [multiplier, shift] = self.multiplier;
        let known = if multiplied {
            multiplier >= 0 && (0..=30).contains(&shift) && self.diff_min <= 0
        } else {
            self.multiplier == [0, 0] && self.diff_min == 0
        };
        // In bits: no float arithmetic, which is a library on some processors.
        if !known || (if fixed { self.beta.to_bits() != 0 } else { !self.beta.is_finite() }) {
            return Err(Error::Quantization);
        }
        if constants.rounding == Rounding::Onnx {
            check_scale(x)?;
            check_scale(y)?;
        }
        if !fixed || multiplied {
            if inputs.optional(1).is_some() {
                return Err(Error::Operand);
            }
        } else {
            check_tables(inputs, constants, x)?;
        }
        let (scale, zero) = if wide { (1.0f32 / 32768.0, 0) } else { (1.0f32 / 256.0, -128) };
        let same = y.scale.to_bits() == scale.to_bits() && y.zero_point == zero;
        if fixed && !same { Err(Error::Quantization) } else { Ok(()) }
    }

    fn overlap(&self, _inputs: &Inputs<'_>, _outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        (i == 0 && o == 0).then_some(0)
    }
}

/// The tables of exponentials of a fixed-point rounding, as [`Softmax`] has them.
fn check_tables(inputs: &Inputs<'_>, constants: &Constants<'_>, x: &Desc) -> Result<()> {
    let wide = x.dtype == Dtype::I16;
    let (dims, most): (&[usize], i32) = if wide { (&[2, TABLE], 1 << FINE) } else { (&[TABLE], TABLE_MAX) };
    constant(inputs, 1, Dtype::I32, dims)?;
    let table = constants.get::<i32>(1)?;
    // As they are without signs, so that negative ones are the greatest.
    let greatest = table.iter().fold(0, |m, &v| if v as u32 > m { v as u32 } else { m });
    let fits = if wide {
        table.iter().step_by(TABLE).all(|&first| first == most)
    } else {
        let sum = u64::from(greatest).wrapping_mul(row(x) as u64);
        table.first().is_some_and(|&first| first > 0) && sum < 1 << 32
    };
    if fits && greatest <= most as u32 { Ok(()) } else { Err(Error::Quantization) }
}

/// Elements of the last axis.
pub fn row(x: &Desc) -> usize {
    x.shape.dim(x.shape.rank().wrapping_sub(1))
}
