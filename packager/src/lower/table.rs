//! Lookup tables of functions between 8-bit tensors; those between int16 tensors are in [`super::knots`].
//!
//! Under the `tflite` rounding a table holds, entry by entry, what TFLite Micro's int8 kernel computes at run
//! time: in fixed point for Relu with rescaling, Logistic, Tanh, HardSwish and LeakyRelu, in float for the rest.

use samara_runtime::Dtype;
use samara_runtime::kernels::fixed::{Requant, Tflite, rounding_divide_by_pot};
use samara_runtime::kernels::gemmlowp;
use samara_runtime::ops::Rounding;
use samara_runtime::ops::eval::Value;

use super::multiplier::{self, levels};
use super::parameters;
use crate::error::{Error, Result};
use crate::ir::Tensor;

/// Element type, scale and zero point of a table's input or output.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Side {
    /// int8, uint8 or int16.
    pub dtype: Dtype,
    /// Positive and finite.
    pub scale: f32,
    /// In the type's range.
    pub zero_point: i32,
}

impl Side {
    /// Of a tensor; refuses those of another type or without parameters.
    pub fn of(t: &Tensor) -> Result<Self> {
        let (scale, zero_point) = parameters(t)?;
        match t.dtype {
            Dtype::I8 | Dtype::U8 | Dtype::I16 => Ok(Side { dtype: t.dtype, scale, zero_point }),
            other => Err(Error::invalid(format!(
                "tensor '{}' is {}; its function needs a table, and tables are for 8 bits and int16",
                t.name,
                other.name()
            ))),
        }
    }

    /// Whether it is int16, and so the other side must be.
    pub fn is_wide(self) -> bool {
        self.dtype == Dtype::I16
    }

    /// The level whose byte is `byte`.
    fn level(self, byte: u8) -> i32 {
        if self.dtype == Dtype::I8 { byte as i8 as i32 } else { byte as i32 }
    }
}

/// The table of any function of levels; results saturate.
pub fn of_levels(input: Side, output: Side, f: impl Fn(i32) -> i32) -> Result<Value> {
    let (lo, hi) = levels(output.dtype)?;
    // The byte of an int8 level is its two's complement.
    let table: Vec<u8> = (0..=255).map(|k| f(input.level(k)).clamp(lo, hi) as u8).collect();
    Ok(Value::constant(output.dtype, &[256], &table)?)
}

/// The table of a function of reals, computed in float. Under `tflite` as its PopulateLookupTable: times the
/// inverse of the scale, ties away from zero. Else as dequantize, function, quantize: ties to even.
pub fn of_reals(input: Side, output: Side, rounding: Rounding, f: impl Fn(f32) -> f32) -> Result<Value> {
    let inverse = 1.0 / output.scale;
    of_levels(input, output, |level| {
        let y = f((level - input.zero_point) as f32 * input.scale);
        match rounding {
            Rounding::Tflite => (libm::roundf(y * inverse) + output.zero_point as f32) as i32,
            _ => (libm::rintf(y / output.scale) as i32).saturating_add(output.zero_point),
        }
    })
}

/// TFLite Micro's ReluQuantized and its kin: rescaled, then limited to levels `range` of the output.
pub fn relu_tflite(input: Side, output: Side, range: (i32, i32)) -> Result<Value> {
    let scale = multiplier::tflite((input.scale / output.scale) as f64);
    of_levels(input, output, |level| {
        (output.zero_point + Tflite::apply(level - input.zero_point, scale)).clamp(range.0, range.1)
    })
}

/// TFLite Micro's QuantizeLeakyRelu. `alpha` may be negative or above 1.
pub fn leaky_relu_tflite(input: Side, output: Side, alpha: f32) -> Result<Value> {
    let identity = multiplier::tflite((input.scale / output.scale) as f64);
    let scaled = multiplier::tflite((input.scale * alpha / output.scale) as f64);
    of_levels(input, output, |level| {
        let x = level - input.zero_point;
        output.zero_point + Tflite::apply(x, if x >= 0 { identity } else { scaled })
    })
}

/// TFLite Micro's int8 Logistic, whose output is always in steps of 1/256 from zero point -128.
pub fn logistic_tflite(input: Side, output: Side) -> Result<Value> {
    sigmoid_like(input, output, gemmlowp::logistic, 8, -128)
}

/// TFLite Micro's int8 Tanh, whose output is always in steps of 1/128 around zero point 0.
pub fn tanh_tflite(input: Side, output: Side) -> Result<Value> {
    sigmoid_like(input, output, gemmlowp::tanh, 7, 0)
}

/// Logistic and Tanh: saturated outside a radius, else evaluated on Q4.27 and rounded to `bits` fraction bits.
fn sigmoid_like(input: Side, output: Side, f: fn(i32) -> i32, bits: i32, zero_point: i32) -> Result<Value> {
    const INTEGER_BITS: i32 = 4;
    let [m, shift] = multiplier::tflite(input.scale as f64 * (1i64 << (31 - INTEGER_BITS)) as f64);
    // The largest difference whose Q4.27 value is in range (TFLite's CalculateInputRadius).
    let most = ((1 << INTEGER_BITS) - 1) as f64 * (1i64 << (31 - INTEGER_BITS)) as f64;
    let radius = libm::floor(libm::ldexp(most, -shift)) as i32;
    of_levels(input, output, |level| {
        let x = level - input.zero_point;
        if x <= -radius {
            i8::MIN.into()
        } else if x >= radius {
            i8::MAX.into()
        } else {
            rounding_divide_by_pot(f(Tflite::apply(x, [m, shift])), 31 - bits) + zero_point
        }
    })
}

/// TFLite Micro's int8 HardSwish, in 16-bit fixed point.
pub fn hard_swish_tflite(input: Side, output: Side) -> Result<Value> {
    // Scales in float, as there.
    let hires = (1.0f32 / 128.0) * input.scale;
    let [output_multiplier, output_exponent] = multiplier::tflite((hires / output.scale) as f64);
    let [reluish_multiplier, reluish_exponent] = multiplier::tflite((hires / (3.0f32 / 32768.0)) as f64);
    if output_exponent > 0 {
        return Err(Error::invalid("HardSwish's output scale is less than 1/128 of its input's"));
    }
    let (output_multiplier, reluish_multiplier) = (to_i16(output_multiplier), to_i16(reluish_multiplier));
    of_levels(input, output, |level| {
        let x = (level - input.zero_point) << 7;
        let on_output_scale = rounding_high_mul16(x, output_multiplier);
        let mut reluish = x;
        if reluish_exponent > 0 {
            reluish = saturate16(reluish << (reluish_exponent - 1).min(16));
        }
        reluish = rounding_high_mul16(reluish, reluish_multiplier);
        if reluish_exponent > 0 {
            reluish = saturate16(reluish << 1);
        }
        if reluish_exponent < 0 {
            reluish = divide_by_pot16(reluish, -reluish_exponent);
        }
        // From [-1, 1] to [0, 1].
        let gate = (reluish + (1 << 15)) >> 1;
        let product = saturate16(gate * on_output_scale / (1 << 15));
        divide_by_pot16(product, -output_exponent) + output.zero_point
    })
}

/// The upper half of a Q0.31 multiplier, rounded (TFLite's DownScaleInt32ToInt16Multiplier).
fn to_i16(multiplier: i32) -> i32 {
    if multiplier >= i32::MAX - (1 << 15) { i16::MAX.into() } else { (multiplier + (1 << 15)) >> 16 }
}

fn saturate16(x: i32) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into())
}

/// gemmlowp's SaturatingRoundingDoublingHighMul on 16-bit values.
fn rounding_high_mul16(a: i32, b: i32) -> i32 {
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    saturate16((product + nudge) / (1 << 15))
}

/// gemmlowp's RoundingDivideByPOT on 16-bit values. Its mask has 16 bits, so that exponents above 15 round up
/// whatever is not negative; HardSwish meets them where its output scale is far above its input's.
fn divide_by_pot16(x: i32, exponent: i32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i16 as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from(x & mask > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGISTIC: Side = Side { dtype: Dtype::I8, scale: 1.0 / 256.0, zero_point: -128 };
    const TANH: Side = Side { dtype: Dtype::I8, scale: 1.0 / 128.0, zero_point: 0 };

    fn side(scale: f32, zero_point: i32) -> Side {
        Side { dtype: Dtype::I8, scale, zero_point }
    }

    /// Largest distance, in levels, between a table and a function of reals.
    fn error(table: &Value, input: Side, output: Side, f: impl Fn(f64) -> f64) -> f64 {
        let distance = |(byte, &got): (usize, &i8)| {
            let x = (input.level(byte as u8) - input.zero_point) as f64 * input.scale as f64;
            let level = f(x) / output.scale as f64 + output.zero_point as f64;
            (got as f64 - level.clamp(-128.0, 127.0)).abs()
        };
        table.elements::<i8>().iter().enumerate().map(distance).fold(0.0, f64::max)
    }

    #[test]
    fn fixed_point_tables_follow_their_functions() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let hard_swish = |x: f64| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
        for scale in [0.003f32, 0.02, 0.0472, 0.1, 0.5] {
            for zero_point in [-128, -5, 0, 60, 127] {
                let x = side(scale, zero_point);
                let table = logistic_tflite(x, LOGISTIC).unwrap();
                assert!(error(&table, x, LOGISTIC, logistic) < 0.51, "{scale} {zero_point}");
                let table = tanh_tflite(x, TANH).unwrap();
                assert!(error(&table, x, TANH, f64::tanh) < 0.51, "{scale} {zero_point}");
                let y = side(scale * 0.7, -20);
                let table = hard_swish_tflite(x, y).unwrap();
                assert!(error(&table, x, y, hard_swish) < 1.6, "{scale} {zero_point}");
                let table = leaky_relu_tflite(x, y, -0.3).unwrap();
                let leaky = |x: f64| if x < 0.0 { -0.3 * x } else { x };
                // TFLite rounds twice, the second time on halves.
                assert!(error(&table, x, y, leaky) < 0.76);
                let table = relu_tflite(x, y, (-20, 127)).unwrap();
                assert!(error(&table, x, y, |x| x.max(0.0)) < 0.6);
            }
        }
    }

    /// Every 17th entry of what TFLite Micro's reference kernels (90b983c2) answered when they were run on all
    /// 256 levels with these parameters.
    #[test]
    fn entries_are_those_of_tflite_micro() {
        let every_17th =
            |table: Value| table.elements::<i8>().iter().copied().step_by(17).collect::<Vec<_>>();
        let (x, y) = (side(0.047_424_316, -53), side(0.025_600_433, -40));
        assert_eq!(
            every_17th(logistic_tflite(x, LOGISTIC).unwrap()),
            [109, 119, 124, 126, 127, 127, 127, 127, -118, -106, -84, -46, 3, 52, 87, 108]
        );
        assert_eq!(
            every_17th(tanh_tflite(x, TANH).unwrap()),
            [126, 127, 127, 127, 127, 127, 127, 127, -128, -126, -117, -82, 6, 89, 119, 126]
        );
        assert_eq!(
            every_17th(hard_swish_tflite(x, y).unwrap()),
            [50, 90, 121, 127, 127, 127, 127, 127, -40, -50, -55, -51, -39, -19, 10, 48]
        );
        assert_eq!(
            every_17th(leaky_relu_tflite(x, y, -0.187_988_28).unwrap()),
            [58, 90, 121, 127, 127, 127, 127, 127, -16, -22, -28, -34, -38, -7, 25, 56]
        );
        let (x, y) = (side(0.029_434_204, -24), side(0.044_433_594, 59));
        assert_eq!(
            every_17th(hard_swish_tflite(x, y).unwrap()),
            [69, 78, 89, 102, 117, 127, 127, 127, 57, 53, 51, 51, 52, 56, 61, 68]
        );
        // An output scale so far above the input's that gemmlowp's 16-bit division always rounds up.
        let table = hard_swish_tflite(side(0.002_846_241, -100), side(1.513_916, -101)).unwrap();
        assert_eq!(table.elements::<i8>()[0], -100);
    }

    #[test]
    fn tables_are_indexed_by_byte() {
        let table = of_levels(side(1.0, 0), side(1.0, 0), |level| level).unwrap();
        assert_eq!((table.elements::<i8>()[0], table.elements::<i8>()[127]), (0, 127));
        assert_eq!((table.elements::<i8>()[128], table.elements::<i8>()[255]), (-128, -1));
        let unsigned = Side { dtype: Dtype::U8, scale: 1.0, zero_point: 0 };
        let table = of_levels(unsigned, unsigned, |level| level * 2).unwrap();
        assert_eq!((table.elements::<u8>()[3], table.elements::<u8>()[200]), (6, 255));
    }

    #[test]
    fn ties_of_real_tables_follow_the_rounding() {
        // x/2 lands on a tie at every odd level.
        let (x, y) = (side(1.0, 0), side(2.0, 0));
        let table = |rounding| of_reals(x, y, rounding, |v| v).unwrap().elements::<i8>().to_vec();
        let (tflite, single, onnx) =
            (table(Rounding::Tflite), table(Rounding::Single), table(Rounding::Onnx));
        assert_eq!((tflite[1], tflite[3], tflite[255]), (1, 2, -1));
        assert_eq!((single[1], single[3], single[255]), (0, 2, 0));
        assert_eq!(single, onnx);
        // What has no value becomes zero, what has no bound saturates.
        let table = of_reals(x, y, Rounding::Single, |v| if v < 0.0 { f32::NAN } else { 1.0 / v }).unwrap();
        assert_eq!((table.elements::<i8>()[255], table.elements::<i8>()[0]), (0, 127));
    }

    #[test]
    fn hard_swish_refuses_an_output_scale_it_cannot_reach() {
        assert!(hard_swish_tflite(side(1.0, 0), side(0.001, 0)).is_err());
    }
}
