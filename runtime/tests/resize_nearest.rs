//! ResizeNearest: indices as LiteRT's reference kernel and ONNX Runtime pick them, and whole pixels moved.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{Coordinates, Nearest, Op, ResizeNearest, Sampling};
use samara_runtime::{Desc, Dtype, Error, Shape};

fn sampling(coordinates: Coordinates, input: [u32; 2], size: [u32; 2]) -> Sampling {
    let scale = match coordinates.reads_scale() {
        true => [size[0] as f32 / input[0] as f32, size[1] as f32 / input[1] as f32],
        false => [0.0; 2],
    };
    Sampling { size, coordinates, scale }
}

#[test]
fn attributes_round_trip() {
    for coordinates in Coordinates::ALL {
        for nearest in Nearest::ALL {
            let op = ResizeNearest { sampling: sampling(coordinates, [2, 3], [4, 7]), nearest };
            assert_eq!(ResizeNearest::parse(op.emit().bytes()).unwrap(), op);
        }
    }
}

type Row<'a> = (Coordinates, Nearest, [&'a [usize]; 5]);

/// Lengths 5 to 1, 5 to 3, 5 to 8, 4 to 4 and 2 to 7.
const LENGTHS: [(u32, u32); 5] = [(5, 1), (5, 3), (5, 8), (4, 4), (2, 7)];

/// From LiteRT 2.3's reference resolver (`Tflite…`) and ONNX Runtime 1.31.
#[rustfmt::skip]
const PUBLISHED: &[Row<'_>] = {
    use Coordinates::*;
    use Nearest::*;
    &[
    (Tflite, Floor, [&[0], &[0, 1, 3], &[0, 0, 1, 1, 2, 3, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 1, 1, 1]]),
    (TfliteAlignCorners, RoundPreferCeil, [&[0], &[0, 2, 4], &[0, 1, 1, 2, 2, 3, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 1, 1, 1, 1]]),
    (TfliteHalfPixel, Floor, [&[2], &[0, 2, 4], &[0, 0, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 0, 1, 1, 1, 1]]),
    (Asymmetric, Floor, [&[0], &[0, 1, 3], &[0, 0, 1, 1, 2, 3, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 1, 1, 1]]),
    (Asymmetric, RoundPreferFloor, [&[0], &[0, 2, 3], &[0, 1, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 1, 1, 1, 1, 1]]),
    (Asymmetric, RoundPreferCeil, [&[0], &[0, 2, 3], &[0, 1, 1, 2, 3, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 1, 1, 1, 1, 1]]),
    (Asymmetric, Ceil, [&[0], &[0, 2, 4], &[0, 1, 2, 2, 3, 4, 4, 4], &[0, 1, 2, 3], &[0, 1, 1, 1, 1, 1, 1]]),
    (HalfPixel, Floor, [&[2], &[0, 2, 3], &[0, 0, 1, 1, 2, 2, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 0, 1, 1]]),
    (HalfPixel, RoundPreferFloor, [&[2], &[0, 2, 4], &[0, 0, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 1, 1, 1]]),
    (HalfPixel, RoundPreferCeil, [&[2], &[0, 2, 4], &[0, 0, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 0, 1, 1, 1, 1]]),
    (HalfPixel, Ceil, [&[2], &[1, 2, 4], &[0, 1, 2, 2, 3, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 1, 1, 1, 1, 1]]),
    (AlignCorners, Floor, [&[0], &[0, 2, 4], &[0, 0, 1, 1, 2, 2, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 0, 0, 1]]),
    (AlignCorners, RoundPreferFloor, [&[0], &[0, 2, 4], &[0, 1, 1, 2, 2, 3, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 1, 1, 1]]),
    (AlignCorners, RoundPreferCeil, [&[0], &[0, 2, 4], &[0, 1, 1, 2, 2, 3, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 1, 1, 1, 1]]),
    (AlignCorners, Ceil, [&[0], &[0, 2, 4], &[0, 1, 2, 2, 3, 3, 4, 4], &[0, 1, 2, 3], &[0, 1, 1, 1, 1, 1, 1]]),
    (PytorchHalfPixel, Floor, [&[0], &[0, 2, 3], &[0, 0, 1, 1, 2, 2, 3, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 0, 1, 1]]),
    (PytorchHalfPixel, RoundPreferFloor, [&[0], &[0, 2, 4], &[0, 0, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 0, 0, 1, 1, 1]]),
    (PytorchHalfPixel, RoundPreferCeil, [&[0], &[0, 2, 4], &[0, 0, 1, 2, 2, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 0, 1, 1, 1, 1]]),
    (PytorchHalfPixel, Ceil, [&[0], &[1, 2, 4], &[0, 1, 2, 2, 3, 3, 4, 4], &[0, 1, 2, 3], &[0, 0, 1, 1, 1, 1, 1]]),
    ]
};

#[test]
fn indices_are_those_of_other_runtimes() {
    for &(coordinates, nearest, expected) in PUBLISHED {
        for ((from, to), expect) in LENGTHS.into_iter().zip(expected) {
            // Once along each axis, with a pixel of two int16 channels.
            for vertical in [false, true] {
                let dims = |n: u32| if vertical { [1, n, 1, 2] } else { [1, 1, n, 2] };
                let data: Vec<i16> = (0..from as i16).flat_map(|k| [k, -k]).collect();
                let x = Value::new(Desc::new(Dtype::I16, Shape::new(&dims(from)).unwrap()), &data).unwrap();
                let [_, h, w, _] = dims(to);
                let [_, ih, iw, _] = dims(from);
                let op = ResizeNearest { sampling: sampling(coordinates, [ih, iw], [h, w]), nearest };
                let y = run(&op, &[&x]).unwrap();
                let got: Vec<usize> = y.elements::<i16>().chunks(2).map(|p| p[0] as usize).collect();
                assert_eq!(got, expect, "{coordinates:?} {nearest:?} {from} to {to}");
                assert!(y.elements::<i16>().chunks(2).all(|p| p[0] == -p[1]));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_integer_factor_repeats_pixels(
        dims in [1u32..3, 1u32..4, 1u32..4, 1u32..4],
        factor in [1u32..4, 1u32..4],
        d in 0usize..6,
    ) {
        let [_, h, w, _] = dims;
        let x = noise(Dtype::COMPUTED[d], &dims, 3);
        for coordinates in [Coordinates::Tflite, Coordinates::TfliteHalfPixel, Coordinates::Asymmetric, Coordinates::TfHalfPixelForNn] {
            let sampling = sampling(coordinates, [h, w], [h * factor[0], w * factor[1]]);
            let y = run(&ResizeNearest { sampling, nearest: Nearest::Floor }, &[&x]).unwrap();
            for at in indices(y.desc.shape.dims()) {
                let source = [at[0], at[1] / factor[0] as usize, at[2] / factor[1] as usize, at[3]];
                prop_assert_eq!(element(&y, &at), element(&x, &source));
            }
        }
    }

    #[test]
    fn no_scale_leads_outside(scale in prop::num::f32::POSITIVE | prop::num::f32::SUBNORMAL, n in 0usize..4) {
        let x = noise(Dtype::I8, &[1, 2, 3, 1], 3);
        let sampling = Sampling { size: [4, 5], coordinates: Coordinates::HalfPixel, scale: [scale.abs(), 1.0] };
        let op = ResizeNearest { sampling, nearest: Nearest::ALL[n] };
        prop_assert!(run(&op, &[&x]).is_ok());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = noise(Dtype::I8, &[1, 2, 3, 1], 0);
    let op = |sampling| ResizeNearest { sampling, nearest: Nearest::Floor };
    let plain = sampling(Coordinates::Tflite, [2, 3], [4, 6]);
    assert_eq!(run(&op(Sampling { size: [0, 1], ..plain }), &[&x]).unwrap_err(), Error::Tensor);
    assert_eq!(run(&op(Sampling { size: [1 << 20, 1 << 20], ..plain }), &[&x]).unwrap_err(), Error::Limit);
    assert_eq!(run(&op(Sampling { scale: [1.0, 1.0], ..plain }), &[&x]).unwrap_err(), Error::Attribute);
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let scaled = Sampling { coordinates: Coordinates::Asymmetric, scale: [1.0, bad], ..plain };
        assert_eq!(run(&op(scaled), &[&x]).unwrap_err(), Error::Attribute);
    }
    assert_eq!(run(&op(plain), &[&noise(Dtype::I8, &[2, 3, 1], 0)]).unwrap_err(), Error::Shape);
    let mut bytes = op(plain).emit().bytes().to_vec();
    bytes[8] = 8;
    assert_eq!(ResizeNearest::parse(&bytes), Err(Error::Attribute));
    (bytes[8], bytes[17]) = (0, 4);
    assert_eq!(ResizeNearest::parse(&bytes), Err(Error::Attribute));
}
