//! Models of one layer, or of several equal ones in a row, at any size.

use samara_packager::bundle;
use samara_packager::error::Result;
use samara_packager::files::AlignedBytes;
use samara_packager::ir::{Activation, Graph, Numeric, Op, Quant, Tensor};
use samara_packager::plan::{self, Kernels};
use samara_runtime::Dtype;
use samara_runtime::ops::Window;

/// Which layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A convolution with a square window of this side, same padding, stride 1.
    Conv(usize),
    /// The same of every channel by itself.
    Depthwise(usize),
    /// A matrix; every pixel is a row of its input.
    FullyConnected,
}

impl Kind {
    /// The ones that networks are made of.
    pub const ALL: [Kind; 4] = [Kind::Conv(3), Kind::Conv(1), Kind::Depthwise(3), Kind::FullyConnected];

    /// `conv 3x3`.
    pub fn name(self) -> String {
        match self {
            Kind::Conv(side) => format!("conv {side}x{side}"),
            Kind::Depthwise(side) => format!("depthwise {side}x{side}"),
            Kind::FullyConnected => "fully connected".to_owned(),
        }
    }
}

/// As many inputs as outputs, so that layers follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Layers {
    /// Which layer.
    pub kind: Kind,
    /// [`Dtype::I8`] or [`Dtype::F32`], of activations and weights.
    pub dtype: Dtype,
    /// Height and width of the image.
    pub side: usize,
    /// Of input and output.
    pub channels: usize,
    /// How many in a row.
    pub depth: usize,
}

const INPUT_SCALE: f32 = 0.05;
/// No round number: with 0.01 one result in a hundred would be a tie, which models' results hardly ever are and which take
/// kernels longer.
const WEIGHT_SCALE: f32 = 0.010_307;
const ZERO_POINT: i32 = -3;

impl Layers {
    /// Multiply-accumulates of one run, padding counted as if it were there.
    pub fn macs(&self) -> u64 {
        let taps = match self.kind {
            Kind::Conv(side) => side * side * self.channels,
            Kind::Depthwise(side) => side * side,
            Kind::FullyConnected => self.channels,
        };
        (self.side * self.side * self.channels * taps * self.depth) as u64
    }

    /// An unsigned bundle without golden vectors.
    pub fn bundle(&self, kernels: Kernels) -> Result<AlignedBytes> {
        let plan = plan::plan(&self.graph()?, kernels)?;
        Ok(AlignedBytes::new(&bundle::bare("layers", &plan)?))
    }

    fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::new("layers", Numeric::Single);
        let shape = match self.kind {
            Kind::FullyConnected => vec![self.side * self.side, self.channels],
            Kind::Conv(_) | Kind::Depthwise(_) => vec![1, self.side, self.side, self.channels],
        };
        let quant = Quant::per_tensor(INPUT_SCALE, ZERO_POINT);
        let is_int8 = self.dtype == Dtype::I8;
        let activation = |name: &str| match is_int8 {
            true => Tensor::new(name, Dtype::I8, shape.clone()).quantized(quant.clone()),
            false => Tensor::new(name, Dtype::F32, shape.clone()),
        };
        let mut x = graph.add(activation("x"));
        graph.inputs.push(x);
        for i in 0..self.depth {
            let (weights, bias) = (self.weights(i), self.bias(i));
            let (weights, bias) = (graph.add(weights), graph.add(bias));
            x = graph.push(&format!("layer {i}"), self.op(), &[Some(x), Some(weights), Some(bias)])?;
            if is_int8 {
                graph.tensors[x].quant = Some(quant.clone());
            }
        }
        graph.outputs.push(x);
        Ok(graph)
    }

    fn op(&self) -> Op {
        let same = |side: usize| {
            let (before, after) = (((side - 1) / 2) as u16, (side / 2) as u16);
            Window { pad: [before, before, after, after], ..Window::UNIT }
        };
        let activation = Activation::RELU6;
        match self.kind {
            Kind::Conv(side) => Op::Conv2d { window: same(side), groups: 1, activation },
            Kind::Depthwise(side) => Op::DepthwiseConv2d { window: same(side), activation },
            Kind::FullyConnected => Op::FullyConnected { activation },
        }
    }

    /// Levels of layer `i` that look drawn at random and are the same every time.
    fn levels(&self, i: usize, count: usize) -> Vec<i8> {
        let mut state = i as u32 + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) as i32 - 128).max(-127) as i8
        };
        (0..count).map(|_| next()).collect()
    }

    fn weights(&self, i: usize) -> Tensor {
        let (c, name) = (self.channels, format!("weights {i}"));
        let (shape, axis) = match self.kind {
            Kind::Conv(side) => (vec![c, side, side, c], 0),
            Kind::Depthwise(side) => (vec![1, side, side, c], 3),
            Kind::FullyConnected => (vec![c, c], 0),
        };
        let levels = self.levels(i, shape.iter().product());
        if self.dtype == Dtype::F32 {
            let reals: Vec<f32> = levels.into_iter().map(|l| f32::from(l) * WEIGHT_SCALE).collect();
            return Tensor::constant(name, Dtype::F32, shape, &reals);
        }
        let quant = Quant { scale: vec![WEIGHT_SCALE; c], zero_point: vec![0; c], axis };
        Tensor::constant(name, Dtype::I8, shape, &levels).quantized(quant)
    }

    fn bias(&self, i: usize) -> Tensor {
        let (c, name) = (self.channels, format!("bias {i}"));
        let levels = self.levels(i, c).into_iter().map(|l| i32::from(l) * 16);
        let scale = INPUT_SCALE * WEIGHT_SCALE;
        if self.dtype == Dtype::F32 {
            let reals: Vec<f32> = levels.map(|l| l as f32 * scale).collect();
            return Tensor::constant(name, Dtype::F32, vec![c], &reals);
        }
        let quant = Quant { scale: vec![scale; c], zero_point: vec![0; c], axis: 0 };
        Tensor::constant(name, Dtype::I32, vec![c], &levels.collect::<Vec<_>>()).quantized(quant)
    }
}

#[cfg(test)]
mod tests {
    use samara_runtime::{Bundle, Session, ops};

    use super::*;

    #[test]
    fn every_kind_makes_bundles_that_load_and_count_their_work() {
        for kind in Kind::ALL {
            for dtype in [Dtype::I8, Dtype::F32] {
                for kernels in [Kernels::Reference, Kernels::HOST] {
                    let layers = Layers { kind, dtype, side: 5, channels: 3, depth: 2 };
                    let bytes = layers.bundle(kernels).unwrap();
                    let session = Session::load(&Bundle::check(&bytes).unwrap(), ops::ALL).unwrap();
                    assert_eq!((session.steps(), session.macs()), (2, layers.macs()), "{kind:?} {dtype:?}");
                }
            }
        }
    }
}
