//! What a float model's numbers become: the choices of one quantization, apart from the data that informs them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::ir::Graph;

/// Number format of activations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Activations {
    /// Floats; only weights are stored smaller.
    F32,
    /// int8 with one scale and zero point per tensor.
    #[default]
    Int8,
    /// int16 with one scale per tensor and zero point 0.
    Int16,
}

/// Number format of the weights of a convolution or fully connected layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weights {
    /// Floats; with float activations only.
    F32,
    /// IEEE 754 binary16; with float activations only.
    F16,
    /// int8 per output channel in [-127, 127].
    #[default]
    Int8,
    /// int4 in [-7, 7] per output channel; with groups, each has an int8 multiplier of its own.
    Int4 {
        /// Consecutive weights of one output channel that share a multiplier, or somewhat fewer where that many
        /// do not divide the channel; `None` for the whole channel.
        group: Option<u32>,
    },
    /// 4-bit indices into a table of 16 int8 levels, scaled per output channel.
    Palette,
}

impl Activations {
    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Activations::F32 => "f32",
            Activations::Int8 => "int8",
            Activations::Int16 => "int16",
        }
    }
}

impl Weights {
    /// Name in reports.
    pub fn name(self) -> String {
        match self {
            Weights::F32 => "f32".into(),
            Weights::F16 => "f16".into(),
            Weights::Int8 => "int8".into(),
            Weights::Int4 { group: None } => "int4".into(),
            Weights::Int4 { group: Some(group) } => format!("int4 in groups of {group}"),
            Weights::Palette => "palette".into(),
        }
    }
}

/// How an activation's range follows from what calibration saw.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum RangeMethod {
    /// Least and greatest value.
    #[default]
    MinMax,
    /// Leaves out this share of the values at each end, in percent: 99.99 keeps all but one in ten thousand.
    Percentile(f32),
    /// The range whose rounding and clipping add the least squared error.
    Mse,
}

impl RangeMethod {
    /// Name in reports, and what `--range` takes.
    pub fn name(self) -> String {
        match self {
            RangeMethod::MinMax => "min-max".into(),
            RangeMethod::Percentile(percent) => format!("percentile={percent}"),
            RangeMethod::Mse => "mse".into(),
        }
    }
}

/// How weights are rounded to levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WeightRounding {
    /// Each to the nearest level.
    #[default]
    Nearest,
    /// Together, so that each layer's output on calibration data keeps closest to the float layer's.
    Optimized,
}

/// One way of quantizing a model.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recipe {
    /// Format of all activations.
    pub activations: Activations,
    /// Format of all weights,
    pub weights: Weights,
    /// except those of these nodes, by name.
    pub layers: BTreeMap<String, Weights>,
    /// Ranges of activations.
    pub range: RangeMethod,
    /// Whether channels of neighbouring layers are scaled to like ranges first.
    pub equalize: bool,
    /// Whether biases take up the mean error of their layer.
    pub correct_bias: bool,
    /// Rounding of weights.
    pub rounding: WeightRounding,
}

impl Recipe {
    /// Weight format of a node.
    pub fn weights_of(&self, node: &str) -> Weights {
        self.layers.get(node).copied().unwrap_or(self.weights)
    }

    /// Refuses a recipe that names a node which the graph does not have or which has no weights.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        for name in self.layers.keys() {
            let found = graph.nodes.iter().any(|n| n.name == *name && n.op.has_weights());
            if !found {
                return Err(Error::invalid(format!("no layer with weights is named '{name}'"))
                    .remedy("take names from samara inspect"));
            }
        }
        Ok(())
    }
    /// The object that cards, reports and `--json` hold.
    pub fn json(&self) -> Json {
        let layers: BTreeMap<&str, String> = self.layers.iter().map(|(n, w)| (&n[..], w.name())).collect();
        json!({
            "activations": self.activations.name(),
            "weights": self.weights.name(),
            "layers": layers,
            "range": self.range.name(),
            "equalize": self.equalize,
            "correct_bias": self.correct_bias,
            "rounding": match self.rounding {
                WeightRounding::Nearest => "nearest",
                WeightRounding::Optimized => "optimized",
            },
        })
    }
}
