//! Comparisons with constants that no level can reach: saturation at the ends does the same.

use super::rules::levels;
use super::{Assigned, is_activation};
use crate::ir::{Activation, Binary, Graph, Op, Quant, TensorId};
use crate::quantize::Activations;

/// Takes out every Minimum whose constants are all at or above the greatest level, and every Maximum at or below
/// the least; what made its operand makes its output. Returns the nodes' names.
pub(super) fn drop(graph: &mut Graph, activations: &mut Assigned, format: Activations) -> Vec<String> {
    let mut names = Vec::new();
    let mut n = 0;
    while n < graph.nodes.len() {
        let Some((x, y)) = idle(graph, activations, format, n) else {
            n += 1;
            continue;
        };
        for node in &mut graph.nodes {
            node.inputs.iter_mut().flatten().filter(|t| **t == x).for_each(|t| *t = y);
            node.outputs.iter_mut().filter(|t| **t == x).for_each(|t| *t = y);
        }
        activations.remove(&x);
        names.push(graph.nodes.remove(n).name);
    }
    names
}

/// Operand and output of an idle comparison. Model inputs and outputs keep their tensors.
fn idle(
    graph: &Graph,
    activations: &Assigned,
    format: Activations,
    n: usize,
) -> Option<(TensorId, TensorId)> {
    let node = &graph.nodes[n];
    let Op::Binary { kind: kind @ (Binary::Minimum | Binary::Maximum), activation: Activation::NONE } =
        node.op
    else {
        return None;
    };
    let (&[Some(a), Some(b)], &[y]) = (&node.inputs[..], &node.outputs[..]) else { return None };
    let (x, constant) = if is_activation(graph, a) { (a, b) } else { (b, a) };
    let values = graph.tensors[constant].f32s()?;
    let own = !graph.inputs.contains(&x) && !graph.outputs.contains(&x);
    if !own || !is_activation(graph, x) || graph.tensors[x].shape != graph.tensors[y].shape {
        return None;
    }
    let (scale, zero) = activations.get(&y).and_then(Quant::single)?;
    let (lo, hi) = levels(format);
    let beyond = values.iter().all(|&v| {
        let level = libm::rint(v as f64 / scale as f64) + zero as f64;
        if kind == Binary::Minimum { level >= hi } else { level <= lo }
    });
    beyond.then_some((x, y))
}
