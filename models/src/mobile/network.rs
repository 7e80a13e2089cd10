//! The network in floats.

use anyhow::Result;
use burn::module::Param;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::softmax;
use burn::tensor::module::adaptive_avg_pool2d;

use super::layer::{ConvNorm, Shape, array, tensor};
use super::{Activation, Block, Plan};
use crate::onnx::proto::ModelProto;
use crate::onnx::{Array, GraphBuilder, Weights};
use crate::train::{Network, Stored};

/// Share of the target that cross-entropy spreads over all classes.
const SMOOTHING: f32 = 0.05;

/// A network as its [`Plan`] says, for inputs of batch x values.
#[derive(Module, Debug)]
pub struct Mobile {
    #[module(skip)]
    pub(super) plan: &'static Plan,
    pub(super) stem: ConvNorm,
    pub(super) blocks: Vec<Separable>,
    pub(super) classifier: Linear,
}

impl Mobile {
    /// A network with random weights from the device's generator.
    pub fn new(plan: &'static Plan, device: &Device) -> Self {
        let stem = Shape { from: plan.shape[0], to: plan.stem, kernel: 3, stride: plan.stride, groups: 1 };
        let block = |(i, block)| Separable::new(plan.before(i), block, device);
        Self {
            plan,
            stem: ConvNorm::new(stem, device),
            blocks: plan.blocks.iter().enumerate().map(block).collect(),
            classifier: LinearConfig::new(plan.before(plan.blocks.len()), plan.labels.len()).init(device),
        }
    }

    /// Class scores before softmax, batch x classes.
    pub fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        let plan = self.plan;
        let [channels, height, width] = plan.shape;
        let batch = x.dims()[0];
        let x = self.stem.forward(x.reshape([batch, channels, height, width]));
        let mut x = plan.activation.apply(x);
        for (block, planned) in self.blocks.iter().zip(plan.blocks) {
            let y = plan.activation.apply(block.depthwise.forward(x.clone()));
            let y = block.pointwise.forward(y);
            x = if planned.residual { x + y } else { plan.activation.apply(y) };
        }
        let x = adaptive_avg_pool2d(x, [1, 1]).flatten::<2>(1, 3);
        self.classifier.forward(x)
    }
}

impl Network for Mobile {
    fn loss(&mut self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(self.logits(x), labels)
    }

    fn infer(&self, x: Tensor<2>) -> Tensor<2> {
        softmax(self.logits(x), 1)
    }
}

impl Stored for Mobile {
    /// Batch normalization is unfolded, softmax is at the end.
    fn export(&self) -> ModelProto {
        let plan = self.plan;
        let mut graph = GraphBuilder::new(plan.name);
        let x = graph.input(plan.input, &plan.shape);
        let x = self.stem.export(&mut graph, "stem", &x);
        let mut x = plan.activation.export(&mut graph, "stem.act", &x);
        for (block, planned) in self.blocks.iter().zip(plan.blocks) {
            let path = planned.name;
            let y = block.depthwise.export(&mut graph, &format!("{path}.depthwise"), &x);
            let y = plan.activation.export(&mut graph, &format!("{path}.depthwise.act"), &y);
            let y = block.pointwise.export(&mut graph, &format!("{path}.pointwise"), &y);
            x = if planned.residual {
                graph.add(path, &x, &y)
            } else {
                plan.activation.export(&mut graph, &format!("{path}.act"), &y)
            };
        }
        let x = graph.global_average_pool("pool", &x);
        let x = graph.flatten("flatten", &x);
        let (weight, bias) = linear(&self.classifier);
        let x = graph.linear("classifier", &x, &weight, &bias);
        graph.softmax("softmax", &x, plan.output);
        graph.output(plan.output, &[plan.labels.len()]);
        graph.finish(plan.about, &metadata(plan))
    }

    fn load(mut self, weights: &Weights, device: &Device) -> Result<Self> {
        let plan = self.plan;
        self.stem.load(weights, "stem", device)?;
        for (block, planned) in self.blocks.iter_mut().zip(plan.blocks) {
            block.depthwise.load(weights, &format!("{}.depthwise", planned.name), device)?;
            block.pointwise.load(weights, &format!("{}.pointwise", planned.name), device)?;
        }
        let (classes, top) = (plan.labels.len(), plan.before(plan.blocks.len()));
        let weight: Tensor<2> = tensor(weights, "classifier.weight", [classes, top], device)?;
        self.classifier.weight = Param::from_tensor(weight.transpose());
        let bias = tensor(weights, "classifier.bias", [classes], device)?;
        self.classifier.bias = Some(Param::from_tensor(bias));
        Ok(self)
    }
}

/// Mean over the batch, with [`SMOOTHING`].
pub(super) fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new()
        .with_smoothing(Some(SMOOTHING))
        .init(&logits.device())
        .forward(logits, labels)
}

/// Weight (outputs x inputs) and bias of a linear layer.
pub(crate) fn linear(layer: &Linear) -> (Array, Array) {
    let weight = array(layer.weight.val().transpose());
    let zeros = || Array { shape: vec![weight.shape[0]], values: vec![0.0; weight.shape[0]] };
    let bias = layer.bias.as_ref().map_or_else(zeros, |bias| array(bias.val()));
    (weight, bias)
}

/// What the exported file says about itself.
pub(super) fn metadata(plan: &Plan) -> [(&'static str, String); 2] {
    [("task", "classification".to_string()), ("labels", plan.labels.join(","))]
}

impl Activation {
    pub(super) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => burn::tensor::activation::relu(x),
            Self::Relu6 => x.clamp(0.0, 6.0),
        }
    }

    pub(super) fn export(self, graph: &mut GraphBuilder, path: &str, x: &str) -> String {
        match self {
            Self::Relu => graph.relu(path, x),
            Self::Relu6 => graph.clip(path, x, 0.0, 6.0),
        }
    }
}

/// The activation after the second convolution is the caller's.
#[derive(Module, Debug)]
pub(super) struct Separable {
    pub(super) depthwise: ConvNorm,
    pub(super) pointwise: ConvNorm,
}

impl Separable {
    fn new(from: usize, block: &Block, device: &Device) -> Self {
        let depthwise = Shape { from, to: from, kernel: 3, stride: block.stride, groups: from };
        let pointwise = Shape { from, to: block.channels, kernel: 1, stride: 1, groups: 1 };
        Self { depthwise: ConvNorm::new(depthwise, device), pointwise: ConvNorm::new(pointwise, device) }
    }
}
