//! Requantize between every pair of its types.

mod support;

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Op, OpDef, Requantize, Rounding};
use samara_runtime::{Dtype, Error};
use support::tensor;

fn run(op: Requantize, rounding: Rounding, x: &Value, y: (f32, i32)) -> Result<Value, Error> {
    let attributes = op.emit();
    assert_eq!(Requantize::parse(attributes.bytes()), Ok(op));
    eval(&OpDef::of::<Requantize>(), attributes.bytes(), rounding, 0, &[Some(x)], &[y])
        .map(|mut v| v.remove(0))
}

fn levels(v: &Value) -> Vec<i32> {
    match v.desc.dtype {
        Dtype::I8 => v.elements::<i8>().iter().map(|&x| x as i32).collect(),
        Dtype::U8 => v.elements::<u8>().iter().map(|&x| x as i32).collect(),
        _ => v.elements::<i16>().iter().map(|&x| x as i32).collect(),
    }
}

fn make(dtype: Dtype, p: (f32, i32), levels: &[i32]) -> Value {
    let n = [levels.len() as u32];
    match dtype {
        Dtype::I8 => tensor(dtype, &n, p, &levels.iter().map(|&v| v as i8).collect::<Vec<_>>()),
        Dtype::U8 => tensor(dtype, &n, p, &levels.iter().map(|&v| v as u8).collect::<Vec<_>>()),
        _ => tensor(dtype, &n, p, &levels.iter().map(|&v| v as i16).collect::<Vec<_>>()),
    }
}

fn range(dtype: Dtype) -> (i32, i32) {
    match dtype {
        Dtype::I8 => (-128, 127),
        Dtype::U8 => (0, 255),
        _ => (-32768, 32767),
    }
}

#[test]
fn an_image_moves_from_uint8_to_int8() {
    let x = tensor(Dtype::U8, &[4], (1.0 / 255.0, 0), &[0u8, 1, 128, 255]);
    for (rounding, multiplier) in
        [(Rounding::Tflite, [1 << 30, 1]), (Rounding::Single, [1 << 30, 2]), (Rounding::Onnx, [0, 0])]
    {
        let y = run(Requantize { dtype: Dtype::I8, multiplier }, rounding, &x, (1.0 / 255.0, -128)).unwrap();
        assert_eq!(levels(&y), [-128, -127, 0, 127], "{rounding:?}");
    }
}

const TYPES: [Dtype; 3] = [Dtype::I8, Dtype::U8, Dtype::I16];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_pair_of_types_is_exact(seeds in prop::collection::vec(any::<u16>(), 8), from in 0..3usize, to in 0..3usize,
                                    zeros in prop::array::uniform2(any::<u16>()), m in 1i32 << 30..i32::MAX,
                                    s in -16..2i32, scales in prop::array::uniform2(0.001f32..10.0)) {
        let (from, to) = (TYPES[from], TYPES[to]);
        let within = |d, seed: u16| { let (lo, hi) = range(d); lo + seed as i32 % (hi - lo + 1) };
        let input: Vec<i32> = seeds.iter().map(|&v| within(from, v)).collect();
        let (zx, zy) = (within(from, zeros[0]), within(to, zeros[1]));
        let x = make(from, (scales[0], zx), &input);
        for (rounding, multiplier) in
            [(Rounding::Tflite, [m, s]), (Rounding::Single, [m, s.max(0)]), (Rounding::Onnx, [0, 0])]
        {
            let y = run(Requantize { dtype: to, multiplier }, rounding, &x, (scales[1], zy)).unwrap();
            for (&got, &level) in levels(&y).iter().zip(&input) {
                let v = (level - zx) as i128;
                let (m, s) = (multiplier[0] as i128, multiplier[1]);
                let scaled = match rounding {
                    Rounding::Tflite => {
                        let product = ((v << s.max(0)) * m + (1 << 30)).div_euclid(1 << 31);
                        let right = (-s).max(0);
                        product.signum() * ((product.abs() + ((1 << right) >> 1)) >> right)
                    }
                    Rounding::Single => ((v << s) * m + (1 << 31)).div_euclid(1 << 32),
                    _ => ((v as f32 * scales[0]) / scales[1]).round_ties_even() as i128,
                };
                let (lo, hi) = range(to);
                prop_assert_eq!(got as i128, (scaled + zy as i128).clamp(lo as i128, hi as i128));
            }
        }
    }
}

#[test]
fn other_types_and_constants_are_refused() {
    let x = tensor(Dtype::I8, &[1], (0.5, 0), &[0i8]);
    let go =
        |dtype, multiplier, rounding| run(Requantize { dtype, multiplier }, rounding, &x, (0.5, 0)).err();
    assert_eq!(go(Dtype::I8, [-1, 0], Rounding::Tflite), Some(Error::Quantization));
    assert_eq!(go(Dtype::I8, [1, 31], Rounding::Single), Some(Error::Quantization));
    assert_eq!(go(Dtype::I8, [1, 0], Rounding::Onnx), Some(Error::Quantization));
    assert_eq!(Requantize::parse(&[Dtype::F32 as u8, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Error::Attribute));
    let x = tensor(Dtype::F32, &[1], (0.0, 0), &[0f32]);
    let y = run(Requantize { dtype: Dtype::I8, multiplier: [0, 0] }, Rounding::Onnx, &x, (0.5, 0));
    assert_eq!(y.err(), Some(Error::Dtype));
}
