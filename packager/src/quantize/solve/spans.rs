//! The range that each activation needs for itself, before groups widen it.

use super::rules::{ALL, clip, makes, shares_parameters, tells_apart};
use super::{activations, is_activation};
use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Op, TensorId};
use crate::quantize::{Activations, Range, Ranges};

/// Ranges by tensor id.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    /// What was observed, within what the maker can make and the readers tell apart.
    span: Vec<Option<Range>>,
    /// What the readers tell apart.
    need: Vec<Range>,
}

impl Spans {
    /// Of every float activation. Model inputs keep what was observed: applications see their parameters.
    pub(super) fn of(graph: &Graph, ranges: &Ranges, format: Activations) -> Result<Self> {
        let mut span = vec![None; graph.tensors.len()];
        for t in activations(graph) {
            let seen = ranges.get(t).ok_or_else(|| {
                Error::invalid(format!("tensor '{}' was not calibrated", graph.tensors[t].name))
            })?;
            span[t] = Some(seen);
        }
        let mut need: Vec<Option<Range>> = vec![None; graph.tensors.len()];
        graph.outputs.iter().for_each(|&t| need[t] = Some(ALL));
        for node in graph.nodes.iter().rev() {
            let Some(&y) = node.outputs.first() else { continue };
            // All readers of `y` come later, so its need is known.
            span[y] = span[y].map(|s| clip(clip(s, makes(&node.op)), need[y].unwrap_or(ALL)));
            let told = span[y].map_or(ALL, |s| tells_apart(&node.op, s, format));
            for &t in node.inputs.iter().flatten() {
                need[t] = Some(need[t].map_or(told, |n| n.with(told)));
            }
        }
        let need = need.into_iter().map(|n| n.unwrap_or(ALL)).collect();
        Ok(Spans { span, need })
    }

    /// Range of an activation.
    pub(super) fn get(&self, t: TensorId) -> Option<Range> {
        self.span.get(t).copied().flatten()
    }

    /// Registers a tensor that was added to the graph: a copy of another for some of its readers.
    pub(super) fn push(&mut self, span: Range) {
        self.span.push(Some(span));
        self.need.push(ALL);
    }

    /// What a sharing node brings into its group beside its activations: constants and padding.
    pub(super) fn brought(&self, graph: &Graph, node: &Node) -> Option<Range> {
        if !shares_parameters(&node.op) {
            return None;
        }
        let &y = node.outputs.first()?;
        // Of a comparison's constant only what the output reaches matters; of others what the readers see.
        let bounds = match node.op {
            Op::Binary { .. } => self.get(y)?,
            _ => self.need[y],
        };
        let constants = node.inputs.iter().flatten().filter_map(|&t| graph.tensors[t].f32s());
        let mut ranges: Vec<Range> = constants.map(|values| Range::of(&values)).collect();
        if let Op::Pad { value, .. } = node.op {
            ranges.push(Range { lo: value, hi: value });
        }
        ranges
            .into_iter()
            .map(|r| clip(r, bounds))
            .filter(|r| r.lo.is_finite() && r.hi.is_finite())
            .reduce(Range::with)
    }

    /// The range of a copy of `t` made for the sharing node `reader`.
    pub(super) fn copy_for(&self, graph: &Graph, t: TensorId, reader: &Node) -> Option<Range> {
        let span = self.get(t)?;
        let y = reader.outputs.first().filter(|&&y| is_activation(graph, y)).and_then(|&y| self.get(y));
        Some(match (&reader.op, y) {
            (Op::Binary { .. }, Some(y)) => clip(span, y),
            _ => span,
        })
    }
}
