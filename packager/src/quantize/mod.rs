//! Post-training quantization: a float graph and observed ranges in, an integer graph out.
//!
//! [`prepare`] rewrites what has no integer form, [`calibrate`] observes ranges on data, [`int8`] chooses
//! parameters and converts constants. The rules are those of the TFLite 8-bit specification; how steps round
//! is the graph's [`Numeric`].

mod calibrate;
mod groups;
mod parameters;
mod prepare;
mod recipe;
mod weights;

pub use calibrate::{Bin, Levels, Observations, Observe, Observer, Range, Ranges, calibrate, observe};
pub use parameters::from_range;
pub use prepare::prepare;
pub use recipe::{Activations, RangeMethod, Recipe, WeightRounding, Weights};

use samara_runtime::Dtype;

use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Numeric, Op, Quant, Tensor, TensorId};

/// Converts a prepared, calibrated float graph to int8 weights (per channel) and activations.
pub fn int8(graph: &Graph, ranges: &Ranges, numeric: Numeric) -> Result<Graph> {
    let mut graph = Graph { numeric, ..graph.clone() };
    // Looked for before `assign`, which puts Requantize nodes in.
    if let Some(node) = graph.nodes.iter().find(|n| matches!(n.op, Op::Quantize | Op::Dequantize)) {
        let subject = format!("node '{}' ({})", node.name, node.op.name());
        let error = Error::invalid("the model is partly quantized already");
        return Err(error.remedy("give the float model").about(subject));
    }
    let activations = groups::assign(&mut graph, ranges)?;
    let nodes = std::mem::take(&mut graph.nodes);
    let mut converted = Vec::with_capacity(nodes.len());
    for node in nodes {
        let subject = format!("node '{}' ({})", node.name, node.op.name());
        converted.push(convert(&mut graph, &activations, node).about(subject)?);
    }
    graph.nodes = converted;
    for (t, quant) in activations {
        graph.tensors[t].dtype = Dtype::I8;
        graph.tensors[t].quant = Some(quant);
    }
    Ok(graph)
}

fn convert(graph: &mut Graph, activations: &groups::Assigned, mut node: Node) -> Result<Node> {
    match node.op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
            return weights::convert(graph, activations, node);
        }
        Op::Binary { .. }
        | Op::Pool2d { .. }
        | Op::Reduce { .. }
        | Op::Softmax { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Clamp { .. }
        | Op::Unary { .. }
        | Op::PRelu
        | Op::Quantize
        | Op::Dequantize
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Gather { .. }
        | Op::Cast { .. } => {}
    }
    let shared = groups::shares_parameters(&node.op);
    for i in 0..node.inputs.len() {
        let Some(t) = node.inputs[i] else { continue };
        let Some(values) = graph.tensors[t].f32s() else { continue };
        // A constant is quantized for each consumer: with the output's parameters where they must be equal.
        let quant = match node.outputs.first().filter(|_| shared).and_then(|o| activations.get(o)) {
            Some(quant) => quant.clone(),
            None => from_range(Range::of(&values)),
        };
        node.inputs[i] = Some(constant(graph, t, &values, quant));
    }
    Ok(node)
}

/// A per-tensor int8 copy of a float constant.
fn constant(graph: &mut Graph, t: TensorId, values: &[f32], quant: Quant) -> TensorId {
    let (scale, zero_point) = (quant.scale[0] as f64, quant.zero_point[0] as f64);
    let level = |&x: &f32| (libm::rint(x as f64 / scale) + zero_point).clamp(-128.0, 127.0) as i8;
    let levels: Vec<i8> = values.iter().map(level).collect();
    let Tensor { name, shape, .. } = graph.tensors[t].clone();
    graph.add(Tensor::constant(format!("{name}/int8"), Dtype::I8, shape, &levels).quantized(quant))
}
