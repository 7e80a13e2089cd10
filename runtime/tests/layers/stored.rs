//! Weights in every format, and what they mean, by none of the library's code.

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use crate::oracle::Noise;

/// How weights are stored.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Format {
    F32,
    F16,
    Int8,
    Int4,
    /// This many groups of each channel's weights, at most.
    Grouped(usize),
    /// A table for each channel, or one.
    Palette {
        each: bool,
    },
}

/// Formats of integers.
pub(crate) const INTEGERS: [Format; 7] = [
    Format::Int8,
    Format::Int4,
    Format::Grouped(1),
    Format::Grouped(3),
    Format::Grouped(usize::MAX),
    Format::Palette { each: false },
    Format::Palette { each: true },
];

/// Constant weights.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) weights: Value,
    pub(crate) table: Option<Value>,
    /// The value of each, in storage order: an integer or a float.
    pub(crate) meaning: Vec<f64>,
}

/// Random weights. `channel` gives the output channel of each; those of groups lie together.
pub(crate) fn stored(
    format: Format,
    dims: &[u32],
    channels: usize,
    noise: &mut Noise,
    channel: impl Fn(usize) -> usize,
) -> Stored {
    let n = dims.iter().product::<u32>() as usize;
    let depth = n / channels;
    match format {
        Format::F32 => {
            let values = noise.floats(n);
            let meaning = values.iter().map(|&v| v.into()).collect();
            Stored { weights: Value::constant(Dtype::F32, dims, &values).unwrap(), table: None, meaning }
        }
        Format::F16 => {
            // Sign, exponent and fraction at random: subnormal numbers too, infinities and NaN not.
            let bits: Vec<u16> =
                (0..n).map(|_| noise.int(0, 0x7bff) as u16 | (noise.int(0, 1) as u16) << 15).collect();
            let meaning = bits.iter().map(|&b| half_value(b)).collect();
            Stored { weights: Value::constant(Dtype::F16, dims, &bits).unwrap(), table: None, meaning }
        }
        Format::Int8 => {
            let levels = noise.int8(n);
            let meaning = levels.iter().map(|&v| v.into()).collect();
            Stored { weights: Value::constant(Dtype::I8, dims, &levels).unwrap(), table: None, meaning }
        }
        Format::Int4 => {
            let levels: Vec<i64> = (0..n).map(|_| noise.int(-8, 7)).collect();
            let meaning = levels.iter().map(|&v| v as f64).collect();
            Stored { weights: packed(Dtype::I4, dims, &levels), table: None, meaning }
        }
        Format::Grouped(most) => {
            let groups = (1..=depth.min(most)).rev().find(|g| depth.is_multiple_of(*g)).unwrap();
            let levels: Vec<i64> = (0..n).map(|_| noise.int(-8, 7)).collect();
            let multipliers: Vec<i8> = (0..channels * groups).map(|_| noise.int(1, 127) as i8).collect();
            let multiplier = |i: usize| multipliers[i / depth * groups + i % depth * groups / depth] as i64;
            let meaning = levels.iter().enumerate().map(|(i, &v)| (v * multiplier(i)) as f64).collect();
            let dims4 = [channels as u32, groups as u32];
            let table = Value::constant(Dtype::I8, &dims4, &multipliers).unwrap();
            Stored { weights: packed(Dtype::I4, dims, &levels), table: Some(table), meaning }
        }
        Format::Palette { each } => {
            let tables = if each { channels } else { 1 };
            let levels = noise.int8(16 * tables);
            let indices: Vec<i64> = (0..n).map(|_| noise.int(0, 15)).collect();
            let start = |i: usize| if each { 16 * channel(i) } else { 0 };
            let meaning =
                indices.iter().enumerate().map(|(i, &v)| levels[start(i) + v as usize].into()).collect();
            let table = Value::constant(Dtype::I8, &[tables as u32, 16], &levels).unwrap();
            Stored { weights: packed(Dtype::U4, dims, &indices), table: Some(table), meaning }
        }
    }
}

/// Two elements per byte, the first one low.
pub(crate) fn packed(dtype: Dtype, dims: &[u32], levels: &[i64]) -> Value {
    let mut bytes = vec![0u8; levels.len().div_ceil(2)];
    for (i, &level) in levels.iter().enumerate() {
        bytes[i / 2] |= ((level & 15) as u8) << (4 * (i % 2));
    }
    Value::constant(dtype, dims, &bytes).unwrap()
}

/// IEEE 754 binary16 by its definition.
fn half_value(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10 & 31) as i32, (bits & 1023) as f64 / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-14),
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if sign == 1 { -magnitude } else { magnitude }
}
