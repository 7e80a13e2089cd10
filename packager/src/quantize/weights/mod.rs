//! Weights of convolutions and fully connected layers: one file per format, all as codes on a grid per output
//! channel; biases at input scale times weight scale.

pub(crate) mod bias;
mod bits;
pub(crate) mod coded;
pub(crate) mod encode;
pub(crate) mod grid;
mod int4;
mod int8;
pub(crate) mod layer;
pub(crate) mod palette;

use super::solve::Assigned;
pub use bits::{Bits, bits, bits_of};

use super::{Activations, Weights};
use crate::error::{Error, Result};
use crate::ir::{Graph, Node};
use bias::Input;
use coded::Coded;
use layer::Layer;

/// Converts the constants of a convolution or fully connected node; `assigned` is `None` where activations stay floats.
pub(super) fn convert(
    graph: &mut Graph,
    assigned: Option<&Assigned>,
    mut node: Node,
    activations: Activations,
    format: Weights,
) -> Result<Node> {
    let layer = Layer::of(graph, &node)?;
    let quant = node.inputs.first().copied().flatten().and_then(|t| assigned?.get(&t));
    let input = Input::of(quant, activations)?;
    match format {
        Weights::F32 | Weights::F16 if activations != Activations::F32 => {
            let cause = "float weights go with float activations only";
            return Err(Error::invalid(cause).remedy("choose integer weights, or leave activations floats"));
        }
        Weights::F32 => return Ok(node),
        Weights::F16 => {
            encode::f16(graph, &mut node, &layer)?;
            return Ok(node);
        }
        Weights::Int8 | Weights::Int4 { .. } | Weights::Palette => {}
    }
    let mut coded = nearest(&layer, format, &input)?;
    let reals: Vec<f64> = (0..layer.channels).map(|o| layer.bias_at(o)).collect();
    bias::fit(&layer, &mut coded, &reals, &input)?;
    let reals = layer.bias.is_some().then_some(&reals[..]);
    encode::weights(graph, &mut node, &layer, &coded)?;
    encode::bias(graph, &mut node, &coded, reals, &input);
    Ok(node)
}

/// Every weight at the nearest code of a grid that the weights alone choose. The format has codes.
pub(super) fn nearest(layer: &Layer, format: Weights, input: &Input) -> Result<Coded> {
    let floor: Vec<f64> = (0..layer.channels).map(|o| input.floor(layer.bias_at(o))).collect();
    let grids = match format {
        Weights::Int8 => int8::grids(layer, &floor),
        Weights::Int4 { group } => int4::grids(layer, group, &floor),
        Weights::Palette => palette::grids(layer, &floor),
        Weights::F32 | Weights::F16 => return Err(Error::invalid("float weights have no codes")),
    };
    Ok(Coded::nearest(layer, grids))
}

/// A scale that is a normal float and at least `floor`, whatever the weights are; as f32, widened.
fn usable(scale: f64, floor: f64) -> f64 {
    let wanted = scale.max(floor) as f32;
    (if wanted.is_normal() { wanted } else { (1.0 / 127.0f32).max(floor as f32) }) as f64
}
