//! Proof that a layer's accumulator cannot overflow, and the least weight scale with which it cannot.

use crate::error::{Error, Result};
use crate::ir::Quant;
use crate::quantize::Activations;

/// Greatest magnitude of a bias level where activations are int8: half of the accumulator is left to the products.
pub const BIAS_LIMIT: i64 = 1 << 30;

/// How often a scale is raised before the layer is refused; each time it grows by what is missing.
const MAX_RAISES: usize = 64;

/// What the products of one layer are added up in: 32 bits for int8 activations, 64 bits for int16, of which
/// requantization takes 48.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Accumulator {
    input_scale: f64,
    /// Greatest `|x - zero_point|`.
    reach: i64,
    /// Exclusive bound of every partial sum.
    limit: i64,
    /// Inclusive bound of a bias level.
    bias_limit: i64,
}

impl Accumulator {
    /// For activations of these parameters; refuses parameters of several scales and float activations.
    pub fn of(input: &Quant, format: Activations) -> Result<Self> {
        let (scale, zero) = input.single().ok_or_else(|| Error::invalid("its input has several scales"))?;
        let (reach, limit) = match format {
            Activations::Int8 => ((127 - zero).max(zero + 128) as i64, 1i64 << 31),
            Activations::Int16 => (32768 + (zero as i64).abs(), 1i64 << 47),
            Activations::F32 => return Err(Error::invalid("its input is no integer activation")),
        };
        Ok(Accumulator { input_scale: scale as f64, reach, limit, bias_limit: limit / 2 })
    }

    /// The greatest magnitude of a bias level.
    pub fn bias_limit(&self) -> i64 {
        self.bias_limit
    }

    /// A bias as a level at input scale times weight scale, to nearest; beyond [`i64`] it saturates.
    pub fn bias_level(&self, bias: f32, scale: f32) -> i64 {
        libm::rint(bias as f64 / (self.input_scale * scale as f64)) as i64
    }

    /// The least scale, from `scale` on, at which one channel's `weights` and `bias` rounded to nearest cannot
    /// overflow. `most` is the greatest level of a weight (127, 7, …): `scale` is raised to it where a weight
    /// would not fit, too. A channel of zeros without bias gets `1 / most`. Refuses what no scale can hold.
    pub fn fit_scale(&self, weights: &[f32], bias: f32, scale: f32, most: i32) -> Result<f32> {
        if !weights.iter().chain([&bias]).all(|v| v.is_finite()) {
            return Err(Error::invalid("a weight or bias is not finite"));
        }
        let greatest = weights.iter().fold(0f32, |g, w| g.max(w.abs()));
        let floor = bias.abs() as f64 / self.bias_limit as f64 / self.input_scale;
        let most = most as f64;
        let mut fitted = (scale as f64).max(floor).max(greatest as f64 / most);
        if !(fitted as f32).is_normal() {
            fitted = fitted.max(if floor > 0.0 { f32::MIN_POSITIVE as f64 } else { 1.0 / most });
        }
        for _ in 0..MAX_RAISES {
            let single = fitted as f32;
            let level = |w: &f32| libm::rint(*w as f64 / single as f64).clamp(-most, most).abs() as i64;
            let products: i64 = weights.iter().map(level).fold(0i64, |sum, l| sum.saturating_add(l));
            let bias = self.bias_level(bias, single).saturating_abs();
            let sum = products.saturating_mul(self.reach).saturating_add(bias);
            if sum < self.limit && bias <= self.bias_limit && single.is_normal() {
                return Ok(single);
            }
            fitted *= (sum as f64 / self.limit as f64).max(1.0 + 1.0 / 1024.0);
        }
        Err(Error::invalid("no weight scale keeps its accumulator from overflowing")
            .remedy("normalise the layer before quantizing"))
    }

    /// `sum |w| * max |x - z| + |b|` within the accumulator for every channel, whatever the input. `levels` are
    /// the weights' integer values, each with its output channel.
    pub fn prove(&self, levels: impl Iterator<Item = (usize, i32)>, biases: &[i64]) -> Result<()> {
        let mut sums: Vec<i64> = biases.iter().map(|b| b.saturating_abs()).collect();
        if let Some(c) = sums.iter().position(|&b| b > self.bias_limit) {
            let most = self.bias_limit;
            return Err(Error::invalid(format!("the bias of channel {c} is above {most} levels")));
        }
        for (c, level) in levels {
            let sum = sums.get_mut(c).ok_or_else(|| Error::invalid(format!("channel {c} has no bias")))?;
            *sum = sum.saturating_add((level as i64).abs().saturating_mul(self.reach));
        }
        match sums.iter().position(|&s| s >= self.limit) {
            Some(c) => {
                let bits = self.limit.ilog2() + 1;
                Err(Error::invalid(format!("channel {c} could overflow its {bits}-bit accumulator")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int8(scale: f32, zero: i32) -> Accumulator {
        Accumulator::of(&Quant::per_tensor(scale, zero), Activations::Int8).unwrap()
    }

    fn proven(a: &Accumulator, weights: &[f32], bias: f32, scale: f32) -> Result<()> {
        let level = |w: &f32| (0, libm::rint(*w as f64 / scale as f64) as i32);
        a.prove(weights.iter().map(level), &[a.bias_level(bias, scale)])
    }

    #[test]
    fn scales_that_fit_are_kept() {
        let a = int8(0.1, -128);
        assert_eq!(a.fit_scale(&[0.5, -1.27], 3.0, 0.01, 127).unwrap(), 0.01);
        assert_eq!(a.fit_scale(&[0.0, 0.0], 0.0, 0.0, 127).unwrap(), 1.0 / 127.0);
    }

    #[test]
    fn a_large_bias_raises_the_scale() {
        let a = int8(1e-6, 0);
        let scale = a.fit_scale(&[1e-6], 100.0, 1e-8, 127).unwrap();
        assert!(scale > 1e-8 && a.bias_level(100.0, scale) <= BIAS_LIMIT);
        assert!(proven(&a, &[1e-6], 100.0, 1e-8).is_err());
        proven(&a, &[1e-6], 100.0, scale).unwrap();
        // No weights at all, only a bias.
        let scale = a.fit_scale(&[0.0; 4], -5.0, 0.0, 127).unwrap();
        assert!(a.bias_level(-5.0, scale).abs() <= BIAS_LIMIT);
    }

    #[test]
    fn a_long_sum_raises_the_scale() {
        // 100,000 products of 127 * 255 pass 2^31.
        let weights = vec![1.27f32; 100_000];
        let a = int8(0.1, -128);
        assert!(proven(&a, &weights, 0.0, 0.01).is_err());
        let scale = a.fit_scale(&weights, 0.0, 0.01, 127).unwrap();
        assert!(scale > 0.01 && scale < 0.02, "{scale}");
        proven(&a, &weights, 0.0, scale).unwrap();
        // Sixteen bits have 48.
        let wide = Accumulator::of(&Quant::per_tensor(0.1, 0), Activations::Int16).unwrap();
        assert_eq!(wide.fit_scale(&weights, 0.0, 0.01, 127).unwrap(), 0.01);
    }

    #[test]
    fn what_no_scale_can_hold_is_refused() {
        let a = int8(f32::MIN_POSITIVE, 0);
        assert!(a.fit_scale(&[f32::NAN], 0.0, 1.0, 127).is_err());
        assert!(a.fit_scale(&[1.0], f32::MAX, 1.0, 127).is_err());
    }
}
