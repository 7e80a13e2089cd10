//! Add and Sub in every rounding, against independent wide arithmetic.

mod support;

use proptest::prelude::*;
use samara_runtime::ops::add::Additive;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Add, Clamp, Op, OpDef, Rounding, Sub};
use samara_runtime::{Dtype, Error};
use support::tensor;

const LEVELS: Clamp = Clamp::i32(-128, 127);

/// TFLite's double rounding in exact arithmetic: half up after the multiplication, half away after the shift.
fn tflite(x: i128, [m, s]: [i32; 2]) -> i128 {
    let product = (x * m as i128 + (1 << 30)).div_euclid(1 << 31);
    let half = if s < 0 { 1i128 << (-s - 1) } else { 0 };
    product.signum() * ((product.abs() + half) >> -s)
}

fn run<const SUB: bool>(op: Additive<SUB>, rounding: Rounding, a: &Value, b: &Value, y: (f32, i32)) -> Value {
    eval(&OpDef::of::<Additive<SUB>>(), op.emit().bytes(), rounding, 0, &[Some(a), Some(b)], &[y])
        .unwrap()
        .remove(0)
}

#[test]
fn attributes_round_trip() {
    let op = Additive::<false> { left: [1, -2], right: [3, -4], output: [5, -6], clamp: Clamp::i32(-7, 8) };
    assert_eq!(Add::parse(op.emit().bytes()).unwrap(), op);
    assert_eq!(Add::parse(&op.emit().bytes()[1..]), Err(Error::Attribute));
}

#[test]
fn broadcasting_by_hand() {
    let a = tensor(Dtype::F32, &[2, 1, 2], (0.0, 0), &[1f32, 2.0, 3.0, 4.0]);
    let b = Value::constant(Dtype::F32, &[3, 1], &[10f32, 20.0, 30.0]).unwrap();
    let y = run(Add::plain(Clamp::f32(0.0, 33.0)), Rounding::None, &a, &b, (0.0, 0));
    assert_eq!(y.desc.shape.dims(), [2, 3, 2]);
    assert_eq!(y.elements::<f32>(), [11.0, 12.0, 21.0, 22.0, 31.0, 32.0, 13.0, 14.0, 23.0, 24.0, 33.0, 33.0]);
    let y = run(Sub::plain(Clamp::NONE), Rounding::None, &b, &a, (0.0, 0));
    assert_eq!(y.elements::<f32>()[..4], [9.0, 8.0, 19.0, 18.0]);
}

#[test]
fn int32_wraps() {
    let a = tensor(Dtype::I32, &[2], (0.0, 0), &[i32::MAX, 5]);
    let b = tensor(Dtype::I32, &[1], (0.0, 0), &[2i32]);
    let clamp = Clamp::i32(i32::MIN, i32::MAX);
    let y = run(Add::plain(clamp), Rounding::None, &a, &b, (0.0, 0));
    assert_eq!(y.elements::<i32>(), [i32::MIN + 1, 7]);
    let y = run(Sub::plain(clamp), Rounding::None, &b, &a, (0.0, 0));
    assert_eq!(y.elements::<i32>(), [2i32.wrapping_sub(i32::MAX), -3]);
}

fn levels() -> impl Strategy<Value = (Vec<i8>, Vec<i8>)> {
    (prop::collection::vec(any::<i8>(), 24), prop::collection::vec(any::<i8>(), 24))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tflite_is_exact((a, b) in levels(), za in -128..128i32, zb in -128..128i32,
                       zo in prop_oneof![Just(-128), -128..128i32],
                       m in prop::array::uniform3(1i32 << 30..i32::MAX), s in prop::array::uniform3(-4..=0i32),
                       so in -31..-10i32, greater in 0..3usize) {
        let (x, w) = (tensor(Dtype::I8, &[24], (1.0, za), &a), tensor(Dtype::I8, &[24], (1.0, zb), &b));
        let mut terms = [[m[0], s[0]], [m[1], s[1]]];
        if let Some(term) = terms.get_mut(greater) {
            // As converters write it: the greater scale halved, the other times less than that.
            *term = [1 << 30, 0];
            terms[1 - greater][1] = s[1 - greater].min(-1);
        }
        let op = Additive { left: terms[0], right: terms[1], output: [m[2], so], clamp: LEVELS };
        let sub = Sub { left: op.left, right: op.right, output: op.output, clamp: LEVELS };
        let sum = run::<false>(op, Rounding::Tflite, &x, &w, (1.0, zo));
        let difference = run(sub, Rounding::Tflite, &x, &w, (1.0, zo));
        for k in 0..24 {
            let l = tflite((a[k] as i128 - za as i128) << 20, op.left);
            let r = tflite((b[k] as i128 - zb as i128) << 20, op.right);
            for (y, exact) in [(&sum, l + r), (&difference, l - r)] {
                let expect = (tflite(exact, op.output) + zo as i128).clamp(-128, 127);
                prop_assert_eq!(y.elements::<i8>()[k] as i128, expect);
            }
        }
    }

    #[test]
    fn single_rounds_the_exact_sum_half_up((a, b) in levels(), za in -128..128i32, zb in -128..128i32,
                                           n in 0..=22i32, left in 0..1 << 21, right in 0..1 << 21) {
        let (x, w) = (tensor(Dtype::I8, &[24], (1.0, za), &a), tensor(Dtype::I8, &[24], (1.0, zb), &b));
        let op = Sub { left: [left, 0], right: [right, 0], output: [0, n], clamp: Clamp::i32(-100, 100) };
        let y = run(op, Rounding::Single, &x, &w, (1.0, 3));
        for k in 0..24 {
            let exact = (a[k] as i128 - za as i128) * left as i128 - (b[k] as i128 - zb as i128) * right as i128;
            let rounded = (2 * exact + (1i128 << n)).div_euclid(2 << n);
            prop_assert_eq!(y.elements::<i8>()[k] as i128, (rounded + 3).clamp(-100, 100));
        }
    }

    #[test]
    fn onnx_is_the_float_computation((a, b) in levels(), za in -128..128i32, zb in -128..128i32,
                                     s in prop::array::uniform3(0.001f32..2.0)) {
        let (x, w) = (tensor(Dtype::I8, &[24], (s[0], za), &a), tensor(Dtype::I8, &[24], (s[1], zb), &b));
        let y = run(Add::plain(LEVELS), Rounding::Onnx, &x, &w, (s[2], -5));
        for k in 0..24 {
            let real = (a[k] as i32 - za) as f32 * s[0] + (b[k] as i32 - zb) as f32 * s[1];
            let expect = ((real / s[2]).round_ties_even() as f64 - 5.0).clamp(-128.0, 127.0);
            prop_assert_eq!(y.elements::<i8>()[k] as f64, expect);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn int16_is_exact_in_every_rounding(
        a in prop::collection::vec(any::<i16>(), 24), b in prop::collection::vec(any::<i16>(), 24),
        m in prop::array::uniform3(1i32 << 30..i32::MAX), s in prop::array::uniform3(-4..=0i32), so in -31..-10i32,
        n in 0..=30i32, weights in prop::array::uniform2(0..=i32::MAX), scales in prop::array::uniform3(0.001f32..2.0),
        zeros in prop::array::uniform3(-32768..32768i32),
    ) {
        let clamp = Clamp::i32(-32000, 32767);
        let limit = |level: i128| level.clamp(-32000, 32767);
        let (x, w) = (tensor(Dtype::I16, &[24], (1.0, 0), &a), tensor(Dtype::I16, &[24], (1.0, 0), &b));
        let op = Additive { left: [m[0], s[0]], right: [m[1], s[1]], output: [m[2], so], clamp };
        let sub = Sub { left: op.left, right: op.right, output: op.output, clamp };
        let sum = run::<false>(op, Rounding::Tflite, &x, &w, (1.0, 0));
        let difference = run(sub, Rounding::Tflite, &x, &w, (1.0, 0));
        for k in 0..24 {
            let (l, r) = (tflite((a[k] as i128) << 15, op.left), tflite((b[k] as i128) << 15, op.right));
            for (y, exact) in [(&sum, l + r), (&difference, l - r)] {
                prop_assert_eq!(y.elements::<i16>()[k] as i128, limit(tflite(exact, op.output)));
            }
        }
        let op = Sub { left: [weights[0], 0], right: [weights[1], 0], output: [0, n], clamp };
        let add = Add { left: op.left, right: op.right, output: op.output, clamp };
        let difference = run(op, Rounding::Single, &x, &w, (1.0, 0));
        let sum = run(add, Rounding::Single, &x, &w, (1.0, 0));
        for k in 0..24 {
            let (l, r) = (a[k] as i128 * weights[0] as i128, b[k] as i128 * weights[1] as i128);
            for (y, exact) in [(&sum, l + r), (&difference, l - r)] {
                let rounded = (2 * exact + (1i128 << n)).div_euclid(2 << n);
                prop_assert_eq!(y.elements::<i16>()[k] as i128, limit(rounded));
            }
        }
        let x = tensor(Dtype::I16, &[24], (scales[0], zeros[0]), &a);
        let w = tensor(Dtype::I16, &[24], (scales[1], zeros[1]), &b);
        let y = run(Sub::plain(clamp), Rounding::Onnx, &x, &w, (scales[2], zeros[2]));
        for k in 0..24 {
            let real = (a[k] as i32 - zeros[0]) as f32 * scales[0] - (b[k] as i32 - zeros[1]) as f32 * scales[1];
            let expect = ((real / scales[2]).round_ties_even() as f64 + zeros[2] as f64).clamp(-32000.0, 32767.0);
            prop_assert_eq!(y.elements::<i16>()[k] as f64, expect);
        }
    }
}

#[test]
fn int16_with_a_zero_point_is_refused_but_in_floats() {
    let def = OpDef::of::<Add>();
    let go = |rounding, zero, output: i32| {
        let x = tensor(Dtype::I16, &[2], (1.0, zero), &[0i16; 2]);
        let plain = Add::plain(Clamp::i32(-32768, 32767));
        eval(&def, plain.emit().bytes(), rounding, 0, &[Some(&x), Some(&x)], &[(1.0, output)]).map(|_| ())
    };
    for rounding in [Rounding::Tflite, Rounding::Single] {
        assert_eq!(go(rounding, 0, 0), Ok(()));
        assert_eq!(go(rounding, 1, 0), Err(Error::Quantization));
        assert_eq!(go(rounding, 0, -1), Err(Error::Quantization));
    }
    assert_eq!(go(Rounding::Onnx, 1, -1), Ok(()));
    assert_eq!(go(Rounding::Onnx, 32768, 0), Err(Error::Quantization));
    let (x, i) =
        (tensor(Dtype::I16, &[2], (1.0, 0), &[0i16; 2]), tensor(Dtype::I8, &[2], (1.0, 0), &[0i8; 2]));
    let plain = Add::plain(LEVELS).emit();
    let mixed = eval(&def, plain.bytes(), Rounding::Onnx, 0, &[Some(&x), Some(&i)], &[(1.0, 0)]);
    assert_eq!(mixed.err(), Some(Error::Dtype));
    let wide = Add::plain(Clamp::i32(-32769, 0)).emit();
    let outside = eval(&def, wide.bytes(), Rounding::Onnx, 0, &[Some(&x), Some(&x)], &[(1.0, 0)]);
    assert_eq!(outside.err(), Some(Error::Attribute));
}

#[test]
fn hostile_operands_are_refused() {
    let def = OpDef::of::<Add>();
    let f = tensor(Dtype::F32, &[2], (0.0, 0), &[0f32; 2]);
    let g = tensor(Dtype::F32, &[3], (0.0, 0), &[0f32; 3]);
    let i = tensor(Dtype::I8, &[2], (1.0, 0), &[0i8; 2]);
    let far = tensor(Dtype::I8, &[2], (1.0, 128), &[0i8; 2]);
    let plain = Add::plain(LEVELS);
    let go = |op: Add, rounding, a, b: &Value| {
        eval(&def, op.emit().bytes(), rounding, 0, &[Some(a), Some(b)], &[(1.0, 0)]).map(|_| ())
    };
    assert_eq!(go(Add::plain(Clamp::NONE), Rounding::None, &f, &g), Err(Error::Shape));
    assert_eq!(go(plain, Rounding::None, &f, &i), Err(Error::Dtype));
    assert_eq!(go(Add::plain(Clamp::i32(1, 0)), Rounding::Onnx, &i, &i), Err(Error::Attribute));
    assert_eq!(go(plain, Rounding::Tflite, &i, &far), Err(Error::Quantization));
    assert_eq!(go(Add { left: [-1, 0], ..plain }, Rounding::Tflite, &i, &i), Err(Error::Quantization));
    assert_eq!(go(Add { output: [1, 1], ..plain }, Rounding::Tflite, &i, &i), Err(Error::Quantization));
    // 255 * 2^23 is just below 2^31; with the rounding addend it is not.
    let wide = Add { left: [1 << 23, 0], output: [0, 23], ..plain };
    assert_eq!(go(wide, Rounding::Single, &i, &i), Err(Error::Quantization));
    assert_eq!(go(Add { left: [1 << 22, 0], ..wide }, Rounding::Single, &i, &i), Ok(()));
    assert_eq!(go(Add { left: [1, 0], ..plain }, Rounding::Onnx, &i, &i), Err(Error::Quantization));
    assert_eq!(
        eval(&def, plain.emit().bytes(), Rounding::Onnx, 0, &[Some(&i)], &[]).err(),
        Some(Error::Operand)
    );
}
