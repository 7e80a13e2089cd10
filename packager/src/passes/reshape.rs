//! Reshapes of reshapes, transposes that are reshapes, and reshapes that keep operators apart.

use super::rewrite::{moved_name, only_reader};
use crate::error::Result;
use crate::ir::{Graph, Op, Tensor, TensorId, permute};

/// A Reshape reads past other Reshapes and moves behind elementwise operators, so that these meet what they can
/// be fused into; a Transpose that only moves axes of size 1 becomes a Reshape.
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
    for n in 0..graph.nodes.len() {
        changed |= sink(graph, n).is_some();
    }
    Ok(changed)
}

/// `Reshape -> elementwise` becomes `elementwise -> Reshape`, where the operator's constants do not mind.
fn sink(graph: &mut Graph, n: usize) -> Option<()> {
    let Op::Reshape { .. } = graph.nodes[n].op else { return None };
    let (x, reshaped) = (graph.nodes[n].inputs[0]?, graph.nodes[n].outputs[0]);
    let reader = only_reader(graph, &graph.uses(), reshaped)?;
    let result = *graph.nodes[reader].outputs.first()?;
    if graph.tensors[result].shape != graph.tensors[reshaped].shape || graph.inputs.contains(&x) {
        return None;
    }
    let last = graph.tensors[reshaped].shape.last().copied();
    let mut inputs = graph.nodes[reader].inputs.clone();
    match graph.nodes[reader].op {
        Op::Clamp { .. } | Op::Unary { .. } => inputs[0] = Some(x),
        Op::Binary { .. } | Op::PRelu => {
            let same_last = last == graph.tensors[x].shape.last().copied();
            for input in &mut inputs {
                let t = (*input)?;
                *input = Some(match t == reshaped {
                    true => x,
                    false => per_last_axis(graph, t, last.filter(|_| same_last))?,
                });
            }
        }
        _ => return None,
    }
    let shape = graph.tensors[result].shape.clone();
    let (like, op) = (graph.tensors[result].clone(), graph.nodes[reader].op.clone());
    let input = graph.tensors[x].shape.clone();
    let moved = graph.add(Tensor { name: moved_name(&like.name), shape: input, ..like });
    // The reshape's place is the elementwise operator's, and the other way round.
    let node = &mut graph.nodes[reader];
    (node.op, node.inputs) = (Op::Reshape { shape }, vec![Some(moved)]);
    let node = &mut graph.nodes[n];
    (node.op, node.inputs, node.outputs) = (op, inputs, vec![moved]);
    Some(())
}

/// A constant of one element, or of one per index of the last axis, in a shape for any rank.
fn per_last_axis(graph: &mut Graph, t: TensorId, last: Option<usize>) -> Option<TensorId> {
    let tensor = &graph.tensors[t];
    if !tensor.is_constant() {
        return None;
    }
    let n = tensor.elements();
    let vector = n == 1 || (Some(n) == last && tensor.shape.last() == Some(&n));
    if !vector || tensor.quant.as_ref().is_some_and(|q| q.scale.len() > 1) {
        return None;
    }
    if tensor.shape.len() <= 1 {
        return Some(t);
    }
    Some(graph.add(Tensor { shape: vec![n], ..tensor.clone() }))
}
