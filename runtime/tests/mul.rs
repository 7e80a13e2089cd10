//! Mul, Div, Minimum, Maximum and PRelu against independent wide arithmetic.

mod support;

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Clamp, Div, Maximum, Minimum, Mul, Op, OpDef, PRelu, Rounding};
use samara_runtime::{Dtype, Error};
use support::tensor;

const LEVELS: Clamp = Clamp::i32(-128, 127);

/// `x * m / 2^31 * 2^s` as TFLite rounds it, in exact arithmetic.
fn tflite(x: i128, [m, s]: [i32; 2]) -> i128 {
    let shifted = if s > 0 { x << s } else { x };
    let product = (shifted * m as i128 + (1 << 30)).div_euclid(1 << 31);
    let right = if s < 0 { -s } else { 0 };
    let half = if right > 0 { 1i128 << (right - 1) } else { 0 };
    product.signum() * ((product.abs() + half) >> right)
}

/// `x * m / 2^32 * 2^s`, half up.
fn single(x: i128, [m, s]: [i32; 2]) -> i128 {
    ((x << s) * m as i128 + (1 << 31)).div_euclid(1 << 32)
}

fn run<O: Op>(op: O, rounding: Rounding, a: &Value, b: &Value, y: (f32, i32)) -> Result<Value, Error> {
    let attributes = op.emit();
    assert_eq!(O::parse(attributes.bytes()), Ok(op));
    eval(&OpDef::of::<O>(), attributes.bytes(), rounding, 0, &[Some(a), Some(b)], &[y])
        .map(|mut v| v.remove(0))
}

#[test]
fn floats_by_hand() {
    let a = tensor(Dtype::F32, &[2, 2], (0.0, 0), &[1f32, -2.0, 3.0, f32::NAN]);
    let b = Value::constant(Dtype::F32, &[2], &[2f32, 0.0]).unwrap();
    let go = |y: Result<Value, Error>| y.unwrap().elements::<f32>().to_vec();
    let none = (0.0, 0);
    let mul = go(run(Mul::plain(Clamp::f32(-9.0, 5.0)), Rounding::None, &a, &b, none));
    assert_eq!(mul[..3], [2.0, -0.0, 5.0]);
    let div = go(run(Div { clamp: Clamp::NONE }, Rounding::None, &a, &b, none));
    assert_eq!(div[..3], [0.5, f32::NEG_INFINITY, 1.5]);
    let min = go(run(Minimum { clamp: Clamp::NONE }, Rounding::None, &a, &b, none));
    assert_eq!(min[..3], [1.0, -2.0, 2.0]);
    let max = go(run(Maximum { clamp: Clamp::f32(f32::NEG_INFINITY, 2.5) }, Rounding::None, &b, &a, none));
    assert_eq!(max[..3], [2.0, 0.0, 2.5]);
    assert!([mul, div, min, max].iter().all(|y| y[3].is_nan()));
    let prelu = go(run(PRelu::PLAIN, Rounding::None, &a, &b, none));
    assert_eq!(prelu[..3], [1.0, -0.0, 3.0]);
}

#[test]
fn integers_by_hand() {
    let clamp = Clamp::i32(i32::MIN, i32::MAX);
    let (a, b) =
        (tensor(Dtype::I32, &[2], (0.0, 0), &[i32::MAX, -4]), tensor(Dtype::I32, &[2], (0.0, 0), &[2, 3]));
    let y = run(Mul::plain(clamp), Rounding::None, &a, &b, (0.0, 0)).unwrap();
    assert_eq!(y.elements::<i32>(), [-2, -12]);
    let y = run(Minimum { clamp }, Rounding::None, &a, &b, (0.0, 0)).unwrap();
    assert_eq!(y.elements::<i32>(), [2, -4]);
    let p = (0.5, 7);
    let (a, b) = (tensor(Dtype::U8, &[3], p, &[0u8, 200, 9]), tensor(Dtype::U8, &[1], p, &[100u8]));
    let y = run(Maximum { clamp: Clamp::i32(0, 150) }, Rounding::None, &a, &b, p).unwrap();
    assert_eq!(y.elements::<u8>(), [100, 150, 100]);
    let (a, b) = (tensor(Dtype::I16, &[2], p, &[-300i16, 400]), tensor(Dtype::I16, &[2], p, &[5i16, 5]));
    let y = run(Minimum { clamp: Clamp::i32(-999, 999) }, Rounding::None, &a, &b, p).unwrap();
    assert_eq!(y.elements::<i16>(), [-300, 5]);
    let (a, b) = (tensor(Dtype::I8, &[2], p, &[-100i8, 100]), tensor(Dtype::I8, &[2], p, &[5i8, 5]));
    let y = run(Maximum { clamp: LEVELS }, Rounding::None, &a, &b, p).unwrap();
    assert_eq!(y.elements::<i8>(), [5, 100]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_are_exact(a in prop::collection::vec(any::<i8>(), 24), b in prop::collection::vec(any::<i8>(), 4),
                          z in prop::array::uniform3(-128..128i32), m in 1i32 << 30..i32::MAX, s in -20..3i32) {
        let x = tensor(Dtype::I8, &[2, 3, 4], (1.0, z[0]), &a);
        let w = tensor(Dtype::I8, &[4], (1.0, z[1]), &b);
        for (rounding, multiplier) in [(Rounding::Tflite, [m, s]), (Rounding::Single, [m >> 3, s.max(0)])] {
            let y = run(Mul { multiplier, clamp: LEVELS }, rounding, &x, &w, (1.0, z[2])).unwrap();
            for k in 0..24 {
                let product = (a[k] as i128 - z[0] as i128) * (b[k % 4] as i128 - z[1] as i128);
                let scaled = match rounding {
                    Rounding::Tflite => tflite(product, multiplier),
                    _ => single(product, multiplier),
                };
                prop_assert_eq!(y.elements::<i8>()[k] as i128, (scaled + z[2] as i128).clamp(-128, 127));
            }
        }
    }

    #[test]
    fn onnx_products_are_the_float_computation(
        a in prop::collection::vec(any::<i8>(), 12), b in prop::collection::vec(any::<i8>(), 12),
        z in prop::array::uniform3(-128..128i32), s in prop::array::uniform3(0.001f32..2.0),
    ) {
        let x = tensor(Dtype::I8, &[12], (s[0], z[0]), &a);
        let w = tensor(Dtype::I8, &[12], (s[1], z[1]), &b);
        let slopes = Value::constant(Dtype::I8, &[12], &b).unwrap();
        let mut slopes = slopes;
        (slopes.desc.scale, slopes.desc.zero_point) = (s[1], z[1]);
        let product = run(Mul::plain(LEVELS), Rounding::Onnx, &x, &w, (s[2], z[2])).unwrap();
        let prelu = run(PRelu::PLAIN, Rounding::Onnx, &x, &slopes, (s[2], z[2])).unwrap();
        for k in 0..12 {
            let (l, r) = ((a[k] as i32 - z[0]) as f32 * s[0], (b[k] as i32 - z[1]) as f32 * s[1]);
            let level = |real: f32| ((real / s[2]).round_ties_even() as f64 + z[2] as f64).clamp(-128.0, 127.0);
            prop_assert_eq!(product.elements::<i8>()[k] as f64, level(l * r));
            prop_assert_eq!(prelu.elements::<i8>()[k] as f64, level(if l < 0.0 { l * r } else { l }));
        }
    }

    #[test]
    fn prelu_rescales_each_sign_by_its_own(
        a in prop::collection::vec(any::<i8>(), 24), b in prop::collection::vec(any::<i8>(), 4),
        z in prop::array::uniform3(-128..128i32), m in prop::array::uniform2(1i32 << 30..i32::MAX),
        s in prop::array::uniform2(-20..3i32),
    ) {
        let x = tensor(Dtype::I8, &[1, 2, 3, 4], (1.0, z[0]), &a);
        let mut slopes = Value::constant(Dtype::I8, &[4], &b).unwrap();
        (slopes.desc.scale, slopes.desc.zero_point) = (1.0, z[1]);
        let pairs = |f: fn(i32, i32) -> [i32; 2]| PRelu { identity: f(m[0], s[0]), slope: f(m[1], s[1]) };
        for (rounding, op) in [
            (Rounding::Tflite, pairs(|m, s| [m, s])),
            (Rounding::Single, pairs(|m, s| [m >> 2, s.max(0)])),
        ] {
            let y = run(op, rounding, &x, &slopes, (1.0, z[2])).unwrap();
            for k in 0..24 {
                let real = a[k] as i128 - z[0] as i128;
                let (value, pair) = match real >= 0 {
                    true => (real, op.identity),
                    false => (real * (b[k % 4] as i128 - z[1] as i128), op.slope),
                };
                let scaled = match rounding {
                    Rounding::Tflite => tflite(value, pair),
                    _ => single(value, pair),
                };
                prop_assert_eq!(y.elements::<i8>()[k] as i128, (scaled + z[2] as i128).clamp(-128, 127));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn int16_is_exact_in_every_rounding(
        a in prop::collection::vec(any::<i16>(), 24), b in prop::collection::vec(any::<i16>(), 4),
        m in prop::array::uniform2(1i32 << 30..i32::MAX), s in prop::array::uniform2(-31..=0i32),
        scales in prop::array::uniform3(0.001f32..2.0), zeros in prop::array::uniform3(-32768..32768i32),
    ) {
        let clamp = Clamp::i32(-30000, 31000);
        let x = tensor(Dtype::I16, &[2, 3, 4], (1.0, 0), &a);
        let w = tensor(Dtype::I16, &[4], (1.0, 0), &b);
        let slopes = Value::constant(Dtype::I16, &[4], &b).unwrap();
        for rounding in [Rounding::Tflite, Rounding::Single] {
            let pair = |k: usize| if rounding == Rounding::Single { [m[k] >> 9, 0] } else { [m[k], s[k]] };
            let scaled = |v: i128, pair| match rounding {
                Rounding::Tflite => tflite(v, pair),
                _ => single(v, pair),
            };
            let y = run(Mul { multiplier: pair(0), clamp }, rounding, &x, &w, (1.0, 0)).unwrap();
            let op = PRelu { identity: pair(0), slope: pair(1) };
            let prelu = run(op, rounding, &x, &slopes, (1.0, 0)).unwrap();
            for k in 0..24 {
                let product = a[k] as i128 * b[k % 4] as i128;
                let expect = scaled(product, pair(0)).clamp(-30000, 31000);
                prop_assert_eq!(y.elements::<i16>()[k] as i128, expect);
                let expect = if a[k] < 0 { scaled(product, pair(1)) } else { scaled(a[k] as i128, pair(0)) };
                prop_assert_eq!(prelu.elements::<i16>()[k] as i128, expect.clamp(-32768, 32767));
            }
        }
        let x = tensor(Dtype::I16, &[2, 3, 4], (scales[0], zeros[0]), &a);
        let mut slopes = slopes;
        (slopes.desc.scale, slopes.desc.zero_point) = (scales[1], zeros[1]);
        let y = (scales[2], zeros[2]);
        let product = run(Mul::plain(clamp), Rounding::Onnx, &x, &slopes, y).unwrap();
        let prelu = run(PRelu::PLAIN, Rounding::Onnx, &x, &slopes, y).unwrap();
        for k in 0..24 {
            let l = (a[k] as i32 - zeros[0]) as f32 * scales[0];
            let r = (b[k % 4] as i32 - zeros[1]) as f32 * scales[1];
            let level = |real: f32| (real / scales[2]).round_ties_even() as f64 + zeros[2] as f64;
            prop_assert_eq!(product.elements::<i16>()[k] as f64, level(l * r).clamp(-30000.0, 31000.0));
            let expect = level(if l < 0.0 { l * r } else { l }).clamp(-32768.0, 32767.0);
            prop_assert_eq!(prelu.elements::<i16>()[k] as f64, expect);
        }
    }
}

#[test]
fn int16_with_a_zero_point_is_refused_but_in_floats() {
    let off = tensor(Dtype::I16, &[2], (0.5, 3), &[0i16; 2]);
    let mut slopes = Value::constant(Dtype::I16, &[2], &[1i16; 2]).unwrap();
    slopes.desc.scale = 0.5;
    let go = |y: Result<Value, Error>| y.map(|_| ());
    for rounding in [Rounding::Tflite, Rounding::Single] {
        assert_eq!(go(run(Mul::plain(LEVELS), rounding, &off, &off, (0.5, 0))), Err(Error::Quantization));
        assert_eq!(go(run(PRelu::PLAIN, rounding, &off, &slopes, (0.5, 0))), Err(Error::Quantization));
    }
    assert_eq!(go(run(Mul::plain(LEVELS), Rounding::Onnx, &off, &off, (0.5, 0))), Ok(()));
    assert_eq!(go(run(PRelu::PLAIN, Rounding::Onnx, &off, &slopes, (0.5, 0))), Ok(()));
    let bytes = tensor(Dtype::I8, &[2], (0.5, 0), &[0i8; 2]);
    assert_eq!(go(run(PRelu::PLAIN, Rounding::Onnx, &bytes, &slopes, (0.5, 0))), Err(Error::Dtype));
}

#[test]
fn hostile_operands_are_refused() {
    let i = tensor(Dtype::I8, &[2, 3], (0.5, 0), &[0i8; 6]);
    let other = tensor(Dtype::I8, &[3], (0.5, 1), &[0i8; 3]);
    let f = tensor(Dtype::F32, &[3], (0.0, 0), &[0f32; 3]);
    let go = |y: Result<Value, Error>| y.map(|_| ());
    let y = (0.5, 0);
    let bad = Mul { multiplier: [-1, 0], clamp: LEVELS };
    assert_eq!(go(run(bad, Rounding::Tflite, &i, &i, y)), Err(Error::Quantization));
    let bad = Mul { multiplier: [1, -1], clamp: LEVELS };
    assert_eq!(go(run(bad, Rounding::Single, &i, &i, y)), Err(Error::Quantization));
    assert_eq!(go(run(bad, Rounding::Tflite, &i, &i, y)), Ok(()));
    assert_eq!(go(run(bad, Rounding::Onnx, &i, &i, y)), Err(Error::Quantization));
    assert_eq!(go(run(Div { clamp: LEVELS }, Rounding::None, &i, &i, y)), Err(Error::Dtype));
    // Minimum compares levels, so parameters must agree.
    assert_eq!(go(run(Minimum { clamp: LEVELS }, Rounding::None, &i, &other, y)), Err(Error::Quantization));
    assert_eq!(go(run(PRelu::PLAIN, Rounding::None, &f, &f, y)), Err(Error::Operand));
    let wide = Value::constant(Dtype::F32, &[2, 3], &[0f32; 6]).unwrap();
    assert_eq!(go(run(PRelu::PLAIN, Rounding::None, &f, &wide, y)), Err(Error::Shape));
}
