//! Streams: tensors whose channels can only be scaled together, with the layers that can pay for it.

use std::collections::BTreeMap;

use samara_runtime::Dtype;

use crate::ir::{Activation, Binary, Function, Graph, Node, Op, ReduceKind, TensorId};

/// Tensors that are scaled alike.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// How many factors there are; it divides the last dimension of every tensor, and index `c` along that has
    /// factor `c % channels`.
    pub(super) channels: usize,
    /// In the order in which they are computed.
    pub(super) tensors: Vec<TensorId>,
    /// Layers whose output is in the stream: their output channels are divided.
    pub(super) producers: Vec<usize>,
    /// Layers whose input is in the stream: their input channels are multiplied.
    pub(super) consumers: Vec<usize>,
    /// Constant operands, as node and position, that must be divided along.
    pub(super) constants: Vec<(usize, usize)>,
    /// Nodes with a finite cap on their output.
    pub(super) capped: Vec<usize>,
}

/// All streams that can be scaled; those with finite caps only with `caps`.
pub(super) fn find(graph: &Graph, caps: bool) -> Vec<Stream> {
    let mut find = Find::new(graph);
    for (n, node) in graph.nodes.iter().enumerate() {
        find.visit(n, node, caps);
    }
    find.streams()
}

struct Find<'g> {
    graph: &'g Graph,
    parent: Vec<usize>,
    /// Of roots: how many factors, 0 for a tensor without channels.
    channels: Vec<usize>,
    /// Of roots: must not be scaled.
    pinned: Vec<bool>,
    producers: Vec<usize>,
    consumers: Vec<usize>,
    constants: Vec<(usize, usize)>,
    capped: Vec<usize>,
}

impl<'g> Find<'g> {
    fn new(graph: &'g Graph) -> Self {
        let last = |t: &crate::ir::Tensor| t.shape.last().copied().unwrap_or(0);
        let channels: Vec<usize> = graph.tensors.iter().map(last).collect();
        let mut pinned: Vec<bool> = channels.iter().map(|&c| c == 0).collect();
        graph.inputs.iter().chain(&graph.outputs).for_each(|&t| pinned[t] = true);
        Find {
            graph,
            parent: (0..graph.tensors.len()).collect(),
            channels,
            pinned,
            producers: Vec::new(),
            consumers: Vec::new(),
            constants: Vec::new(),
            capped: Vec::new(),
        }
    }

    fn root(&self, mut t: TensorId) -> usize {
        while self.parent[t] != t {
            t = self.parent[t];
        }
        t
    }

    fn pin(&mut self, t: TensorId) {
        let root = self.root(t);
        self.pinned[root] = true;
    }

    fn pin_all(&mut self, node: &Node) {
        node.inputs.iter().flatten().chain(&node.outputs).for_each(|&t| self.pin(t));
    }

    /// Scaled alike: element `k` of one is element `k` of the other modulo both numbers of channels.
    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (p, q) = (self.channels[a], self.channels[b]);
        let channels = match (p, q) {
            (0, _) | (_, 0) => 0,
            _ if q.is_multiple_of(p) => p,
            _ if p.is_multiple_of(q) => q,
            _ => 0,
        };
        let (kept, gone) = (a.min(b), a.max(b));
        self.parent[gone] = kept;
        self.channels[kept] = channels;
        self.pinned[kept] |= self.pinned[gone] || channels == 0;
    }

    fn computed(&self, t: TensorId) -> bool {
        !self.graph.tensors[t].is_constant()
    }

    fn last(&self, t: TensorId) -> Option<usize> {
        self.graph.tensors[t].shape.last().copied()
    }

    /// A float constant that may be changed: not one whose values lie on a grid of integers.
    fn free_constant(&self, t: TensorId) -> bool {
        let tensor = &self.graph.tensors[t];
        tensor.dtype == Dtype::F32 && tensor.is_constant() && tensor.quant.is_none()
    }

    fn visit(&mut self, n: usize, node: &Node, caps: bool) {
        let &[y] = &node.outputs[..] else { return self.pin_all(node) };
        let inputs: Vec<TensorId> = node.inputs.iter().flatten().copied().collect();
        let Some(&x) = inputs.first() else { return self.pin(y) };
        let Some(channel_axis) = self.graph.tensors[x].shape.len().checked_sub(1) else {
            return self.pin_all(node);
        };
        let keeps_channels = match &node.op {
            Op::Conv2d { activation, .. }
            | Op::DepthwiseConv2d { activation, .. }
            | Op::FullyConnected { activation } => return self.layer(n, node, activation, caps),
            Op::Binary { kind, activation } => return self.binary(n, node, *kind, activation, caps),
            Op::Pool2d { activation, .. } | Op::Clamp { activation } => {
                self.activation(n, y, activation, caps);
                true
            }
            Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum | ReduceKind::Max, axes, .. } => {
                !axes.contains(&channel_axis)
            }
            Op::Concatenation { axis } => {
                let channelwise = *axis != channel_axis;
                for (k, &t) in inputs.iter().enumerate().filter(|_| channelwise) {
                    if self.computed(t) {
                        self.join(t, y);
                    } else {
                        self.constant(n, k, t, y);
                    }
                }
                channelwise
            }
            Op::Reshape { .. } | Op::ResizeNearest { .. } | Op::ResizeBilinear { .. } => true,
            Op::PRelu => inputs.iter().skip(1).all(|&t| !self.computed(t)),
            Op::Pad { before, after, value } => {
                *value == 0.0 && before.last() == Some(&0) && after.last() == Some(&0)
            }
            Op::Unary { function } => {
                matches!(function, Function::Abs | Function::Neg | Function::LeakyRelu { .. })
            }
            Op::Transpose { permutation } => permutation.last() == Some(&channel_axis),
            Op::StridedSlice { begin, size, stride } => {
                begin.last() == Some(&0) && size.last().copied() == self.last(x) && stride.last() == Some(&1)
            }
            Op::Gather { axis } => *axis != channel_axis && inputs.len() == 2 && self.last(x) == self.last(y),
            Op::Softmax { .. }
            | Op::Quantize
            | Op::Dequantize
            | Op::ArgMax { .. }
            | Op::BatchMatMul { .. }
            | Op::Cast { .. } => false,
        };
        if keeps_channels && self.computed(x) {
            self.join(x, y);
        } else if !keeps_channels || !matches!(node.op, Op::Concatenation { .. }) {
            self.pin_all(node);
        }
    }

    fn layer(&mut self, n: usize, node: &Node, activation: &Activation, caps: bool) {
        let ([Some(x), Some(_), ..], &[y]) = (&node.inputs[..], &node.outputs[..]) else {
            return self.pin_all(node);
        };
        if !self.computed(*x) || !node.inputs.iter().skip(1).flatten().all(|&t| self.free_constant(t)) {
            return self.pin_all(node);
        }
        self.consumers.push(n);
        self.producers.push(n);
        self.activation(n, y, activation, caps);
    }

    /// ReLU and none are positively homogeneous; a cap becomes one of each channel; other clamps pin.
    fn activation(&mut self, n: usize, y: TensorId, activation: &Activation, caps: bool) {
        let low = activation.lo == 0.0 || activation.lo == f32::NEG_INFINITY;
        if activation.hi == f32::INFINITY && low {
            return;
        }
        if caps && low && activation.hi > 0.0 {
            self.capped.push(n);
        } else {
            self.pin(y);
        }
    }

    fn binary(&mut self, n: usize, node: &Node, kind: Binary, activation: &Activation, caps: bool) {
        let (&[Some(a), Some(b)], &[y]) = (&node.inputs[..], &node.outputs[..]) else {
            return self.pin_all(node);
        };
        match kind {
            Binary::Add | Binary::Sub | Binary::Minimum | Binary::Maximum => {
                for (k, t) in [a, b].into_iter().enumerate() {
                    if !self.computed(t) {
                        self.constant(n, k, t, y);
                    } else if self.last(t) == self.last(y) {
                        self.join(t, y);
                    } else {
                        self.pin(t);
                        self.pin(y);
                    }
                }
            }
            // Linear in the one that carries the channels; the other keeps its values.
            Binary::Mul | Binary::Div => {
                let carries = |t: TensorId| {
                    self.computed(t) && self.graph.tensors[t].shape == self.graph.tensors[y].shape
                };
                let carrier = match kind {
                    _ if carries(a) => Some((a, b)),
                    Binary::Mul if carries(b) => Some((b, a)),
                    _ => None,
                };
                match carrier {
                    Some((carrier, other)) => {
                        self.join(carrier, y);
                        self.pin(other);
                    }
                    None => self.pin_all(node),
                }
            }
        }
        self.activation(n, y, activation, caps);
    }

    fn constant(&mut self, n: usize, operand: usize, t: TensorId, y: TensorId) {
        let broadcast = self.graph.tensors[t].shape.last().is_none_or(|&d| d == 1);
        if self.free_constant(t) && (broadcast || self.last(t) == self.last(y)) {
            self.constants.push((n, operand));
        } else {
            self.pin(y);
        }
    }

    fn streams(self) -> Vec<Stream> {
        let output = |n: usize| self.graph.nodes[n].outputs[0];
        let mut streams: BTreeMap<usize, Stream> = BTreeMap::new();
        for &n in &self.producers {
            let root = self.root(output(n));
            if !self.pinned[root] {
                let stream = Stream {
                    channels: self.channels[root],
                    tensors: Vec::new(),
                    producers: Vec::new(),
                    consumers: Vec::new(),
                    constants: Vec::new(),
                    capped: Vec::new(),
                };
                streams.entry(root).or_insert(stream).producers.push(n);
            }
        }
        for t in self.graph.nodes.iter().flat_map(|n| n.outputs.iter().copied()) {
            if let Some(stream) = streams.get_mut(&self.root(t)) {
                stream.tensors.push(t);
            }
        }
        for &n in &self.consumers {
            let x = self.graph.nodes[n].inputs.first().copied().flatten();
            if let Some(stream) = x.and_then(|x| streams.get_mut(&self.root(x))) {
                stream.consumers.push(n);
            }
        }
        for &(n, operand) in &self.constants {
            if let Some(stream) = streams.get_mut(&self.root(output(n))) {
                stream.constants.push((n, operand));
            }
        }
        for &n in &self.capped {
            if let Some(stream) = streams.get_mut(&self.root(output(n))) {
                stream.capped.push(n);
            }
        }
        let mut streams: Vec<Stream> = streams.into_values().filter(|s| !s.consumers.is_empty()).collect();
        let place = |s: &Stream| s.producers.first().copied();
        streams.sort_by_key(place);
        streams
    }
}
