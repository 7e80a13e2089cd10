//! What lowering asks for beyond what the graph may say.

use samara_runtime::ops::io::MAX_INPUTS;

use super::rewrite::insert;
use crate::error::Result;
use crate::ir::{Graph, Op, Tensor, permute};

/// Concatenations of more inputs than a step has operands become a chain.
pub(super) fn concatenations(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if let Op::Concatenation { axis } = graph.nodes[n].op
            && graph.nodes[n].inputs.len() > MAX_INPUTS
        {
            let rest = graph.nodes[n].inputs.split_off(MAX_INPUTS);
            let first = std::mem::take(&mut graph.nodes[n].inputs);
            let like = graph.tensors[graph.nodes[n].outputs[0]].clone();
            let mut shape = like.shape.clone();
            shape[axis] = first.iter().flatten().map(|&t| graph.tensors[t].shape[axis]).sum();
            let name = format!("{}/{}", graph.nodes[n].name, rest.len());
            let joined = insert(graph, n, name, Op::Concatenation { axis }, first, Tensor { shape, ..like });
            graph.nodes[n + 1].inputs = std::iter::once(Some(joined)).chain(rest).collect();
            changed = true;
        }
        n += 1;
    }
    Ok(changed)
}

/// Softmax over another axis than the last is transposed to the last and back.
pub(super) fn softmax(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        changed |= softmax_at(graph, n).is_some();
        n += 1;
    }
    Ok(changed)
}

fn softmax_at(graph: &mut Graph, n: usize) -> Option<()> {
    let Op::Softmax { axis, beta } = graph.nodes[n].op else { return None };
    let (x, y) = (graph.nodes[n].inputs.first().copied().flatten()?, graph.nodes[n].outputs[0]);
    let last = graph.tensors[y].shape.len().checked_sub(1).filter(|&last| last != axis)?;
    let mut permutation: Vec<usize> = (0..=last).collect();
    permutation.swap(axis, last);
    let moved = |t: &Tensor| Tensor { shape: permute::apply(&t.shape, &permutation), ..t.clone() };
    let name = graph.nodes[n].name.clone();
    let (input, output) = (moved(&graph.tensors[x]), moved(&graph.tensors[y]));
    let there = Op::Transpose { permutation: permutation.clone() };
    let x = insert(graph, n, format!("{name}/last"), there, vec![Some(x)], input);
    let soft = Op::Softmax { axis: last, beta };
    let z = insert(graph, n + 1, format!("{name}/moved"), soft, vec![Some(x)], output);
    // A swap undoes itself.
    graph.nodes[n + 2].op = Op::Transpose { permutation };
    graph.nodes[n + 2].inputs = vec![Some(z)];
    Some(())
}
