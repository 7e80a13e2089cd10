//! Scales the constants of layers, and turns caps into caps of each channel.

use samara_runtime::Dtype;

use super::stream::Stream;
use crate::error::{About, Error, Result};
use crate::ir::{Activation, Binary, Graph, Node, Op, Tensor, TensorId};

/// A layer's weights with what each of them joins.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Whether each output channel reads one input channel.
    pub(super) depthwise: bool,
    /// Output channels.
    pub(super) outputs: usize,
    values: Vec<f32>,
    /// Input channels of the layer.
    inputs: usize,
    /// Input channels that one output channel reads.
    reads: usize,
}

impl Layer {
    /// Of a convolution or fully connected node with constant float weights.
    pub(super) fn of(graph: &Graph, n: usize) -> Option<Layer> {
        let node = &graph.nodes[n];
        let weights = graph.input(node, 1)?;
        let inputs = *graph.input(node, 0)?.shape.last()?;
        let (first, last) = (*weights.shape.first()?, *weights.shape.last()?);
        let depthwise = matches!(node.op, Op::DepthwiseConv2d { .. });
        let (outputs, reads) = if depthwise { (last, 1) } else { (first, last) };
        let values = weights.f32s()?;
        let even = outputs > 0 && reads > 0 && inputs > 0 && inputs.is_multiple_of(reads);
        (even && outputs.is_multiple_of(inputs / reads)).then_some(Layer {
            depthwise,
            outputs,
            values,
            inputs,
            reads,
        })
    }

    /// Calls with input channel, output channel and value of every weight, in storage order.
    pub(super) fn each(&self, mut call: impl FnMut(usize, usize, f32)) {
        for (k, &w) in self.values.iter().enumerate() {
            let (i, o) = self.place(k);
            call(i, o, w);
        }
    }

    /// Input and output channel of weight `k`.
    fn place(&self, k: usize) -> (usize, usize) {
        if self.depthwise {
            let o = k % self.outputs;
            return (o / (self.outputs / self.inputs).max(1), o);
        }
        let o = k / (self.values.len() / self.outputs);
        let group = o / (self.outputs / (self.inputs / self.reads));
        (group * self.reads + k % self.reads, o)
    }
}

/// Divides what the stream's producers make and multiplies what its consumers take.
pub(super) fn scale(graph: &mut Graph, stream: &Stream, factors: &[f32]) -> Result<()> {
    let factor = |c: usize| factors[c % factors.len()] as f64;
    for &n in &stream.consumers {
        weights(graph, n, |i, _| factor(i))?;
    }
    for &n in &stream.producers {
        weights(graph, n, |_, o| 1.0 / factor(o))?;
        if let Some(bias) = graph.nodes[n].inputs.get(2).copied().flatten() {
            let values = graph.tensors[bias].f32s().ok_or_else(|| lost(graph, n))?;
            let scaled = values.iter().enumerate().map(|(o, &b)| (b as f64 / factor(o)) as f32).collect();
            replace(graph, n, 2, bias, scaled);
        }
    }
    for &(n, operand) in &stream.constants {
        let last = graph.nodes[n].outputs.first().and_then(|&y| graph.tensors[y].shape.last().copied());
        let t = graph.nodes[n].inputs.get(operand).copied().flatten();
        let (Some(t), Some(last)) = (t, last) else { return Err(lost(graph, n)) };
        divide_constant(graph, n, operand, t, last, factor)?;
    }
    Ok(())
}

fn lost(graph: &Graph, n: usize) -> Error {
    Error::invalid("its constants are not floats").about(format_args!("node '{}'", graph.nodes[n].name))
}

fn weights(graph: &mut Graph, n: usize, factor: impl Fn(usize, usize) -> f64) -> Result<()> {
    let layer = Layer::of(graph, n).ok_or_else(|| lost(graph, n))?;
    let t = graph.nodes[n].inputs.get(1).copied().flatten().ok_or_else(|| lost(graph, n))?;
    let mut scaled = Vec::with_capacity(layer.values.len());
    layer.each(|i, o, w| scaled.push((w as f64 * factor(i, o)) as f32));
    replace(graph, n, 1, t, scaled);
    Ok(())
}

/// A copy with other values for this node alone: others may read the constant too.
fn replace(graph: &mut Graph, n: usize, operand: usize, t: TensorId, values: Vec<f32>) {
    let Tensor { name, shape, .. } = graph.tensors[t].clone();
    let copy = graph.add(Tensor::constant(name, Dtype::F32, shape, &values));
    graph.nodes[n].inputs[operand] = Some(copy);
}

/// A constant that joins the stream, with one value for each channel where it had one for all.
fn divide_constant(
    graph: &mut Graph,
    n: usize,
    operand: usize,
    t: TensorId,
    last: usize,
    factor: impl Fn(usize) -> f64,
) -> Result<()> {
    let values = graph.tensors[t].f32s().ok_or_else(|| lost(graph, n))?;
    let Tensor { name, mut shape, .. } = graph.tensors[t].clone();
    let scaled: Vec<f32> = match shape.last_mut() {
        Some(d) if *d == last => {
            values.iter().enumerate().map(|(k, &v)| (v as f64 / factor(k % last)) as f32).collect()
        }
        own => {
            match own {
                Some(d) => *d = last,
                None => shape.push(last),
            }
            let spread = |&v: &f32| (0..last).map(move |c| (v, c));
            values.iter().flat_map(spread).map(|(v, c)| (v as f64 / factor(c)) as f32).collect()
        }
    };
    let copy = graph.add(Tensor::constant(name, Dtype::F32, shape, &scaled));
    graph.nodes[n].inputs[operand] = Some(copy);
    Ok(())
}

/// A node whose finite cap becomes one of each channel.
#[derive(Clone, Debug)]
pub(super) struct Cap {
    pub(super) node: usize,
    pub(super) factors: Vec<f32>,
}

impl Cap {
    /// Name of what the node makes before the Minimum.
    pub(super) fn uncapped(&self, graph: &Graph) -> String {
        let y = graph.nodes[self.node].outputs.first();
        format!("{}/uncapped", y.map_or("", |&y| &graph.tensors[y].name))
    }
}

/// Replaces the nodes' caps by Minimum nodes; the capped tensors keep their names.
pub(super) fn cap(graph: &mut Graph, mut caps: Vec<Cap>) -> Result<()> {
    // From the back, so that positions stay true.
    caps.sort_by_key(|c| std::cmp::Reverse(c.node));
    for cap in caps {
        let name = cap.uncapped(graph);
        let node = &mut graph.nodes[cap.node];
        let (Some(activation), Some(y)) = (fused(&mut node.op), node.outputs.first_mut()) else {
            return Err(Error::invalid("it has no cap")).about(format_args!("node '{}'", node.name));
        };
        let hi = std::mem::replace(&mut activation.hi, f32::INFINITY);
        let capped = *y;
        let Tensor { name: own, dtype, shape, .. } = graph.tensors[capped].clone();
        let last = shape.last().copied().unwrap_or(1);
        let values: Vec<f32> =
            (0..last).map(|c| (hi as f64 / cap.factors[c % cap.factors.len()] as f64) as f32).collect();
        let uncapped = graph.add(Tensor::new(name, dtype, shape));
        graph.nodes[cap.node].outputs = vec![uncapped];
        let limits = Tensor::constant(format!("{own}/caps"), Dtype::F32, vec![last], &values);
        let limits = graph.add(limits);
        let op = Op::Binary { kind: Binary::Minimum, activation: Activation::NONE };
        let inputs = vec![Some(uncapped), Some(limits)];
        let minimum = Node { name: format!("{own}/cap"), op, inputs, outputs: vec![capped] };
        graph.nodes.insert(cap.node + 1, minimum);
    }
    Ok(())
}

/// The activation that a capped node has.
fn fused(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d { activation, .. }
        | Op::DepthwiseConv2d { activation, .. }
        | Op::FullyConnected { activation }
        | Op::Binary { activation, .. }
        | Op::Pool2d { activation, .. }
        | Op::Clamp { activation } => Some(activation),
        Op::Reduce { .. }
        | Op::Softmax { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Unary { .. }
        | Op::PRelu
        | Op::Quantize
        | Op::Dequantize
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Gather { .. }
        | Op::Cast { .. } => None,
    }
}
