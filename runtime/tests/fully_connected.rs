//! FullyConnected against a naive oracle over random shapes, and its refusals.

mod oracle;
#[path = "oracle/requant.rs"]
mod requant;

use oracle::{Noise, close, float, int8};
use proptest::prelude::*;
use requant::{random_scales, requantize, scales};
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::fully_connected::FullyConnected;
use samara_runtime::ops::{Clamp, Op, OpDef, Rounding};
use samara_runtime::{Dtype, Error};

const OP: OpDef = OpDef::of::<FullyConnected>();

fn constants(w: &[i8], o: usize, bias: &[i32]) -> (Value, Value) {
    let weights = Value::constant(Dtype::I8, &[o as u32, (w.len() / o) as u32], w).unwrap();
    (weights, Value::constant(Dtype::I32, &[o as u32], bias).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn int8_is_exact(
        leading in prop::collection::vec(1u32..4, 0..5),
        depth in 1usize..40,
        o in 1usize..20,
        zero in -128i32..128,
        output_zero in -128i32..128,
        keep_dims: bool,
        per_channel: bool,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let rows = leading.iter().product::<u32>() as usize;
        let mut dims = leading;
        dims.push(depth as u32);
        let x = noise.int8(rows * depth);
        let w = noise.int8(o * depth);
        let bias: Vec<i32> = (0..o).map(|_| noise.int(-5000, 5000) as i32).collect();
        let (weights, b) = constants(&w, o, &bias);
        let op = FullyConnected { keep_dims, clamp: Clamp::i32(-120, 100) };
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let channels = if per_channel { o } else { 1 };
            let (pairs, reals) = random_scales(&mut noise, rounding, channels);
            let s = scales(rounding, &pairs, &reals);
            let inputs = [Some(&int8(&dims, 0.1, zero, &x)), Some(&weights), Some(&b), Some(&s)];
            let y = eval(&OP, op.emit().bytes(), rounding, 0, &inputs, &[(0.2, output_zero)]).unwrap();
            let mut shape = if keep_dims { dims.clone() } else { vec![rows as u32, 0] };
            *shape.last_mut().unwrap() = o as u32;
            prop_assert_eq!(y[0].desc.shape.dims(), &shape[..]);
            for (i, &got) in y[0].elements::<i8>().iter().enumerate() {
                let (r, k) = (i / o, i % o);
                let sum: i64 = (0..depth)
                    .map(|d| (x[r * depth + d] as i64 - zero as i64) * w[k * depth + d] as i64)
                    .sum();
                let c = k % channels;
                let level = requantize(rounding, sum + bias[k] as i64, pairs[c], reals[c]) + output_zero as i64;
                prop_assert_eq!(got as i64, level.clamp(-120, 100), "{:?}", rounding);
            }
        }
    }

    #[test]
    fn floats_are_close(rows in 1usize..4, depth in 1usize..70, o in 1usize..20, seed: u64) {
        let mut noise = Noise(seed);
        let (x, w, bias) = (noise.floats(rows * depth), noise.floats(o * depth), noise.floats(o));
        let weights = Value::constant(Dtype::F32, &[o as u32, depth as u32], &w).unwrap();
        let b = Value::constant(Dtype::F32, &[o as u32], &bias).unwrap();
        let op = FullyConnected { keep_dims: true, clamp: Clamp::NONE };
        let inputs = [Some(&float(&[rows as u32, depth as u32], &x)), Some(&weights), Some(&b)];
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &inputs, &[]).unwrap();
        for (i, &got) in y[0].elements::<f32>().iter().enumerate() {
            let terms = (0..depth).map(|d| x[i / o * depth + d] as f64 * w[i % o * depth + d] as f64);
            prop_assert!(close(got, terms.sum::<f64>() + bias[i % o] as f64));
        }
    }
}

#[test]
fn an_input_of_any_dimensions_is_flattened() {
    let x = float(&[1, 2, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let w = Value::constant(Dtype::F32, &[1, 6], &[1f32, 10.0, 100.0, 1e3, 1e4, 1e5]).unwrap();
    let op = FullyConnected { keep_dims: false, clamp: Clamp::NONE };
    let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&x), Some(&w)], &[]).unwrap();
    assert_eq!(y[0].desc.shape.dims(), [1, 1]);
    assert_eq!(y[0].elements::<f32>(), [654321.0]);
    let kept = FullyConnected { keep_dims: true, ..op };
    let refused = eval(&OP, kept.emit().bytes(), Rounding::None, 0, &[Some(&x), Some(&w)], &[]);
    assert_eq!(refused.unwrap_err(), Error::Shape);
}

#[test]
fn attributes_round_trip() {
    let op = FullyConnected { keep_dims: true, clamp: Clamp::f32(-1.0, 6.0) };
    assert_eq!(FullyConnected::parse(op.emit().bytes()).unwrap(), op);
    let mut bytes = op.emit().bytes().to_vec();
    bytes[0] = 2;
    assert_eq!(FullyConnected::parse(&bytes), Err(Error::Attribute));
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let op = FullyConnected { keep_dims: false, clamp: Clamp::i32(-128, 127) };
    let x = int8(&[1, 4], 0.1, 0, &[0; 4]);
    let run = |w: &Value, b: Option<&Value>, s: &Value| {
        let inputs = [Some(&x), Some(w), b, Some(s)];
        eval(&OP, op.emit().bytes(), Rounding::Tflite, 0, &inputs, &[(0.1, 0)]).map(|_| ()).unwrap_err()
    };
    let s = scales(Rounding::Tflite, &[[1 << 30, 0]; 2], &[]);
    let (w, b) = constants(&[1; 8], 2, &[0; 2]);
    assert_eq!(run(&constants(&[1; 6], 2, &[0; 2]).0, None, &s), Error::Shape);
    assert_eq!(run(&w, Some(&constants(&[1; 3], 3, &[0; 3]).1), &s), Error::Shape);
    assert_eq!(run(&w, Some(&b), &scales(Rounding::Tflite, &[[1, 0]; 3], &[])), Error::Shape);
    assert_eq!(run(&w, Some(&b), &scales(Rounding::Tflite, &[[1, -32]; 2], &[])), Error::Quantization);
    assert_eq!(run(&w, Some(&b), &scales(Rounding::Onnx, &[], &[1.0; 2])), Error::Dtype);
    // Weights that are not constant could change under a plan that was checked with them.
    assert_eq!(run(&int8(&[2, 4], 0.1, 0, &[0; 8]), Some(&b), &s), Error::Operand);
}
