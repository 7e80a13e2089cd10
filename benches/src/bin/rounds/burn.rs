//! burn: the model's graph in the operators of its `flex` backend, constants made once. Values have four axes: images lie
//! in memory plane by plane, as burn's convolutions take them, other values have ones before their own axes.

use std::path::Path;

use burn::prelude::*;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::{avg_pool2d, conv2d, linear};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions};
use samara_packager::ir::{Activation, Binary, Graph, Node, Op, PoolKind, ReduceKind};
use samara_runtime::ops::Window;

use crate::{Model, floats, levels};

type Apply = Box<dyn Fn(Vec<Tensor<4>>) -> Tensor<4>>;

/// One node: which values it reads, and what it makes of them.
struct Step {
    inputs: Vec<usize>,
    output: usize,
    apply: Apply,
}

/// A float model of one input and one output.
pub(crate) struct Burn {
    steps: Vec<Step>,
    /// By the graph's numbers: the input, constants, and what steps have made.
    values: Vec<Option<Tensor<4>>>,
    output: usize,
}

impl Burn {
    /// Reads a model and compares what burn makes of it with the interpreter's output.
    pub(crate) fn load(path: &Path, shape: &[usize]) -> Result<Self, String> {
        let (graph, input, output) = floats::read(path)?;
        let device = Device::flex();
        let mut values = vec![None; graph.tensors.len()];
        values[input] = Some(value(levels(shape), &graph.tensors[input].shape, 0, &device));
        let mut steps = Vec::new();
        for node in &graph.nodes {
            steps.push(step(&graph, node, &mut values, &device)?);
        }
        let mut burn = Burn { steps, values, output };
        burn.call()?;
        let made = burn.values[output].clone().ok_or("nothing makes the output")?;
        let made = plain(made, graph.tensors[output].shape.len()).into_data();
        floats::compare(&graph, &levels(shape), &made.try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?)?;
        Ok(burn)
    }
}

impl Model for Burn {
    fn call(&mut self) -> Result<(), String> {
        for step in &self.steps {
            let inputs: Option<_> = step.inputs.iter().map(|&t| self.values[t].clone()).collect();
            self.values[step.output] = Some((step.apply)(inputs.ok_or("a value is read before it is made")?));
        }
        // What is computed lazily is computed now.
        let made = self.values[self.output].clone();
        made.map(|made| drop(made.into_data())).ok_or_else(|| "nothing makes the output".into())
    }
}

/// Four axes of a shape: ones before its own.
fn axes(shape: &[usize]) -> [usize; 4] {
    std::array::from_fn(|i| (i + shape.len()).checked_sub(4).map_or(1, |own| shape[own]))
}

/// A value of a graph's shape as it lies in memory here; with more axes where others of `rank` meet it.
fn value(data: Vec<f32>, shape: &[usize], rank: usize, device: &Device) -> Tensor<4> {
    placed(Tensor::from_data(TensorData::new(data, axes(shape)), device), shape.len().max(rank))
}

/// `[N, H, W, C]` as `[N, C, H, W]`; others as they are.
fn placed(x: Tensor<4>, rank: usize) -> Tensor<4> {
    if rank == 4 { x.permute([0, 3, 1, 2]) } else { x }
}

/// The other way round.
fn plain(x: Tensor<4>, rank: usize) -> Tensor<4> {
    if rank == 4 { x.permute([0, 2, 3, 1]) } else { x }
}

/// Where axis `axis` of a value of `rank` axes is.
fn place(axis: usize, rank: usize) -> usize {
    if rank == 4 { [0, 2, 3, 1][axis] } else { axis + 4 - rank }
}

/// Puts the node's constants among the values and chooses its function.
fn step(
    graph: &Graph,
    node: &Node,
    values: &mut [Option<Tensor<4>>],
    device: &Device,
) -> Result<Step, String> {
    let inputs: Vec<usize> = node.inputs.iter().flatten().copied().collect();
    let weights = || -> Result<Tensor<4>, String> {
        let (data, shape) =
            floats::constant(graph, node, 1)?.ok_or_else(|| format!("'{}' has no weights", node.name))?;
        Ok(Tensor::from_data(TensorData::new(data, axes(&shape)), device))
    };
    let bias = || -> Result<Option<Tensor<1>>, String> {
        let bias = floats::constant(graph, node, 2)?;
        Ok(bias.map(|(data, shape)| Tensor::from_data(TensorData::new(data, [shape[0]]), device)))
    };
    let (rank, shape) = (graph.tensors[inputs[0]].shape.len(), graph.tensors[node.outputs[0]].shape.clone());
    let layer = |apply| Ok(Step { inputs: vec![inputs[0]], output: node.outputs[0], apply });
    match &node.op {
        Op::Conv2d { window, groups, activation } => {
            layer(convolution(placed(weights()?, 4), bias()?, *window, usize::from(*groups), *activation))
        }
        Op::DepthwiseConv2d { window, activation } => {
            let groups = graph.tensors[inputs[0]].shape[3];
            layer(convolution(weights()?.permute([3, 0, 1, 2]), bias()?, *window, groups, *activation))
        }
        Op::FullyConnected { activation } => {
            let [_, _, outputs, depth] = weights()?.dims();
            let kernel = weights()?.reshape([outputs, depth]).transpose();
            let (bias, activation) = (bias()?, *activation);
            layer(Box::new(move |x| {
                let x: Tensor<2> = plain(x[0].clone(), rank).reshape([-1, depth as i32]);
                let y = linear(x, kernel.clone(), bias.clone()).reshape(axes(&shape));
                clamped(placed(y, shape.len()), activation)
            }))
        }
        op => {
            for (i, &t) in inputs.iter().enumerate() {
                if values[t].is_none() && graph.tensors[t].is_constant() {
                    let constant = floats::constant(graph, node, i)?;
                    values[t] = constant.map(|(data, own)| value(data, &own, shape.len(), device));
                }
            }
            Ok(Step { inputs, output: node.outputs[0], apply: without_weights(op, rank, shape)? })
        }
    }
}

/// Operators without weights; the first input has `rank` axes, the output `shape`.
fn without_weights(op: &Op, rank: usize, shape: Vec<usize>) -> Result<Apply, String> {
    Ok(match op.clone() {
        Op::Binary { kind, activation } => Box::new(move |x| {
            let (a, b) = (x[0].clone(), x[1].clone());
            let y = match kind {
                Binary::Add => a + b,
                Binary::Sub => a - b,
                Binary::Mul => a * b,
                Binary::Div => a / b,
                Binary::Minimum => a.min_pair(b),
                Binary::Maximum => a.max_pair(b),
            };
            clamped(y, activation)
        }),
        Op::Clamp { activation } => Box::new(move |x| clamped(x[0].clone(), activation)),
        Op::Pool2d { kind: PoolKind::Average { .. }, size, window, activation } if window.pad == [0; 4] => {
            let options =
                AvgPoolOptions::new(size.map(usize::from)).with_stride(window.stride.map(usize::from));
            Box::new(move |x| clamped(avg_pool2d(x[0].clone(), options.clone()), activation))
        }
        Op::Reduce { kind: ReduceKind::Mean, axes: over, .. } => Box::new(move |x| {
            let y = over.iter().fold(x[0].clone(), |y, &axis| y.mean_dim(place(axis, rank)));
            placed(plain(y, rank).reshape(axes(&shape)), shape.len())
        }),
        Op::Softmax { axis, beta } => {
            Box::new(move |x| softmax(x[0].clone().mul_scalar(beta), place(axis, rank)))
        }
        Op::Reshape { .. } => {
            Box::new(move |x| placed(plain(x[0].clone(), rank).reshape(axes(&shape)), shape.len()))
        }
        Op::Transpose { permutation } => {
            let first = 4 - rank;
            let order: [usize; 4] =
                std::array::from_fn(|i| i.checked_sub(first).map_or(i, |own| permutation[own] + first));
            Box::new(move |x| placed(plain(x[0].clone(), rank).permute(order), rank))
        }
        other => return Err(format!("{} is not written for burn here", other.name())),
    })
}

fn convolution(
    kernel: Tensor<4>,
    bias: Option<Tensor<1>>,
    window: Window,
    groups: usize,
    activation: Activation,
) -> Apply {
    let [top, left, bottom, right] = window.pad.map(usize::from);
    let options = ConvOptions::new_with_padding(
        window.stride.map(usize::from),
        [(top, bottom), (left, right)],
        window.dilation.map(usize::from),
        groups,
    );
    Box::new(move |x| {
        clamped(conv2d(x[0].clone(), kernel.clone(), bias.clone(), options.clone()), activation)
    })
}

fn clamped(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    let Activation { lo, hi } = activation;
    match (lo == f32::NEG_INFINITY, hi == f32::INFINITY) {
        (true, true) => x,
        (false, true) if lo == 0.0 => relu(x),
        _ => x.clamp(lo, hi),
    }
}
