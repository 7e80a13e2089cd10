//! Sets of tensors that must have equal parameters.

use std::collections::BTreeMap;

use super::cuts::{Cut, Cuts};
use super::rules::shares_parameters;
use super::spans::Spans;
use super::{activations, is_activation};
use crate::ir::{Graph, Node, TensorId};
use crate::quantize::Range;

/// Disjoint sets by parent links.
pub(super) struct Groups(Vec<usize>);

impl Groups {
    /// Joins each sharing node's activations, except over cut edges.
    pub(super) fn of(graph: &Graph, cuts: &Cuts) -> Self {
        let mut groups = Groups((0..graph.tensors.len()).collect());
        for (n, node) in graph.nodes.iter().enumerate() {
            let Some(y) = shared_output(graph, node) else { continue };
            for t in shared_inputs(graph, node).filter(|&t| !cuts.contains_key(&Cut { node: n, tensor: t })) {
                groups.join(y, t);
            }
        }
        groups
    }

    /// The representative of a tensor's group.
    pub(super) fn root(&self, mut t: TensorId) -> usize {
        while self.0[t] != t {
            t = self.0[t];
        }
        t
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }

    /// What each group has to cover, by root: its members, constants and padding.
    pub(super) fn ranges(&self, graph: &Graph, spans: &Spans) -> BTreeMap<usize, Range> {
        let mut covered: BTreeMap<usize, Range> = BTreeMap::new();
        let mut cover = |t: TensorId, range: Range| {
            let old = covered.entry(self.root(t)).or_insert(Range::EMPTY);
            *old = old.with(range);
        };
        for t in activations(graph) {
            spans.get(t).into_iter().for_each(|span| cover(t, span));
        }
        for node in &graph.nodes {
            if let (Some(y), Some(range)) = (shared_output(graph, node), spans.brought(graph, node)) {
                cover(y, range);
            }
        }
        covered
    }
}

/// The float output of a node that shares parameters.
pub(super) fn shared_output(graph: &Graph, node: &Node) -> Option<TensorId> {
    let shares = shares_parameters(&node.op);
    node.outputs.first().copied().filter(|&y| shares && is_activation(graph, y))
}

/// The float activations that a node reads, in order; one may appear twice.
pub(super) fn shared_inputs<'g>(graph: &'g Graph, node: &'g Node) -> impl Iterator<Item = TensorId> + 'g {
    node.inputs.iter().flatten().copied().filter(|&t| is_activation(graph, t))
}
