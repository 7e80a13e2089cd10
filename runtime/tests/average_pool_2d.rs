//! AveragePool2D against a naive oracle over random geometry, and its refusals.

mod oracle;
#[path = "oracle/pool.rs"]
mod pool;

use oracle::{Noise, close, float, int8, int16};
use pool::cases;
use proptest::prelude::*;
use samara_runtime::ops::average_pool_2d::AveragePool2d;
use samara_runtime::ops::eval::eval;
use samara_runtime::ops::{Clamp, Entry, Op, OpDef, Pool, Rounding, Window, average_pool_2d};
use samara_runtime::{Dtype, Error};

const OP: OpDef = OpDef::of::<AveragePool2d>();

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn int8_is_exact(case in cases(), zero in -128i32..128) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).int8(case.input.iter().product());
        let op = AveragePool2d { pool: case.pool, counted: case.counted, clamp: Clamp::i32(-120, 115) };
        let windows = case.windows();
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            // Only the float form rescales.
            let (scale, output_zero) = if rounding == Rounding::Onnx { (0.17, -3) } else { (0.3, zero) };
            let input = int8(&dims, 0.3, zero, &x);
            let y = eval(&OP, op.emit().bytes(), rounding, 0, &[Some(&input)], &[(scale, output_zero)]).unwrap();
            prop_assert_eq!(y[0].elements::<i8>().len(), windows.len());
            for (&got, (inside, count)) in y[0].elements::<i8>().iter().zip(&windows) {
                let padding = (*count as i64) - inside.len() as i64;
                let sum = inside.iter().map(|&i| x[i] as i64).sum::<i64>() + padding * zero as i64;
                let n = *count as i64;
                let level = match rounding {
                    _ if n == 0 => output_zero as i64,
                    Rounding::Tflite => sum.signum() * ((2 * sum.abs() + n) / (2 * n)),
                    Rounding::Single => (2 * sum + n).div_euclid(2 * n),
                    _ => {
                        let mut real = 0f32;
                        for &i in inside {
                            real += (x[i] as i32 - zero) as f32 * 0.3f32;
                        }
                        (real / n as f32 / 0.17f32).round_ties_even() as i64 - 3
                    }
                };
                prop_assert_eq!(got as i64, level.clamp(-120, 115), "{:?} {} {}", rounding, sum, n);
            }
        }
    }

    #[test]
    fn int16_is_exact(case in cases(), zero in -32768i32..32768) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).int16(case.input.iter().product());
        let op = AveragePool2d { pool: case.pool, counted: case.counted, clamp: Clamp::i32(-32700, 32000) };
        let windows = case.windows();
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let (scale, output_zero) = if rounding == Rounding::Onnx { (0.17, -3) } else { (0.3, zero) };
            let input = int16(&dims, 0.3, zero, &x);
            let y = eval(&OP, op.emit().bytes(), rounding, 0, &[Some(&input)], &[(scale, output_zero)]).unwrap();
            for (&got, (inside, count)) in y[0].elements::<i16>().iter().zip(&windows) {
                let padding = (*count as i64) - inside.len() as i64;
                let sum = inside.iter().map(|&i| x[i] as i64).sum::<i64>() + padding * zero as i64;
                let n = *count as i64;
                let level = match rounding {
                    _ if n == 0 => output_zero as i64,
                    Rounding::Tflite => sum.signum() * ((2 * sum.abs() + n) / (2 * n)),
                    Rounding::Single => (2 * sum + n).div_euclid(2 * n),
                    _ => {
                        let mut real = 0f32;
                        for &i in inside {
                            real += (x[i] as i32 - zero) as f32 * 0.3f32;
                        }
                        (real / n as f32 / 0.17f32).round_ties_even() as i64 - 3
                    }
                };
                prop_assert_eq!(got as i64, level.clamp(-32700, 32000), "{:?} {} {}", rounding, sum, n);
            }
        }
    }

    #[test]
    fn floats_are_close(case in cases()) {
        let dims = case.input.map(|d| d as u32);
        let x = Noise(case.seed).floats(case.input.iter().product());
        let op = AveragePool2d { pool: case.pool, counted: case.counted, clamp: Clamp::f32(-1.0, 1.5) };
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &[Some(&float(&dims, &x))], &[]).unwrap();
        for (&got, (inside, count)) in y[0].elements::<f32>().iter().zip(&case.windows()) {
            let sum: f64 = inside.iter().map(|&i| x[i] as f64).sum();
            let mean = if *count == 0 { 0.0 } else { sum / *count as f64 };
            prop_assert!(close(got, mean.clamp(-1.0, 1.5)));
        }
    }
}

fn two_by_two() -> AveragePool2d {
    let pool = Pool { window: Window { stride: [2, 2], ..Window::UNIT }, size: [2, 2] };
    AveragePool2d { pool, counted: [0; 4], clamp: Clamp::i32(-128, 127) }
}

#[test]
fn ties_by_hand() {
    let x = int8(&[1, 2, 4, 1], 0.5, 7, &[-1, -1, 3, 4, 0, 0, 0, -1]);
    let run = |rounding| {
        let y = eval(&OP, two_by_two().emit().bytes(), rounding, 0, &[Some(&x)], &[(0.5, 7)]).unwrap();
        y[0].elements::<i8>().to_vec()
    };
    // -2/4 and 6/4.
    assert_eq!(run(Rounding::Tflite), [-1, 2]);
    assert_eq!(run(Rounding::Single), [0, 2]);
    // Real means -3.75 and -2.75 are 7.5 and 5.5 levels below the zero point; ties go to the even one.
    assert_eq!(run(Rounding::Onnx), [7 - 8, 7 - 6]);
}

#[test]
fn a_window_whose_sum_needs_more_than_32_bits() {
    let data: Vec<i16> = (0..512 * 512).map(|k| 32767 - (k % 5 == 0) as i16).collect();
    let x = int16(&[1, 512, 512, 1], 0.5, 0, &data);
    let pool = Pool { window: Window::UNIT, size: [512, 512] };
    let op = AveragePool2d { pool, counted: [0; 4], clamp: Clamp::i32(-32768, 32767) };
    for rounding in [Rounding::Tflite, Rounding::Single] {
        let y = eval(&OP, op.emit().bytes(), rounding, 0, &[Some(&x)], &[(0.5, 0)]).unwrap();
        assert_eq!(y[0].elements::<i16>(), [32767], "{rounding:?}");
    }
}

#[test]
fn attributes_round_trip() {
    let window = Window { stride: [1, 2], dilation: [3, 4], pad: [5, 6, 7, 8] };
    let op = AveragePool2d {
        pool: Pool { window, size: [9, 10] },
        counted: [1, 2, 3, 4],
        clamp: Clamp::i32(-5, 6),
    };
    assert_eq!(AveragePool2d::parse(op.emit().bytes()).unwrap(), op);
}

#[test]
fn hostile_attributes_are_refused() {
    let parse = |op: AveragePool2d| AveragePool2d::parse(op.emit().bytes());
    let ok = two_by_two();
    assert_eq!(parse(AveragePool2d { counted: [1, 0, 0, 0], ..ok }), Err(Error::Attribute));
    let empty = Pool { size: [0, 1], ..ok.pool };
    assert_eq!(parse(AveragePool2d { pool: empty, ..ok }), Err(Error::Attribute));
    let outside = Pool { window: Window { pad: [2, 0, 0, 0], ..ok.pool.window }, ..ok.pool };
    assert_eq!(parse(AveragePool2d { pool: outside, ..ok }), Err(Error::Attribute));
    let huge = Pool { size: [65535, 65535], ..ok.pool };
    assert_eq!(parse(AveragePool2d { pool: huge, ..ok }), Err(Error::Attribute));
}

#[test]
fn parameters_that_would_need_rescaling_are_refused() {
    let x = int8(&[1, 2, 2, 1], 0.5, 7, &[0; 4]);
    let run = |rounding, parameters| {
        eval(&OP, two_by_two().emit().bytes(), rounding, 0, &[Some(&x)], &[parameters]).map(|_| ())
    };
    for rounding in [Rounding::Tflite, Rounding::Single] {
        assert_eq!(run(rounding, (0.5, 7)), Ok(()));
        assert_eq!(run(rounding, (0.25, 7)), Err(Error::Quantization));
        assert_eq!(run(rounding, (0.5, 6)), Err(Error::Quantization));
    }
    assert_eq!(run(Rounding::Onnx, (0.25, 6)), Ok(()));
    assert_eq!(run(Rounding::Onnx, (0.0, 6)), Err(Error::Quantization));
}

/// Channels in several strips, one of them whole.
#[test]
fn many_float_channels_have_the_reference_bits() {
    let window = Window { stride: [1, 2], dilation: [1, 1], pad: [1, 0, 0, 1] };
    let pool = Pool { window, size: [3, 2] };
    let op = AveragePool2d { pool, counted: [1, 0, 0, 0], clamp: Clamp::f32(-0.25, 2.0) };
    for channels in [1usize, 63, 64, 130] {
        let dims = [2, 5, 4, channels as u32];
        let x = float(&dims, &Noise(channels as u64).floats(40 * channels));
        let bits = |def: &OpDef| {
            let y = eval(def, op.emit().bytes(), Rounding::None, 0, &[Some(&x)], &[]).unwrap();
            y[0].elements::<u32>().to_vec()
        };
        let expect = bits(&OpDef::with::<AveragePool2d>(&[average_pool_2d::F32]));
        let floats = |e: &&'static Entry| e.dtypes.contains(&Dtype::F32) && e.isa.available();
        for entry in AveragePool2d::KERNELS.iter().filter(floats) {
            let def = OpDef::with::<AveragePool2d>(std::slice::from_ref(entry));
            assert_eq!(bits(&def), expect, "{}", entry.name);
        }
    }
}

/// Sums of as many levels as 16 bits hold and of more, quotients next to ties, whole and cut strips of channels.
#[test]
fn many_int8_levels_have_the_reference_bits() {
    static REFERENCE: [Entry; 2] = [average_pool_2d::INT8_TFLITE, average_pool_2d::INT8_SINGLE];
    for (size, channels) in [([16, 16], 64), ([16, 17], 64), ([5, 25], 70), ([3, 3], 130), ([2, 2], 9)] {
        let dims = [1, 17, 26, channels as u32];
        let pool = Pool { window: Window { stride: [1, 1], dilation: [1, 1], pad: [1, 0, 0, 1] }, size };
        let op = AveragePool2d { pool, counted: [0, 0, 0, 1], clamp: Clamp::i32(-128, 127) };
        let noise = Noise(channels as u64).int8(17 * 26 * channels);
        let steps = (0..noise.len()).map(|k| (k % 7 / 3) as i8 - 1).collect();
        for data in [vec![i8::MIN; noise.len()], vec![i8::MAX; noise.len()], steps, noise] {
            let x = int8(&dims, 0.5, -3, &data);
            for rounding in [Rounding::Tflite, Rounding::Single] {
                let run = |entries: &'static [Entry]| {
                    let def = OpDef::with::<AveragePool2d>(entries);
                    let y = eval(&def, op.emit().bytes(), rounding, 0, &[Some(&x)], &[(0.5, -3)]);
                    y.map(|y| y[0].elements::<i8>().to_vec())
                };
                let expect = run(&REFERENCE).unwrap();
                for entry in AveragePool2d::KERNELS.iter().filter(|e| e.isa.available()) {
                    match run(std::slice::from_ref(entry)) {
                        Err(Error::NoKernel) => {}
                        got => assert_eq!(got.as_ref(), Ok(&expect), "{} {size:?}", entry.name),
                    }
                }
            }
        }
    }
}
