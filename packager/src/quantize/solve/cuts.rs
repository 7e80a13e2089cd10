//! Where a group must split, and where it had better.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{Groups, shared_inputs, shared_output};
use super::requantize::Reason;
use super::rules::{fits, fixed, width, worth_bits};
use super::spans::Spans;
use crate::ir::{Graph, Quant, TensorId};
use crate::quantize::{Activations, Range};

/// A read of `tensor` by the sharing node at position `node` that gets a Requantize.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Cut {
    pub(super) node: usize,
    pub(super) tensor: TensorId,
}

/// Reads that get a Requantize, and why.
pub(super) type Cuts = BTreeMap<Cut, Reason>;

/// All cuts: first those that fixed parameters force, then one at a time those that gain most.
pub(super) fn cuts(graph: &Graph, spans: &Spans, format: Activations) -> Cuts {
    let mut cuts = Cuts::new();
    let pins = pins(graph, spans, format, &mut cuts);
    while let Some((better, gain)) = best(graph, spans, format, &pins, &cuts) {
        let reason = Reason::Resolution { bits: libm::log2(gain) as f32 };
        cuts.extend(better.into_iter().map(|cut| (cut, reason)));
    }
    cuts
}

/// Fixed parameters by tensor: of operators that fix them, and of what is only moved from there. Where they
/// meet anything else, the read is added to `cuts`.
pub(super) fn pins(graph: &Graph, spans: &Spans, format: Activations, cuts: &mut Cuts) -> Vec<Option<Quant>> {
    let mut pins: Vec<Option<Quant>> = vec![None; graph.tensors.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        if let (Some(pin), Some(&y)) = (fixed(&node.op, format), node.outputs.first()) {
            pins[y] = Some(pin);
        }
        let Some(y) = shared_output(graph, node) else { continue };
        let inputs: Vec<TensorId> = shared_inputs(graph, node).collect();
        let pin = inputs.first().and_then(|&t| pins[t].clone());
        let whole = pin.as_ref().is_some_and(|pin| {
            let alike = inputs.iter().all(|&t| pins[t].as_ref() == Some(pin));
            alike && spans.brought(graph, node).is_none_or(|range| fits(range, pin, format))
        });
        if whole {
            pins[y] = pin;
        } else {
            for tensor in inputs.into_iter().filter(|&t| pins[t].is_some()) {
                cuts.insert(Cut { node: n, tensor }, Reason::Fixed);
            }
        }
    }
    pins
}

/// The cuts after which one side has the most finer steps, where that is worth a Requantize; with the factor.
/// One read of a tensor is tried, and all its reads together, since another way around may keep both sides one.
fn best(
    graph: &Graph,
    spans: &Spans,
    format: Activations,
    pins: &[Option<Quant>],
    cuts: &Cuts,
) -> Option<(Vec<Cut>, f64)> {
    let mut by_tensor: BTreeMap<TensorId, Vec<Cut>> = BTreeMap::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        if shared_output(graph, node).is_none_or(|y| pins[y].is_some()) {
            continue;
        }
        // With nothing joining here, both sides hold the same values.
        if node.inputs.iter().flatten().count() < 2 && spans.brought(graph, node).is_none() {
            continue;
        }
        for tensor in shared_inputs(graph, node).collect::<BTreeSet<_>>() {
            let cut = Cut { node: n, tensor };
            if !cuts.contains_key(&cut) {
                by_tensor.entry(tensor).or_default().push(cut);
            }
        }
    }
    let whole = Groups::of(graph, cuts);
    let covered = whole.ranges(graph, spans);
    let mut best: Option<(Vec<Cut>, f64)> = None;
    for (tensor, reads) in by_tensor {
        let together = (reads.len() > 1).then(|| reads.clone());
        for tried in reads.into_iter().map(|cut| vec![cut]).chain(together) {
            let gain = gain(graph, spans, format, cuts, &tried, covered[&whole.root(tensor)]);
            if gain > libm::exp2(worth_bits(format)) && best.as_ref().is_none_or(|(_, g)| gain > *g) {
                best = Some((tried, gain));
            }
        }
    }
    best
}

/// By what factor the steps of one side of these reads of one tensor become finer than for `whole`, where that
/// side has values of its own that others read.
fn gain(graph: &Graph, spans: &Spans, format: Activations, cuts: &Cuts, tried: &[Cut], whole: Range) -> f64 {
    let mut trial = cuts.clone();
    trial.extend(tried.iter().map(|&cut| (cut, Reason::Fixed)));
    let groups = Groups::of(graph, &trial);
    let covered = groups.ranges(graph, spans);
    let factor = |range: Range| {
        let narrow = width(range, format);
        // A side of zeros needs no resolution.
        if narrow > 0.0 { width(whole, format) / narrow } else { 1.0 }
    };
    let mut gain = 1.0f64;
    for cut in tried {
        let node = &graph.nodes[cut.node];
        let Some(&y) = node.outputs.first() else { continue };
        let (above, below) = (groups.root(cut.tensor), groups.root(y));
        if above == below {
            return 1.0;
        }
        let copy = spans.copy_for(graph, cut.tensor, node).unwrap_or(Range::EMPTY);
        if read_outside(graph, &groups, above) {
            gain = gain.max(factor(covered[&above]));
        }
        if has_source(graph, &groups, below) && read_outside(graph, &groups, below) {
            gain = gain.max(factor(covered[&below].with(copy)));
        }
    }
    gain
}

/// Whether anything but the group's own moving reads one of its tensors.
fn read_outside(graph: &Graph, groups: &Groups, root: usize) -> bool {
    let member = |t: TensorId| groups.root(t) == root;
    let mut readers = graph.nodes.iter().filter(|n| shared_output(graph, n).is_none());
    graph.outputs.iter().any(|&t| member(t)) || readers.any(|n| shared_inputs(graph, n).any(member))
}

/// Whether one of the group's tensors is computed rather than moved there.
fn has_source(graph: &Graph, groups: &Groups, root: usize) -> bool {
    let computed = graph.nodes.iter().filter(|n| shared_output(graph, n).is_none()).flat_map(|n| &n.outputs);
    graph.inputs.iter().chain(computed).any(|&t| groups.root(t) == root)
}
