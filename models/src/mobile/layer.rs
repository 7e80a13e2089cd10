//! One convolution with its batch normalization, and the way of tensors to and from files.

use anyhow::Result;
use burn::module::{Param, RunningState};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::*;

use crate::onnx::{Array, BatchNormalization, Convolution, GraphBuilder, Weights};

/// Convolution without bias, batch normalization after it.
#[derive(Module, Debug)]
pub(super) struct ConvNorm {
    pub(super) conv: Conv2d,
    pub(super) norm: BatchNorm,
}

/// Channels and geometry of a square convolution that keeps the size, up to its stride.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) groups: usize,
}

impl Shape {
    /// A convolution of random weights.
    pub(super) fn conv(self, bias: bool, device: &Device) -> Conv2d {
        let pad = self.kernel / 2;
        Conv2dConfig::new([self.from, self.to], [self.kernel; 2])
            .with_stride([self.stride; 2])
            .with_groups(self.groups)
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(bias)
            .init(device)
    }
}

impl ConvNorm {
    pub(super) fn new(shape: Shape, device: &Device) -> Self {
        Self { conv: shape.conv(false, device), norm: BatchNormConfig::new(shape.to).init(device) }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }

    pub(super) fn export(&self, graph: &mut GraphBuilder, path: &str, x: &str) -> String {
        let x = graph.convolution(&format!("{path}.conv"), x, &convolution(&self.conv));
        let norm = BatchNormalization {
            scale: array(self.norm.gamma.val()),
            bias: array(self.norm.beta.val()),
            mean: array(self.norm.running_mean.value_sync()),
            variance: array(self.norm.running_var.value_sync()),
            epsilon: self.norm.epsilon as f32,
        };
        graph.batch_normalization(&format!("{path}.norm"), &x, &norm)
    }

    pub(super) fn load(&mut self, weights: &Weights, path: &str, device: &Device) -> Result<()> {
        let shape = self.conv.weight.dims();
        let weight = tensor(weights, &format!("{path}.conv.weight"), shape, device)?;
        self.conv.weight = Param::from_tensor(weight);
        let channel = |kind: &str| tensor(weights, &format!("{path}.norm.{kind}"), [shape[0]], device);
        self.norm.gamma = Param::from_tensor(channel("weight")?);
        self.norm.beta = Param::from_tensor(channel("bias")?);
        self.norm.running_mean = RunningState::new(channel("running_mean")?);
        self.norm.running_var = RunningState::new(channel("running_var")?);
        Ok(())
    }

    /// Weights and biases of the convolution that does the normalization as well, as it is in inference.
    pub(super) fn folded(&self) -> (Tensor<4>, Tensor<1>) {
        let deviation = (self.norm.running_var.value_sync() + self.norm.epsilon).sqrt();
        let factor = self.norm.gamma.val() / deviation;
        let bias = self.norm.beta.val() - self.norm.running_mean.value_sync() * factor.clone();
        let channels = factor.dims()[0];
        (self.conv.weight.val() * factor.reshape([channels, 1, 1, 1]), bias)
    }
}

/// Geometry and weights of a convolution for the exporter.
pub(super) fn convolution(conv: &Conv2d) -> Convolution {
    Convolution {
        weight: array(conv.weight.val()),
        stride: conv.stride,
        padding: conv.kernel_size.map(|kernel| kernel / 2),
        dilation: conv.dilation,
        groups: conv.groups,
    }
}

/// Shape and values of a tensor.
pub(crate) fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    let values = tensor.try_into_vec_as::<f32>().expect("weights are in host memory");
    Array { shape, values }
}

/// The initializer `name`, which must have `shape`.
pub(crate) fn tensor<const D: usize>(
    weights: &Weights,
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Tensor<D>> {
    let array = weights.array(name, &shape)?;
    Ok(Tensor::from_data(TensorData::new(array.values.clone(), shape), device))
}
