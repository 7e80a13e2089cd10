//! Post-training quantization: a float graph and observed ranges in, an integer graph out.
//!
//! [`prepare`] rewrites what has no integer form, [`calibrate`] observes ranges on data, [`int8`] chooses
//! parameters and converts constants. The rules are those of the TFLite 8-bit specification; how steps round
//! is the graph's [`Numeric`].

mod calibrate;
pub mod choose;
pub mod equalize;
mod parameters;
mod prepare;
mod recipe;
pub mod recover;
pub mod solve;
mod weights;

pub use calibrate::{Bin, Levels, Observations, Observe, Observer, Range, Ranges, calibrate, observe};
pub use parameters::{cover, from_range, symmetric};
pub use prepare::prepare;
pub use recipe::{Activations, RangeMethod, Recipe, WeightRounding, Weights};
pub use weights::{Bits, bits, bits_of};

use samara_runtime::Dtype;

use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Numeric, Op, Quant, Tensor, TensorId};

/// Converts a prepared, calibrated float graph to int8 weights (per channel) and activations.
pub fn int8(graph: &Graph, ranges: &Ranges, numeric: Numeric) -> Result<Graph> {
    quantize(graph, &Recipe::default(), Some(ranges), numeric)
}

/// Converts a prepared float graph as the recipe says, every weight to the nearest level; [`recover`] goes on
/// from there. `ranges` are those of the recipe's method on this graph; float activations need none.
pub fn quantize(graph: &Graph, recipe: &Recipe, ranges: Option<&Ranges>, numeric: Numeric) -> Result<Graph> {
    let mut graph = Graph { numeric, ..graph.clone() };
    // Looked for before `solve`, which puts Requantize nodes in.
    if let Some(node) = graph.nodes.iter().find(|n| matches!(n.op, Op::Quantize | Op::Dequantize)) {
        let subject = format!("node '{}' ({})", node.name, node.op.name());
        let error = Error::invalid("the model is partly quantized already");
        return Err(error.remedy("give the float model").about(subject));
    }
    recipe.check(&graph)?;
    let activations = match (recipe.activations, ranges) {
        (Activations::F32, _) => None,
        (format @ (Activations::Int8 | Activations::Int16), Some(ranges)) => {
            Some(solve::solve(&mut graph, ranges, format)?.activations)
        }
        (Activations::Int8 | Activations::Int16, None) => {
            return Err(Error::invalid("integer activations need ranges").remedy("give calibration data"));
        }
    };
    let nodes = std::mem::take(&mut graph.nodes);
    let mut converted = Vec::with_capacity(nodes.len());
    for node in nodes {
        let subject = format!("node '{}' ({})", node.name, node.op.name());
        converted.push(convert(&mut graph, recipe, activations.as_ref(), node).about(subject)?);
    }
    graph.nodes = converted;
    let dtype = if recipe.activations == Activations::Int16 { Dtype::I16 } else { Dtype::I8 };
    for (t, quant) in activations.into_iter().flatten() {
        graph.tensors[t].dtype = dtype;
        graph.tensors[t].quant = Some(quant);
    }
    Ok(graph)
}

fn convert(
    graph: &mut Graph,
    recipe: &Recipe,
    activations: Option<&solve::Assigned>,
    mut node: Node,
) -> Result<Node> {
    if node.op.has_weights() {
        let format = recipe.weights_of(&node.name);
        return weights::convert(graph, activations, node, recipe.activations, format);
    }
    let Some(activations) = activations else { return Ok(node) };
    let shared = solve::shares_parameters(&node.op);
    for i in 0..node.inputs.len() {
        let Some(t) = node.inputs[i] else { continue };
        let Some(values) = graph.tensors[t].f32s() else { continue };
        // A constant is quantized for each consumer: with the output's parameters where they must be equal.
        let quant = match node.outputs.first().filter(|_| shared).and_then(|o| activations.get(o)) {
            Some(quant) => quant.clone(),
            None => cover(Range::of(&values), recipe.activations),
        };
        node.inputs[i] = Some(constant(graph, t, &values, quant, recipe.activations));
    }
    Ok(node)
}

/// A per-tensor integer copy of a float constant.
fn constant(graph: &mut Graph, t: TensorId, values: &[f32], quant: Quant, format: Activations) -> TensorId {
    let (scale, zero_point) = (quant.scale[0] as f64, quant.zero_point[0] as f64);
    let level = |x: f32, lo: f64, hi: f64| (libm::rint(x as f64 / scale) + zero_point).clamp(lo, hi);
    let Tensor { name, shape, .. } = graph.tensors[t].clone();
    let tensor = if format == Activations::Int16 {
        let levels: Vec<i16> = values.iter().map(|&x| level(x, -32768.0, 32767.0) as i16).collect();
        Tensor::constant(format!("{name}/int16"), Dtype::I16, shape, &levels)
    } else {
        let levels: Vec<i8> = values.iter().map(|&x| level(x, -128.0, 127.0) as i8).collect();
        Tensor::constant(format!("{name}/int8"), Dtype::I8, shape, &levels)
    };
    graph.add(tensor.quantized(quant))
}
