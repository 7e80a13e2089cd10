//! One `Dequantize -> op -> Quantize` at a time.

use samara_runtime::ops::io::MAX_INPUTS;
use samara_runtime::ops::{Choice, OpDef};
use samara_runtime::{Dtype, Layout};

use super::dequantized;
use super::layer::{Layer, Wide};
use super::precise::precise;
use crate::ir::{Binary, Graph, Node, Op, Quant, ReduceKind, Tensor, TensorId};
use crate::lower::{self, View};
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
    /// As `Equal` for operand 0; the others are no levels.
    First,
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
        // The least of rounded numbers is the least number, rounded.
        Op::Binary { kind: Binary::Minimum | Binary::Maximum, .. } => Rule::Equal,
        Op::Binary { kind: Binary::Div, .. } => Rule::Float,
        Op::Reduce { kind: ReduceKind::Max, .. } => Rule::Equal,
        Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. } => Rule::Any,
        Op::Softmax { .. } | Op::Clamp { .. } | Op::Unary { .. } | Op::PRelu | Op::BatchMatMul { .. } => {
            Rule::Any
        }
        Op::Concatenation { .. } | Op::Pad { .. } => Rule::Equal,
        Op::ResizeBilinear { .. } => Rule::EqualOrFloat,
        // An average pool rescales; the others only move.
        Op::Pool2d { .. } if !op.keeps_levels() => Rule::Any,
        Op::Pool2d { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. } => Rule::Equal,
        Op::Gather { .. } => Rule::First,
        Op::ArgMax { .. } => Rule::Indices,
        Op::Quantize | Op::Dequantize | Op::Cast { .. } => Rule::Float,
    }
}

/// What becomes of a node: its operator on its operands.
struct Plan {
    op: Op,
    operands: Vec<Operand>,
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
    if !integer(&output) {
        return None;
    }
    let plan = match rule {
        Rule::Weights { axis } => layer(graph, &node, axis, &output)?,
        _ => Plan { op: node.op.clone(), operands: operands(graph, &node, rule, &output)? },
    };
    if !accepted(graph, &plan, &output) {
        return None;
    }
    let mut at = n;
    let mut inputs = Vec::with_capacity(plan.operands.len());
    for operand in plan.operands {
        inputs.push(match operand {
            Operand::Absent => None,
            Operand::Is(q) => Some(q),
            Operand::New(t) => Some(graph.add(t)),
            Operand::Requantized(q, like) => {
                let name = format!("{}/requantized", graph.tensors[q].name);
                at += 1;
                Some(insert(graph, at - 1, name, Op::Quantize, vec![Some(q)], like))
            }
            Operand::Repeated(q, wide) => {
                let (repeated, made) = wide.repeat(graph, at, q);
                at += made;
                Some(repeated)
            }
        });
    }
    let reader = reader + (at - n);
    graph.nodes[at].op = plan.op;
    (graph.nodes[at].inputs, graph.nodes[at].outputs) = (inputs, vec![result]);
    graph.nodes.remove(reader);
    Some(())
}

/// Whether operators compute such levels: int8, or int16 around 0.
fn integer(t: &Tensor) -> bool {
    let zero = single(t).map(|(_, zero_point)| zero_point);
    match t.dtype {
        Dtype::I8 => zero.is_some(),
        Dtype::I16 => zero == Some(0),
        _ => false,
    }
}

/// The same reals as int16 around 0, which holds every level of int8.
fn widened(t: &Tensor) -> Option<Tensor> {
    let (scale, _) = single(t)?;
    let wide = Tensor::new(t.name.clone(), Dtype::I16, t.shape.clone());
    (t.dtype == Dtype::I8).then(|| wide.quantized(Quant::per_tensor(scale, 0)))
}

/// Gives a float layer whose weights lie on a grid those integers instead: a fourth of the bytes or less.
pub(super) fn weights(graph: &mut Graph, n: usize) -> Option<()> {
    let node = &graph.nodes[n];
    let (Rule::Weights { axis }, &[y]) = (rule(&node.op), &node.outputs[..]) else { return None };
    let (x, w) = (node.inputs[0]?, graph.input(node, 1)?);
    let output = graph.tensors[y].clone();
    if graph.tensors[x].dtype != Dtype::F32 || w.dtype != Dtype::F32 || output.dtype != Dtype::F32 {
        return None;
    }
    let levels = Operand::New(Layer::of_weights(w, axis)?.weights()?);
    let bias = node.inputs.get(2).copied().flatten().map_or(Operand::Absent, Operand::Is);
    let plan = Plan { op: node.op.clone(), operands: vec![Operand::Is(x), levels, bias] };
    if !accepted(graph, &plan, &output) {
        return None;
    }
    let Some(Operand::New(levels)) = plan.operands.into_iter().nth(1) else { return None };
    graph.nodes[n].inputs[1] = Some(graph.add(levels));
    Some(())
}

enum Operand {
    Absent,
    Is(TensorId),
    New(Tensor),
    /// The tensor with other parameters.
    Requantized(TensorId, Tensor),
    /// The tensor repeated along its channels.
    Repeated(TensorId, Box<Wide>),
}

/// Input, weights and bias of a layer.
fn layer(graph: &Graph, node: &Node, axis: usize, output: &Tensor) -> Option<Plan> {
    let q = dequantized(graph, node.inputs[0]?)?;
    let x = &graph.tensors[q];
    if x.dtype != output.dtype || !integer(x) {
        return None;
    }
    let exact = node.inputs.get(2).copied().flatten().and_then(|b| graph.exact.get(&b));
    let bias = (graph.input(node, 2), exact.map(Vec::as_slice));
    let layer = Layer::new(x, graph.input(node, 1)?, bias, axis, output)?;
    let bias = || layer.bias.clone().map_or(Operand::Absent, Operand::New);
    if let Some(weights) = layer.weights() {
        let operands = vec![Operand::Is(q), Operand::New(weights), bias()];
        return Some(Plan { op: node.op.clone(), operands });
    }
    let wide = layer.widened(&node.op, x)?;
    let (op, weights) = (wide.op.clone(), wide.weights.clone());
    Some(Plan { op, operands: vec![Operand::Repeated(q, Box::new(wide)), Operand::New(weights), bias()] })
}

/// The operands of an operator without weights.
fn operands(graph: &Graph, node: &Node, rule: Rule, output: &Tensor) -> Option<Vec<Operand>> {
    let equal = matches!(rule, Rule::Equal | Rule::EqualOrFloat | Rule::First);
    let mut operands = Vec::with_capacity(node.inputs.len());
    for (i, &input) in node.inputs.iter().enumerate() {
        let Some(t) = input else {
            operands.push(Operand::Absent);
            continue;
        };
        if rule == Rule::First && i > 0 {
            operands.push(Operand::Is(t));
            continue;
        }
        let Some(q) = dequantized(graph, t) else {
            let made = constant(&graph.tensors[t], output, equal)?;
            operands.push(Operand::New(made));
            continue;
        };
        let source = &graph.tensors[q];
        let fits = source.dtype == output.dtype && (!equal || same_meaning(source, output));
        operands.push(match rule {
            _ if fits && integer(source) => Operand::Is(q),
            Rule::Equal | Rule::First => {
                Operand::Requantized(q, Tensor { shape: source.shape.clone(), ..output.clone() })
            }
            Rule::Any if output.dtype == Dtype::I16 => Operand::Requantized(q, widened(source)?),
            _ => return None,
        });
    }
    Some(operands)
}

/// Whether the runtime has the operator on these types. Only what [`crate::passes::LEGALIZE`] changes is forgiven.
fn accepted(graph: &Graph, plan: &Plan, output: &Tensor) -> bool {
    let op = match plan.op {
        Op::Softmax { beta, .. } => Op::Softmax { axis: output.shape.len().saturating_sub(1), beta },
        ref op => op.clone(),
    };
    let stand_in = |operand: &Operand| match operand {
        Operand::Absent => None,
        Operand::Is(q) => Some(graph.tensors[*q].clone()),
        Operand::New(t) | Operand::Requantized(_, t) => Some(t.clone()),
        Operand::Repeated(q, wide) => {
            let mut t = graph.tensors[*q].clone();
            *t.shape.last_mut()? *= wide.parts();
            Some(t)
        }
    };
    let tensors: Vec<Option<Tensor>> = plan.operands.iter().take(MAX_INPUTS).map(stand_in).collect();
    let inputs: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_ref).collect();
    let Ok(inferred) = lower::infer(&op, inputs.clone()) else { return false };
    let Ok(step) = lower::lower(&View { op: &op, inputs: &inputs, output, numeric: graph.numeric }) else {
        return false;
    };
    let weights = inputs.get(1).copied().flatten().map(|w| (w.dtype, Layout::Dense));
    let kernel = |dtype| {
        let served =
            |d: &OpDef| d.select(step.kernel, dtype, weights, step.rounding, Choice::Reference).is_ok();
        lower::definition(step.code).is_ok_and(served)
    };
    let Some(x) = inputs.first().copied().flatten() else { return false };
    inferred.dtype == output.dtype && kernel(x.dtype) && precise(&op, x, output, graph.numeric)
}

/// Scale and zero point of an activation.
pub(super) fn single(t: &Tensor) -> Option<(f32, i32)> {
    t.quant.as_ref()?.single()
}

/// A constant operand on its own grid in the output's type; where parameters must be equal, on the output's.
fn constant(t: &Tensor, output: &Tensor, equal: bool) -> Option<Tensor> {
    let values = t.f32s()?;
    let (lo, hi) = lower::multiplier::levels(output.dtype).ok()?;
    let quant = match t.quant.as_ref().map(Quant::single) {
        _ if equal => output.quant.clone()?,
        Some(Some((scale, _))) if output.dtype == Dtype::I16 => Quant::per_tensor(scale, 0),
        // int8 levels of the same reals: a uint8 zero point moves with its levels.
        Some(Some((scale, zero_point))) => {
            let whole = (-128..=127).contains(&zero_point) && fits(&values, scale, zero_point);
            Quant::per_tensor(scale, if whole { zero_point } else { zero_point - 128 })
        }
        Some(None) => return None,
        // One number is level 1 or -1 of its own scale.
        None => {
            let scale = libm::fabsf(*values.first()?);
            let uniform = values.iter().all(|&v| libm::fabsf(v) == scale);
            Quant::per_tensor(Some(scale).filter(|s| uniform && s.is_normal())?, 0)
        }
    };
    let (s, z) = quant.single()?;
    let level = |&v: &f32| {
        let q = libm::rint(v as f64 / s as f64) + z as f64;
        let on_grid = libm::fabs((q - z as f64) * s as f64 - v as f64) <= 1e-2 * s as f64;
        let exact = on_grid && (lo as f64..=hi as f64).contains(&q);
        // Where the result is requantized element by element, so are constants in it.
        (exact || equal).then_some(q.clamp(lo as f64, hi as f64))
    };
    let levels: Vec<f64> = values.iter().map(level).collect::<Option<_>>()?;
    let (name, shape) = (t.name.clone(), t.shape.clone());
    let constant = match output.dtype {
        Dtype::I8 => {
            Tensor::constant(name, Dtype::I8, shape, &levels.iter().map(|&q| q as i8).collect::<Vec<_>>())
        }
        Dtype::I16 => {
            Tensor::constant(name, Dtype::I16, shape, &levels.iter().map(|&q| q as i16).collect::<Vec<_>>())
        }
        _ => return None,
    };
    Some(constant.quantized(quant))
}

fn fits(values: &[f32], scale: f32, zero_point: i32) -> bool {
    let level = |v: f32| libm::rint(v as f64 / scale as f64) + zero_point as f64;
    values.iter().all(|&v| (-128.0..=127.0).contains(&level(v)))
}
