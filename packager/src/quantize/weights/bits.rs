//! What weights take, with all that is needed to read them.

use samara_runtime::Dtype;

use crate::ir::{Graph, Node, Numeric};

/// Bits that the weights of convolutions and fully connected layers take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bits {
    /// How many weights there are.
    pub weights: u64,
    /// Their codes, as packed.
    pub codes: u64,
    /// Scales of output channels, 32 bits each.
    pub scales: u64,
    /// Scales in the form that the device multiplies with: of 64 bits, multiplier and shift, where accumulators
    /// are rescaled in integers.
    pub stored_scales: u64,
    /// Palettes and multipliers of groups.
    pub tables: u64,
}

impl Bits {
    /// Codes, scales and tables per weight; 0 without weights.
    pub fn per_weight(&self) -> f64 {
        (self.codes + self.scales + self.tables) as f64 / self.weights.max(1) as f64
    }

    /// The same with scales in the device's form.
    pub fn stored_per_weight(&self) -> f64 {
        (self.codes + self.stored_scales + self.tables) as f64 / self.weights.max(1) as f64
    }

    fn with(self, other: Bits) -> Bits {
        Bits {
            weights: self.weights + other.weights,
            codes: self.codes + other.codes,
            scales: self.scales + other.scales,
            stored_scales: self.stored_scales + other.stored_scales,
            tables: self.tables + other.tables,
        }
    }
}

/// Of all layers together.
pub fn bits(graph: &Graph) -> Bits {
    let layers = graph.nodes.iter().filter(|n| n.op.has_weights());
    layers.fold(Bits::default(), |sum, node| sum.with(bits_of(graph, node)))
}

/// Of one layer; zeros where it has no constant weights.
pub fn bits_of(graph: &Graph, node: &Node) -> Bits {
    let Some(weights) = graph.input(node, 1).filter(|w| w.is_constant()) else { return Bits::default() };
    let bytes = |t: &crate::ir::Tensor| 8 * t.data.as_ref().map_or(0, Vec::len) as u64;
    let channels = weights.quant.as_ref().map_or(0, |q| q.scale.len()) as u64;
    let float = graph.input(node, 0).is_none_or(|x| x.dtype == Dtype::F32);
    let stored = if float || graph.numeric == Numeric::Onnx { 32 } else { 64 };
    Bits {
        weights: weights.elements() as u64,
        codes: bytes(weights),
        scales: channels * 32,
        stored_scales: channels * stored,
        tables: graph.input(node, 3).map_or(0, bytes),
    }
}
