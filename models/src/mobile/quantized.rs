//! The network as its integers will compute it: batch normalization folded, weights and activations through fake
//! quantization, trained on from the float network and exported with its ranges.

use anyhow::Result;
use burn::module::Param;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::prelude::*;
use burn::tensor::activation::softmax;
use burn::tensor::module::{adaptive_avg_pool2d, conv2d};
use burn::tensor::ops::ConvOptions;

use super::fake::{self, Range};
use super::layer::{ConvNorm, Shape, convolution};
use super::network::{cross_entropy, linear, metadata};
use super::{Mobile, Plan};
use crate::data::DataSet;
use crate::onnx::proto::ModelProto;
use crate::onnx::{Array, GraphBuilder, Grid, Levels, Weights};
use crate::train::{self, Network, Report, Schedule, Stored};

/// Softmax has fixed parameters, which integer kernels rely on.
const PROBABILITIES: Grid = Grid { scale: 1.0 / 256.0, zero_point: -128 };

/// Trains an exported network on for int8: its weights, seed and epochs, training and validation data.
pub(crate) fn finetune(
    plan: &'static Plan,
    weights: &Weights,
    (seed, epochs): (u64, usize),
    sets: [&DataSet; 2],
    report: Report<'_>,
) -> Result<ModelProto> {
    let device = Device::flex();
    let float = Mobile::new(plan, &device).load(weights, &device)?;
    // A tenth of the rate that trained the floats: they are close to where they should be.
    let schedule = Schedule { seed, epochs, rate: 4e-4, decay: 1e-4 };
    Ok(train::fit(|device| Quantized::new(&float, device), &schedule, sets, report).export())
}

/// A network in training for int8.
#[derive(Module, Debug)]
pub struct Quantized {
    #[module(skip)]
    plan: &'static Plan,
    /// The stem's convolution, then the depthwise and pointwise ones of every block.
    convolutions: Vec<Conv2d>,
    classifier: Linear,
    /// Of the input, every convolution, addition, the pool and the class scores, in order.
    #[module(skip)]
    ranges: Vec<Range>,
    /// Whether ranges still follow the batches.
    #[module(skip)]
    following: bool,
}

impl Quantized {
    /// Takes over the weights of a trained network.
    pub fn new(network: &Mobile, device: &Device) -> Self {
        let plan = network.plan;
        let mut convolutions = vec![folded(&network.stem, device)];
        for block in &network.blocks {
            convolutions.push(folded(&block.depthwise, device));
            convolutions.push(folded(&block.pointwise, device));
        }
        let sums = plan.blocks.iter().filter(|block| block.residual).count();
        let ranges = vec![Range::default(); 1 + convolutions.len() + sums + 2];
        let mut classifier = network.classifier.clone();
        classifier.weight = Param::from_data(classifier.weight.val().into_data(), device);
        classifier.bias = classifier.bias.map(|bias| Param::from_data(bias.val().into_data(), device));
        Self { plan, convolutions, classifier, ranges, following: true }
    }

    /// Class scores before softmax, with `tap` on every activation tensor in order.
    fn logits(&self, x: Tensor<2>, tap: &mut Tap<'_>) -> Tensor<2> {
        let plan = self.plan;
        let [channels, height, width] = plan.shape;
        let batch = x.dims()[0];
        let mut convolutions = self.convolutions.iter();
        let mut next =
            |x| convolutions.next().map_or_else(|| unreachable!("as many as planned"), |c| apply(c, x));
        let x = tap.fake(x.reshape([batch, channels, height, width]));
        let mut x = tap.fake(plan.activation.apply(next(x)));
        for block in plan.blocks {
            let y = tap.fake(plan.activation.apply(next(x.clone())));
            let y = next(y);
            x = if block.residual {
                let y = tap.fake(y);
                tap.fake(x + y)
            } else {
                tap.fake(plan.activation.apply(y))
            };
        }
        let x = tap.fake(adaptive_avg_pool2d(x, [1, 1])).flatten::<2>(1, 3);
        let weight = fake::weights(self.classifier.weight.val().transpose()).transpose();
        let bias = self.classifier.bias.as_ref().map(|bias| bias.val().unsqueeze::<2>());
        let y = x.matmul(weight);
        tap.fake(match bias {
            Some(bias) => y + bias,
            None => y,
        })
    }

    /// The network as ONNX with QuantizeLinear and DequantizeLinear around every operator, weights as int8 and biases
    /// as int32 levels.
    pub fn export(&self) -> ModelProto {
        let plan = self.plan;
        let mut graph = GraphBuilder::new(plan.name);
        let mut grids = self.ranges.iter().map(Range::grid);
        let mut grid = || grids.next().unwrap_or(PROBABILITIES);
        let mut convolutions = self.convolutions.iter();
        let mut conv = |graph: &mut GraphBuilder, path: &str, x: &str, at: Grid| {
            let Some(layer) = convolutions.next() else { unreachable!("as many as planned") };
            let described = convolution(layer);
            let bias = layer.bias.as_ref().map(|bias| super::layer::array(bias.val()));
            let levels = parameters(&described.weight, bias.as_ref(), at);
            graph.quantized_convolution(path, x, &described, &levels)
        };

        let x = graph.input(plan.input, &plan.shape);
        let mut at = grid();
        let x = graph.fake_quantized("input", &x, at);
        let x = conv(&mut graph, "stem.conv", &x, at);
        let x = plan.activation.export(&mut graph, "stem.act", &x);
        at = grid();
        let mut x = graph.fake_quantized("stem", &x, at);
        for block in plan.blocks {
            let path = block.name;
            let y = conv(&mut graph, &format!("{path}.depthwise.conv"), &x, at);
            let y = plan.activation.export(&mut graph, &format!("{path}.depthwise.act"), &y);
            at = grid();
            let y = graph.fake_quantized(&format!("{path}.depthwise"), &y, at);
            let mut y = conv(&mut graph, &format!("{path}.pointwise.conv"), &y, at);
            if block.residual {
                y = graph.fake_quantized(&format!("{path}.pointwise"), &y, grid());
                y = graph.add(path, &x, &y);
            } else {
                y = plan.activation.export(&mut graph, &format!("{path}.act"), &y);
            }
            at = grid();
            x = graph.fake_quantized(path, &y, at);
        }
        let x = graph.global_average_pool("pool", &x);
        at = grid();
        let x = graph.fake_quantized("pool", &x, at);
        let x = graph.flatten("flatten", &x);
        let (weight, bias) = linear(&self.classifier);
        let x = graph.quantized_linear("classifier", &x, &parameters(&weight, Some(&bias), at));
        let x = graph.fake_quantized("classifier", &x, grid());
        let x = graph.softmax("softmax", &x, "softmax.probabilities");
        graph.fake_quantized("softmax", &x, grid());
        graph.rename_last(plan.output);
        graph.output(plan.output, &[plan.labels.len()]);
        graph.finish(plan.about, &metadata(plan))
    }
}

impl Network for Quantized {
    fn loss(&mut self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let mut ranges = std::mem::take(&mut self.ranges);
        let mut tap = Tap { ranges: ranges.iter_mut(), following: self.following };
        let logits = self.logits(x, &mut tap);
        self.ranges = ranges;
        cross_entropy(logits, labels)
    }

    fn infer(&self, x: Tensor<2>) -> Tensor<2> {
        let mut ranges = self.ranges.clone();
        let mut tap = Tap { ranges: ranges.iter_mut(), following: false };
        fake::activation(softmax(self.logits(x, &mut tap), 1), PROBABILITIES)
    }

    /// Ranges follow the batches for the first half of the epochs; then the weights settle on fixed ones.
    fn begin(&mut self, epoch: usize, epochs: usize) {
        self.following = epoch < epochs.div_ceil(2);
    }
}

/// Where activations are quantized: takes the next range each time.
struct Tap<'a> {
    ranges: std::slice::IterMut<'a, Range>,
    following: bool,
}

impl Tap<'_> {
    fn fake<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        let Some(range) = self.ranges.next() else { unreachable!("a range for every tensor") };
        if self.following {
            range.follow(&x);
        }
        fake::activation(x, range.grid())
    }
}

fn folded(layer: &ConvNorm, device: &Device) -> Conv2d {
    let (weight, bias) = layer.folded();
    let [to, per_group, kernel, _] = weight.dims();
    let groups = layer.conv.groups;
    let shape = Shape { from: per_group * groups, to, kernel, stride: layer.conv.stride[0], groups };
    let mut conv = shape.conv(true, device);
    conv.weight = Param::from_data(weight.into_data(), device);
    conv.bias = Some(Param::from_data(bias.into_data(), device));
    conv
}

fn apply(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let padding = conv.kernel_size.map(|kernel| (kernel / 2, kernel / 2));
    let options = ConvOptions { stride: conv.stride, padding, dilation: conv.dilation, groups: conv.groups };
    let bias = conv.bias.as_ref().map(|bias| bias.val());
    conv2d(x, fake::weights(conv.weight.val()), bias, options)
}

/// Integers of a layer that reads activations on the grid `input`.
fn parameters(weight: &Array, bias: Option<&Array>, input: Grid) -> Levels {
    let (scales, weights) = fake::levels(weight);
    let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input.scale).collect();
    let level = |(value, scale): (&f32, &f32)| libm::rint(f64::from(*value) / f64::from(*scale)) as i32;
    let biases = match bias {
        Some(bias) => bias.values.iter().zip(&bias_scales).map(level).collect(),
        None => vec![0; scales.len()],
    };
    Levels { shape: weight.shape.clone(), weights, scales, biases, bias_scales }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::random::Random;
    use crate::vibration::{MODEL, PLAN};

    fn noise(model: &Model, count: usize) -> DataSet {
        let mut random = Random::new(1, 0, 0);
        let values = (0..count * model.source.width()).map(|_| random.normal()).collect();
        DataSet { values, labels: (0..count).map(|i| (i % model.source.classes) as i64).collect() }
    }

    #[test]
    fn starts_close_to_the_float_network_and_learns() {
        let set = noise(&MODEL, 48);
        let device = Device::flex();
        device.seed(2);
        let float = Mobile::new(PLAN, &device);
        let expected = train::infer(&float, &set);
        let make = |device: &Device| Quantized::new(&float, device);
        let still = Schedule { seed: 1, epochs: 1, rate: 0.0, decay: 0.0 };
        let network = train::fit(make, &still, [&set, &set], &mut |_| {});
        let apart = train::infer(&network, &set)
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart < 0.05, "{apart}");

        let schedule = Schedule { seed: 1, epochs: 20, rate: 4e-3, decay: 0.0 };
        let float = train::fit(|device| Mobile::new(PLAN, device), &schedule, [&set, &set], &mut |_| {});
        let mut losses = Vec::new();
        let make = |device: &Device| Quantized::new(&float, device);
        train::fit(make, &schedule, [&set, &set], &mut |progress| losses.push(progress.loss));
        assert!(losses[19] < 0.9 * losses[0], "{losses:?}");
    }

    #[test]
    fn ranges_stand_still_in_the_second_half() {
        let set = noise(&MODEL, 8);
        let device = Device::flex();
        let mut network = Quantized::new(&Mobile::new(PLAN, &device), &device.autodiff());
        let batch = || {
            let data = TensorData::new(set.values.clone(), [8, MODEL.source.width()]);
            let labels = TensorData::new(set.labels.clone(), [8]);
            let device = Device::flex().autodiff();
            (Tensor::from_data(data, &device), Tensor::from_data(labels, &device))
        };
        network.begin(0, 2);
        let (x, labels) = batch();
        network.loss(x, labels);
        let before = network.ranges.clone();
        assert!(before.iter().all(|range| *range != Range::default()));
        network.begin(1, 2);
        let (x, labels) = batch();
        network.loss(x * 10.0, labels);
        assert_eq!(network.ranges, before);
    }
}
