//! Edits that passes are made of.

use std::collections::HashMap;

use super::{Graph, Node, TensorId};

impl Graph {
    /// Index of the node that makes each computed tensor.
    pub fn producers(&self) -> HashMap<TensorId, usize> {
        let made = self.nodes.iter().enumerate();
        made.flat_map(|(n, node)| node.outputs.iter().map(move |&t| (t, n))).collect()
    }

    /// How often each tensor is read, graph outputs included.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.tensors.len()];
        let reads = self.nodes.iter().flat_map(|n| n.inputs.iter().flatten());
        for &t in reads.chain(&self.outputs) {
            uses[t] += 1;
        }
        uses
    }

    /// Makes every reader of `old` read `new`, graph outputs included.
    pub fn replace(&mut self, old: TensorId, new: TensorId) {
        let reads = self.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().flatten());
        for t in reads.chain(&mut self.outputs) {
            if *t == old {
                *t = new;
            }
        }
    }

    /// Drops nodes whose outputs nobody reads; true where any went.
    pub fn drop_dead(&mut self) -> bool {
        let before = self.nodes.len();
        let mut live: Vec<bool> = vec![false; self.tensors.len()];
        self.outputs.iter().for_each(|&t| live[t] = true);
        let mut kept: Vec<Node> = Vec::with_capacity(before);
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|&t| live[t]) {
                node.inputs.iter().flatten().for_each(|&t| live[t] = true);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.nodes.len() != before
    }

    /// Restores topological order after nodes were appended out of place; stable for nodes already in order.
    pub fn sort(&mut self) {
        let producers = self.producers();
        let mut done = vec![false; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        for start in 0..self.nodes.len() {
            // Depth first with an explicit stack: models are deep.
            let mut stack = vec![start];
            while let Some(&n) = stack.last() {
                let waiting = self.nodes[n].inputs.iter().flatten().filter_map(|t| producers.get(t));
                let next = waiting.copied().find(|&p| !done[p] && p != n);
                match next {
                    Some(p) if !done[n] => stack.push(p),
                    _ => {
                        if !std::mem::replace(&mut done[n], true) {
                            order.push(n);
                        }
                        stack.pop();
                    }
                }
            }
        }
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.into_iter().filter_map(|n| nodes[n].take()).collect();
    }
}
