//! Float graphs with random constants, and what their tensors hold.

use samara_packager::interpret;
use samara_packager::ir::{Activation, Binary, Graph, Numeric, Op, Tensor, TensorId};
use samara_packager::quantize::Range;
use samara_runtime::ops::Window;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Shape};

/// splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in [-1, 1).
    pub(crate) fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn signeds(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.signed()).collect()
    }
}

/// A graph that grows.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) graph: Graph,
    pub(crate) random: Random,
}

impl Build {
    pub(crate) fn new(seed: u64, shape: &[usize]) -> (Build, TensorId) {
        let mut graph = Graph::new("random", Numeric::Single);
        let x = graph.add(Tensor::new("x", Dtype::F32, shape.to_vec()));
        graph.inputs.push(x);
        (Build { graph, random: Random(seed) }, x)
    }

    pub(crate) fn shape(&self, t: TensorId) -> Vec<usize> {
        self.graph.tensors[t].shape.clone()
    }

    pub(crate) fn channels(&self, t: TensorId) -> usize {
        self.graph.tensors[t].shape.last().copied().unwrap()
    }

    pub(crate) fn constant(&mut self, shape: &[usize], values: &[f32]) -> TensorId {
        let name = format!("c{}", self.graph.tensors.len());
        self.graph.add(Tensor::constant(name, Dtype::F32, shape.to_vec(), values))
    }

    pub(crate) fn node(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len());
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.graph.push(&name, op, &inputs).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Random weights of about unit gain, a bias most of the time.
    fn layer(&mut self, op: Op, x: TensorId, shape: &[usize], outputs: usize) -> TensorId {
        let count: usize = shape.iter().product();
        let taps = (count / outputs) as f32;
        let weights: Vec<f32> =
            self.random.signeds(count).into_iter().map(|w| w * (3.0 / taps).sqrt() * 1.4).collect();
        let weights = self.constant(shape, &weights);
        let bias: Vec<f32> = self.random.signeds(outputs).into_iter().map(|b| b * 0.3).collect();
        let bias = self.constant(&[outputs], &bias);
        let bias = (self.random.below(4) > 0).then_some(bias);
        let inputs: Vec<TensorId> = [x, weights].into_iter().chain(bias).collect();
        self.node(op, &inputs)
    }

    pub(crate) fn conv(
        &mut self,
        x: TensorId,
        outputs: usize,
        size: usize,
        groups: usize,
        activation: Activation,
    ) -> TensorId {
        let reads = self.channels(x) / groups;
        let pad = (size / 2) as u16;
        let window = Window { pad: [pad; 4], ..Window::UNIT };
        let op = Op::Conv2d { window, groups: groups as u16, activation };
        self.layer(op, x, &[outputs, size, size, reads], outputs)
    }

    pub(crate) fn depthwise(
        &mut self,
        x: TensorId,
        multiplier: usize,
        stride: u16,
        activation: Activation,
    ) -> TensorId {
        let outputs = self.channels(x) * multiplier;
        let window = Window { pad: [1; 4], stride: [stride; 2], ..Window::UNIT };
        self.layer(Op::DepthwiseConv2d { window, activation }, x, &[1, 3, 3, outputs], outputs)
    }

    pub(crate) fn dense(&mut self, x: TensorId, outputs: usize, activation: Activation) -> TensorId {
        let inputs = self.channels(x);
        self.layer(Op::FullyConnected { activation }, x, &[outputs, inputs], outputs)
    }

    /// Multiplies output channels of a layer by factors and divides the given layers' input channels: the same
    /// function, with other ranges between. Only for ReLU and dense or depthwise layers of one group.
    pub(crate) fn spread(&mut self, producer: usize, consumers: &[usize], factors: &[f32]) {
        let edit = |graph: &mut Graph, n: usize, operand: usize, by: &dyn Fn(usize, &[usize]) -> f32| {
            let Some(t) = graph.nodes[n].inputs.get(operand).copied().flatten() else { return };
            let (shape, values) = (graph.tensors[t].shape.clone(), graph.tensors[t].f32s().unwrap());
            let values: Vec<f32> = values.iter().enumerate().map(|(k, v)| v * by(k, &shape)).collect();
            let name = graph.tensors[t].name.clone();
            let copy = graph.add(Tensor::constant(name, Dtype::F32, shape, &values));
            graph.nodes[n].inputs[operand] = Some(copy);
        };
        let graph = &mut self.graph;
        let last = |k: usize, shape: &[usize]| k % shape[shape.len() - 1];
        if matches!(graph.nodes[producer].op, Op::DepthwiseConv2d { .. }) {
            edit(graph, producer, 1, &|k, shape| factors[last(k, shape)]);
        } else {
            edit(graph, producer, 1, &|k, shape| factors[k / shape[1..].iter().product::<usize>()]);
        }
        edit(graph, producer, 2, &|k, _| factors[k]);
        for &n in consumers {
            edit(graph, n, 1, &|k, shape| 1.0 / factors[last(k, shape) % factors.len()]);
        }
    }

    /// A sample for each seed.
    pub(crate) fn samples(&self, count: usize) -> Vec<Vec<Value>> {
        let mut random = Random(0x5eed);
        let shape: Vec<u32> = self.shape(self.graph.inputs[0]).iter().map(|&d| d as u32).collect();
        let desc = Desc::new(Dtype::F32, Shape::new(&shape).unwrap());
        let one = |_| {
            let contrast = random.signed() + 1.1;
            let values: Vec<f32> =
                random.signeds(desc.shape.elements()).into_iter().map(|v| v * contrast).collect();
            vec![Value::new(desc, &values).unwrap()]
        };
        (0..count).map(one).collect()
    }
}

/// All computed floats of a run.
pub(crate) fn values(graph: &Graph, sample: &[Value]) -> Vec<Option<Vec<f32>>> {
    let all = interpret::run(graph, sample.to_vec()).unwrap_or_else(|e| panic!("{e}"));
    all.into_iter().map(|v| v.map(|v| v.elements::<f32>().to_vec())).collect()
}

/// Ranges along the last axis over samples.
pub(crate) fn observe(graph: &Graph, samples: &[Vec<Value>]) -> Vec<Option<Vec<Range>>> {
    let mut ranges: Vec<Option<Vec<Range>>> = vec![None; graph.tensors.len()];
    for sample in samples {
        for (t, values) in values(graph, sample).into_iter().enumerate() {
            let Some(values) = values else { continue };
            let channels = graph.tensors[t].shape.last().copied().unwrap_or(1);
            let own = ranges[t].get_or_insert_with(|| vec![Range::EMPTY; channels]);
            for (k, v) in values.into_iter().enumerate() {
                own[k % channels] = own[k % channels].with(Range { lo: v, hi: v });
            }
        }
    }
    ranges
}

pub(crate) fn binary(kind: Binary) -> Op {
    Op::Binary { kind, activation: Activation::NONE }
}
