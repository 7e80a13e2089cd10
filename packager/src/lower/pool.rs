//! Pooling and reductions.

use samara_runtime::ops::{
    Attr, AveragePool2d, Clamp, MaxPool2d, Mean, Op as _, Pool, Reduce, ReduceMax, Rounding, Sum,
};

use super::multiplier::{single, tflite};
use super::{Lowered, View, conv, parameters};
use crate::error::{Error, Result};
use crate::ir::{Numeric, Op, PoolKind, ReduceKind};

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    attributes(op, Clamp::NONE, [0, 0])
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let clamp = match view.op {
        Op::Pool2d { activation, .. } => conv::clamp(*activation, view.output)?,
        _ => Clamp::NONE,
    };
    let (rounding, scale) = match view.op {
        // Nothing is rescaled, so nothing is rounded.
        Op::Pool2d { kind: PoolKind::Max, .. } | Op::Reduce { kind: ReduceKind::Max, .. } => {
            same_parameters(view)?;
            (Rounding::None, [0, 0])
        }
        Op::Pool2d { kind: PoolKind::Average { .. }, .. } => {
            if view.numeric != Numeric::Onnx {
                same_parameters(view)?;
            }
            (view.rounding(), [0, 0])
        }
        Op::Reduce { kind, axes, .. } => (view.rounding(), rescaling(view, *kind, axes)?),
        _ => return Err(Error::invalid("not of this family")),
    };
    Ok(Lowered::plain(attributes(view.op, clamp, scale)?, rounding, 1))
}

fn attributes(op: &Op, clamp: Clamp, scale: [i32; 2]) -> Result<(u16, Attr)> {
    match op {
        &Op::Pool2d { kind, size, window, .. } => {
            let pool = Pool { window, size };
            Ok(match kind {
                PoolKind::Average { count_include_pad } => {
                    let counted = if count_include_pad { window.pad } else { [0; 4] };
                    (AveragePool2d::CODE, AveragePool2d { pool, counted, clamp }.emit())
                }
                PoolKind::Max => (MaxPool2d::CODE, MaxPool2d { pool, clamp }.emit()),
            })
        }
        Op::Reduce { kind, axes, keep_dims } => {
            let mut mask = 0u8;
            for &axis in axes {
                let bit = u32::try_from(axis).ok().and_then(|a| 1u8.checked_shl(a));
                mask |=
                    bit.ok_or_else(|| Error::invalid(format!("axis {axis} is beyond the greatest rank")))?;
            }
            let reduce = Reduce { axes: mask, keep_dims: *keep_dims };
            Ok(match kind {
                ReduceKind::Mean => (Mean::CODE, Mean { reduce, scale }.emit()),
                ReduceKind::Sum => (Sum::CODE, Sum { reduce, scale }.emit()),
                ReduceKind::Max => (ReduceMax::CODE, ReduceMax { reduce }.emit()),
            })
        }
        _ => Err(Error::invalid("not of this family")),
    }
}

/// Where the kernel does not rescale, levels must mean the same on both sides.
fn same_parameters(view: &View<'_>) -> Result<()> {
    if view.is_float() || parameters(view.input(0)?)? == parameters(view.output)? {
        return Ok(());
    }
    Err(Error::invalid("its input and output need the same scale and zero point"))
}

/// The runtime's `[multiplier, shift]` of a mean or a sum.
fn rescaling(view: &View<'_>, kind: ReduceKind, axes: &[usize]) -> Result<[i32; 2]> {
    if view.is_float() || view.numeric == Numeric::Onnx {
        return Ok([0, 0]);
    }
    let x = view.input(0)?;
    let ((input, _), (output, _)) = (parameters(x)?, parameters(view.output)?);
    let mut distinct = axes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let count: u64 = match kind {
        ReduceKind::Mean => distinct.iter().map(|&a| x.shape.get(a).copied().unwrap_or(1) as u64).product(),
        ReduceKind::Sum | ReduceKind::Max => 1,
    };
    let real = input as f64 / output as f64;
    Ok(match view.numeric {
        Numeric::Tflite => divided(tflite(real), count.max(1)),
        Numeric::Single | Numeric::Onnx => single(real / count.max(1) as f64),
    })
}

/// The pair of `1 / count` times the real multiplier of a pair, as TFLite derives it.
fn divided([multiplier, shift]: [i32; 2], count: u64) -> [i32; 2] {
    let k = (count.ilog2() as i32).min(32).min(31 + shift);
    [((i64::from(multiplier) << k) / count as i64) as i32, shift - k]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Activation, Quant, Tensor};
    use samara_runtime::Dtype;
    use samara_runtime::ops::Window;

    fn tensor(shape: &[usize], scale: f32) -> Tensor {
        Tensor::new("t", Dtype::I8, shape.to_vec()).quantized(Quant::per_tensor(scale, 3))
    }

    #[test]
    fn the_mean_s_multiplier_includes_the_count() {
        assert_eq!(divided([1 << 30, 0], 6), [(1 << 30 << 2) / 6, -2].map(|v: i64| v as i32));
        assert_eq!(divided([1 << 30, 3], 1), [1 << 30, 3]);
        // The shift stays within its range at the price of precision.
        assert_eq!(divided([1 << 30, -30], 64), [(1 << 30) / 64 * 2, -31]);
        for count in 1..3000u64 {
            let [m, s] = divided(tflite(0.37), count);
            let real = f64::from(m) / (1u64 << 31) as f64 * 2f64.powi(s);
            assert!((real * count as f64 / 0.37 - 1.0).abs() < 1e-8);
        }
    }

    #[test]
    fn rounding_follows_what_the_step_does() {
        let (x, y) = (tensor(&[1, 4, 4, 2], 0.5), tensor(&[1, 2], 0.25));
        let reduce = |kind| Op::Reduce { kind, axes: vec![1, 2], keep_dims: false };
        let step = |op: &Op, y: &Tensor, numeric| {
            lower(&View { op, inputs: &[Some(&x)], output: y, numeric }).map(|l| l.rounding)
        };
        let mean = reduce(ReduceKind::Mean);
        assert_eq!(step(&mean, &y, Numeric::Tflite).unwrap(), Rounding::Tflite);
        assert_eq!(step(&mean, &y, Numeric::Single).unwrap(), Rounding::Single);
        assert!(step(&reduce(ReduceKind::Max), &y, Numeric::Tflite).is_err());
        let same = tensor(&[1, 2], 0.5);
        assert_eq!(step(&reduce(ReduceKind::Max), &same, Numeric::Tflite).unwrap(), Rounding::None);
        let pool =
            |kind| Op::Pool2d { kind, size: [2, 2], window: Window::UNIT, activation: Activation::RELU };
        let average = pool(PoolKind::Average { count_include_pad: false });
        assert!(step(&average, &y, Numeric::Tflite).is_err());
        assert_eq!(step(&average, &y, Numeric::Onnx).unwrap(), Rounding::Onnx);
        assert_eq!(step(&pool(PoolKind::Max), &same, Numeric::Onnx).unwrap(), Rounding::None);
    }
}
