//! Transpose elimination: transposes are pushed towards the outputs through every operator that does not care
//! for layout, where they meet their inverses and vanish.
//!
//! A push never adds transposes that stay: one that needs the other operand transposed, or leaves a transpose
//! behind for other readers, is only made where everything downstream is seen to absorb it.

mod moves;

use std::collections::HashMap;

use self::moves::{Move, Operand, through};
use super::columns;
use super::rewrite::{insert, moved_name, substitute};
use crate::error::Result;
use crate::ir::{Graph, Op, Tensor, TensorId, permute};

/// Pushes and merges until nothing moves.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    // Every push moves a transpose one node down, so this bound is generous.
    let most = 16 * graph.nodes.len() + 64;
    for _ in 0..most {
        if !(merge_one(graph) || push_one(graph, false) || push_one(graph, true)) {
            break;
        }
        graph.drop_dead();
        changed = true;
    }
    Ok(changed)
}

/// Merges transposes of transposes, without moving any past another operator.
pub(super) fn merge(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    while merge_one(graph) {
        graph.drop_dead();
        changed = true;
    }
    Ok(changed)
}

fn permutation(op: &Op) -> Option<&[usize]> {
    if let Op::Transpose { permutation } = op { Some(permutation) } else { None }
}

/// Merges one transpose with the one before it, or drops one that moves nothing.
fn merge_one(graph: &mut Graph) -> bool {
    let producers = graph.producers();
    for n in 0..graph.nodes.len() {
        let Some(p) = permutation(&graph.nodes[n].op) else { continue };
        let (Some(x), y) = (graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]) else { continue };
        if let Some(before) = producers.get(&x).map(|&b| &graph.nodes[b])
            && let Some(q) = permutation(&before.op)
        {
            let (both, inputs) = (permute::compose(q, p), before.inputs.clone());
            graph.nodes[n].op = Op::Transpose { permutation: both };
            graph.nodes[n].inputs = inputs;
            return true;
        }
        let read = graph.outputs.contains(&y) || graph.nodes.iter().any(|n| n.inputs.contains(&Some(y)));
        if permute::is_identity(p) && read && substitute(graph, y, x) {
            return true;
        }
    }
    false
}

/// Pushes one transpose through one of its readers. With `costly`, also where something must be transposed
/// on the way.
fn push_one(graph: &mut Graph, costly: bool) -> bool {
    let uses = graph.uses();
    for n in 0..graph.nodes.len() {
        let Some(p) = permutation(&graph.nodes[n].op) else { continue };
        let (p, y) = (p.to_vec(), graph.nodes[n].outputs[0]);
        for reader in readers(graph, y) {
            let transposed = |t: TensorId| source(graph, t, &p);
            let Some(found) = through(graph, reader, y, &p, &transposed) else { continue };
            if found.is_costly() != costly {
                continue;
            }
            let free = uses[y] == 1 && !costly;
            if free
                || absorbs(graph, graph.nodes[reader].outputs[0], &found.permutation, found.needs_operands())
            {
                apply(graph, reader, found);
                return true;
            }
        }
    }
    false
}

/// Positions of the nodes that read a tensor.
fn readers(graph: &Graph, t: TensorId) -> Vec<usize> {
    (0..graph.nodes.len()).filter(|&n| graph.nodes[n].inputs.contains(&Some(t))).collect()
}

/// What `t` is the transpose of, where its permutation is `p`.
fn source(graph: &Graph, t: TensorId, p: &[usize]) -> Option<TensorId> {
    let maker = graph.nodes.iter().find(|n| n.outputs.contains(&t))?;
    if permutation(&maker.op) == Some(p) { maker.inputs[0] } else { None }
}

/// Whether a transpose of `t` by `p` would vanish, whatever reads it. With `strict`, merging into another
/// transpose is not enough: it must cancel it.
fn absorbs(graph: &Graph, t: TensorId, p: &[usize], strict: bool) -> bool {
    let mut assumed: HashMap<TensorId, Vec<usize>> = HashMap::new();
    let mut open = vec![(t, p.to_vec())];
    // Readers of several operands wait until the others are known to be transposed too.
    let mut waiting: Vec<(usize, TensorId, Vec<usize>)> = Vec::new();
    loop {
        while let Some((t, p)) = open.pop() {
            let shape = permute::apply(&graph.tensors[t].shape, &permute::inverse(&p));
            if permute::keeps_order(&shape, &p) || assumed.get(&t) == Some(&p) {
                continue;
            }
            if graph.outputs.contains(&t) {
                return false;
            }
            assumed.insert(t, p.clone());
            for reader in readers(graph, t) {
                match permutation(&graph.nodes[reader].op) {
                    Some(q) if strict && !permute::keeps_order(&shape, &permute::compose(&p, q)) => {
                        return false;
                    }
                    Some(_) => {}
                    None => waiting.push((reader, t, p.clone())),
                }
            }
        }
        let before = waiting.len();
        for (reader, t, p) in std::mem::take(&mut waiting) {
            let transposed =
                |u: TensorId| if assumed.get(&u) == Some(&p) { Some(u) } else { source(graph, u, &p) };
            match through(graph, reader, t, &p, &transposed) {
                Some(m) if !m.needs_operands() => open.push((graph.nodes[reader].outputs[0], m.permutation)),
                _ if columns::absorbs(graph, reader, &p) => {}
                Some(_) => waiting.push((reader, t, p)),
                None => return false,
            }
        }
        match (open.is_empty(), waiting.len()) {
            (true, 0) => return true,
            (true, left) if left == before => return false,
            _ => {}
        }
    }
}

/// Rewrites the node to work on the source layout and transposes its result.
fn apply(graph: &mut Graph, reader: usize, found: Move) {
    let Move { op, inputs, inner, permutation } = found;
    let mut at = reader;
    let mut operands = Vec::with_capacity(inputs.len());
    for operand in inputs {
        operands.push(match operand {
            Operand::Absent => None,
            Operand::Same(t) => Some(t),
            Operand::Constant(t) => Some(graph.add(t)),
            Operand::Reshaped(t, shape) => {
                let like = graph.tensors[t].clone();
                let op = Op::Reshape { shape: shape.clone() };
                at += 1;
                let name = moved_name(&like.name);
                Some(insert(graph, at - 1, name, op, vec![Some(t)], Tensor { shape, ..like }))
            }
            Operand::Transposed(t, p) => {
                at += 1;
                Some(transposed(graph, at - 1, t, p))
            }
        });
    }
    if let (Some(inner), Some(Some(x))) = (inner, operands.first_mut()) {
        at += 1;
        *x = transposed(graph, at - 1, *x, inner);
    }
    let y = graph.nodes[at].outputs[0];
    let like = graph.tensors[y].clone();
    let shape = permute::apply(&like.shape, &permute::inverse(&permutation));
    let moved = graph.add(Tensor { name: moved_name(&like.name), shape, ..like });
    let node = &mut graph.nodes[at];
    (node.op, node.inputs, node.outputs) = (op, operands, vec![moved]);
    let mut back = node.clone();
    (back.op, back.inputs, back.outputs) = (Op::Transpose { permutation }, vec![Some(moved)], vec![y]);
    back.name = format!("{}/layout", node.name);
    graph.nodes.insert(at + 1, back);
}

fn transposed(graph: &mut Graph, at: usize, t: TensorId, permutation: Vec<usize>) -> TensorId {
    let like = graph.tensors[t].clone();
    let shape = permute::apply(&like.shape, &permutation);
    let name = moved_name(&like.name);
    insert(graph, at, name, Op::Transpose { permutation }, vec![Some(t)], Tensor { shape, ..like })
}
