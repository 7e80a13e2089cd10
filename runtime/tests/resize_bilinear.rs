//! ResizeBilinear: int8 as LiteRT's reference kernel to the bit, floats as LiteRT and ONNX Runtime within rounding.

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Coordinates, Op, OpDef, ResizeBilinear, Rounding, Sampling};
use samara_runtime::{Desc, Dtype, Error, Result, Shape};

fn resize(coordinates: Coordinates, input: [u32; 2], size: [u32; 2]) -> ResizeBilinear {
    let scale = match coordinates.reads_scale() {
        true => [size[0] as f32 / input[0] as f32, size[1] as f32 / input[1] as f32],
        false => [0.0; 2],
    };
    ResizeBilinear { sampling: Sampling { size, coordinates, scale } }
}

fn int8(dims: &[u32], data: &[i8]) -> Value {
    let desc = Desc { scale: 0.5, zero_point: 3, ..Desc::new(Dtype::I8, Shape::new(dims).unwrap()) };
    Value::new(desc, data).unwrap()
}

fn f32(dims: &[u32], data: &[f32]) -> Value {
    Value::new(Desc::new(Dtype::F32, Shape::new(dims).unwrap()), data).unwrap()
}

fn run(op: &ResizeBilinear, rounding: Rounding, x: &Value, output: (f32, i32)) -> Result<Value> {
    eval(&OpDef::of::<ResizeBilinear>(), op.emit().bytes(), rounding, 0, &[Some(x)], &[output])
        .map(|mut y| y.remove(0))
}

#[test]
fn attributes_round_trip() {
    for coordinates in Coordinates::ALL {
        let op = resize(coordinates, [2, 3], [4, 7]);
        assert_eq!(ResizeBilinear::parse(op.emit().bytes()).unwrap(), op);
    }
}

const LEVELS: [i8; 6] = [0, 100, -128, 127, -77, 5];

/// `LEVELS` as 2x3 pixels, from LiteRT 2.3's reference resolver.
#[rustfmt::skip]
const LITERT_INT8: &[(Coordinates, [u32; 2], &[i8])] = &[
    (Coordinates::Tflite, [1, 1], &[0]),
    (Coordinates::Tflite, [3, 5], &[0, 60, 55, -82, -128, 85, 23, -22, -35, -39, 127, 5, -61, -11, 5]),
    (Coordinates::Tflite, [1, 2], &[0, -14]),
    (Coordinates::Tflite, [5, 4], &[0, 75, -14, -128, 51, 35, -23, -75, 102, -6, -32, -21, 127, -26, -36, 5, 127, -26, -36, 5]),
    (Coordinates::TfliteAlignCorners, [1, 1], &[0]),
    (Coordinates::TfliteAlignCorners, [3, 5], &[0, 50, 100, -14, -128, 64, 38, 12, -25, -62, 127, 25, -77, -36, 5]),
    (Coordinates::TfliteAlignCorners, [1, 2], &[0, -128]),
    (Coordinates::TfliteAlignCorners, [5, 4], &[0, 67, 24, -128, 32, 48, 5, -95, 64, 29, -13, -62, 95, 10, -31, -28, 127, -9, -50, 5]),
    (Coordinates::TfliteHalfPixel, [1, 1], &[12]),
    (Coordinates::TfliteHalfPixel, [3, 5], &[0, 40, 100, -36, -128, 64, 43, 12, -32, -62, 127, 46, -77, -28, 5]),
    (Coordinates::TfliteHalfPixel, [1, 2], &[51, -43]),
    (Coordinates::TfliteHalfPixel, [5, 4], &[0, 63, 15, -128, 13, 56, 8, -115, 64, 31, -16, -61, 114, 6, -40, -8, 127, -1, -46, 5]),
];

#[test]
fn int8_is_litert_s_to_the_bit() {
    // A second image of a second channel next to it shows that neither is mixed into the first.
    let pixels: Vec<i8> = LEVELS.iter().chain(&LEVELS).flat_map(|&v| [v, 9]).collect();
    let x = int8(&[2, 2, 3, 2], &pixels);
    for &(coordinates, size, expect) in LITERT_INT8 {
        let y = run(&resize(coordinates, [2, 3], size), Rounding::Tflite, &x, (0.5, 3)).unwrap();
        let expect: Vec<i8> = expect.iter().chain(expect).flat_map(|&v| [v, 9]).collect();
        assert_eq!(y.elements::<i8>(), expect, "{coordinates:?} {size:?}");
    }
}

/// `LEVELS` as floats in 2x3 pixels, from LiteRT 2.3's reference resolver.
#[rustfmt::skip]
const LITERT_F32: &[(Coordinates, &[f32])] = &[
    (Coordinates::Tflite, &[0.0, 60.000_004, 54.399_986, -82.400_02, -128.0, 84.666_67, 23.066_662, -22.266_67, -35.066_666, -39.333_332, 127.0, 4.599_995_6, -60.6, -11.399_994, 5.0]),
    (Coordinates::TfliteAlignCorners, &[0.0, 50.0, 100.0, -14.0, -128.0, 63.5, 37.5, 11.5, -25.0, -61.5, 127.0, 25.0, -77.0, -36.0, 5.0]),
    (Coordinates::TfliteHalfPixel, &[0.0, 40.0, 100.0, -36.800_034, -127.999_99, 63.500_008, 42.699_997, 11.5, -32.300_01, -61.5, 127.000_015, 45.399_994, -77.0, -27.799_992, 5.0]),
];

/// Rows `[0, 10, -3]` and `[7, 2, 5]`, from ONNX Runtime 1.31.
#[rustfmt::skip]
const ONNX_RUNTIME: &[(Coordinates, [u32; 2], &[f32])] = &[
    (Coordinates::Asymmetric, [3, 5], &[0.0, 6.0, 7.4, -0.4, -3.0, 4.666_667, 4.666_666_5, 4.2, 2.8, 2.333_333_3, 7.0, 4.0, 2.6, 4.4, 5.0]),
    (Coordinates::Asymmetric, [1, 2], &[0.0, 3.5]),
    (Coordinates::HalfPixel, [1, 1], &[6.0]),
    (Coordinates::HalfPixel, [3, 5], &[0.0, 4.0, 10.0, 2.2, -3.0, 3.5, 4.5, 6.0, 3.0, 1.0, 7.0, 5.0, 2.0, 3.8, 5.0]),
    (Coordinates::HalfPixel, [1, 2], &[4.125, 2.25]),
    (Coordinates::AlignCorners, [1, 1], &[0.0]),
    (Coordinates::AlignCorners, [3, 5], &[0.0, 5.0, 10.0, 3.5, -3.0, 3.5, 4.75, 6.0, 3.5, 1.0, 7.0, 4.5, 2.0, 3.5, 5.0]),
    (Coordinates::AlignCorners, [1, 2], &[0.0, -3.0]),
    (Coordinates::PytorchHalfPixel, [1, 1], &[0.0]),
    (Coordinates::PytorchHalfPixel, [3, 5], &[0.0, 4.0, 10.0, 2.2, -3.0, 3.5, 4.5, 6.0, 3.0, 1.0, 7.0, 5.0, 2.0, 3.8, 5.0]),
    (Coordinates::PytorchHalfPixel, [1, 2], &[2.5, 0.25]),
];

#[track_caller]
fn close(got: &[f32], expect: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expect.len());
    for (a, b) in got.iter().zip(expect) {
        assert!((a - b).abs() <= tolerance, "{got:?} instead of {expect:?}");
    }
}

#[test]
fn floats_are_those_of_other_runtimes() {
    let x = f32(&[1, 2, 3, 1], &LEVELS.map(|v| v as f32));
    for &(coordinates, expect) in LITERT_F32 {
        let y = run(&resize(coordinates, [2, 3], [3, 5]), Rounding::None, &x, (0.0, 0)).unwrap();
        close(y.elements(), expect, 1e-5);
    }
    let x = f32(&[1, 2, 3, 1], &[0.0, 10.0, -3.0, 7.0, 2.0, 5.0]);
    for &(coordinates, size, expect) in ONNX_RUNTIME {
        let y = run(&resize(coordinates, [2, 3], size), Rounding::None, &x, (0.0, 0)).unwrap();
        close(y.elements(), expect, 5e-6);
    }
    // A scale that does not divide: 5 to 7 by 1.5, not by 1.4.
    let x = f32(&[1, 1, 5, 1], &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let mut op = resize(Coordinates::HalfPixel, [1, 5], [1, 7]);
    op.sampling.scale = [1.0, 1.5];
    let y = run(&op, Rounding::None, &x, (0.0, 0)).unwrap();
    close(y.elements(), &[0.0, 0.5, 1.166_666_6, 1.833_333_3, 2.5, 3.166_666_7, 3.833_333_5], 1e-6);
}

#[test]
fn each_rounding_of_a_half() {
    let x = int8(&[1, 1, 4, 1], &[2, 3, -6, -7]);
    let op = resize(Coordinates::HalfPixel, [1, 4], [1, 2]);
    let levels = |rounding, output| run(&op, rounding, &x, output).unwrap().elements::<i8>().to_vec();
    // 2.5 and -6.5.
    assert_eq!(levels(Rounding::Tflite, (0.5, 3)), [3, -7]);
    assert_eq!(levels(Rounding::Single, (0.5, 3)), [3, -6]);
    // Real -0.25 and -4.75, in units of 0.5: -0.5 and -9.5 around the zero point.
    assert_eq!(levels(Rounding::Onnx, (0.5, 3)), [3, -7]);
    // Other parameters: units of 0.25 around -1, saturating.
    assert_eq!(levels(Rounding::Onnx, (0.25, -1)), [-2, -20]);
    assert_eq!(levels(Rounding::Onnx, (0.01, 0)), [-25, -128]);
}

#[test]
fn int16_mixes_as_int8_does() {
    let int16 = |dims: &[u32], scale: f32, data: &[i16]| {
        let desc = Desc { scale, zero_point: 0, ..Desc::new(Dtype::I16, Shape::new(dims).unwrap()) };
        Value::new(desc, data).unwrap()
    };
    // The levels 256 times as large give LiteRT's results 256 times as large, within the rounding of both.
    let x = int16(&[1, 2, 3, 1], 0.5, &LEVELS.map(|v| v as i16 * 256));
    for &(coordinates, size, expect) in LITERT_INT8 {
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            // Floats use coordinates of more than 10 bits.
            let slack = if rounding == Rounding::Onnx { 128.0 + 256.0 } else { 128.5 };
            let y = run(&resize(coordinates, [2, 3], size), rounding, &x, (0.5, 0)).unwrap();
            for (&got, &level) in y.elements::<i16>().iter().zip(expect) {
                assert!((got as f64 - level as f64 * 256.0).abs() <= slack, "{coordinates:?} {rounding:?}");
            }
        }
    }
    // Halves: 2.5 and -6.5, and the ends of the range.
    let x = int16(&[1, 1, 6, 1], 0.5, &[2, 3, -6, -7, 32767, 32767]);
    let op = resize(Coordinates::HalfPixel, [1, 6], [1, 3]);
    let levels = |rounding, y| run(&op, rounding, &x, y).unwrap().elements::<i16>().to_vec();
    assert_eq!(levels(Rounding::Tflite, (0.5, 0)), [3, -7, 32767]);
    assert_eq!(levels(Rounding::Single, (0.5, 0)), [3, -6, 32767]);
    assert_eq!(levels(Rounding::Onnx, (0.5, 0)), [2, -6, 32767]);
    assert_eq!(levels(Rounding::Onnx, (0.25, -7)), [-2, -20, 32767]);
    assert_eq!(run(&op, Rounding::Single, &x, (0.25, 0)).map(|_| ()), Err(Error::Quantization));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against interpolation in f64 at the exact coordinate.
    #[test]
    fn every_convention_interpolates(
        dims in [1u32..3, 1u32..6, 1u32..6, 1u32..3],
        size in [1u32..9, 1u32..9],
        data in prop::collection::vec(any::<i8>(), 100),
    ) {
        let [n, h, w, c] = dims;
        let data = &data[..(n * h * w * c) as usize];
        for coordinates in Coordinates::ALL {
            let op = resize(coordinates, [h, w], size);
            let exact = |axis: usize, at: u32| {
                let (input, output) = ([h, w][axis] as f64, size[axis] as f64);
                let x = at as f64;
                let x = match coordinates {
                    Coordinates::Tflite | Coordinates::Asymmetric => x * input / output,
                    Coordinates::TfliteHalfPixel | Coordinates::HalfPixel => (x + 0.5) * input / output - 0.5,
                    Coordinates::TfHalfPixelForNn => (x + 0.5) * input / output,
                    _ if output == 1.0 => 0.0,
                    Coordinates::PytorchHalfPixel => (x + 0.5) * input / output - 0.5,
                    Coordinates::TfliteAlignCorners | Coordinates::AlignCorners => x * (input - 1.0) / (output - 1.0),
                };
                x.clamp(0.0, input - 1.0)
            };
            let levels = int8(&dims, data);
            let floats = f32(&dims, &data.iter().map(|&v| v as f32).collect::<Vec<_>>());
            let by = |rounding, x: &Value, output| run(&op, rounding, x, output).unwrap();
            let float = by(Rounding::None, &floats, (0.0, 0));
            let tflite = by(Rounding::Tflite, &levels, (0.5, 3));
            let single = by(Rounding::Single, &levels, (0.5, 3));
            let onnx = by(Rounding::Onnx, &levels, (0.5, 3));
            let mut k = 0;
            for image in 0..n {
                for y in 0..size[0] {
                    for x in 0..size[1] {
                        for channel in 0..c {
                            let (v, u) = (exact(0, y), exact(1, x));
                            let at = |row: f64, column: f64| {
                                let row = (row as u32).min(h - 1);
                                let column = (column as u32).min(w - 1);
                                data[(((image * h + row) * w + column) * c + channel) as usize] as f64
                            };
                            let (dv, du) = (v - v.floor(), u - u.floor());
                            let top = at(v, u) * (1.0 - du) + at(v, u + 1.0) * du;
                            let bottom = at(v + 1.0, u) * (1.0 - du) + at(v + 1.0, u + 1.0) * du;
                            let real = top * (1.0 - dv) + bottom * dv;
                            prop_assert!((float.elements::<f32>()[k] as f64 - real).abs() < 1e-3);
                            // Coordinates of 10 bits: the step's error grows with the index.
                            let slack = 0.5 + 2.0 * 255.0 * 9.0 * 0.5 / 1024.0;
                            for y in [&tflite, &single, &onnx] {
                                prop_assert!((y.elements::<i8>()[k] as f64 - real).abs() <= slack);
                            }
                            let (a, b) = (tflite.elements::<i8>()[k], single.elements::<i8>()[k]);
                            prop_assert!(a == b || a == b - 1);
                            k += 1;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_scale_leads_outside(scale in prop::num::f32::POSITIVE | prop::num::f32::SUBNORMAL) {
        let mut op = resize(Coordinates::HalfPixel, [2, 3], [4, 5]);
        op.sampling.scale = [scale.abs(), 1.0];
        let x = int8(&[1, 2, 3, 1], &[7; 6]);
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let y = run(&op, rounding, &x, (0.5, 3)).unwrap();
            prop_assert_eq!(y.elements::<i8>(), [7i8; 20]);
        }
    }
}

#[test]
fn a_step_rounded_up_stays_inside() {
    // The step 22 * 1024 / 2999 = 7.51 becomes 8, and 2999 of them lead to 23.4: one past the last of 23.
    let data: Vec<i8> = (0..23).collect();
    let x = int8(&[1, 1, 23, 1], &data);
    let op = resize(Coordinates::TfliteAlignCorners, [1, 23], [1, 3000]);
    let y = run(&op, Rounding::Tflite, &x, (0.5, 3)).unwrap();
    assert!(y.elements::<i8>().is_sorted());
    assert_eq!(y.elements::<i8>().last(), Some(&22));
}

#[test]
fn what_does_not_fit_is_refused() {
    let op = resize(Coordinates::Tflite, [1, 1], [2, 2]);
    let x = int8(&[1, 1, 1, 1], &[0]);
    assert_eq!(run(&op, Rounding::Tflite, &x, (0.25, 3)).unwrap_err(), Error::Quantization);
    assert_eq!(run(&op, Rounding::Onnx, &x, (0.0, 3)).unwrap_err(), Error::Quantization);
    assert_eq!(run(&op, Rounding::Onnx, &x, (0.5, 300)).unwrap_err(), Error::Quantization);
    assert_eq!(run(&op, Rounding::None, &x, (0.5, 3)).unwrap_err(), Error::NoKernel);
    let wide = Value::new(Desc::new(Dtype::I32, Shape::new(&[1, 1, 1, 1]).unwrap()), &[0i32]).unwrap();
    assert_eq!(run(&op, Rounding::Tflite, &wide, (0.0, 0)).unwrap_err(), Error::Dtype);
    assert_eq!(run(&op, Rounding::None, &f32(&[1, 1, 1], &[0.0]), (0.0, 0)).unwrap_err(), Error::Shape);
    assert_eq!(ResizeBilinear::parse(&[0; 16]), Err(Error::Attribute));
    assert_eq!(ResizeBilinear::parse(&[0; 18]), Err(Error::Attribute));
}
