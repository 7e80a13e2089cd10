//! Clamps become the fused activation of the operator before them.

use samara_runtime::Dtype;

use super::rewrite::{only_reader, same_meaning};
use crate::error::Result;
use crate::ir::{Activation, Graph, Op};

/// Fuses where the clamp is the only reader. Integers must have the same parameters on both sides of it.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        changed |= fuse(graph, n);
        n += 1;
    }
    Ok(changed)
}

fn fuse(graph: &mut Graph, n: usize) -> bool {
    let &[y] = &graph.nodes[n].outputs[..] else { return false };
    let Some(reader) = only_reader(graph, &graph.uses(), y) else { return false };
    let Op::Clamp { activation } = graph.nodes[reader].op else { return false };
    let clamped = graph.nodes[reader].outputs[0];
    let (before, after) = (&graph.tensors[y], &graph.tensors[clamped]);
    if before.dtype != Dtype::F32 && !same_meaning(before, after) {
        return false;
    }
    let Some(own) = fused(&mut graph.nodes[n].op) else { return false };
    *own = own.then(activation);
    graph.nodes[n].outputs = vec![clamped];
    graph.nodes.remove(reader);
    true
}

/// The operator's own activation, where it has one.
pub(super) fn fused(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d { activation, .. }
        | Op::DepthwiseConv2d { activation, .. }
        | Op::FullyConnected { activation }
        | Op::Binary { activation, .. }
        | Op::Pool2d { activation, .. }
        | Op::Clamp { activation } => Some(activation),
        Op::Reduce { .. }
        | Op::Softmax { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
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
        | Op::Cast { .. } => None,
    }
}
