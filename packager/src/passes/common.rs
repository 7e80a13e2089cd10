//! Equal constants become one, and so do equal nodes on equal operands.

use std::collections::{BTreeSet, HashMap};

use super::rewrite::{same_meaning, substitute};
use crate::error::Result;
use crate::ir::{Graph, TensorId};

/// Merges duplicates into their first occurrence.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let constants = constants(graph);
    Ok(nodes(graph) || constants)
}

fn constants(graph: &mut Graph) -> bool {
    type Key<'a> = (u8, &'a [usize], &'a [u8], Option<(Vec<u32>, &'a [i32], usize)>);
    let mut first: HashMap<Key<'_>, TensorId> = HashMap::new();
    let mut same: HashMap<TensorId, TensorId> = HashMap::new();
    let read: BTreeSet<TensorId> =
        graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten().copied()).collect();
    for t in read {
        let tensor = &graph.tensors[t];
        let Some(data) = &tensor.data else { continue };
        let quant = tensor.quant.as_ref();
        let quant = quant.map(|q| (q.scale.iter().map(|s| s.to_bits()).collect(), &q.zero_point[..], q.axis));
        let kept = *first.entry((tensor.dtype as u8, &tensor.shape[..], &data[..], quant)).or_insert(t);
        if kept != t {
            same.insert(t, kept);
        }
    }
    for t in graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().flatten()) {
        if let Some(&kept) = same.get(t) {
            *t = kept;
        }
    }
    !same.is_empty()
}

fn nodes(graph: &mut Graph) -> bool {
    let mut seen: HashMap<(&'static str, Vec<Option<TensorId>>), Vec<usize>> = HashMap::new();
    let mut gone = Vec::new();
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let &[output] = &node.outputs[..] else { continue };
        let twins = seen.entry((node.op.name(), node.inputs.clone())).or_default();
        let twin = twins.iter().copied().find(|&m| {
            let (twin, other) = (&graph.nodes[m], &graph.tensors[output]);
            let first = &graph.tensors[twin.outputs[0]];
            twin.op == node.op && first.shape == other.shape && same_meaning(first, other)
        });
        match twin {
            Some(m) => {
                let kept = graph.nodes[m].outputs[0];
                if substitute(graph, output, kept) {
                    gone.push(n);
                }
            }
            None => twins.push(n),
        }
    }
    for &n in gone.iter().rev() {
        graph.nodes.remove(n);
    }
    !gone.is_empty()
}
