//! Channels of integer layers whose output is one number whatever the input: given constants that say so plainly.
//!
//! Trained networks have many of them, with tiny weights' scales, biases at the edge of 32 bits and shifts near the end of
//! their range, which the fast loops of some kernels leave to slower code.

use samara_runtime::ops::Rounding;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Dtype, kernels::fixed};

use fixed::{Requant, Single, Tflite};

use crate::error::Result;

/// Weights, bias and constants of a layer.
pub(super) struct Constants {
    /// Dense; channels along the last dimension where `is_depthwise`.
    pub(super) weights: Value,
    pub(super) bias: Option<Value>,
    /// One pair per channel.
    pub(super) scales: Value,
}

/// What gives the same levels with no weights, an ordinary bias and ordinary constants for each channel whose level does
/// not depend on the input, of zero point `zero`; `output_zero` is the output's. Other roundings than the two integer
/// ones, and layers with one constant for all channels, stay as they are.
pub(super) fn settle(
    constants: Constants,
    is_depthwise: bool,
    rounding: Rounding,
    [zero, output_zero]: [i32; 2],
) -> Result<Constants> {
    let apply: fn(i32, [i32; 2]) -> i32 = match rounding {
        Rounding::Tflite => Tflite::apply,
        Rounding::Single => Single::apply,
        Rounding::None | Rounding::Onnx => return Ok(constants),
    };
    let Constants { weights, bias, scales } = &constants;
    let n = if is_depthwise { weights.desc.shape.dim(3) } else { weights.desc.shape.dim(0) };
    let pairs: &[[i32; 2]] = scales.elements();
    if pairs.len() != n {
        return Ok(constants);
    }
    let k = weights.desc.shape.elements() / n;
    let at = |channel: usize, tap: usize| if is_depthwise { tap * n + channel } else { channel * k + tap };
    let mut levels: Vec<i8> = weights.elements().to_vec();
    let mut biases: Vec<i32> = bias.as_ref().map_or_else(|| vec![0; n], |b| b.elements().to_vec());
    let mut pairs = pairs.to_vec();
    for channel in 0..n {
        let [mut least, mut most] = [i64::from(biases[channel]); 2];
        for tap in 0..k {
            let w = i64::from(levels[at(channel, tap)]);
            let ends = [i8::MIN, i8::MAX].map(|x| (i64::from(x) - i64::from(zero)) * w);
            least += ends[0].min(ends[1]);
            most += ends[0].max(ends[1]);
        }
        let (Ok(least), Ok(most)) = (i32::try_from(least), i32::try_from(most)) else { continue };
        // Rounding keeps order, so that what is equal at both ends is equal between them.
        let [low, high] = [least, most].map(|sum| {
            let level = i64::from(apply(sum, pairs[channel])) + i64::from(output_zero);
            level.clamp(i64::from(i8::MIN), i64::from(i8::MAX)) as i32
        });
        if low != high {
            continue;
        }
        for tap in 0..k {
            levels[at(channel, tap)] = 0;
        }
        // A quarter, exact in both roundings.
        biases[channel] = 4 * (low - output_zero);
        pairs[channel] = match rounding {
            Rounding::Tflite => [1 << 30, -1],
            _ => [1 << 30, 0],
        };
    }
    Ok(Constants {
        weights: Value::new(weights.desc, &levels)?,
        bias: Some(match bias {
            Some(bias) => Value::new(bias.desc, &biases)?,
            None => Value::constant(Dtype::I32, &[n as u32], &biases)?,
        }),
        scales: Value::new(scales.desc, pairs.as_flattened())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_channels_keep_their_level_for_every_input() {
        let zero = 3;
        for (rounding, apply) in
            [(Rounding::Tflite, Tflite::apply as fn(i32, [i32; 2]) -> i32), (Rounding::Single, Single::apply)]
        {
            for is_depthwise in [false, true] {
                // A dead channel, a live one, one that saturates, one without a multiplier.
                let scales = match rounding {
                    Rounding::Tflite => [[1518500250, -28], [1 << 30, -7], [1 << 30, -3], [0, 0]],
                    _ => [[7, 0], [1 << 24, 0], [1 << 30, 0], [0, 3]],
                };
                let taps = [[5i8, -3, 1], [90, -20, 30], [1, 1, -1], [100, 100, 100]];
                let bias = [1 << 30, -70, 1 << 20, 12345];
                let dims = if is_depthwise { [1, 1, 3, 4] } else { [4, 1, 1, 3] };
                let index = |c: usize, t: usize| if is_depthwise { t * 4 + c } else { c * 3 + t };
                let mut levels = [0i8; 12];
                for (c, row) in taps.iter().enumerate() {
                    for (t, &w) in row.iter().enumerate() {
                        levels[index(c, t)] = w;
                    }
                }
                let before = Constants {
                    weights: Value::constant(Dtype::I8, &dims, &levels).unwrap(),
                    bias: Some(Value::constant(Dtype::I32, &[4], &bias).unwrap()),
                    scales: Value::constant(Dtype::I32, &[4, 2], scales.as_flattened()).unwrap(),
                };
                let after = settle(before, is_depthwise, rounding, [zero, -9]).unwrap();
                let (w, b) = (after.weights.elements::<i8>(), after.bias.unwrap());
                let s: &[[i32; 2]] = after.scales.elements();
                for c in 0..4 {
                    for x in [[-128, 127, -128], [127, -128, 127], [3, 3, 3], [0, 50, -7]] {
                        let sum = |w: &dyn Fn(usize) -> i8, bias: i32| {
                            (0..3).map(|t| (x[t] - zero) * i32::from(w(t))).sum::<i32>() + bias
                        };
                        let was = apply(sum(&|t| taps[c][t], bias[c]), scales[c]) - 9;
                        let is = apply(sum(&|t| w[index(c, t)], b.elements::<i32>()[c]), s[c]) - 9;
                        assert_eq!(is.clamp(-128, 127), was.clamp(-128, 127), "{rounding:?} {c}");
                    }
                }
                let settled: Vec<bool> = s.iter().map(|pair| pair[0] == 1 << 30 && pair[1] >= -1).collect();
                assert_eq!(settled, [true, false, true, true], "{rounding:?}");
                assert_ne!(w[index(1, 0)], 0);
            }
        }
    }
}
