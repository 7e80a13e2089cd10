//! The network: fully connected layers to a narrow code and back.

use anyhow::Result;
use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use super::{BANDS, INPUT, OUTPUT};
use crate::mobile::{linear, tensor};
use crate::onnx::proto::ModelProto;
use crate::onnx::{GraphBuilder, Weights};
use crate::train::{self, Network, Schedule, Stored, Trainer};

/// Values after each layer; the middle one is the code.
const WIDTHS: [usize; 7] = [BANDS, 48, 24, 8, 24, 48, BANDS];

pub(super) const TRAINER: Trainer = Trainer {
    fit: |seed, epochs, sets, report| {
        let schedule = Schedule { seed, epochs, rate: 3e-3, decay: 1e-4 };
        train::fit(Autoencoder::new, &schedule, sets, report).export()
    },
    infer: |weights, set| train::infer_exported(Autoencoder::new, weights, set),
    finetune: None,
};

/// Reconstructs spectra of shape batch x [`BANDS`].
#[derive(Module, Debug)]
pub struct Autoencoder {
    layers: Vec<Linear>,
}

impl Autoencoder {
    /// A network with random weights from the device's generator.
    pub fn new(device: &Device) -> Self {
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Self { layers: WIDTHS.windows(2).map(layer).collect() }
    }
}

impl Network for Autoencoder {
    /// Mean squared error of the reconstruction; the labels say nothing, all samples are normal.
    fn loss(&mut self, x: Tensor<2>, _: Tensor<1, Int>) -> Tensor<1> {
        let difference = self.infer(x.clone()) - x;
        difference.square().mean()
    }

    fn infer(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            let x = layer.forward(x);
            if i < last { relu(x) } else { x }
        })
    }
}

impl Stored for Autoencoder {
    fn export(&self) -> ModelProto {
        let mut graph = GraphBuilder::new(super::MODEL.name);
        let mut x = graph.input(INPUT, &[BANDS]);
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            let (weight, bias) = linear(layer);
            x = graph.linear(&format!("layers.{i}"), &x, &weight, &bias);
            if i < last {
                x = graph.relu(&format!("layers.{i}.act"), &x);
            }
        }
        graph.rename_last(OUTPUT);
        graph.output(OUTPUT, &[BANDS]);
        graph.finish(super::MODEL.about, &[("task", "reconstruction".into())])
    }

    fn load(mut self, weights: &Weights, device: &Device) -> Result<Self> {
        for (i, (layer, pair)) in self.layers.iter_mut().zip(WIDTHS.windows(2)).enumerate() {
            let weight: Tensor<2> =
                tensor(weights, &format!("layers.{i}.weight"), [pair[1], pair[0]], device)?;
            layer.weight = Param::from_tensor(weight.transpose());
            let bias = tensor(weights, &format!("layers.{i}.bias"), [pair[1]], device)?;
            layer.bias = Some(Param::from_tensor(bias));
        }
        Ok(self)
    }
}
