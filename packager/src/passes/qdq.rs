//! Quantize/Dequantize pairs around float operators become integer operators: `Dequantize -> op -> Quantize` is
//! one integer step with the same parameters.
//!
//! What has no integer form here (its weights lie on no grid, say) stays float between its Dequantize and
//! Quantize, as the model has it.

mod absorb;
mod layer;
mod precise;

use samara_runtime::Dtype;

use super::rewrite::{insert, only_reader, same_meaning, substitute};
use crate::error::Result;
use crate::ir::{Graph, Op, Quant, Tensor, TensorId};

/// Shifts uint8 to int8, moves pairs next to operators, absorbs them.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = signed(graph);
    for n in 0..graph.nodes.len() {
        changed |= requantize(graph, n).is_some();
    }
    let mut n = 0;
    while n < graph.nodes.len() {
        if sink_dequantize(graph, n).is_some() || lift_quantize(graph, n).is_some() {
            changed = true;
        }
        n += 1;
    }
    let mut n = 0;
    while n < graph.nodes.len() {
        changed |= absorb::node(graph, n).is_some();
        n += 1;
    }
    Ok(changed)
}

/// Layers that stay float keep the integers of their weights.
pub(super) fn weights(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        changed |= absorb::weights(graph, n).is_some();
    }
    Ok(changed)
}

/// Every uint8 activation becomes int8 with its zero point less 128: the same reals. The model's own inputs and
/// outputs keep their type behind a Quantize.
fn signed(graph: &mut Graph) -> bool {
    let unsigned = |t: &Tensor| t.dtype == Dtype::U8 && t.quant.is_some() && !t.is_constant();
    let mut changed = false;
    for t in graph.inputs.clone() {
        let read = graph.nodes.iter().any(|n| n.inputs.contains(&Some(t)) && n.op != Op::Quantize);
        if unsigned(&graph.tensors[t]) && read {
            let int8 = shifted(&graph.tensors[t]);
            let name = format!("{}/int8", graph.tensors[t].name);
            let s = insert(graph, 0, name, Op::Quantize, vec![Some(t)], int8);
            graph.nodes[1..].iter_mut().flat_map(|n| n.inputs.iter_mut()).for_each(|i| {
                if *i == Some(t) {
                    *i = Some(s);
                }
            });
            changed = true;
        }
    }
    for o in graph.outputs.clone() {
        let maker = graph.nodes.iter().position(|n| n.outputs.contains(&o));
        let Some(n) = maker.filter(|_| unsigned(&graph.tensors[o])) else { continue };
        let first = graph.nodes[n].inputs.first().copied().flatten();
        let done = first.is_some_and(|x| graph.tensors[x].dtype == Dtype::I8);
        if graph.nodes[n].op == Op::Quantize && done {
            continue;
        }
        // The node makes int8, which a last step turns into the model's own type.
        let int8 = shifted(&graph.tensors[o]);
        let s = graph.add(Tensor { name: format!("{}/int8", int8.name), ..int8 });
        for node in &mut graph.nodes {
            node.inputs.iter_mut().filter(|i| **i == Some(o)).for_each(|i| *i = Some(s));
        }
        let mut last = graph.nodes[n].clone();
        graph.nodes[n].outputs = vec![s];
        (last.op, last.inputs, last.outputs) = (Op::Quantize, vec![Some(s)], vec![o]);
        last.name = format!("{}/uint8", last.name);
        graph.nodes.insert(n + 1, last);
        changed = true;
    }
    for t in 0..graph.tensors.len() {
        let public = graph.inputs.contains(&t) || graph.outputs.contains(&t);
        if unsigned(&graph.tensors[t]) && !public {
            graph.tensors[t] = shifted(&graph.tensors[t]);
            changed = true;
        }
    }
    changed
}

fn shifted(t: &Tensor) -> Tensor {
    let quant = t.quant.as_ref().map(|q| {
        let zero_point = q.zero_point.iter().map(|z| z - 128).collect();
        Quant { zero_point, ..q.clone() }
    });
    Tensor { dtype: Dtype::I8, quant, ..t.clone() }
}

/// The integers that `t` was dequantized from.
fn dequantized(graph: &Graph, t: TensorId) -> Option<TensorId> {
    let maker = graph.nodes.iter().find(|n| n.outputs.contains(&t))?;
    if maker.op == Op::Dequantize { maker.inputs[0] } else { None }
}

/// Quantize of Dequantize: nothing where the parameters agree, else one step between integers.
fn requantize(graph: &mut Graph, n: usize) -> Option<()> {
    if graph.nodes[n].op != Op::Quantize {
        return None;
    }
    let q = dequantized(graph, graph.nodes[n].inputs[0]?)?;
    let y = graph.nodes[n].outputs[0];
    if !same_meaning(&graph.tensors[q], &graph.tensors[y]) || !substitute(graph, y, q) {
        graph.nodes[n].inputs[0] = Some(q);
    }
    Some(())
}

/// Whether the node only moves elements of its one operand.
fn moves(graph: &Graph, n: usize) -> bool {
    graph.nodes[n].op.keeps_levels() && graph.nodes[n].inputs.len() == 1
}

/// `Dequantize -> move` becomes `move -> Dequantize`.
fn sink_dequantize(graph: &mut Graph, n: usize) -> Option<()> {
    if !moves(graph, n) {
        return None;
    }
    let q = dequantized(graph, graph.nodes[n].inputs[0]?)?;
    let y = graph.nodes[n].outputs[0];
    let shape = graph.tensors[y].shape.clone();
    let name = format!("{}/levels", graph.tensors[y].name);
    let levels = Tensor { shape, ..graph.tensors[q].clone() };
    let op = graph.nodes[n].op.clone();
    let moved = insert(graph, n, name, op, vec![Some(q)], levels);
    let node = &mut graph.nodes[n + 1];
    (node.op, node.inputs) = (Op::Dequantize, vec![Some(moved)]);
    requantize_readers(graph, y);
    Some(())
}

fn requantize_readers(graph: &mut Graph, t: TensorId) {
    for n in 0..graph.nodes.len() {
        if graph.nodes[n].op == Op::Quantize && graph.nodes[n].inputs[0] == Some(t) {
            requantize(graph, n);
        }
    }
}

/// `move -> Quantize` becomes `Quantize -> move`, so that the operator before is quantized.
fn lift_quantize(graph: &mut Graph, n: usize) -> Option<()> {
    if graph.nodes[n].op != Op::Quantize {
        return None;
    }
    let (x, y) = (graph.nodes[n].inputs[0]?, graph.nodes[n].outputs[0]);
    let mover = graph.nodes.iter().position(|m| m.outputs.contains(&x))?;
    if !moves(graph, mover) {
        return None;
    }
    only_reader(graph, &graph.uses(), x)?;
    let source = graph.nodes[mover].inputs[0]?;
    if graph.tensors[source].dtype != Dtype::F32 || graph.tensors[source].is_constant() {
        return None;
    }
    let shape = graph.tensors[source].shape.clone();
    let name = format!("{}/levels", graph.tensors[source].name);
    let levels = Tensor { shape, ..graph.tensors[y].clone() };
    let op = graph.nodes[mover].op.clone();
    let q = insert(graph, mover, name, Op::Quantize, vec![Some(source)], levels);
    let node = &mut graph.nodes[n + 1];
    (node.op, node.inputs) = (op, vec![Some(q)]);
    // The mover of floats is read no more.
    graph.nodes.remove(mover + 1);
    Some(())
}
