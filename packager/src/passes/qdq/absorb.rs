//! One `Dequantize -> op -> Quantize` at a time.

use samara_runtime::Dtype;

use super::{dequantized, moves};
use crate::ir::{Binary, Graph, Op, Quant, ReduceKind, Tensor, TensorId};
use crate::passes::rewrite::{insert, only_reader, same_meaning};

/// What an operator asks of its operands' parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    /// Operand 1 are weights, operand 2 a bias.
    Weights { axis: usize },
    /// Any parameters, each operand quantized.
    Any,
    /// Equal parameters of inputs and output; an input with others is requantized first.
    Equal,
    /// As `Equal`, but requantizing first would round twice.
    EqualOrFloat,
    /// Reads levels, makes indices.
    Indices,
    /// Has no integer form here.
    Float,
}

fn rule(op: &Op) -> Rule {
    match op {
        Op::Conv2d { .. } | Op::FullyConnected { .. } => Rule::Weights { axis: 0 },
        Op::DepthwiseConv2d { .. } => Rule::Weights { axis: 3 },
        Op::Binary { kind: Binary::Add | Binary::Sub | Binary::Mul, .. } => Rule::Any,
        Op::Binary { kind: Binary::Minimum | Binary::Maximum, .. } => Rule::EqualOrFloat,
        Op::Binary { kind: Binary::Div, .. } => Rule::Float,
        Op::Reduce { kind: ReduceKind::Max, .. } => Rule::Equal,
        Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. } => Rule::Any,
        Op::Softmax { .. } | Op::Clamp { .. } | Op::Unary { .. } | Op::PRelu | Op::BatchMatMul { .. } => {
            Rule::Any
        }
        Op::Concatenation { .. } => Rule::Equal,
        Op::ResizeBilinear { .. } => Rule::EqualOrFloat,
        Op::Pool2d { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. } => {
            // An average pool rescales; the others only move.
            if moves(op) {
                Rule::Equal
            } else if matches!(op, Op::Pool2d { .. }) {
                Rule::Any
            } else {
                Rule::Float
            }
        }
        Op::ArgMax { .. } => Rule::Indices,
        Op::Quantize | Op::Dequantize | Op::Gather { .. } | Op::Cast { .. } => Rule::Float,
    }
}

/// Makes the node an integer operator where its operands and readers allow.
pub(super) fn node(graph: &mut Graph, n: usize) -> Option<()> {
    let node = graph.nodes[n].clone();
    let &[y] = &node.outputs[..] else { return None };
    let rule = rule(&node.op);
    if rule == Rule::Indices {
        graph.nodes[n].inputs[0] = Some(dequantized(graph, node.inputs[0]?)?);
        return Some(());
    }
    if rule == Rule::Float || graph.tensors[y].dtype != Dtype::F32 {
        return None;
    }
    let reader = only_reader(graph, &graph.uses(), y)?;
    if graph.nodes[reader].op != Op::Quantize {
        return None;
    }
    let result = graph.nodes[reader].outputs[0];
    let output = graph.tensors[result].clone();
    if output.dtype != Dtype::I8 {
        return None;
    }
    let mut operands = Vec::with_capacity(node.inputs.len());
    for (i, &input) in node.inputs.iter().enumerate() {
        operands.push(match (input, rule) {
            (None, _) => Operand::Absent,
            (Some(t), Rule::Weights { axis }) if i == 1 => Operand::New(weights(&graph.tensors[t], axis)?),
            (Some(t), Rule::Weights { .. }) if i == 2 => {
                let Operand::New(w) = &operands[1] else { return None };
                let (x, _) = graph.tensors[dequantized(graph, node.inputs[0]?)?].quant.as_ref()?.single()?;
                Operand::New(bias(&graph.tensors[t], x, w.quant.as_ref()?)?)
            }
            (Some(t), _) => match dequantized(graph, t) {
                Some(q) if graph.tensors[q].dtype == Dtype::I8 => Operand::Is(q),
                Some(_) => return None,
                None => Operand::New(constant(&graph.tensors[t], &output, rule)?),
            },
        });
    }
    if matches!(rule, Rule::Equal | Rule::EqualOrFloat) {
        for operand in &mut operands {
            let other = match operand {
                Operand::Is(q) if !same_meaning(&graph.tensors[*q], &output) => *q,
                Operand::New(t) if !same_meaning(t, &output) => return None,
                _ => continue,
            };
            if rule == Rule::EqualOrFloat {
                return None;
            }
            *operand = Operand::Requantized(other);
        }
    }
    let mut at = n;
    let mut inputs = Vec::with_capacity(operands.len());
    for operand in operands {
        inputs.push(match operand {
            Operand::Absent => None,
            Operand::Is(q) => Some(q),
            Operand::New(t) => Some(graph.add(t)),
            Operand::Requantized(q) => {
                let name = format!("{}/requantized", graph.tensors[q].name);
                let like = Tensor { shape: graph.tensors[q].shape.clone(), ..output.clone() };
                at += 1;
                Some(insert(graph, at - 1, name, Op::Quantize, vec![Some(q)], like))
            }
        });
    }
    let reader = reader + (at - n);
    (graph.nodes[at].inputs, graph.nodes[at].outputs) = (inputs, vec![result]);
    graph.nodes.remove(reader);
    Some(())
}

enum Operand {
    Absent,
    Is(TensorId),
    New(Tensor),
    Requantized(TensorId),
}

/// Weights on a grid as int8 with zero point 0; whatever zero point and type they had, it is their reals that
/// must fit.
fn weights(t: &Tensor, axis: usize) -> Option<Tensor> {
    let (values, grid) = (t.f32s()?, t.quant.as_ref()?);
    if grid.scale.len() > 1 && grid.axis != axis {
        return None;
    }
    let inner: usize = t.shape.get(axis + 1..)?.iter().product();
    let channels = *t.shape.get(axis)?;
    let level = |(k, &v): (usize, &f32)| {
        let q = libm::rint(v as f64 / grid.scale_at(k / inner % channels) as f64);
        (-128.0..=127.0).contains(&q).then_some(q as i8)
    };
    let levels: Vec<i8> = values.iter().enumerate().map(level).collect::<Option<_>>()?;
    let quant = Quant { scale: grid.scale.clone(), zero_point: vec![0; grid.scale.len()], axis };
    Some(Tensor::constant(t.name.clone(), Dtype::I8, t.shape.clone(), &levels).quantized(quant))
}

/// A bias on the grid of the products: input scale times weight scale.
fn bias(t: &Tensor, input_scale: f32, weights: &Quant) -> Option<Tensor> {
    let values = t.f32s()?;
    let scale: Vec<f32> = (0..values.len()).map(|c| input_scale * weights.scale_at(c)).collect();
    let level = |(c, &v): (usize, &f32)| {
        let q = libm::rint(v as f64 / (input_scale as f64 * weights.scale_at(c) as f64));
        (q.abs() < (1u32 << 31) as f64).then_some(q as i32)
    };
    let levels: Vec<i32> = values.iter().enumerate().map(level).collect::<Option<_>>()?;
    let quant = Quant { zero_point: vec![0; scale.len()], scale, axis: 0 };
    Some(Tensor::constant(t.name.clone(), Dtype::I32, t.shape.clone(), &levels).quantized(quant))
}

/// A constant operand on its own grid as int8; where parameters must be equal, on the output's.
fn constant(t: &Tensor, output: &Tensor, rule: Rule) -> Option<Tensor> {
    let values = t.f32s()?;
    let (scale, zero_point) = t.quant.as_ref()?.single()?;
    let quant = match rule {
        Rule::Equal | Rule::EqualOrFloat => output.quant.clone()?,
        // int8 levels of the same reals: a uint8 zero point moves with its levels.
        _ if (-128..=127).contains(&zero_point) && fits(&values, scale, zero_point) => {
            Quant::per_tensor(scale, zero_point)
        }
        _ => Quant::per_tensor(scale, zero_point - 128),
    };
    let (s, z) = quant.single()?;
    let level = |&v: &f32| {
        let q = libm::rint(v as f64 / s as f64) + z as f64;
        let exact = (q - z as f64) * s as f64;
        ((-128.0..=127.0).contains(&q) && (exact - v as f64).abs() <= 1e-6 * (1.0 + v.abs() as f64))
            .then_some(q as i8)
    };
    let levels: Vec<i8> = values.iter().map(level).collect::<Option<_>>()?;
    Some(Tensor::constant(t.name.clone(), Dtype::I8, t.shape.clone(), &levels).quantized(quant))
}

fn fits(values: &[f32], scale: f32, zero_point: i32) -> bool {
    let level = |v: f32| libm::rint(v as f64 / scale as f64) + zero_point as f64;
    values.iter().all(|&v| (-128.0..=127.0).contains(&level(v)))
}
