//! Quantize and Dequantize.

mod support;

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Dequantize, Op, OpDef, Quantize, Rounding};
use samara_runtime::{Dtype, Error};
use support::tensor;

fn quantize(dtype: Dtype, rounding: Rounding, x: &[f32], parameters: (f32, i32)) -> Result<Value, Error> {
    let x = tensor(Dtype::F32, &[x.len() as u32], (0.0, 0), x);
    let attributes = Quantize { dtype }.emit();
    eval(&OpDef::of::<Quantize>(), attributes.bytes(), rounding, 0, &[Some(&x)], &[parameters])
        .map(|mut v| v.remove(0))
}

fn dequantize(x: &Value) -> Result<Value, Error> {
    eval(&OpDef::of::<Dequantize>(), &[], Rounding::None, 0, &[Some(x)], &[]).map(|mut v| v.remove(0))
}

#[test]
fn ties_and_saturation_by_hand() {
    let x = [0.25, 0.75, -0.25, -0.75, 1000.0, -1000.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for (rounding, expect) in [
        (Rounding::Tflite, [1i8, 2, -1, -2, 127, -128, 127, -128, 0]),
        (Rounding::Single, [0, 2, 0, -2, 127, -128, 127, -128, 0]),
        (Rounding::Onnx, [0, 2, 0, -2, 127, -128, 127, -128, 0]),
    ] {
        let y = quantize(Dtype::I8, rounding, &x, (0.5, 0)).unwrap();
        assert_eq!(y.elements::<i8>(), expect, "{rounding:?}");
    }
    let y = quantize(Dtype::U8, Rounding::Onnx, &[-1.0, 0.0, 1.0, f32::NAN], (0.01, 128)).unwrap();
    assert_eq!(y.elements::<u8>(), [28, 128, 228, 128]);
    let y = quantize(Dtype::I16, Rounding::Tflite, &[-1e9, 1.5, 1e9], (1.0, 0)).unwrap();
    assert_eq!(y.elements::<i16>(), [-32768, 2, 32767]);
}

#[test]
fn every_integer_type_becomes_float() {
    let y = dequantize(&tensor(Dtype::I8, &[2], (0.5, -3), &[-128i8, 127])).unwrap();
    assert_eq!(y.elements::<f32>(), [-62.5, 65.0]);
    let y = dequantize(&tensor(Dtype::U8, &[2], (2.0, 255), &[0u8, 255])).unwrap();
    assert_eq!(y.elements::<f32>(), [-510.0, 0.0]);
    let y = dequantize(&tensor(Dtype::I16, &[2], (0.25, 0), &[-32768i16, 4])).unwrap();
    assert_eq!(y.elements::<f32>(), [-8192.0, 1.0]);
    let y = dequantize(&tensor(Dtype::I32, &[2], (0.5, 0), &[1 << 30, -7])).unwrap();
    assert_eq!(y.elements::<f32>(), [(1 << 29) as f32, -3.5]);
}

#[test]
fn other_types_and_scales_are_refused() {
    for dtype in [Dtype::F32, Dtype::I32, Dtype::Bool] {
        assert_eq!(Quantize::parse(&[dtype as u8]), Err(Error::Attribute));
    }
    assert_eq!(Quantize::parse(&[99]), Err(Error::Dtype));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let y = quantize(Dtype::I8, Rounding::Onnx, &[1.0], (scale, 0));
        assert_eq!(y.err(), Some(Error::Quantization));
        let x = tensor(Dtype::I8, &[1], (scale, 0), &[1i8]);
        assert_eq!(dequantize(&x).err(), Some(Error::Quantization));
    }
    assert_eq!(quantize(Dtype::U8, Rounding::Onnx, &[1.0], (1.0, -1)).err(), Some(Error::Quantization));
    assert_eq!(quantize(Dtype::I8, Rounding::None, &[1.0], (1.0, 0)).err(), Some(Error::NoKernel));
    let x = tensor(Dtype::F32, &[1], (1.0, 0), &[1f32]);
    assert_eq!(dequantize(&x).err(), Some(Error::Dtype));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn levels_survive_the_way_through_floats(data in prop::collection::vec(any::<i8>(), 1..40),
                                             scale in 1e-6f32..1e6, zero in -128..128i32) {
        let x = tensor(Dtype::I8, &[data.len() as u32], (scale, zero), &data);
        let reals = dequantize(&x).unwrap();
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let y = quantize(Dtype::I8, rounding, reals.elements(), (scale, zero)).unwrap();
            prop_assert_eq!(y.elements::<i8>(), &data[..]);
        }
    }
}
