//! Requantization by its definition, in wide integers, with none of the library's code.

use samara_runtime::Dtype;
use samara_runtime::ops::Rounding;
use samara_runtime::ops::eval::Value;

use crate::oracle::Noise;

/// Constants of per-channel requantization: `pairs` for the fixed-point roundings, `reals` for floats.
pub(crate) fn scales(rounding: Rounding, pairs: &[[i32; 2]], reals: &[f32]) -> Value {
    match rounding {
        Rounding::Onnx => Value::constant(Dtype::F32, &[reals.len() as u32], reals).unwrap(),
        _ => Value::constant(Dtype::I32, &[pairs.len() as u32, 2], pairs.as_flattened()).unwrap(),
    }
}

/// What requantization gives by its definition.
#[allow(dead_code)] // not every file that includes this has sums
pub(crate) fn requantize(rounding: Rounding, acc: i64, [multiplier, shift]: [i32; 2], real: f32) -> i64 {
    let (acc, multiplier) = (acc as i128, multiplier as i128);
    let exact = match rounding {
        Rounding::Tflite => {
            let high = ((acc << shift.max(0)) * multiplier + (1 << 30)).div_euclid(1 << 31);
            let divisor = 1i128 << (-shift).max(0);
            // Half away from zero.
            high.signum() * ((2 * high.abs() + divisor) / (2 * divisor))
        }
        Rounding::Single => {
            let shifted = (acc << shift).clamp(i32::MIN as i128, i32::MAX as i128);
            (shifted * multiplier + (1 << 31)).div_euclid(1 << 32)
        }
        Rounding::Onnx => (acc as f32 * real).round_ties_even() as i128,
        Rounding::None => acc,
    };
    exact as i64
}

/// What requantization of an int16 layer's sums gives by its definition, saturated to 32 bits. `single` takes shifts of
/// either sign here.
#[allow(dead_code)] // not every file that includes this has such sums
pub(crate) fn requantize_wide(rounding: Rounding, acc: i64, [multiplier, shift]: [i32; 2], real: f32) -> i64 {
    let half_up = |x: i128, bits: i32| (x + (1 << (bits - 1))).div_euclid(1 << bits);
    let acc = acc as i128;
    let exact = match rounding {
        Rounding::Tflite => {
            // 16 bits of the multiplier.
            let reduced = ((multiplier as i128 + (1 << 15)) >> 16).min(0x7FFF);
            half_up(acc * reduced, 15 - shift)
        }
        Rounding::Single => half_up(acc * multiplier as i128, 32 - shift),
        Rounding::Onnx => (acc as f32 * real).round_ties_even() as i128,
        Rounding::None => acc,
    };
    exact.clamp(i32::MIN as i128, i32::MAX as i128) as i64
}

#[allow(dead_code)] // not every file that includes this wants any
/// `n` valid constants `[multiplier, shift]` of small scales and as many reals, for sums of some thousands.
pub(crate) fn random_scales(noise: &mut Noise, rounding: Rounding, n: usize) -> (Vec<[i32; 2]>, Vec<f32>) {
    let shift = match rounding {
        Rounding::Single => (0, 3),
        _ => (-9, 1),
    };
    let multiplier = match rounding {
        Rounding::Single => (0, 1 << 25),
        _ => (1 << 30, i32::MAX as i64),
    };
    let pair = |s: &mut Noise| [s.int(multiplier.0, multiplier.1) as i32, s.int(shift.0, shift.1) as i32];
    let pairs = (0..n).map(|_| pair(noise)).collect();
    (pairs, (0..n).map(|_| noise.int(1, 100000) as f32 / 3e6).collect())
}
