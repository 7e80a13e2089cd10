//! Layers with weights: every format of activations and weights against a naive oracle over random geometry, and
//! what is refused.

mod faults;
mod geometry;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../oracle/requant.rs"]
mod requant;
mod stored;

use geometry::{Layer, layers};
use oracle::{Noise, float, int8, int16};
use proptest::prelude::*;
use requant::{requantize, requantize_wide, scales};
use samara_runtime::Dtype;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Clamp, OpDef, Rounding};
use stored::{Format, INTEGERS, Stored, stored};

const ROUNDINGS: [Rounding; 3] = [Rounding::Tflite, Rounding::Single, Rounding::Onnx];

fn weights(layer: &Layer, format: Format, noise: &mut Noise) -> Stored {
    stored(format, &layer.weight_dims(), layer.outputs, noise, |i| layer.channel(i))
}

fn is_possible(layer: &Layer, format: Format) -> bool {
    layer.kind != geometry::Kind::Depthwise || !matches!(format, Format::Grouped(_))
}

/// `[multiplier, shift]` whose real is `multiplier / 2^31 * 2^shift`.
fn pair(real: f64) -> [i32; 2] {
    let shift = real.log2().floor() as i32 + 1;
    [(real / 2f64.powi(shift) * (1u64 << 31) as f64).min(i32::MAX as f64) as i32, shift]
}

/// For each channel a real, below 128 as TFLite has them, that brings the greatest of these sums near `level`, by chance
/// above or below.
fn reals(sums: &[i64], channels: usize, level: f64, noise: &mut Noise) -> Vec<f64> {
    let greatest =
        |c: usize| sums.iter().skip(c).step_by(channels).map(|s| s.abs()).max().unwrap_or(0).max(1);
    (0..channels)
        .map(|c| (level / greatest(c) as f64 * noise.int(20, 150) as f64 / 100.0).min(127.0))
        .collect()
}

/// What the layer's sums with bias are, exactly.
fn sums(layer: &Layer, x: impl Fn(usize) -> i64, meaning: &[f64], bias: &[i64]) -> Vec<i64> {
    let sum = |(i, terms): (usize, geometry::Terms)| {
        bias[i % bias.len()] + terms.iter().map(|&(a, b)| x(a) * meaning[b] as i64).sum::<i64>()
    };
    layer.terms().into_iter().enumerate().map(sum).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn int8_is_exact(layer in layers(), zero in -128i32..128, output_zero in -128i32..128) {
        let mut noise = Noise(layer.seed);
        let x = noise.int8(layer.input.iter().product());
        let bias: Vec<i32> = (0..layer.outputs).map(|_| noise.int(-9000, 9000) as i32).collect();
        let wide: Vec<i64> = bias.iter().map(|&b| b.into()).collect();
        let b = Value::constant(Dtype::I32, &[layer.outputs as u32], &bias).unwrap();
        let (def, attributes) = layer.operator(Clamp::i32(-120, 110));
        for format in INTEGERS.into_iter().filter(|&f| is_possible(&layer, f)) {
            let w = weights(&layer, format, &mut noise);
            let sums = sums(&layer, |i| x[i] as i64 - zero as i64, &w.meaning, &wide);
            let reals = reals(&sums, layer.outputs, 120.0, &mut noise);
            for rounding in ROUNDINGS {
                let single = |real: &f64| {
                    let [m, shift] = pair(*real);
                    // The least shift that is not negative.
                    if shift < 0 { [m >> -(shift + 1).min(0), (shift + 1).max(0)] } else { [m, shift + 1] }
                };
                let pairs: Vec<[i32; 2]> = match rounding {
                    Rounding::Single => reals.iter().map(single).collect(),
                    _ => reals.iter().map(|&r| pair(r)).collect(),
                };
                let floats: Vec<f32> = reals.iter().map(|&r| r as f32).collect();
                let s = scales(rounding, &pairs, &floats);
                let inputs =
                    [Some(&int8(&layer.input_dims(), 0.1, zero, &x)), Some(&w.weights), Some(&b), Some(&s), w.table.as_ref()];
                let y = eval(&def, &attributes, rounding, 0, &inputs, &[(0.2, output_zero)]).unwrap();
                let expect: Vec<i8> = sums.iter().enumerate().map(|(i, &sum)| {
                    let c = i % layer.outputs;
                    (requantize(rounding, sum, pairs[c], floats[c]) + output_zero as i64).clamp(-120, 110) as i8
                }).collect();
                prop_assert_eq!(y[0].elements::<i8>(), expect, "{:?} {:?}", format, rounding);
            }
        }
    }

    #[test]
    fn int16_is_exact(layer in layers(), great in 0u32..40) {
        let mut noise = Noise(layer.seed);
        let x = noise.int16(layer.input.iter().product());
        // Biases beyond 32 bits, too.
        let most = 1i64 << great;
        let bias: Vec<i64> = (0..layer.outputs).map(|_| (noise.int(-30000, 30000) * most) >> 15).collect();
        let b = Value::constant(Dtype::I64, &[layer.outputs as u32], &bias).unwrap();
        let (def, attributes) = layer.operator(Clamp::i32(-32768, 31000));
        for format in INTEGERS.into_iter().filter(|&f| is_possible(&layer, f)) {
            let w = weights(&layer, format, &mut noise);
            let sums = sums(&layer, |i| x[i] as i64, &w.meaning, &bias);
            let reals = reals(&sums, layer.outputs, 32000.0, &mut noise);
            for rounding in ROUNDINGS {
                let pairs: Vec<[i32; 2]> = reals.iter().map(|&r| pair(r)).collect();
                let floats: Vec<f32> = reals.iter().map(|&r| r as f32).collect();
                let s = scales(rounding, &pairs, &floats);
                let inputs =
                    [Some(&int16(&layer.input_dims(), 0.1, 0, &x)), Some(&w.weights), Some(&b), Some(&s), w.table.as_ref()];
                let y = eval(&def, &attributes, rounding, 0, &inputs, &[(0.2, 0)]).unwrap();
                let expect: Vec<i16> = sums.iter().enumerate().map(|(i, &sum)| {
                    let c = i % layer.outputs;
                    requantize_wide(rounding, sum, pairs[c], floats[c]).clamp(-32768, 31000) as i16
                }).collect();
                prop_assert_eq!(y[0].elements::<i16>(), expect, "{:?} {:?}", format, rounding);
            }
        }
    }

    /// Bit for bit in canonical order with fused multiply-add, by the reference and by what the processor offers;
    /// against real numbers within the rounding of every addition.
    #[test]
    fn floats_have_the_canonical_bits(layer in layers(), with_bias: bool) {
        let mut noise = Noise(layer.seed);
        let x = noise.floats(layer.input.iter().product());
        let bias = noise.floats(layer.outputs);
        let b = Value::constant(Dtype::F32, &[layer.outputs as u32], &bias).unwrap();
        let (def, attributes) = layer.operator(Clamp::f32(-1e4, 1e6));
        for format in INTEGERS.into_iter().chain([Format::F16, Format::F32]).filter(|&f| is_possible(&layer, f)) {
            let w = weights(&layer, format, &mut noise);
            let is_integer = INTEGERS.contains(&format);
            let scale: Vec<f32> = (0..layer.outputs).map(|_| if is_integer { noise.int(0, 1000) as f32 / 7e4 } else { 1.0 }).collect();
            let s = Value::constant(Dtype::F32, &[layer.outputs as u32], &scale).unwrap();
            let activations = float(&layer.input_dims(), &x);
            let inputs = [Some(&activations), Some(&w.weights), with_bias.then_some(&b), is_integer.then_some(&s), w.table.as_ref()];
            let run = |def: &OpDef| eval(def, &attributes, Rounding::None, 0, &inputs, &[]).unwrap().remove(0);
            let (y, reference) = (run(&def), run(&layer.reference()));
            prop_assert_eq!(y.elements::<u32>(), reference.elements::<u32>(), "{:?}", format);
            for (i, (terms, &got)) in layer.terms().iter().zip(y.elements::<f32>()).enumerate() {
                let c = i % layer.outputs;
                let bias = if with_bias { bias[c] } else { 0.0 };
                let sum = terms.iter().fold(0f32, |sum, &(a, k)| x[a].mul_add(w.meaning[k] as f32, sum));
                let scaled = if is_integer { sum * scale[c] } else { sum };
                let want = if with_bias { scaled + bias } else { scaled }.clamp(-1e4, 1e6);
                prop_assert_eq!(got.to_bits(), want.to_bits(), "{:?}: {} {}", format, got, want);
                let products = || terms.iter().map(|&(a, k)| x[a] as f64 * w.meaning[k] * scale[c] as f64);
                let magnitude = products().map(f64::abs).sum::<f64>() + bias.abs() as f64;
                let exact = (products().sum::<f64>() + bias as f64).clamp(-1e4, 1e6);
                let tolerance = magnitude * (terms.len() + 2) as f64 * f32::EPSILON as f64;
                prop_assert!((got as f64 - exact).abs() <= tolerance, "{:?}: {} {}", format, got, exact);
            }
        }
    }
}
