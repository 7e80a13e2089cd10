//! Reshapes of reshapes, and transposes that are reshapes.

use crate::error::Result;
use crate::ir::{Graph, Op, permute};

/// A Reshape reads past other Reshapes; a Transpose that only moves axes of size 1 becomes one.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let producers = graph.producers();
    for n in 0..graph.nodes.len() {
        let Some(x) = graph.nodes[n].inputs.first().copied().flatten() else { continue };
        if let Op::Transpose { permutation } = &graph.nodes[n].op
            && permute::keeps_order(&graph.tensors[x].shape, permutation)
        {
            let shape = permute::apply(&graph.tensors[x].shape, permutation);
            graph.nodes[n].op = Op::Reshape { shape };
            changed = true;
        }
        let reshapes = |n: usize| matches!(graph.nodes[n].op, Op::Reshape { .. });
        if reshapes(n)
            && let Some(&before) = producers.get(&x)
            && reshapes(before)
        {
            graph.nodes[n].inputs = graph.nodes[before].inputs.clone();
            changed = true;
        }
    }
    Ok(changed)
}
