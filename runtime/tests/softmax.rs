//! Softmax in every rounding, against the exact function.

mod support;

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Op, OpDef, Rounding, Softmax};
use samara_runtime::{Dtype, Error};
use support::tensor;

const FLOAT: Softmax = Softmax { beta: 1.0, multiplier: [0, 0], diff_min: 0 };
const TABLE: Softmax = Softmax { beta: 0.0, ..FLOAT };
const PROBABILITY: (f32, i32) = (1.0 / 256.0, -128);

fn run(op: Softmax, rounding: Rounding, inputs: &[&Value]) -> Result<Value, Error> {
    let inputs: Vec<_> = inputs.iter().map(|&v| Some(v)).collect();
    let y = match rounding {
        Rounding::None => (0.0, 0),
        _ => PROBABILITY,
    };
    eval(&OpDef::of::<Softmax>(), op.emit().bytes(), rounding, 0, &inputs, &[y]).map(|mut v| v.remove(0))
}

/// Multiplier, shift and least difference as TFLite derives them from the input's scale.
fn fixed(scale: f64) -> Softmax {
    let real = (scale * 2f64.powi(26)).min(2f64.powi(31) - 1.0);
    let shift = real.log2().floor() as i32 + 1;
    let multiplier = (real / 2f64.powi(shift) * 2f64.powi(31)).round().min(i32::MAX as f64) as i32;
    let diff_min = -(31.0 * 2f64.powi(26) / 2f64.powi(shift)).floor() as i32;
    Softmax { beta: 0.0, multiplier: [multiplier, shift], diff_min }
}

fn exponentials(scale: f64) -> Value {
    let table: Vec<i32> =
        (0..256).map(|d| ((-scale * d as f64).exp() * (1 << 23) as f64).round() as i32).collect();
    Value::constant(Dtype::I32, &[256], &table).unwrap()
}

fn exact(row: &[i8], scale: f64) -> Vec<f64> {
    let max = *row.iter().max().unwrap() as f64;
    let e: Vec<f64> = row.iter().map(|&v| ((v as f64 - max) * scale).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| v / sum).collect()
}

#[test]
fn attributes_round_trip() {
    let op = Softmax { beta: 0.5, multiplier: [7, 3], diff_min: -9 };
    assert_eq!(Softmax::parse(op.emit().bytes()).unwrap(), op);
}

#[test]
fn floats_by_hand() {
    let ln = f32::ln;
    let x = tensor(Dtype::F32, &[2, 3], (0.0, 0), &[ln(1.0), ln(2.0), ln(5.0), 1000.0, 1000.0, -1000.0]);
    let y = run(FLOAT, Rounding::None, &[&x]).unwrap();
    for (a, b) in y.elements::<f32>().iter().zip([0.125, 0.25, 0.625, 0.5, 0.5, 0.0]) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let y = run(Softmax { beta: 2.0, ..FLOAT }, Rounding::None, &[&x]).unwrap();
    assert!((y.elements::<f32>()[2] - 25.0 / 30.0).abs() < 1e-6);
}

#[test]
fn equal_logits_share_the_probability() {
    // 1/4 of 256 steps above -128, exactly, in every rounding.
    let x = tensor(Dtype::I8, &[1, 4], (0.1, 5), &[17i8; 4]);
    let table = exponentials(0.1);
    for (rounding, op, inputs) in [
        (Rounding::Tflite, fixed(0.1f32 as f64), vec![&x]),
        (Rounding::Single, TABLE, vec![&x, &table]),
        (Rounding::Onnx, FLOAT, vec![&x]),
    ] {
        assert_eq!(run(op, rounding, &inputs).unwrap().elements::<i8>(), [-64; 4], "{rounding:?}");
    }
}

#[test]
fn a_row_that_overflows_the_fixed_point_sum_is_zero() {
    let x = tensor(Dtype::I8, &[600], (0.1, 0), &[3i8; 600]);
    let y = run(fixed(0.1), Rounding::Tflite, &[&x]).unwrap();
    assert!(y.elements::<i8>().iter().all(|&v| v == -128));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn integers_stay_within_one_step(rows in prop::collection::vec(prop::array::uniform7(any::<i8>()), 3),
                                     scale in 0.001f32..1.0) {
        let data: Vec<i8> = rows.iter().flatten().copied().collect();
        let x = tensor(Dtype::I8, &[3, 7], (scale, 11), &data);
        let table = exponentials(scale as f64);
        for (rounding, op, inputs, tolerance) in [
            (Rounding::Tflite, fixed(scale as f64), vec![&x], 0.51),
            (Rounding::Single, TABLE, vec![&x, &table], 0.501),
            (Rounding::Onnx, FLOAT, vec![&x], 0.501),
        ] {
            let y = run(op, rounding, &inputs).unwrap();
            for (got, row) in y.elements::<i8>().chunks(7).zip(&rows) {
                for (g, p) in got.iter().zip(exact(row, scale as f64)) {
                    let expect = (p * 256.0 - 128.0).min(127.0);
                    prop_assert!((*g as f64 - expect).abs() <= tolerance, "{:?} {} {}", rounding, g, expect);
                }
            }
        }
    }
}

const FINE: (f32, i32) = (1.0 / 32768.0, 0);

/// The two tables of int16.
fn fine_exponentials(scale: f64) -> Value {
    let entry = |d: usize| ((-scale * d as f64).exp() * (1 << 30) as f64).round() as i32;
    let tables: Vec<i32> = (0..256).map(|h| entry(h * 256)).chain((0..256).map(entry)).collect();
    Value::constant(Dtype::I32, &[2, 256], &tables).unwrap()
}

fn run_int16(op: Softmax, rounding: Rounding, inputs: &[&Value]) -> Result<Value, Error> {
    let inputs: Vec<_> = inputs.iter().map(|&v| Some(v)).collect();
    eval(&OpDef::of::<Softmax>(), op.emit().bytes(), rounding, 0, &inputs, &[FINE]).map(|mut v| v.remove(0))
}

#[test]
fn int16_is_within_a_level_of_the_function() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 48) as i16
    };
    for scale in [1e-5f32, 3e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.3, 30.0] {
        for length in [1usize, 2, 10, 100, 1000, 40_000] {
            let data: Vec<i16> = (0..length).map(|_| random()).collect();
            let x = tensor(Dtype::I16, &[1, length as u32], (scale, 0), &data);
            let max = *data.iter().max().unwrap() as f64;
            let e: Vec<f64> = data.iter().map(|&v| ((v as f64 - max) * scale as f64).exp()).collect();
            let sum: f64 = e.iter().sum();
            let tables = fine_exponentials(scale as f64);
            let mut worst = 0f64;
            for (rounding, op, inputs) in [
                (Rounding::Onnx, FLOAT, vec![&x]),
                (Rounding::Tflite, TABLE, vec![&x, &tables]),
                (Rounding::Single, TABLE, vec![&x, &tables]),
            ] {
                let y = run_int16(op, rounding, &inputs).unwrap();
                for (&got, e) in y.elements::<i16>().iter().zip(&e) {
                    let expect = (e / sum * 32768.0).min(32767.0);
                    worst = worst.max((got as f64 - expect).abs());
                }
                if rounding == Rounding::Onnx {
                    // Floats of up to 2^15 * scale, half an ulp off each, in the exponent.
                    assert!(worst <= 0.6 + 128.0 * scale as f64, "{scale} {length}: {worst}");
                    worst = 0.0;
                }
            }
            println!("int16 softmax of {length} at scale {scale}: {worst:.3} levels off");
            assert!(worst <= 0.51, "{scale} {length}: {worst}");
        }
    }
}

#[test]
fn int16_tables_of_another_kind_are_refused() {
    let x = tensor(Dtype::I16, &[1, 4], (0.001, 0), &[0i16, 1, -1, 2]);
    let fine = fine_exponentials(0.001);
    let table = |edit: &dyn Fn(&mut [i32])| {
        let mut t = fine.elements::<i32>().to_vec();
        edit(&mut t);
        Value::constant(Dtype::I32, &[2, 256], &t).unwrap()
    };
    let first = table(&|t| t[0] -= 1);
    let second = table(&|t| t[256] = 0);
    let negative = table(&|t| t[300] = -1);
    let large = table(&|t| t[9] = (1 << 30) + 1);
    for rounding in [Rounding::Tflite, Rounding::Single] {
        for bad in [&first, &second, &negative, &large] {
            assert_eq!(run_int16(TABLE, rounding, &[&x, bad]).err(), Some(Error::Quantization));
        }
        let coarse = exponentials(0.001);
        assert_eq!(run_int16(TABLE, rounding, &[&x, &coarse]).err(), Some(Error::Shape));
        assert_eq!(run_int16(TABLE, rounding, &[&x]).err(), Some(Error::Operand));
        assert_eq!(run_int16(FLOAT, rounding, &[&x, &fine]).err(), Some(Error::Quantization));
        let op = Softmax { multiplier: [1, 1], ..TABLE };
        assert_eq!(run_int16(op, rounding, &[&x, &fine]).err(), Some(Error::Quantization));
        // The parameters of int8's output.
        assert_eq!(run(TABLE, rounding, &[&x, &fine]).err(), Some(Error::Quantization));
    }
    assert_eq!(run_int16(FLOAT, Rounding::Onnx, &[&x, &fine]).err(), Some(Error::Operand));
}

#[test]
fn hostile_constants_are_refused() {
    let x = tensor(Dtype::I8, &[1, 4], (0.1, 0), &[0i8; 4]);
    let table = |edit: &dyn Fn(&mut [i32])| {
        let mut t = exponentials(0.1).elements::<i32>().to_vec();
        edit(&mut t);
        Value::constant(Dtype::I32, &[256], &t).unwrap()
    };
    let zero_first = table(&|t| t[0] = 0);
    let negative = table(&|t| t[9] = -1);
    let large = table(&|t| t[9] = (1 << 23) + 1);
    for bad in [&zero_first, &negative, &large] {
        assert_eq!(run(TABLE, Rounding::Single, &[&x, bad]).err(), Some(Error::Quantization));
    }
    let fine = table(&|_| ());
    let long = tensor(Dtype::I8, &[512], (0.1, 0), &[0i8; 512]);
    assert_eq!(run(TABLE, Rounding::Single, &[&long, &fine]).err(), Some(Error::Quantization));
    let short = Value::constant(Dtype::I32, &[255], &[1i32; 255]).unwrap();
    assert_eq!(run(TABLE, Rounding::Single, &[&x, &short]).err(), Some(Error::Shape));
    assert_eq!(run(TABLE, Rounding::Single, &[&x]).err(), Some(Error::Operand));
    assert_eq!(run(FLOAT, Rounding::Tflite, &[&x]).err(), Some(Error::Quantization));
    let shift = Softmax { multiplier: [1, 31], ..TABLE };
    assert_eq!(run(shift, Rounding::Tflite, &[&x]).err(), Some(Error::Quantization));
    let scalar = tensor(Dtype::F32, &[], (0.0, 0), &[0f32]);
    assert_eq!(run(FLOAT, Rounding::None, &[&scalar]).err(), Some(Error::Shape));
    let nan = Softmax { beta: f32::NAN, ..FLOAT };
    assert_eq!(run(nan, Rounding::Onnx, &[&x]).err(), Some(Error::Quantization));
    // Any output but 1/256, -128 under the fixed-point roundings.
    let def = OpDef::of::<Softmax>();
    let y = eval(&def, fixed(0.1).emit().bytes(), Rounding::Tflite, 0, &[Some(&x)], &[(1.0 / 255.0, -128)]);
    assert_eq!(y.err(), Some(Error::Quantization));
}
