//! Fake quantization: floats on the levels that integers will have, with gradients as if nothing were rounded
//! (the straight-through estimator of Bengio et al. 2013, as Jacob et al. 2018 train with it).

use burn::prelude::*;

use crate::onnx::{Array, Grid};

/// Weight of a new batch in the ranges.
const MOMENTUM: f32 = 0.05;

/// The range of one activation tensor, followed while training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Range {
    low: f32,
    high: f32,
    seen: bool,
}

impl Range {
    /// Moves towards the least and greatest value of a batch.
    pub(super) fn follow<const D: usize>(&mut self, x: &Tensor<D>) {
        let x = x.clone().detach();
        let (low, high) = (x.clone().min().into_scalar::<f32>(), x.max().into_scalar::<f32>());
        self.include(low, high);
    }

    fn include(&mut self, low: f32, high: f32) {
        if self.seen {
            self.low += MOMENTUM * (low - self.low);
            self.high += MOMENTUM * (high - self.high);
        } else {
            *self = Self { low, high, seen: true };
        }
    }

    /// Scale and zero point of the 255 int8 steps that cover the range and hold zero exactly.
    pub(super) fn grid(&self) -> Grid {
        let (low, high) = (self.low.min(0.0), self.high.max(0.0));
        let scale = ((high - low) / 255.0).max(1e-6);
        let zero_point = libm::rintf(-128.0 - low / scale).clamp(-128.0, 127.0);
        Grid { scale, zero_point: zero_point as i8 }
    }
}

/// An activation on the levels of `grid`; values beyond its ends pass no gradient.
pub(super) fn activation<const D: usize>(x: Tensor<D>, grid: Grid) -> Tensor<D> {
    let zero = f32::from(grid.zero_point);
    let x = x.clamp((-128.0 - zero) * grid.scale, (127.0 - zero) * grid.scale);
    let levels = (x.clone().detach() / grid.scale).round() * grid.scale;
    x.clone() + (levels - x.detach())
}

/// Weights on the int8 levels of each output channel, the first dimension.
pub(super) fn weights<const D: usize>(weight: Tensor<D>) -> Tensor<D> {
    let shape = weight.dims();
    let fixed = weight.clone().detach();
    let rows = fixed.clone().reshape([shape[0], shape[1..].iter().product()]);
    let scale = rows.clone().max_abs_dim(1).clamp_min(LEAST * 127.0) / 127.0;
    let levels = (rows / scale.clone()).round().clamp(-127.0, 127.0) * scale;
    weight + (levels.reshape(shape) - fixed)
}

/// Least scale of weights: a channel of zeros has one, too.
const LEAST: f32 = 1e-9;

/// Scale of each output channel and int8 levels of the weights, as [`weights`] rounds them.
pub(super) fn levels(weight: &Array) -> (Vec<f32>, Vec<i8>) {
    let inner: usize = weight.shape[1..].iter().product();
    let (mut scales, mut levels) = (Vec::new(), Vec::new());
    for channel in weight.values.chunks(inner.max(1)) {
        let most = channel.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = most.max(LEAST * 127.0) / 127.0;
        scales.push(scale);
        levels.extend(channel.iter().map(|value| libm::rintf(value / scale).clamp(-127.0, 127.0) as i8));
    }
    (scales, levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as::<f32>().unwrap()
    }

    #[test]
    fn range_follows_batches_and_holds_zero() {
        let mut range = Range::default();
        range.include(1.0, 3.0);
        assert_eq!(range.grid(), Grid { scale: 3.0 / 255.0, zero_point: -128 });
        (0..1000).for_each(|_| range.include(-2.55, 2.55));
        let grid = range.grid();
        assert!((grid.scale - 0.02).abs() < 1e-5 && (-1..=0).contains(&grid.zero_point), "{grid:?}");
    }

    #[test]
    fn activations_land_on_levels_and_pass_gradients_inside_the_range() {
        let device = Device::flex().autodiff();
        let x = Tensor::<1>::from_floats([-9.0, -0.26, 0.24, 0.9, 199.0], &device).require_grad();
        let y = activation(x.clone(), Grid { scale: 0.5, zero_point: -126 });
        assert_eq!(values(y.clone().inner()), [-1.0, -0.5, 0.0, 1.0, 126.5]);
        let gradients = y.sum().backward();
        assert_eq!(values(x.grad(&gradients).unwrap()), [0.0, 1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn weights_land_on_the_exported_levels_of_their_channel() {
        let device = Device::flex();
        let array = Array { shape: vec![2, 3], values: vec![1.27, -0.634, 0.0, -0.127, 0.0005, 0.0621] };
        let (scales, levels) = levels(&array);
        assert_eq!(levels, [127, -63, 0, -127, 0, 62]);
        let tensor = Tensor::<2>::from_data(TensorData::new(array.values, [2, 3]), &device);
        for (i, value) in values(weights(tensor)).into_iter().enumerate() {
            assert!((value - scales[i / 3] * f32::from(levels[i])).abs() < 1e-6);
        }
        let zeros = Array { shape: vec![1, 2], values: vec![0.0; 2] };
        assert_eq!(super::levels(&zeros), (vec![LEAST], vec![0, 0]));
    }
}
