//! The training loop and batched inference.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softmax;

use crate::evaluation::Confusion;
use crate::random::Random;
use crate::vibration::network::Network;
use crate::vibration::{BANDS, CHANNELS, Condition, DataSet, FRAMES, WINDOW, labels};

const BATCH: usize = 64;
const LEARNING_RATE: f64 = 4e-3;
const WEIGHT_DECAY: f32 = 1e-3;
/// Key of the stream that orders the batches; the data splits use small numbers.
const ORDER: u64 = 1 << 32;

/// Trains a network on `train` for `epochs` and calls `report` after each with its number, mean loss and
/// the confusion on `validation`.
pub fn fit(
    seed: u64,
    epochs: usize,
    train: &DataSet,
    validation: &DataSet,
    mut report: impl FnMut(usize, f64, &Confusion),
) -> Network {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let mut network = Network::new(&device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(WEIGHT_DECAY).init();
    let loss = CrossEntropyLossConfig::new().with_smoothing(Some(0.05)).init(&device);

    let mut order: Vec<usize> = (0..train.labels.len()).collect();
    let steps = epochs * order.len().div_ceil(BATCH);
    let mut step = 0;
    for epoch in 0..epochs {
        Random::new(seed, ORDER, epoch as u64).shuffle(&mut order);
        let mut total = 0.0;
        for batch in order.chunks(BATCH) {
            let targets: Vec<i64> = batch.iter().map(|&i| train.labels[i]).collect();
            let targets: Tensor<1, Int> = Tensor::from_data(TensorData::new(targets, [batch.len()]), &device);
            let value = loss.forward(network.logits(input(train, batch, &device)), targets);
            total += f64::from(value.clone().into_scalar::<f32>()) * batch.len() as f64;
            let gradients = GradientsParams::from_grads(value.backward(), &network);
            network = optimizer.step(rate(step, steps), network, gradients);
            step += 1;
        }
        report(epoch + 1, total / order.len() as f64, &evaluate(&network.valid(), validation));
    }
    network.valid()
}

/// Confusion of `network` on `set`.
pub fn evaluate(network: &Network, set: &DataSet) -> Confusion {
    count(&infer(network, set), &set.labels)
}

/// Confusion of `probabilities`, as [`infer`] returns them, with the class of each window.
pub fn count(probabilities: &[f32], classes: &[i64]) -> Confusion {
    let mut confusion = Confusion::new(labels());
    for (scores, &truth) in probabilities.chunks(Condition::ALL.len()).zip(classes) {
        confusion.count(truth as usize, scores);
    }
    confusion
}

/// Class probabilities of every window of `set`, one after the other.
pub fn infer(network: &Network, set: &DataSet) -> Vec<f32> {
    let device = Device::flex();
    let all: Vec<usize> = (0..set.windows.len() / WINDOW).collect();
    let mut scores = Vec::new();
    for batch in all.chunks(256) {
        let probabilities = softmax(network.logits(input(set, batch, &device)), 1);
        scores.extend(probabilities.try_into_vec_as::<f32>().expect("scores are in host memory"));
    }
    scores
}

fn input(set: &DataSet, batch: &[usize], device: &Device) -> Tensor<4> {
    let values: Vec<f32> =
        batch.iter().flat_map(|&i| &set.windows[i * WINDOW..(i + 1) * WINDOW]).copied().collect();
    Tensor::from_data(TensorData::new(values, [batch.len(), CHANNELS, BANDS, FRAMES]), device)
}

/// One cosine from the full learning rate to zero, after a short linear warm-up.
fn rate(step: usize, steps: usize) -> f64 {
    let warm_up = (steps / 20).max(1);
    if step < warm_up {
        return LEARNING_RATE * (step + 1) as f64 / warm_up as f64;
    }
    let progress = (step - warm_up) as f64 / (steps - warm_up).max(1) as f64;
    LEARNING_RATE * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::onnx::Weights;

    /// Windows that need no simulation: any values will do to move statistics and weights.
    fn noise(count: usize) -> DataSet {
        let mut random = Random::new(1, 0, 0);
        DataSet {
            windows: (0..count * WINDOW).map(|_| random.normal()).collect(),
            labels: (0..count).map(|i| (i % Condition::ALL.len()) as i64).collect(),
        }
    }

    #[test]
    fn exported_weights_restore_the_network() {
        let set = noise(96);
        let trained = fit(3, 1, &set, &set, |_, _, _| {});
        let file = trained.export().encode_to_vec();
        let device = Device::flex();
        let restored = Network::new(&device).load(&Weights::parse(&file).unwrap(), &device).unwrap();
        assert_eq!(infer(&restored, &set), infer(&trained, &set));
        assert_eq!(restored.export().encode_to_vec(), file);
    }

    #[test]
    fn loss_falls_on_a_set_small_enough_to_learn_by_heart() {
        let set = noise(24);
        let mut losses = Vec::new();
        fit(3, 30, &set, &set, |_, loss, _| losses.push(loss));
        assert!(losses[29] < 0.6 * losses[0], "{losses:?}");
    }

    #[test]
    fn rate_warms_up_and_ends_near_zero() {
        assert!(rate(0, 1000) < 0.1 * LEARNING_RATE);
        assert_eq!(rate(50, 1000), LEARNING_RATE);
        assert!(rate(999, 1000) < 1e-3 * LEARNING_RATE);
    }
}
