//! DepthwiseConv2D against a naive oracle over random geometry, and its refusals.

mod oracle;
#[path = "oracle/requant.rs"]
mod requant;

use oracle::{Noise, close, float, int8};
use proptest::prelude::*;
use requant::{random_scales, requantize, scales};
use samara_runtime::ops::depthwise_conv_2d::DepthwiseConv2d;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Clamp, Op, OpDef, Rounding, Window};
use samara_runtime::{Dtype, Error};

const OP: OpDef = OpDef::of::<DepthwiseConv2d>();

#[derive(Clone, Copy, Debug)]
struct Case {
    input: [usize; 4],
    taps: [usize; 2],
    multiplier: usize,
    window: Window,
    seed: u64,
}

impl Case {
    fn output(&self) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let w = &self.window;
            let padded = self.input[1 + axis] + (w.pad[axis] + w.pad[2 + axis]) as usize;
            let reach = (self.taps[axis] - 1) * w.dilation[axis] as usize + 1;
            Some(padded.checked_sub(reach)? / w.stride[axis] as usize + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Sums of `term(input index, weight index)`, by output in NHWC order.
    fn sums<S: Default + std::ops::AddAssign>(&self, term: impl Fn(usize, usize) -> S) -> Vec<S> {
        let [n, h, w, c] = self.input;
        let [oh, ow] = self.output().unwrap();
        let o = c * self.multiplier;
        let mut sums = Vec::new();
        for index in 0..n * oh * ow * o {
            let (b, y, x, k) = (index / (oh * ow * o), index / (ow * o) % oh, index / o % ow, index % o);
            let mut sum = S::default();
            for ky in 0..self.taps[0] {
                for kx in 0..self.taps[1] {
                    let at = |axis: usize, at: usize, tap: usize| {
                        (at * self.window.stride[axis] as usize + tap * self.window.dilation[axis] as usize)
                            as i64
                            - self.window.pad[axis] as i64
                    };
                    let (iy, ix) = (at(0, y, ky), at(1, x, kx));
                    if (0..h as i64).contains(&iy) && (0..w as i64).contains(&ix) {
                        let input = ((b * h + iy as usize) * w + ix as usize) * c + k / self.multiplier;
                        sum += term(input, (ky * self.taps[1] + kx) * o + k);
                    }
                }
            }
            sums.push(sum);
        }
        sums
    }

    fn dims(&self) -> ([u32; 4], [u32; 4]) {
        let o = self.input[3] * self.multiplier;
        (self.input.map(|d| d as u32), [1, self.taps[0] as u32, self.taps[1] as u32, o as u32])
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let geometry = (1usize..3, 1usize..8, 1usize..8, 1usize..5, 1usize..4, 1usize..4, 1usize..4);
    let window = (1u16..4, 1u16..4, 1u16..3, 1u16..3, [0u16..4, 0u16..4, 0u16..4, 0u16..4], any::<u64>());
    (geometry, window)
        .prop_map(|((n, h, w, c, kh, kw, multiplier), (sy, sx, dy, dx, pad, seed))| Case {
            input: [n, h, w, c],
            taps: [kh, kw],
            multiplier,
            window: Window { stride: [sy, sx], dilation: [dy, dx], pad },
            seed,
        })
        .prop_filter("the window fits", |c| c.output().is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn int8_is_exact(case in cases(), zero in -128i32..128, output_zero in -128i32..128, with_bias: bool) {
        let mut noise = Noise(case.seed);
        let (xd, wd) = case.dims();
        let o = wd[3] as usize;
        let x = noise.int8(xd.iter().product::<u32>() as usize);
        let w = noise.int8(wd.iter().product::<u32>() as usize);
        let bias: Vec<i32> = (0..o).map(|_| noise.int(-5000, 5000) as i32).collect();
        let sums = case.sums(|i, k| (x[i] as i64 - zero as i64) * w[k] as i64);
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let (pairs, reals) = random_scales(&mut noise, rounding, o);
            let op = DepthwiseConv2d { window: case.window, clamp: Clamp::i32(-100, 110) };
            let constants = [
                Value::constant(Dtype::I8, &wd, &w).unwrap(),
                Value::constant(Dtype::I32, &[o as u32], &bias).unwrap(),
                scales(rounding, &pairs, &reals),
            ];
            let b = with_bias.then_some(&constants[1]);
            let inputs = [Some(&int8(&xd, 0.1, zero, &x)), Some(&constants[0]), b, Some(&constants[2])];
            let y = eval(&OP, op.emit().bytes(), rounding, 0, &inputs, &[(0.2, output_zero)]).unwrap();
            let expect: Vec<i8> = sums
                .iter()
                .enumerate()
                .map(|(i, &sum)| {
                    let acc = sum + if with_bias { bias[i % o] as i64 } else { 0 };
                    let level = requantize(rounding, acc, pairs[i % o], reals[i % o]) + output_zero as i64;
                    level.clamp(-100, 110) as i8
                })
                .collect();
            prop_assert_eq!(y[0].elements::<i8>(), expect, "{:?}", rounding);
        }
    }

    #[test]
    fn floats_are_close(case in cases()) {
        let mut noise = Noise(case.seed);
        let (xd, wd) = case.dims();
        let x = noise.floats(xd.iter().product::<u32>() as usize);
        let w = noise.floats(wd.iter().product::<u32>() as usize);
        let bias = noise.floats(wd[3] as usize);
        let op = DepthwiseConv2d { window: case.window, clamp: Clamp::f32(-3.0, 6.0) };
        let weights = Value::constant(Dtype::F32, &wd, &w).unwrap();
        let b = Value::constant(Dtype::F32, &[wd[3]], &bias).unwrap();
        let inputs = [Some(&float(&xd, &x)), Some(&weights), Some(&b)];
        let y = eval(&OP, op.emit().bytes(), Rounding::None, 0, &inputs, &[]).unwrap();
        let sums = case.sums(|i, k| x[i] as f64 * w[k] as f64);
        prop_assert_eq!(y[0].elements::<f32>().len(), sums.len());
        for (i, (&a, &sum)) in y[0].elements::<f32>().iter().zip(&sums).enumerate() {
            let b = (sum + bias[i % bias.len()] as f64).clamp(-3.0, 6.0);
            prop_assert!(close(a, b), "{} {}", a, b);
        }
    }
}

#[test]
fn attributes_round_trip() {
    let op = DepthwiseConv2d {
        window: Window { stride: [1, 2], dilation: [3, 4], pad: [5, 6, 7, 8] },
        clamp: Clamp::i32(-5, 6),
    };
    assert_eq!(DepthwiseConv2d::parse(op.emit().bytes()).unwrap(), op);
    assert_eq!(DepthwiseConv2d::parse(&op.emit().bytes()[1..]), Err(Error::Attribute));
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let op = DepthwiseConv2d { window: Window::UNIT, clamp: Clamp::i32(-128, 127) };
    let run = |op: DepthwiseConv2d, w: &Value, b: Option<&Value>, s: &Value, zero: i32| {
        let x = int8(&[1, 2, 2, 2], 0.1, zero, &[0; 8]);
        let inputs = [Some(&x), Some(w), b, Some(s)];
        eval(&OP, op.emit().bytes(), Rounding::Tflite, 0, &inputs, &[(0.1, 0)]).map(|_| ()).unwrap_err()
    };
    let weights = |dims: &[u32]| {
        Value::constant(Dtype::I8, dims, &vec![1i8; dims.iter().product::<u32>() as usize]).unwrap()
    };
    let w = weights(&[1, 1, 1, 4]);
    let s = scales(Rounding::Tflite, &[[1 << 30, 0]; 4], &[]);
    assert_eq!(run(op, &weights(&[1, 1, 1, 3]), None, &s, 0), Error::Shape);
    assert_eq!(run(op, &weights(&[2, 1, 1, 4]), None, &s, 0), Error::Shape);
    assert_eq!(run(op, &weights(&[1, 3, 1, 4]), None, &s, 0), Error::Shape);
    let short = Value::constant(Dtype::I32, &[3], &[0i32; 3]).unwrap();
    assert_eq!(run(op, &w, Some(&short), &s, 0), Error::Shape);
    assert_eq!(
        run(op, &w, None, &scales(Rounding::Tflite, &[[1 << 30, 31]; 4], &[]), 0),
        Error::Quantization
    );
    assert_eq!(run(op, &w, None, &scales(Rounding::Tflite, &[[-1, 0]; 4], &[]), 0), Error::Quantization);
    assert_eq!(run(op, &w, None, &s, 200), Error::Quantization);
    let empty = DepthwiseConv2d { clamp: Clamp::i32(5, 4), ..op };
    assert_eq!(run(empty, &w, None, &s, 0), Error::Attribute);
    let still = DepthwiseConv2d { window: Window { stride: [0, 1], ..Window::UNIT }, ..op };
    assert_eq!(run(still, &w, None, &s, 0), Error::Attribute);
}
