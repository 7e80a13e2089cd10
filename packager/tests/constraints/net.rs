//! Small float graphs whose tensors have the ranges that a test says.

use samara_packager::error::Result;
use samara_packager::ir::{Activation, Binary, Graph, Node, Numeric, Op, Tensor, TensorId};
use samara_packager::quantize::solve::{Solution, solve};
use samara_packager::quantize::{Activations, Ranges, calibrate};
use samara_runtime::ops::eval::Value;
use samara_runtime::{Dtype, Shape};

/// Height, width and channels of the input.
pub(crate) const SHAPE: [usize; 4] = [1, 4, 4, 8];

/// A graph under construction; its input runs evenly through [-1, 1].
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub(crate) graph: Graph,
    pub(crate) x: TensorId,
}

impl Net {
    pub(crate) fn new() -> Self {
        let mut graph = Graph::new("net", Numeric::Single);
        let x = graph.add(Tensor::new("x", Dtype::F32, SHAPE.to_vec()));
        graph.inputs.push(x);
        Net { graph, x }
    }

    /// One node of computed operands.
    pub(crate) fn node(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> TensorId {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.graph.push(name, op, &inputs).unwrap_or_else(|e| panic!("{e}"))
    }

    /// `t` times a factor: a tensor of a range of its own.
    pub(crate) fn times(&mut self, name: &str, t: TensorId, factor: f32) -> TensorId {
        let factor = self.constant(&format!("{name}/factor"), &[factor]);
        self.node(name, binary(Binary::Mul), &[t, factor])
    }

    pub(crate) fn constant(&mut self, name: &str, values: &[f32]) -> TensorId {
        self.graph.add(Tensor::constant(name, Dtype::F32, vec![values.len()], values))
    }

    /// One sample, evenly spaced in [-1, 1].
    pub(crate) fn sample(&self) -> Vec<Value> {
        let count: usize = SHAPE.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32 / (count - 1) as f32 * 2.0 - 1.0).collect();
        let desc = samara_runtime::Desc::new(Dtype::F32, Shape::new(&SHAPE.map(|d| d as u32)).unwrap());
        vec![Value::new(desc, &values).unwrap()]
    }

    pub(crate) fn ranges(&self) -> Ranges {
        calibrate(&self.graph, std::iter::once(Ok(self.sample()))).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Calibrates and solves, with these outputs.
    pub(crate) fn solve(&mut self, outputs: &[TensorId], format: Activations) -> Solved {
        self.graph.outputs = outputs.to_vec();
        let ranges = self.ranges();
        self.solve_with(&ranges, format).unwrap_or_else(|e| panic!("{e}"))
    }

    pub(crate) fn solve_with(&self, ranges: &Ranges, format: Activations) -> Result<Solved> {
        let mut graph = self.graph.clone();
        let solution = solve(&mut graph, ranges, format)?;
        Ok(Solved { graph, solution })
    }
}

/// A graph with its parameters.
#[derive(Debug)]
pub(crate) struct Solved {
    pub(crate) graph: Graph,
    pub(crate) solution: Solution,
}

impl Solved {
    /// Scale and zero point of a tensor.
    pub(crate) fn of(&self, t: TensorId) -> (f32, i32) {
        let quant = self.solution.activations.get(&t);
        quant
            .and_then(|q| q.single())
            .unwrap_or_else(|| panic!("{} has no parameters", self.graph.tensors[t].name))
    }

    /// Least and greatest real value that a tensor's int8 levels stand for.
    pub(crate) fn reach(&self, t: TensorId) -> (f32, f32) {
        let (scale, zero) = self.of(t);
        (scale * (-128 - zero) as f32, scale * (127 - zero) as f32)
    }

    /// The node that makes `t`.
    pub(crate) fn maker(&self, t: TensorId) -> &Node {
        self.graph.nodes.iter().find(|n| n.outputs == [t]).expect("somebody makes it")
    }

    /// Names of the Requantize nodes.
    pub(crate) fn requantized(&self) -> Vec<&str> {
        let nodes: Vec<&str> =
            self.graph.nodes.iter().filter(|n| n.op == Op::Quantize).map(|n| &n.name[..]).collect();
        let told: Vec<&str> = self.solution.requantized.iter().map(|r| &r.node[..]).collect();
        assert_eq!(nodes, told, "every Requantize is reported, in order");
        told
    }
}

pub(crate) fn binary(kind: Binary) -> Op {
    Op::Binary { kind, activation: Activation::NONE }
}

pub(crate) fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 0.02 * a.abs().max(b.abs())
}
