//! Requantize nodes where a group is split.

use std::collections::BTreeMap;

use samara_runtime::Dtype;

use super::cuts::Cuts;
use super::groups::Groups;
use super::spans::Spans;
use crate::ir::{Graph, Node, Op, Tensor, TensorId};
use crate::quantize::Range;

/// Why a tensor is requantized for a reader.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reason {
    /// Its parameters are fixed by what computes it, and the reader joins it with others.
    Fixed,
    /// In one group, one side would have this many bits less of resolution.
    Resolution {
        /// `log2` of the ratio of step sizes.
        bits: f32,
    },
}

/// A Requantize node that the solver put in.
#[derive(Clone, PartialEq, Debug)]
pub struct Requantized {
    /// The node's name.
    pub node: String,
    /// The tensor that it reads.
    pub tensor: String,
    /// The first node that reads the result.
    pub reader: String,
    /// Why.
    pub reason: Reason,
}

/// Puts a Requantize before the first reader of each cut; readers in one group share it.
pub(super) fn insert(graph: &mut Graph, cuts: &Cuts, spans: &mut Spans) -> Vec<Requantized> {
    let groups = Groups::of(graph, cuts);
    // Cuts are ordered by node, so the first of each kind is the first reader.
    let mut copies: Vec<Copy> = Vec::new();
    for (cut, &reason) in cuts {
        let reader = &graph.nodes[cut.node];
        let Some(group) = reader.outputs.first().map(|&y| groups.root(y)) else { continue };
        let range = spans.copy_for(graph, cut.tensor, reader).unwrap_or(Range::EMPTY);
        match copies.iter_mut().find(|c| (c.tensor, c.group) == (cut.tensor, group)) {
            Some(copy) => {
                copy.range = copy.range.with(range);
                copy.readers.push(cut.node);
            }
            None => copies.push(Copy { tensor: cut.tensor, group, range, readers: vec![cut.node], reason }),
        }
    }
    let mut times: BTreeMap<TensorId, usize> = BTreeMap::new();
    let mut placed: Vec<(usize, Node)> = Vec::new();
    let mut requantized = Vec::new();
    for copy in copies {
        let Tensor { name, shape, .. } = graph.tensors[copy.tensor].clone();
        let count = times.entry(copy.tensor).or_insert(0);
        *count += 1;
        let suffix = if *count == 1 { String::new() } else { format!("/{count}") };
        let out = graph.add(Tensor::new(format!("{name}/requantized{suffix}"), Dtype::F32, shape));
        spans.push(copy.range);
        for &n in &copy.readers {
            let reads = graph.nodes[n].inputs.iter_mut().filter(|i| **i == Some(copy.tensor));
            reads.for_each(|i| *i = Some(out));
        }
        let node = format!("{name}/requantize{suffix}");
        let reader = graph.nodes[copy.readers[0]].name.clone();
        requantized.push(Requantized { node: node.clone(), tensor: name, reader, reason: copy.reason });
        let inputs = vec![Some(copy.tensor)];
        placed.push((copy.readers[0], Node { name: node, op: Op::Quantize, inputs, outputs: vec![out] }));
    }
    // From the back, so that positions stay true.
    placed.into_iter().rev().for_each(|(at, node)| graph.nodes.insert(at, node));
    requantized
}

struct Copy {
    tensor: TensorId,
    group: usize,
    range: Range,
    readers: Vec<usize>,
    reason: Reason,
}
