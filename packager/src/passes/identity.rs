//! Removes nodes that return their input.

use samara_runtime::Dtype;

use super::rewrite::{same_meaning, substitute};
use crate::error::Result;
use crate::ir::{Activation, Binary, Graph, Node, Op, TensorId, permute};

/// Reads past identities; those that copy an input or constant to a graph output stay.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let (Some(x), &[y]) = (source(graph, node), &node.outputs[..]) else { continue };
        let (input, output) = (&graph.tensors[x], &graph.tensors[y]);
        let same = input.shape == output.shape && same_meaning(input, output);
        let read = graph.outputs.contains(&y) || graph.nodes.iter().any(|n| n.inputs.contains(&Some(y)));
        if same && read {
            changed |= substitute(graph, y, x);
        }
    }
    Ok(changed)
}

/// The operand that the node returns unchanged, if its shape agrees.
fn source(graph: &Graph, node: &Node) -> Option<TensorId> {
    let x = node.inputs.first().copied().flatten()?;
    let identity = match &node.op {
        Op::Reshape { .. } => true,
        Op::Cast { to } => graph.tensors[x].dtype == *to,
        Op::Transpose { permutation } => permute::is_identity(permutation),
        Op::Clamp { activation } => *activation == Activation::NONE,
        Op::StridedSlice { begin, stride, .. } => {
            begin.iter().all(|&b| b == 0) && stride.iter().all(|&s| s == 1)
        }
        Op::Pad { before, after, .. } => before.iter().chain(after).all(|&n| n == 0),
        Op::Concatenation { .. } => node.inputs.len() == 1,
        Op::Binary { kind, activation } => return neutral(graph, node, *kind, *activation),
        Op::Quantize => graph.tensors[x].dtype != Dtype::F32,
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::FullyConnected { .. }
        | Op::Pool2d { .. }
        | Op::Reduce { .. }
        | Op::Softmax { .. }
        | Op::Unary { .. }
        | Op::PRelu
        | Op::Dequantize
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Gather { .. } => false,
    };
    identity.then_some(x)
}

/// The other operand of a float sum with zeros, or of a product or quotient with ones.
fn neutral(graph: &Graph, node: &Node, kind: Binary, activation: Activation) -> Option<TensorId> {
    let (a, b) = (node.inputs.first().copied().flatten()?, node.inputs.get(1).copied().flatten()?);
    if activation != Activation::NONE {
        return None;
    }
    let all =
        |t: TensorId, value: f32| graph.tensors[t].f32s().is_some_and(|v| v.iter().all(|&x| x == value));
    match kind {
        Binary::Add if all(b, 0.0) => Some(a),
        Binary::Add if all(a, 0.0) => Some(b),
        Binary::Sub if all(b, 0.0) => Some(a),
        Binary::Mul if all(b, 1.0) => Some(a),
        Binary::Mul if all(a, 1.0) => Some(b),
        Binary::Div if all(b, 1.0) => Some(a),
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Minimum | Binary::Maximum => None,
    }
}
