//! Operators between QuantizeLinear and DequantizeLinear, which is how ONNX carries trained ranges and integers.

use super::build::{Convolution, GraphBuilder, int};
use super::proto::{FLOAT, INT8, INT32, TensorProto};

/// Scale and zero point of int8 activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Real distance of two levels, positive.
    pub scale: f32,
    /// Level of zero.
    pub zero_point: i8,
}

/// Integers of a convolution or linear layer, with a scale per output channel and zero point 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Dimensions of the weights, output channels first.
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub weights: Vec<i8>,
    /// One per output channel.
    pub scales: Vec<f32>,
    /// One per output channel.
    pub biases: Vec<i32>,
    /// Scale of the input times `scales`.
    pub bias_scales: Vec<f32>,
}

impl GraphBuilder {
    /// `QuantizeLinear` and `DequantizeLinear`.
    pub fn fake_quantized(&mut self, path: &str, x: &str, grid: Grid) -> String {
        let scale = self.initializer(path, "scale", &[], FLOAT, &grid.scale.to_le_bytes());
        let zero = self.initializer(path, "zero_point", &[], INT8, &grid.zero_point.to_le_bytes());
        let levels = self.node(path, "QuantizeLinear", vec![x.into(), scale.clone(), zero.clone()], vec![]);
        self.node(path, "DequantizeLinear", vec![levels, scale, zero], vec![])
    }

    /// `Conv` with weights and biases as integers; the weights of `layer` itself are not read.
    pub fn quantized_convolution(
        &mut self,
        path: &str,
        x: &str,
        layer: &Convolution,
        levels: &Levels,
    ) -> String {
        let [weight, bias] = self.parameters(path, levels);
        self.convolve(path, vec![x.into(), weight, bias], layer)
    }

    /// `Gemm` with weights and biases as integers.
    pub fn quantized_linear(&mut self, path: &str, x: &str, levels: &Levels) -> String {
        let [weight, bias] = self.parameters(path, levels);
        self.gemm(path, vec![x.into(), weight, bias])
    }

    fn parameters(&mut self, path: &str, levels: &Levels) -> [String; 2] {
        let weights: Vec<u8> = levels.weights.iter().map(|level| *level as u8).collect();
        let biases: Vec<u8> = levels.biases.iter().flat_map(|level| level.to_le_bytes()).collect();
        [
            self.dequantized(path, "weight", &levels.shape, INT8, &weights, &levels.scales),
            self.dequantized(path, "bias", &[levels.biases.len()], INT32, &biases, &levels.bias_scales),
        ]
    }

    /// Constant levels with a scale for each index of the first dimension, as reals.
    fn dequantized(
        &mut self,
        path: &str,
        kind: &str,
        shape: &[usize],
        data_type: i32,
        levels: &[u8],
        scales: &[f32],
    ) -> String {
        let bytes: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let levels = self.initializer(path, kind, shape, data_type, levels);
        let scale = self.initializer(path, &format!("{kind}_scale"), &[scales.len()], FLOAT, &bytes);
        self.node(&format!("{path}.{kind}"), "DequantizeLinear", vec![levels, scale], vec![int("axis", 0)])
    }

    fn initializer(&mut self, path: &str, kind: &str, shape: &[usize], data_type: i32, raw: &[u8]) -> String {
        let name = format!("{path}.{kind}");
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type,
            name: name.clone(),
            raw_data: raw.to_vec(),
        });
        name
    }
}
