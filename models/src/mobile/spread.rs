//! Makes the channels of hidden tensors unequal without changing what the network computes.

use burn::module::Param;
use burn::prelude::*;

use super::layer::ConvNorm;
use super::{Activation, Mobile};
use crate::random::Random;

/// Key of the stream of factors; the data splits use small numbers, the order of batches 2^32.
const FACTORS: u64 = 2 << 32;

/// Multiplies each channel between two convolutions by a power of two, evenly drawn from -`octaves` to `octaves`,
/// and divides the weights that read it by the same. ReLU is positively homogeneous and powers of two are exact, so
/// outputs stay the same bits. Tensors of residual additions and the classifier's input are left alone.
///
/// # Panics
/// If the network's activation is not ReLU: no other passes a factor through.
pub fn spread_channels(mut network: Mobile, seed: u64, octaves: i32) -> Mobile {
    assert_eq!(network.plan.activation, Activation::Relu);
    let plan = network.plan;
    let draw = |tensor: usize, channels: usize| -> Vec<f32> {
        let mut random = Random::new(seed, FACTORS, tensor as u64);
        let low = -octaves as f32;
        // The upper end of `uniform` is never drawn, the floor never beyond `octaves`.
        let mut octave = || libm::floorf(random.uniform(low, octaves as f32 + 1.0)) as i32;
        (0..channels).map(|_| libm::ldexpf(1.0, octave())).collect()
    };
    for (i, block) in plan.blocks.iter().enumerate() {
        let channels = plan.before(i);
        let before = i.checked_sub(1).map(|last| &plan.blocks[last]);
        if !block.residual && before.is_none_or(|before| !before.residual) {
            let factors = draw(2 * i, channels);
            let (done, rest) = network.blocks.split_at_mut(i);
            let producer = done.last_mut().map_or(&mut network.stem, |block| &mut block.pointwise);
            multiply_output(producer, &factors);
            divide_input(&mut rest[0].depthwise, &factors);
        }
        let factors = draw(2 * i + 1, channels);
        multiply_output(&mut network.blocks[i].depthwise, &factors);
        divide_input(&mut network.blocks[i].pointwise, &factors);
    }
    network
}

fn multiply_output(layer: &mut ConvNorm, factors: &[f32]) {
    let scale = |param: &Param<Tensor<1>>| {
        let value = param.val();
        let factors =
            Tensor::<1>::from_data(TensorData::new(factors.to_vec(), [factors.len()]), &value.device());
        Param::from_tensor(value * factors)
    };
    layer.norm.gamma = scale(&layer.norm.gamma);
    layer.norm.beta = scale(&layer.norm.beta);
}

fn divide_input(layer: &mut ConvNorm, factors: &[f32]) {
    let weight = layer.conv.weight.val();
    // The channels read are the second dimension, or the first where each output reads one.
    let shape = if layer.conv.groups == 1 { [1, factors.len(), 1, 1] } else { [factors.len(), 1, 1, 1] };
    let factors = Tensor::<4>::from_data(TensorData::new(factors.to_vec(), shape), &weight.device());
    layer.conv.weight = Param::from_tensor(weight / factors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;
    use crate::glyphs::{MODEL, OCTAVES, PLAN};
    use crate::train::{Stored, infer};

    #[test]
    fn outputs_stay_the_same_bits_while_channels_drift_apart() {
        let device = Device::flex();
        device.seed(1);
        let plain = Mobile::new(PLAN, &device);
        let spread = spread_channels(plain.clone(), 7, OCTAVES);
        let mut random = Random::new(1, 0, 0);
        let set = DataSet {
            values: (0..4 * MODEL.source.width()).map(|_| random.normal()).collect(),
            labels: vec![0; 4],
        };
        let bits = |network: &Mobile| infer(network, &set).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&plain), bits(&spread));
        let gammas = |layer: &ConvNorm| layer.norm.gamma.val().try_into_vec_as::<f32>().unwrap();
        for layer in [&spread.stem, &spread.blocks[0].pointwise, &spread.blocks[2].depthwise] {
            let gammas = gammas(layer);
            let (low, high) =
                gammas.iter().fold((f32::MAX, 0_f32), |(low, high), g| (low.min(*g), high.max(*g)));
            assert!(high / low >= 256.0 && low >= 1.0 / 32.0 && high <= 32.0, "{low} {high}");
        }
        for layer in [&spread.blocks[1].pointwise, &spread.blocks[2].pointwise, &spread.blocks[3].pointwise] {
            assert!(gammas(layer).iter().all(|gamma| *gamma == 1.0));
        }
        assert_ne!(plain.export(), spread.export());
    }
}
