//! Biases at input scale times weight scale, and the proof that no accumulator overflows.

use super::coded::Coded;
use super::layer::Layer;
use crate::error::{Error, Result};
use crate::ir::Quant;
use crate::quantize::Activations;
use crate::quantize::solve::Accumulator;

/// What a layer reads, as far as its constants depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// Floats: scales and biases are floats too.
    Float,
    /// Levels of a per-tensor scale.
    Integer {
        /// Of the activation.
        scale: f32,
        /// int8 or int16.
        format: Activations,
        /// What products are added up in.
        accumulator: Accumulator,
    },
}

impl Input {
    /// From the parameters of the layer's input; `None` for floats.
    pub(crate) fn of(quant: Option<&Quant>, format: Activations) -> Result<Self> {
        if format == Activations::F32 {
            return Ok(Input::Float);
        }
        let missing = || Error::invalid("its input is no calibrated activation");
        let quant = quant.ok_or_else(missing)?;
        let (scale, _) = quant.single().ok_or_else(missing)?;
        Ok(Input::Integer { scale, format, accumulator: Accumulator::of(quant, format)? })
    }

    /// The least weight scale at which a bias fits with a margin of one bit for its correction; 0 for floats.
    pub(crate) fn floor(&self, bias: f64) -> f64 {
        match self {
            Input::Float => 0.0,
            Input::Integer { scale, accumulator, .. } => {
                2.0 * bias.abs() / accumulator.bias_limit() as f64 / *scale as f64
            }
        }
    }

    /// The level of a bias beside weights of this scale; 0 for floats.
    pub(crate) fn level(&self, bias: f64, weight_scale: f64) -> i64 {
        match self {
            Input::Float => 0,
            Input::Integer { scale, accumulator, .. } => {
                let most = accumulator.bias_limit() as f64;
                libm::rint(bias / (weight_scale * *scale as f64)).clamp(-most, most) as i64
            }
        }
    }
}

/// Raises the scale of channels whose accumulator could overflow, whatever the input, and rounds their weights
/// again; refuses a channel that no scale helps.
pub(crate) fn fit(layer: &Layer, coded: &mut Coded, bias: &[f64], input: &Input) -> Result<()> {
    let Input::Integer { accumulator, .. } = input else { return Ok(()) };
    for (o, &bias) in bias.iter().enumerate() {
        let mut attempts = 0;
        loop {
            let grid = &coded.grids[o];
            let integer = |k| (0, grid.integer(k, coded.codes[layer.index(o, k)]));
            let proof = accumulator.prove((0..layer.inner).map(integer), &[input.level(bias, grid.scale)]);
            if proof.is_ok() {
                break;
            }
            if attempts == ATTEMPTS {
                return Err(Error::invalid(format!("channel {o} could overflow its accumulator")));
            }
            attempts += 1;
            let grid = grid.at((grid.scale * 1.25) as f32 as f64);
            let row = layer.row(o);
            let codes: Vec<i8> = row.iter().enumerate().map(|(k, &w)| grid.nearest(k, w)).collect();
            coded.set(layer, o, &codes, grid);
        }
    }
    Ok(())
}

/// Times that a scale is raised by a quarter: by 2^10 in all.
const ATTEMPTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::{Weights, nearest};
    use super::*;

    fn layer(inner: usize, bias: f32) -> Layer {
        let values = vec![1.0; inner];
        Layer { values, shape: vec![1, inner], bias: Some(vec![bias]), channels: 1, inner, depthwise: false }
    }

    fn int8(scale: f32, zero: i32) -> Input {
        Input::of(Some(&Quant::per_tensor(scale, zero)), Activations::Int8).unwrap()
    }

    fn sum(layer: &Layer, coded: &Coded) -> i64 {
        (0..layer.inner).map(|k| coded.grids[0].integer(k, coded.codes[k]).unsigned_abs() as i64).sum()
    }

    #[test]
    fn a_long_channel_gets_a_coarser_scale_instead_of_an_overflow() {
        let input = int8(0.5, -128);
        // 127 * 255 * 70000 is above 2^31.
        let layer = layer(70_000, 3.0);
        let mut coded = nearest(&layer, Weights::Int8, &input).unwrap();
        let before = coded.grids[0].scale;
        fit(&layer, &mut coded, &[3.0], &input).unwrap();
        assert!(coded.grids[0].scale > before);
        assert!(sum(&layer, &coded) * 255 < 1 << 31);
        let real = coded.grids[0].real(0, coded.codes[0]);
        assert!((real - 1.0).abs() <= 0.51 * coded.grids[0].scale, "{real}");
    }

    #[test]
    fn tiny_weights_leave_room_for_the_bias() {
        let input = int8(1e-3, 0);
        let mut layer = layer(4, 100.0);
        layer.values = vec![1e-12; 4];
        let coded = nearest(&layer, Weights::Int8, &input).unwrap();
        let level = input.level(100.0, coded.grids[0].scale);
        // Half of the limit, but for the scale's own rounding.
        assert!((level - (1 << 29)).abs() < 1 << 8, "{level}");
    }
}
