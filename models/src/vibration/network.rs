//! The network: a stem, three depthwise-separable blocks (one residual) and a linear classifier.

use anyhow::Result;
use burn::module::{Param, RunningState};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::module::adaptive_avg_pool2d;

use super::{BANDS, CHANNELS, Condition, FRAMES, INPUT, NAME, OUTPUT, labels};
use crate::onnx::proto::ModelProto;
use crate::onnx::{Array, BatchNormalization, Convolution, GraphBuilder, Weights};

const STEM: usize = 16;
const MIDDLE: usize = 32;
const TOP: usize = 64;

/// Classifies spectrograms of shape batch x [`CHANNELS`] x [`BANDS`] x [`FRAMES`].
#[derive(Module, Debug)]
pub struct Network {
    stem: ConvNorm,
    down: Separable,
    refine: Separable,
    top: Separable,
    classifier: Linear,
}

impl Network {
    /// A network with random weights from the device's generator.
    pub fn new(device: &Device) -> Self {
        Self {
            stem: ConvNorm::new(Shape { from: CHANNELS, to: STEM, kernel: 3, stride: 1, groups: 1 }, device),
            down: Separable::new(STEM, MIDDLE, 2, device),
            refine: Separable::new(MIDDLE, MIDDLE, 1, device),
            top: Separable::new(MIDDLE, TOP, 2, device),
            classifier: LinearConfig::new(TOP, Condition::ALL.len()).init(device),
        }
    }

    /// Class scores before softmax, batch x classes.
    pub fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu6(self.stem.forward(x));
        let x = relu6(self.down.forward(x));
        let x = x.clone() + self.refine.forward(x);
        let x = relu6(self.top.forward(x));
        let x = adaptive_avg_pool2d(x, [1, 1]).flatten::<2>(1, 3);
        self.classifier.forward(x)
    }

    /// The network as ONNX, with batch normalization unfolded and softmax at the end.
    pub fn export(&self) -> ModelProto {
        let mut graph = GraphBuilder::new(NAME);
        let x = graph.input(INPUT, &[CHANNELS, BANDS, FRAMES]);
        let x = self.stem.export(&mut graph, "stem", &x);
        let x = graph.clip("stem.act", &x, 0.0, 6.0);
        let x = self.down.export(&mut graph, "down", &x);
        let x = graph.clip("down.act", &x, 0.0, 6.0);
        let refined = self.refine.export(&mut graph, "refine", &x);
        let x = graph.add("refine", &x, &refined);
        let x = self.top.export(&mut graph, "top", &x);
        let x = graph.clip("top.act", &x, 0.0, 6.0);
        let x = graph.global_average_pool("pool", &x);
        let x = graph.flatten("flatten", &x);
        let weight = array(self.classifier.weight.val().transpose());
        let bias = self.classifier.bias.as_ref().map(|bias| array(bias.val()));
        let bias = bias.unwrap_or(Array { shape: vec![weight.shape[0]], values: vec![0.0; weight.shape[0]] });
        let x = graph.linear("classifier", &x, &weight, &bias);
        graph.softmax("softmax", &x, OUTPUT);
        graph.output(OUTPUT, &[Condition::ALL.len()]);
        let metadata = [("task", "classification".to_string()), ("labels", labels().join(","))];
        graph.finish("Machine condition from vibration spectrograms", &metadata)
    }

    /// Takes every weight from an exported file.
    pub fn load(mut self, weights: &Weights, device: &Device) -> Result<Self> {
        self.stem.load(weights, "stem", device)?;
        self.down.load(weights, "down", device)?;
        self.refine.load(weights, "refine", device)?;
        self.top.load(weights, "top", device)?;
        let classes = Condition::ALL.len();
        let weight: Tensor<2> = tensor(weights, "classifier.weight", [classes, TOP], device)?;
        self.classifier.weight = Param::from_tensor(weight.transpose());
        let bias = tensor(weights, "classifier.bias", [classes], device)?;
        self.classifier.bias = Some(Param::from_tensor(bias));
        Ok(self)
    }
}

fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clamp(0.0, 6.0)
}

/// A depthwise 3x3 and a pointwise convolution; the activation after the second is the caller's.
#[derive(Module, Debug)]
struct Separable {
    depthwise: ConvNorm,
    pointwise: ConvNorm,
}

impl Separable {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let depthwise = Shape { from, to: from, kernel: 3, stride, groups: from };
        let pointwise = Shape { from, to, kernel: 1, stride: 1, groups: 1 };
        Self { depthwise: ConvNorm::new(depthwise, device), pointwise: ConvNorm::new(pointwise, device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.pointwise.forward(relu6(self.depthwise.forward(x)))
    }

    fn export(&self, graph: &mut GraphBuilder, path: &str, x: &str) -> String {
        let x = self.depthwise.export(graph, &format!("{path}.depthwise"), x);
        let x = graph.clip(&format!("{path}.depthwise.act"), &x, 0.0, 6.0);
        self.pointwise.export(graph, &format!("{path}.pointwise"), &x)
    }

    fn load(&mut self, weights: &Weights, path: &str, device: &Device) -> Result<()> {
        self.depthwise.load(weights, &format!("{path}.depthwise"), device)?;
        self.pointwise.load(weights, &format!("{path}.pointwise"), device)
    }
}

/// Convolution without bias, batch normalization after it.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

/// Channels and geometry of a square convolution that keeps the size, up to its stride.
struct Shape {
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl ConvNorm {
    fn new(shape: Shape, device: &Device) -> Self {
        let pad = shape.kernel / 2;
        let conv = Conv2dConfig::new([shape.from, shape.to], [shape.kernel; 2])
            .with_stride([shape.stride; 2])
            .with_groups(shape.groups)
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(false);
        Self { conv: conv.init(device), norm: BatchNormConfig::new(shape.to).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }

    fn export(&self, graph: &mut GraphBuilder, path: &str, x: &str) -> String {
        let conv = Convolution {
            weight: array(self.conv.weight.val()),
            stride: self.conv.stride,
            padding: self.conv.kernel_size.map(|kernel| kernel / 2),
            dilation: self.conv.dilation,
            groups: self.conv.groups,
        };
        let x = graph.convolution(&format!("{path}.conv"), x, &conv);
        let norm = BatchNormalization {
            scale: array(self.norm.gamma.val()),
            bias: array(self.norm.beta.val()),
            mean: array(self.norm.running_mean.value_sync()),
            variance: array(self.norm.running_var.value_sync()),
            epsilon: self.norm.epsilon as f32,
        };
        graph.batch_normalization(&format!("{path}.norm"), &x, &norm)
    }

    fn load(&mut self, weights: &Weights, path: &str, device: &Device) -> Result<()> {
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
}

fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    let values = tensor.try_into_vec_as::<f32>().expect("weights are in host memory");
    Array { shape, values }
}

fn tensor<const D: usize>(
    weights: &Weights,
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Tensor<D>> {
    let array = weights.array(name, &shape)?;
    Ok(Tensor::from_data(TensorData::new(array.values.clone(), shape), device))
}
