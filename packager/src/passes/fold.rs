//! Constant folding: nodes whose operands are all constants are evaluated with the runtime's own kernels.

use crate::error::Result;
use crate::interpret;
use crate::ir::{Graph, Op, permute};

/// Most bytes of a folded result that is larger than what it was made from.
const MAX_GROWTH: usize = 1 << 20;

/// Folds what it can. Nodes that the runtime cannot evaluate stay as they are.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut folded = vec![false; graph.nodes.len()];
    for (n, folded) in folded.iter_mut().enumerate() {
        let node = &graph.nodes[n];
        let constant = |t: &Option<usize>| t.is_none_or(|t| graph.tensors[t].is_constant());
        let &[output] = &node.outputs[..] else { continue };
        // Quantize and Dequantize wait for the operators around them.
        let waits = matches!(node.op, Op::Quantize | Op::Dequantize);
        if waits || !node.inputs.iter().all(constant) || graph.outputs.contains(&output) {
            continue;
        }
        let bytes = |t: usize| graph.tensors[t].bytes().unwrap_or(usize::MAX);
        let read = node.inputs.iter().flatten().map(|&t| bytes(t)).sum::<usize>();
        if bytes(output) > read.max(MAX_GROWTH) {
            continue;
        }
        let data = match (&node.op, node.inputs.first().copied().flatten()) {
            (Op::Transpose { permutation }, Some(x)) => {
                let Some(moved) = permute::constant(&graph.tensors[x], permutation) else { continue };
                graph.tensors[output].quant = moved.quant;
                moved.data
            }
            _ => match interpret::fold(graph, node) {
                Ok(values) => values.first().map(|v| v.bytes().to_vec()),
                Err(_) => continue,
            },
        };
        graph.tensors[output].data = data;
        *folded = graph.tensors[output].is_constant();
    }
    let mut position = 0..;
    graph.nodes.retain(|_| position.next().is_none_or(|n: usize| !folded[n]));
    Ok(folded.contains(&true))
}
