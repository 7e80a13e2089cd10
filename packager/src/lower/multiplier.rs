//! Real multipliers as the runtime's integers.

use samara_runtime::Dtype;
use samara_runtime::ops::Rounding;
use samara_runtime::ops::eval::Value;

use crate::error::{Error, Result};
use crate::ir::Activation;

/// `[multiplier, shift]` with `real = multiplier / 2^31 * 2^shift`, multiplier in [2^30, 2^31) or 0
/// (TFLite's QuantizeMultiplier).
pub fn tflite(real: f64) -> [i32; 2] {
    if real == 0.0 {
        return [0, 0];
    }
    let (fraction, mut shift) = libm::frexp(real);
    let mut q = libm::round(fraction * (1i64 << 31) as f64) as i64;
    if q == 1 << 31 {
        q /= 2;
        shift += 1;
    }
    if shift < -31 {
        return [0, 0];
    }
    if shift > 30 { [i32::MAX, 30] } else { [q as i32, shift] }
}

/// `[multiplier, shift]` with `real = multiplier / 2^32 * 2^shift`, the least non-negative shift that fits.
pub fn single(real: f64) -> [i32; 2] {
    let mut shift = 0;
    let mut q = libm::round(real * (1i64 << 32) as f64);
    while q > i32::MAX as f64 && shift < 30 {
        shift += 1;
        q = libm::round(real * (1i64 << (32 - shift)) as f64);
    }
    [q.min(i32::MAX as f64) as i32, shift]
}

/// A multiplier and shift in the given integer rounding.
pub fn fixed(real: f64, rounding: Rounding) -> Result<[i32; 2]> {
    match rounding {
        Rounding::Tflite => Ok(tflite(real)),
        Rounding::Single => Ok(single(real)),
        Rounding::Onnx | Rounding::None => Err(Error::invalid("this rounding has no fixed-point multiplier")),
    }
}

/// `[multiplier, shift]` with `real = multiplier / 2^32 * 2^shift`, multiplier in [2^30, 2^31) or 0, the shift of either
/// sign: products of int16 need all bits of the multiplier.
pub fn wide(real: f64) -> Result<[i32; 2]> {
    match tflite(real) {
        [0, _] => Ok([0, 0]),
        [multiplier, shift] if shift < 30 => Ok([multiplier, shift + 1]),
        _ => Err(Error::invalid("its input scales are too large for its output's")),
    }
}

/// The requantization operand of per-channel operators with int16 activations: as [`channel_constants`], in the
/// numbers that sums of 64 bits are scaled by.
pub fn wide_channel_constants(reals: &[f64], rounding: Rounding) -> Result<Value> {
    if rounding != Rounding::Single {
        return channel_constants(reals, rounding);
    }
    let pairs: Vec<[i32; 2]> = reals.iter().map(|&r| wide(r)).collect::<Result<_>>()?;
    Ok(Value::constant(Dtype::I32, &[reals.len() as u32, 2], pairs.as_flattened())?)
}

/// The requantization operand of per-channel operators: `[channels, 2]` int32, or `[channels]` float.
pub fn channel_constants(reals: &[f64], rounding: Rounding) -> Result<Value> {
    let n = reals.len() as u32;
    if rounding == Rounding::Onnx {
        let scales: Vec<f32> = reals.iter().map(|&r| r as f32).collect();
        return Ok(Value::constant(Dtype::F32, &[n], &scales)?);
    }
    let pairs: Vec<[i32; 2]> = reals.iter().map(|&r| fixed(r, rounding)).collect::<Result<_>>()?;
    Ok(Value::constant(Dtype::I32, &[n, 2], pairs.as_flattened())?)
}

/// Least and greatest level of an integer type.
pub fn levels(dtype: Dtype) -> Result<(i32, i32)> {
    match dtype {
        Dtype::I8 => Ok((-128, 127)),
        Dtype::U8 => Ok((0, 255)),
        Dtype::I16 => Ok((-32768, 32767)),
        // Those of int64 are no numbers that an int32 can hold; its only use, biases, has its own limit.
        Dtype::I32 | Dtype::I64 => Ok((i32::MIN, i32::MAX)),
        Dtype::I4 => Ok((-8, 7)),
        Dtype::U4 => Ok((0, 15)),
        Dtype::F32 | Dtype::F16 | Dtype::Bool => {
            Err(Error::invalid(format!("{} has no quantization levels", dtype.name())))
        }
    }
}

/// An activation's real range in the output's levels (TFLite's CalculateActivationRangeQuantized).
pub fn activation_levels(a: Activation, dtype: Dtype, scale: f32, zero_point: i32) -> Result<(i32, i32)> {
    let (lo, hi) = levels(dtype)?;
    let level = |x: f32, open: i32| {
        if x.is_infinite() {
            open
        } else {
            (zero_point as f64 + libm::roundf(x / scale) as f64).clamp(lo as f64, hi as f64) as i32
        }
    };
    Ok((level(a.lo, lo).max(lo), level(a.hi, hi).min(hi)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_stand_for_their_reals() {
        for real in [1e-6, 0.001, 0.25, 0.4999999, 0.5, 0.9, 1.0, 3.7, 200.0] {
            let [m, s] = tflite(real);
            assert!(m >= 1 << 30);
            let back = m as f64 / (1i64 << 31) as f64 * 2f64.powi(s);
            assert!((back / real - 1.0).abs() < 1e-9, "{real} {back}");
            let [m, s] = single(real);
            let back = m as f64 / (1i64 << 32) as f64 * 2f64.powi(s);
            assert!((back / real - 1.0).abs() < 2e-4_f64.min(1.0 / m as f64), "{real} {back}");
            let [m, s] = wide(real).unwrap();
            let back = m as f64 / (1i64 << 32) as f64 * 2f64.powi(s);
            assert!((back / real - 1.0).abs() < 1e-9, "{real} {back}");
        }
        assert_eq!((tflite(0.0), wide(0.0).unwrap()), ([0, 0], [0, 0]));
        assert!(wide(1e12).is_err());
        // Rounds up to the next power of two.
        assert_eq!(tflite(1.0 - 1e-12), [1 << 30, 1]);
    }

    #[test]
    fn relu6_levels() {
        assert_eq!(activation_levels(Activation::RELU6, Dtype::I8, 6.0 / 255.0, -128).unwrap(), (-128, 127));
        assert_eq!(activation_levels(Activation::RELU, Dtype::I8, 0.1, 0).unwrap(), (0, 127));
        assert_eq!(activation_levels(Activation::NONE, Dtype::U8, 0.1, 0).unwrap(), (0, 255));
    }
}
