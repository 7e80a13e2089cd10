//! The training loop and batched inference, for any network.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::data::DataSet;
use crate::onnx::Weights;
use crate::onnx::proto::ModelProto;
use crate::random::Random;

const BATCH: usize = 64;
/// Key of the stream that orders the batches; the data splits use small numbers.
const ORDER: u64 = 1 << 32;

/// What the loop trains: batches come as batch x values, outputs leave as batch x values.
pub trait Network: Module {
    /// Mean loss of a batch with gradients.
    fn loss(&mut self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1>;

    /// The network's output.
    fn infer(&self, x: Tensor<2>) -> Tensor<2>;

    /// Called before each epoch with its number from 0 and their count.
    fn begin(&mut self, _epoch: usize, _epochs: usize) {}
}

/// A network whose weights are kept in an ONNX file and come back from it.
pub trait Stored: Network {
    /// The network as ONNX.
    fn export(&self) -> ModelProto;

    /// Takes every weight from an exported file.
    fn load(self, weights: &Weights, device: &Device) -> Result<Self>;
}

/// How long and how fast to train.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Of the first weights and the order of the batches.
    pub seed: u64,
    /// Passes over the training data.
    pub epochs: usize,
    /// Greatest step size of AdamW.
    pub rate: f64,
    /// Decoupled weight decay of AdamW.
    pub decay: f32,
}

/// What is known after each pass over the training data.
#[derive(Debug)]
pub struct Progress {
    /// From 1.
    pub epoch: usize,
    /// Mean over the training data.
    pub loss: f64,
    /// Outputs on the validation data.
    pub outputs: Vec<f32>,
}

/// Receives the progress of a training.
pub type Report<'a> = &'a mut dyn FnMut(Progress);

/// How the list of models reaches a network whose type only the model knows.
#[derive(Clone, Copy, Debug)]
pub struct Trainer {
    /// Trains from scratch: seed, epochs, training and validation data.
    pub fit: fn(u64, usize, [&DataSet; 2], Report<'_>) -> ModelProto,
    /// Outputs of an exported model on every sample.
    pub infer: fn(&Weights, &DataSet) -> Result<Vec<f32>>,
    /// Trains an exported model on with fake quantization and returns it with its integers and ranges: weights, seed
    /// and epochs, training and validation data.
    pub finetune: Option<Finetune>,
}

/// Quantization-aware training of one model.
pub type Finetune = fn(&Weights, (u64, usize), [&DataSet; 2], Report<'_>) -> Result<ModelProto>;

/// Trains what `make` makes on the first of `sets`; the second is only reported on.
pub fn fit<N: Network>(
    make: impl FnOnce(&Device) -> N,
    schedule: &Schedule,
    sets: [&DataSet; 2],
    report: Report<'_>,
) -> N {
    let device = Device::flex().autodiff();
    device.seed(schedule.seed);
    let mut network = make(&device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(schedule.decay).init();

    let [train, validation] = sets;
    let mut order: Vec<usize> = (0..train.labels.len()).collect();
    let steps = schedule.epochs * order.len().div_ceil(BATCH);
    let mut step = 0;
    for epoch in 0..schedule.epochs {
        network.begin(epoch, schedule.epochs);
        Random::new(schedule.seed, ORDER, epoch as u64).shuffle(&mut order);
        let mut total = 0.0;
        for batch in order.chunks(BATCH) {
            let targets: Vec<i64> = batch.iter().map(|&i| train.labels[i]).collect();
            let targets: Tensor<1, Int> = Tensor::from_data(TensorData::new(targets, [batch.len()]), &device);
            let value = network.loss(input(train, batch, &device), targets);
            total += f64::from(value.clone().into_scalar::<f32>()) * batch.len() as f64;
            let gradients = GradientsParams::from_grads(value.backward(), &network);
            network = optimizer.step(schedule.rate * rate(step, steps), network, gradients);
            step += 1;
        }
        let loss = total / order.len() as f64;
        report(Progress { epoch: epoch + 1, loss, outputs: infer(&network.valid(), validation) });
    }
    network.valid()
}

/// Outputs of every sample of `set`, one after the other.
pub fn infer<N: Network>(network: &N, set: &DataSet) -> Vec<f32> {
    let device = Device::flex();
    let all: Vec<usize> = (0..set.labels.len()).collect();
    let mut outputs = Vec::new();
    for batch in all.chunks(256) {
        let made = network.infer(input(set, batch, &device));
        outputs.extend(made.try_into_vec_as::<f32>().expect("outputs are in host memory"));
    }
    outputs
}

/// As [`infer`], with the weights of an exported model.
pub fn infer_exported<N: Stored>(
    make: impl FnOnce(&Device) -> N,
    weights: &Weights,
    set: &DataSet,
) -> Result<Vec<f32>> {
    let device = Device::flex();
    let network = make(&device).load(weights, &device).context("not a model that `train` wrote")?;
    Ok(infer(&network, set))
}

fn input(set: &DataSet, batch: &[usize], device: &Device) -> Tensor<2> {
    let width = set.values.len() / set.labels.len().max(1);
    let values: Vec<f32> =
        batch.iter().flat_map(|&i| &set.values[i * width..(i + 1) * width]).copied().collect();
    Tensor::from_data(TensorData::new(values, [batch.len(), width]), device)
}

/// Share of the greatest rate: one cosine from 1 to zero, after a short linear warm-up.
fn rate(step: usize, steps: usize) -> f64 {
    let warm_up = (steps / 20).max(1);
    if step < warm_up {
        return (step + 1) as f64 / warm_up as f64;
    }
    let progress = (step - warm_up) as f64 / (steps - warm_up).max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::model;

    /// Samples that need no simulation: any values will do to move statistics and weights.
    fn noise(model: &model::Model, count: usize) -> DataSet {
        let mut random = Random::new(1, 0, 0);
        DataSet {
            values: (0..count * model.source.width()).map(|_| random.normal()).collect(),
            labels: (0..count).map(|i| (i % model.source.classes) as i64).collect(),
        }
    }

    #[test]
    fn exported_weights_restore_every_network() {
        for model in model::ALL {
            let set = noise(model, 96);
            let mut last = Vec::new();
            let trained = (model.trainer.fit)(3, 1, [&set, &set], &mut |progress| last = progress.outputs);
            let weights = Weights::parse(&trained.encode_to_vec()).unwrap();
            let restored = (model.trainer.infer)(&weights, &set).unwrap();
            assert_eq!(restored.len(), last.len());
            let apart = restored.iter().zip(&last).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Powers of two that only the exported weights carry may move the last bits.
            assert!(apart < 1e-5, "{}: {apart}", model.name);
        }
    }

    #[test]
    fn loss_falls_on_a_set_small_enough_to_learn_by_heart() {
        for model in model::ALL {
            let set = noise(model, 24);
            let mut losses = Vec::new();
            (model.trainer.fit)(3, 60, [&set, &set], &mut |progress| losses.push(progress.loss));
            // A code of eight values takes in noise slowly.
            assert!(losses[59] < 0.8 * losses[0], "{}: {losses:?}", model.name);
        }
    }

    #[test]
    fn rate_warms_up_and_ends_near_zero() {
        assert!(rate(0, 1000) < 0.1);
        assert_eq!(rate(50, 1000), 1.0);
        assert!(rate(999, 1000) < 1e-3);
    }
}
