//! Resizing of images.

use samara_runtime::ops::{Attr, Coordinates, Nearest, Op as _, ResizeBilinear, ResizeNearest, Rounding};
use samara_runtime::{Desc, Dtype};

use super::{Lowered, View};
use crate::error::{Error, Result};
use crate::ir::{NearestMode, Numeric, Op, Sampling};

/// See [`super::bare`].
pub fn bare(op: &Op, inputs: &[Option<Desc>]) -> Result<(u16, Attr)> {
    let from = match inputs.first().copied().flatten() {
        Some(d) => [d.shape.dim(1), d.shape.dim(2)],
        None => [1, 1],
    };
    attributes(op, from, Arithmetic::Divide)
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let x = view.input(0)?;
    let from = match x.shape[..] {
        [_, height, width, _] => [height, width],
        _ => return Err(Error::invalid(format!("tensor '{}' is no NHWC image", x.name))),
    };
    let integer = x.dtype != Dtype::F32;
    let (rounding, arithmetic) = match (view.op, view.numeric) {
        (Op::ResizeBilinear { .. }, Numeric::Onnx) if integer => (Rounding::Onnx, Arithmetic::Divide),
        // Without any float: what TFLite Micro computes, and what a core without FPU computes best.
        (Op::ResizeBilinear { .. }, numeric) if integer => (numeric.rounding(), Arithmetic::Multiply),
        (_, Numeric::Tflite) => (Rounding::None, Arithmetic::Multiply),
        _ => (Rounding::None, Arithmetic::Divide),
    };
    Ok(Lowered::plain(attributes(view.op, from, arithmetic)?, rounding, 1))
}

/// Whose arithmetic the coordinates follow, to the last bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arithmetic {
    /// TFLite multiplies by input/output.
    Multiply,
    /// ONNX divides by output/input.
    Divide,
}

fn attributes(op: &Op, from: [usize; 2], arithmetic: Arithmetic) -> Result<(u16, Attr)> {
    match *op {
        Op::ResizeBilinear { size, sampling } => {
            let sampling = runtime_sampling(size, from, sampling, arithmetic, false)?;
            Ok((ResizeBilinear::CODE, ResizeBilinear { sampling }.emit()))
        }
        Op::ResizeNearest { size, sampling, mode } => {
            let (arithmetic, nearest) = match (arithmetic, sampling, mode) {
                // TFLite's floor((x + 0.5) * ratio) is what half_pixel rounds half up.
                (Arithmetic::Multiply, Sampling::HalfPixel, NearestMode::RoundPreferCeil) => {
                    (arithmetic, Nearest::Floor)
                }
                // Any other rounding needs the coordinate itself, with its - 0.5.
                (_, Sampling::HalfPixel, mode) => (Arithmetic::Divide, rounding_of(mode)),
                (arithmetic, _, mode) => (arithmetic, rounding_of(mode)),
            };
            let sampling = runtime_sampling(size, from, sampling, arithmetic, true)?;
            Ok((ResizeNearest::CODE, ResizeNearest { sampling, nearest }.emit()))
        }
        _ => Err(Error::invalid("not of this family")),
    }
}

fn rounding_of(mode: NearestMode) -> Nearest {
    match mode {
        NearestMode::Floor => Nearest::Floor,
        NearestMode::Ceil => Nearest::Ceil,
        NearestMode::RoundPreferFloor => Nearest::RoundPreferFloor,
        NearestMode::RoundPreferCeil => Nearest::RoundPreferCeil,
    }
}

fn runtime_sampling(
    size: [usize; 2],
    from: [usize; 2],
    sampling: Sampling,
    arithmetic: Arithmetic,
    nearest: bool,
) -> Result<samara_runtime::ops::Sampling> {
    let coordinates = match (arithmetic, sampling) {
        (Arithmetic::Multiply, Sampling::Asymmetric) => Coordinates::Tflite,
        // For one output TFLite's bilinear align_corners takes the first element just as ONNX's does.
        (Arithmetic::Multiply, Sampling::AlignCorners) => Coordinates::TfliteAlignCorners,
        (Arithmetic::Multiply, Sampling::HalfPixel) => Coordinates::TfliteHalfPixel,
        // The same as half_pixel but for one output, which has another coordinate in each direction.
        (Arithmetic::Multiply, Sampling::PytorchHalfPixel) if !nearest && !size.contains(&1) => {
            Coordinates::TfliteHalfPixel
        }
        (_, Sampling::PytorchHalfPixel) => Coordinates::PytorchHalfPixel,
        (Arithmetic::Divide, Sampling::Asymmetric) => Coordinates::Asymmetric,
        (Arithmetic::Divide, Sampling::AlignCorners) => Coordinates::AlignCorners,
        (Arithmetic::Divide, Sampling::HalfPixel) => Coordinates::HalfPixel,
    };
    let side =
        |n: usize| u32::try_from(n).map_err(|_| Error::invalid(format!("{n} rows or columns are too many")));
    let scale = match coordinates.reads_scale() {
        true => [size[0] as f32 / from[0] as f32, size[1] as f32 / from[1] as f32],
        false => [0.0; 2],
    };
    Ok(samara_runtime::ops::Sampling { size: [side(size[0])?, side(size[1])?], coordinates, scale })
}

#[cfg(test)]
mod tests {
    use samara_runtime::ops::eval::Value;

    use super::*;
    use crate::interpret::Interpreter;
    use crate::ir::{Graph, Quant, Tensor};

    const SAMPLINGS: [Sampling; 4] =
        [Sampling::HalfPixel, Sampling::PytorchHalfPixel, Sampling::Asymmetric, Sampling::AlignCorners];

    fn run(op: Op, numeric: Numeric, x: &Tensor) -> Value {
        let mut graph = Graph::new("one", numeric);
        let input = graph.add(Tensor { data: None, ..x.clone() });
        graph.inputs.push(input);
        let y = graph.push("y", op, &[Some(input)]).unwrap();
        graph.tensors[y].quant = x.quant.clone();
        graph.outputs.push(y);
        let y = Interpreter::new(&graph).unwrap().run(vec![x.value().unwrap()], |_, _| Ok(())).unwrap();
        y.into_iter().next().unwrap()
    }

    fn row(levels: &[i8]) -> Tensor {
        Tensor::constant("x", Dtype::I8, vec![1, 1, levels.len(), 1], levels)
            .quantized(Quant::per_tensor(0.5, -3))
    }

    #[test]
    fn every_profile_interpolates_alike() {
        let levels = [0i8, 100, -120, 40, 7];
        for sampling in SAMPLINGS {
            for width in [1, 2, 3, 5, 8, 13] {
                let op = Op::ResizeBilinear { size: [1, width], sampling };
                let x = Tensor::constant("x", Dtype::F32, vec![1, 1, 5, 1], &levels.map(f32::from));
                let float = run(op.clone(), Numeric::Single, &x);
                for numeric in [Numeric::Tflite, Numeric::Single, Numeric::Onnx] {
                    let y = run(op.clone(), numeric, &row(&levels));
                    // The integer kernels' coordinates have 10 bits.
                    let slack =
                        if numeric == Numeric::Onnx { 0.501 } else { 0.5 + 220.0 * 13.0 * 0.5 / 1024.0 };
                    for (&level, &real) in y.elements::<i8>().iter().zip(float.elements::<f32>()) {
                        assert!((level as f32 - real).abs() <= slack, "{sampling:?} {width} {numeric:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_arithmetics_pick_the_same_neighbours() {
        let modes = [
            NearestMode::Floor,
            NearestMode::Ceil,
            NearestMode::RoundPreferFloor,
            NearestMode::RoundPreferCeil,
        ];
        let levels: Vec<i8> = (0..12).collect();
        // Ratios that floats hold exactly: elsewhere the last bit may decide, which is why there are two.
        for (from, to) in [(4, 8), (8, 4), (12, 3), (3, 12), (5, 5), (8, 1)] {
            for sampling in SAMPLINGS {
                for mode in modes {
                    let op = Op::ResizeNearest { size: [1, to], sampling, mode };
                    let tflite = run(op.clone(), Numeric::Tflite, &row(&levels[..from]));
                    let onnx = run(op, Numeric::Onnx, &row(&levels[..from]));
                    assert_eq!(tflite.bytes(), onnx.bytes(), "{from} to {to} {sampling:?} {mode:?}");
                }
            }
        }
    }
}
