//! candle: the model's graph in candle's operators, constants made once. Values have the graph's shapes; images lie in
//! memory plane by plane, as candle's convolutions take them.

use std::path::Path;

use candle_core::{Device, Result, Tensor, bail};
use samara_packager::ir::{Activation, Binary, Graph, Node, Op, PoolKind, ReduceKind};
use samara_runtime::ops::Window;

use crate::{Model, floats, levels};

type Apply = Box<dyn Fn(&[&Tensor]) -> Result<Tensor>>;

/// One node: which values it reads, and what it makes of them.
struct Step {
    inputs: Vec<usize>,
    output: usize,
    apply: Apply,
}

/// A float model of one input and one output.
pub(crate) struct Candle {
    steps: Vec<Step>,
    /// By the graph's numbers: the input, constants, and what steps have made.
    values: Vec<Option<Tensor>>,
}

impl Candle {
    /// Reads a model and compares what candle makes of it with the interpreter's output.
    pub(crate) fn load(path: &Path, shape: &[usize]) -> Result<Self> {
        let (graph, input, output) = floats::read(path).map_err(candle_core::Error::msg)?;
        let mut values = vec![None; graph.tensors.len()];
        values[input] = Some(Tensor::from_vec(levels(shape), &graph.tensors[input].shape[..], &Device::Cpu)?);
        let steps = graph.nodes.iter().map(|node| step(&graph, node, &mut values)).collect::<Result<_>>()?;
        let mut candle = Candle { steps, values };
        candle.run()?;
        let Some(made) = &candle.values[output] else { bail!("nothing makes the output") };
        let made = made.flatten_all()?.to_vec1::<f32>()?;
        floats::compare(&graph, &levels(shape), &made).map_err(candle_core::Error::msg)?;
        Ok(candle)
    }

    fn run(&mut self) -> Result<()> {
        for step in &self.steps {
            let inputs: Option<Vec<&Tensor>> = step.inputs.iter().map(|&t| self.values[t].as_ref()).collect();
            let Some(inputs) = inputs else { bail!("a value is read before it is made") };
            self.values[step.output] = Some((step.apply)(&inputs)?);
        }
        Ok(())
    }
}

impl Model for Candle {
    fn call(&mut self) -> std::result::Result<(), String> {
        self.run().map_err(|e| e.to_string())
    }
}

/// Puts the node's constants among the values, in candle's layouts, and chooses its function.
fn step(graph: &Graph, node: &Node, values: &mut [Option<Tensor>]) -> Result<Step> {
    let inputs: Vec<usize> = node.inputs.iter().flatten().copied().collect();
    let constant = |i: usize| -> Result<Option<Tensor>> {
        let constant = floats::constant(graph, node, i).map_err(candle_core::Error::msg)?;
        constant.map(|(data, shape)| Tensor::from_vec(data, shape, &Device::Cpu)).transpose()
    };
    let weights = || -> Result<Tensor> {
        constant(1)?.ok_or_else(|| candle_core::Error::msg(format!("'{}' has no weights", node.name)))
    };
    let layer = |apply| Ok(Step { inputs: vec![inputs[0]], output: node.outputs[0], apply });
    match &node.op {
        Op::Conv2d { window, groups, activation } => layer(convolution(
            planes(&weights()?)?,
            constant(2)?,
            *window,
            usize::from(*groups),
            *activation,
        )?),
        Op::DepthwiseConv2d { window, activation } => {
            let (kernel, groups) = (weights()?.permute((3, 0, 1, 2))?, graph.tensors[inputs[0]].shape[3]);
            layer(convolution(kernel, constant(2)?, *window, groups, *activation)?)
        }
        Op::FullyConnected { activation } => {
            let (kernel, bias, activation) = (weights()?.t()?.contiguous()?, constant(2)?, *activation);
            let shape = graph.tensors[node.outputs[0]].shape.clone();
            layer(Box::new(move |x| {
                let y = x[0].contiguous()?.reshape(((), kernel.dim(0)?))?.matmul(&kernel)?;
                let y = match &bias {
                    Some(bias) => y.broadcast_add(bias)?,
                    None => y,
                };
                clamped(y.reshape(&shape[..])?, activation)
            }))
        }
        op => {
            for (i, &t) in inputs.iter().enumerate() {
                if values[t].is_none() && graph.tensors[t].is_constant() {
                    values[t] = constant(i)?;
                }
            }
            let apply = plain(op, graph.tensors[node.outputs[0]].shape.clone())?;
            Ok(Step { inputs, output: node.outputs[0], apply })
        }
    }
}

/// Operators without weights.
fn plain(op: &Op, shape: Vec<usize>) -> Result<Apply> {
    Ok(match op.clone() {
        Op::Binary { kind, activation } => Box::new(move |x| {
            let [a, b] = [in_memory(x[0])?, in_memory(x[1])?];
            let y = match kind {
                Binary::Add => a.broadcast_add(&b)?,
                Binary::Sub => a.broadcast_sub(&b)?,
                Binary::Mul => a.broadcast_mul(&b)?,
                Binary::Div => a.broadcast_div(&b)?,
                Binary::Minimum => a.broadcast_minimum(&b)?,
                Binary::Maximum => a.broadcast_maximum(&b)?,
            };
            clamped(if shape.len() == 4 { pixels(&y)? } else { y }, activation)
        }),
        Op::Clamp { activation } => Box::new(move |x| clamped(x[0].clone(), activation)),
        Op::Pool2d { kind: PoolKind::Average { .. }, size, window, activation } if window.pad == [0; 4] => {
            let [size, stride] = [size, window.stride].map(|[y, x]| (usize::from(y), usize::from(x)));
            Box::new(move |x| {
                let x = planes(x[0])?;
                let y = if x.dims()[2..] == [size.0, size.1] {
                    x.mean_keepdim((2, 3))?
                } else {
                    x.avg_pool2d_with_stride(size, stride)?
                };
                clamped(pixels(&y)?, activation)
            })
        }
        Op::Reduce { kind: ReduceKind::Mean, axes, .. } => {
            Box::new(move |x| x[0].mean_keepdim(&axes[..])?.reshape(&shape[..]))
        }
        Op::Softmax { axis, beta } => Box::new(move |x| {
            let x = x[0].affine(f64::from(beta), 0.0)?;
            let e = x.broadcast_sub(&x.max_keepdim(axis)?)?.exp()?;
            e.broadcast_div(&e.sum_keepdim(axis)?)
        }),
        Op::Reshape { shape } => Box::new(move |x| x[0].contiguous()?.reshape(&shape[..])),
        Op::Transpose { permutation } => Box::new(move |x| x[0].permute(&permutation[..])),
        other => bail!("{} is not written for candle here", other.name()),
    })
}

fn convolution(
    kernel: Tensor,
    bias: Option<Tensor>,
    window: Window,
    groups: usize,
    activation: Activation,
) -> Result<Apply> {
    let kernel = kernel.contiguous()?;
    let bias = bias.map(|b| b.reshape((1, (), 1, 1))).transpose()?;
    let [stride, dilation] =
        [window.stride, window.dilation].map(|[y, x]| (y == x).then_some(usize::from(x)));
    let (Some(stride), Some(dilation)) = (stride, dilation) else {
        bail!("candle strides alike along both axes")
    };
    let [top, left, bottom, right] = window.pad.map(usize::from);
    let all = [left, bottom, right].iter().all(|&p| p == top).then_some(top);
    Ok(Box::new(move |x| {
        let x = planes(x[0])?;
        let y = match all {
            Some(pad) => x.conv2d(&kernel, pad, stride, dilation, groups)?,
            None => {
                let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
                x.conv2d(&kernel, 0, stride, dilation, groups)?
            }
        };
        let y = match &bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        pixels(&clamped(y, activation)?)
    }))
}

/// `[N, H, W, C]` as `[N, C, H, W]`.
fn planes(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 3, 1, 2))
}

/// The other way round.
fn pixels(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 2, 3, 1))
}

/// Images in the order of memory, so that loops over elements are plain.
fn in_memory(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 4 { planes(x) } else { Ok(x.clone()) }
}

fn clamped(x: Tensor, activation: Activation) -> Result<Tensor> {
    let Activation { lo, hi } = activation;
    match (lo == f32::NEG_INFINITY, hi == f32::INFINITY) {
        (true, true) => Ok(x),
        (false, true) if lo == 0.0 => x.relu(),
        _ => x.clamp(lo, hi),
    }
}
