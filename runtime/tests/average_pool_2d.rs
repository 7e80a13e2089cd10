//! AveragePool2D against a naive oracle over random geometry, and its refusals.

mod oracle;

use oracle::{Noise, close, float, int8};
use proptest::prelude::*;
use samara_runtime::Error;
use samara_runtime::ops::average_pool_2d::AveragePool2d;
use samara_runtime::ops::eval::eval;
use samara_runtime::ops::{Clamp, Op, OpDef, Pool, Rounding, Window};

const OP: OpDef = OpDef::of::<AveragePool2d>();

#[derive(Clone, Copy, Debug)]
struct Case {
    input: [usize; 4],
    pool: Pool,
    counted: [u16; 4],
    seed: u64,
}

fn reach(p: &Pool, axis: usize) -> u16 {
    (p.size[axis] - 1) * p.window.dilation[axis] + 1
}

impl Case {
    /// By output in NHWC order: the input indices under the window, and the divisor.
    fn windows(&self) -> Vec<(Vec<usize>, usize)> {
        let [n, h, w, c] = self.input;
        let p = &self.pool.window;
        let extent = |axis: usize| {
            let padded = self.input[1 + axis] + (p.pad[axis] + p.pad[2 + axis]) as usize;
            (padded - reach(&self.pool, axis) as usize) / p.stride[axis] as usize + 1
        };
        let (oh, ow) = (extent(0), extent(1));
        let taps = |axis: usize, at: usize| {
            let (stride, dilation) = (p.stride[axis] as i64, p.dilation[axis] as i64);
            let start = at as i64 * stride - p.pad[axis] as i64;
            (0..self.pool.size[axis] as i64).map(move |k| start + k * dilation)
        };
        let counted = |axis: usize, at: usize| {
            let (before, after) = (self.counted[axis] as i64, self.counted[2 + axis] as i64);
            taps(axis, at).filter(|&i| -before <= i && i < self.input[1 + axis] as i64 + after).count()
        };
        let mut all = Vec::new();
        for index in 0..n * oh * ow * c {
            let (b, y, x, k) = (index / (oh * ow * c), index / (ow * c) % oh, index / c % ow, index % c);
            let mut inside = Vec::new();
            for iy in taps(0, y).filter(|i| (0..h as i64).contains(i)) {
                for ix in taps(1, x).filter(|i| (0..w as i64).contains(i)) {
                    inside.push(((b * h + iy as usize) * w + ix as usize) * c + k);
                }
            }
            all.push((inside, counted(0, y) * counted(1, x)));
        }
        all
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let geometry = (1usize..3, 1usize..9, 1usize..9, 1usize..5, [1u16..5, 1u16..5]);
    let window = ([1u16..4, 1u16..4], [1u16..3, 1u16..3], [0u16..4, 0u16..4, 0u16..4, 0u16..4]);
    (geometry, window, [0u16..4, 0u16..4, 0u16..4, 0u16..4], any::<u64>())
        .prop_map(|((n, h, w, c, size), (stride, dilation, mut pad), mut counted, seed)| {
            let window = Window { stride, dilation, pad };
            let mut pool = Pool { window, size };
            for side in 0..4 {
                pad[side] = pad[side].min(reach(&pool, side % 2) - 1);
                counted[side] = counted[side].min(pad[side]);
            }
            pool.window.pad = pad;
            Case { input: [n, h, w, c], pool, counted, seed }
        })
        .prop_filter("the window fits", |c| {
            (0..2).all(|a| {
                let pad = c.pool.window.pad;
                c.input[1 + a] + (pad[a] + pad[2 + a]) as usize >= reach(&c.pool, a) as usize
            })
        })
}

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
