//! Activation parameters under the constraints of integer operators.
//!
//! Operators that only move or compare values need equal parameters on both sides; softmax, logistic and tanh
//! have fixed output parameters. A group that mixes a fixed tensor with others gets a Requantize behind the
//! fixed one.

use std::collections::BTreeMap;

use samara_runtime::Dtype;

use super::{Range, Ranges, from_range};
use crate::error::{Error, Result};
use crate::ir::{Binary, Function, Graph, Node, Op, PoolKind, Quant, ReduceKind, Tensor, TensorId};

/// Parameters of every activation that becomes int8.
pub(super) type Assigned = BTreeMap<TensorId, Quant>;

/// Whether inputs and output must have equal parameters.
pub(super) fn shares_parameters(op: &Op) -> bool {
    match op {
        Op::Pool2d { kind: PoolKind::Max | PoolKind::Average { .. }, .. }
        | Op::Reduce { kind: ReduceKind::Max, .. }
        | Op::Binary { kind: Binary::Minimum | Binary::Maximum, .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::Gather { .. } => true,
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::FullyConnected { .. }
        | Op::Binary { kind: Binary::Add | Binary::Sub | Binary::Mul | Binary::Div, .. }
        | Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. }
        | Op::Softmax { .. }
        | Op::Clamp { .. }
        | Op::Unary { .. }
        | Op::PRelu
        | Op::Quantize
        | Op::Dequantize
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Cast { .. } => false,
    }
}

/// Output parameters that the operator fixes.
fn fixed(op: &Op) -> Option<Quant> {
    match op {
        Op::Softmax { .. } | Op::Unary { function: Function::Logistic } => {
            Some(Quant::per_tensor(1.0 / 256.0, -128))
        }
        Op::Unary { function: Function::Tanh } => Some(Quant::per_tensor(1.0 / 128.0, 0)),
        _ => None,
    }
}

/// Chooses parameters for every float activation; may insert Requantize nodes.
pub(super) fn assign(graph: &mut Graph, ranges: &Ranges) -> Result<Assigned> {
    let mut range_of: Vec<Option<Range>> = (0..graph.tensors.len()).map(|t| ranges.get(t)).collect();
    separate_fixed(graph, &mut range_of);
    let mut groups = Groups((0..graph.tensors.len()).collect());
    for node in graph.nodes.iter().filter(|n| shares_parameters(&n.op)) {
        let operands = node.inputs.iter().flatten().chain(&node.outputs).copied();
        let mut activations = operands.filter(|&t| is_activation(graph, t));
        if let Some(first) = activations.next() {
            activations.for_each(|t| groups.join(first, t));
        }
    }
    let mut covered: BTreeMap<usize, Range> = BTreeMap::new();
    let mut pinned: BTreeMap<usize, Quant> = BTreeMap::new();
    for node in &graph.nodes {
        if let (Some(quant), Some(&t)) = (fixed(&node.op), node.outputs.first()) {
            pinned.insert(groups.root(t), quant);
        }
        // Constants of a sharing operator must fit the group's range too.
        if shares_parameters(&node.op)
            && let Some(&out) = node.outputs.first()
        {
            for values in node.inputs.iter().flatten().filter_map(|&t| graph.tensors[t].f32s()) {
                let root = groups.root(out);
                let range = covered.entry(root).or_insert(Range::EMPTY);
                *range = range.with(Range::of(&values));
            }
        }
    }
    let used: Vec<TensorId> = activations(graph);
    for &t in &used {
        let range = range_of[t].ok_or_else(|| {
            Error::invalid(format!("tensor '{}' was not calibrated", graph.tensors[t].name))
        })?;
        let root = groups.root(t);
        let covers = covered.entry(root).or_insert(Range::EMPTY);
        *covers = covers.with(range);
    }
    let quant_of = |t: TensorId| {
        let root = groups.root(t);
        pinned.get(&root).cloned().unwrap_or_else(|| from_range(covered[&root]))
    };
    Ok(used.into_iter().map(|t| (t, quant_of(t))).collect())
}

fn is_activation(graph: &Graph, t: TensorId) -> bool {
    let tensor = &graph.tensors[t];
    tensor.dtype == Dtype::F32 && !tensor.is_constant()
}

fn activations(graph: &Graph) -> Vec<TensorId> {
    let made = graph.nodes.iter().flat_map(|n| &n.outputs).copied();
    graph.inputs.iter().copied().chain(made).filter(|&t| is_activation(graph, t)).collect()
}

/// Puts a Requantize behind a fixed tensor whose group would hold anything that is not made from it alone.
fn separate_fixed(graph: &mut Graph, range_of: &mut Vec<Option<Range>>) {
    let fixed_outputs: Vec<TensorId> =
        graph.nodes.iter().filter(|n| fixed(&n.op).is_some()).map(|n| n.outputs[0]).collect();
    for t in fixed_outputs {
        let mixes = |n: &Node| {
            let others = n.inputs.iter().flatten().any(|&i| i != t && graph.tensors[i].dtype == Dtype::F32);
            shares_parameters(&n.op) && n.inputs.contains(&Some(t)) && others
        };
        // Movers with one operand pass the fixed parameters on; follow them to where others come in.
        let mut tail = t;
        while let Some(next) = graph.nodes.iter().find(|n| {
            shares_parameters(&n.op)
                && n.inputs.contains(&Some(tail))
                && n.inputs.iter().flatten().count() == 1
        }) {
            tail = next.outputs[0];
        }
        let mixed_further = tail != t
            && graph.nodes.iter().any(|n| {
                let others =
                    n.inputs.iter().flatten().any(|&i| i != tail && graph.tensors[i].dtype == Dtype::F32);
                shares_parameters(&n.op) && n.inputs.contains(&Some(tail)) && others
            });
        if !graph.nodes.iter().any(mixes) && !mixed_further {
            continue;
        }
        let Tensor { name, shape, .. } = graph.tensors[t].clone();
        let out = graph.add(Tensor::new(format!("{name}/requantized"), Dtype::F32, shape));
        range_of.push(range_of[t]);
        for node in graph.nodes.iter_mut().filter(|n| shares_parameters(&n.op)) {
            node.inputs.iter_mut().filter(|i| **i == Some(t)).for_each(|i| *i = Some(out));
        }
        let at = graph.nodes.iter().position(|n| n.outputs.contains(&t)).map_or(0, |n| n + 1);
        let node = Node {
            name: format!("{name}/requantize"),
            op: Op::Quantize,
            inputs: vec![Some(t)],
            outputs: vec![out],
        };
        graph.nodes.insert(at, node);
    }
}

/// Disjoint sets by parent links.
struct Groups(Vec<usize>);

impl Groups {
    fn root(&self, mut t: usize) -> usize {
        while self.0[t] != t {
            t = self.0[t];
        }
        t
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
