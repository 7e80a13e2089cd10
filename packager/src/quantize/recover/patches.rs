//! What a layer's weights are multiplied with: the input around some of its output positions, row by row.

use samara_runtime::ops::Window;

use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Op};
use crate::quantize::weights::layer::Layer;

/// Output channels that read the same columns of a patch.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Channels.
    pub(crate) outputs: std::ops::Range<usize>,
    /// The first of their weights.
    pub(crate) first: usize,
    /// Columns of the patch, one per weight from `first` on.
    pub(crate) columns: Vec<usize>,
}

/// Geometry of a layer's patches.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    window: Option<Window>,
    /// Input height, width and channels; for fully connected layers rows, 1 and the row's length.
    input: [usize; 3],
    /// Window height and width.
    taps: [usize; 2],
    /// Output height and width.
    output: [usize; 2],
    /// Reals of one patch: taps, then channels.
    pub(crate) len: usize,
    /// A partition of all weights.
    pub(crate) units: Vec<Unit>,
}

impl Patches {
    /// Of a layer in a float graph. Units have at most `block` columns.
    pub(crate) fn of(graph: &Graph, node: &Node, layer: &Layer, block: usize) -> Result<Self> {
        let broken = || Error::invalid("its shapes do not fit its operator");
        let x = graph.input(node, 0).ok_or_else(broken)?;
        let (window, groups) = match node.op {
            Op::Conv2d { window, groups, .. } => (Some(window), groups as usize),
            Op::DepthwiseConv2d { window, .. } => (Some(window), 0),
            _ => (None, 1),
        };
        let (input, taps, output) = match (window, &x.shape[..], &layer.shape[..]) {
            (Some(window), &[1, h, w, c], &[_, kh, kw, _]) => {
                ([h, w, c], [kh, kw], window.output([h, w], [kh, kw])?)
            }
            (None, [.., inner], _) if *inner == layer.inner => {
                let rows = x.elements() / inner;
                ([rows, 1, *inner], [1, 1], [rows, 1])
            }
            _ => return Err(broken()),
        };
        let len = taps[0] * taps[1] * input[2];
        // Depthwise layers are groups of one input channel.
        let count = if layer.depthwise { input[2] } else { groups };
        let (reads, makes) = (input[2] / count.max(1), layer.channels / count.max(1));
        if taps[0] * taps[1] * reads != layer.inner || makes * count != layer.channels {
            return Err(broken());
        }
        let mut units = Vec::new();
        for group in 0..count {
            let all: Vec<usize> =
                (0..layer.inner).map(|k| k / reads * input[2] + group * reads + k % reads).collect();
            for (b, columns) in all.chunks(block).enumerate() {
                let outputs = group * makes..(group + 1) * makes;
                units.push(Unit { outputs, first: b * block, columns: columns.to_vec() });
            }
        }
        Ok(Patches { window, input, taps, output, len, units })
    }

    /// How many output positions one sample has.
    pub(crate) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Patches of `x` at the given positions, appended; zeros where the window meets padding.
    pub(crate) fn extract(&self, x: &[f64], positions: &[usize], out: &mut Vec<f64>) {
        out.clear();
        let [height, width, channels] = self.input;
        for &position in positions {
            let (y, column) = (position / self.output[1], position % self.output[1]);
            let Some(window) = &self.window else {
                out.extend(&x[position * channels..(position + 1) * channels]);
                continue;
            };
            for ky in 0..self.taps[0] {
                let row = window.tap(0, y, ky, height);
                for kx in 0..self.taps[1] {
                    match (row, window.tap(1, column, kx, width)) {
                        (Some(r), Some(c)) => {
                            out.extend(&x[(r * width + c) * channels..][..channels]);
                        }
                        _ => out.resize(out.len() + channels, 0.0),
                    }
                }
            }
        }
    }
}

/// `count` of `all` positions, one from each of as many equal stretches, at a place that depends on the sample.
pub(crate) fn choose(all: usize, count: usize, sample: usize) -> Vec<usize> {
    if count >= all {
        return (0..all).collect();
    }
    let one = |i: usize| {
        let (from, to) = (i * all / count, (i + 1) * all / count);
        let mut z = (((sample as u64) << 32) ^ i as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        from + ((z ^ (z >> 31)) % (to - from).max(1) as u64) as usize
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use samara_runtime::Dtype;

    use super::*;
    use crate::interpret;
    use crate::ir::{Activation, Numeric, Tensor};
    use crate::quantize::recover::tape::reals;

    /// Products of patches and weights are what the kernels compute, for every kind of layer.
    #[test]
    fn patches_times_weights_are_the_layer() {
        let window = |stride, dilation, pad| Window { stride, dilation, pad };
        let none = Activation::NONE;
        let cases = [
            (
                Op::Conv2d { window: window([2, 1], [1, 2], [1, 0, 2, 1]), groups: 1, activation: none },
                vec![1, 6, 7, 4],
                vec![3, 3, 2, 4],
            ),
            (
                Op::Conv2d { window: window([1, 2], [1, 1], [0, 1, 0, 1]), groups: 2, activation: none },
                vec![1, 5, 5, 6],
                vec![4, 2, 3, 3],
            ),
            (
                Op::DepthwiseConv2d { window: window([1, 1], [1, 1], [1; 4]), activation: none },
                vec![1, 4, 5, 3],
                vec![1, 3, 3, 6],
            ),
            (Op::FullyConnected { activation: none }, vec![1, 3, 5], vec![4, 5]),
        ];
        for (op, x_shape, w_shape) in cases {
            let wave =
                |n: usize, f: f32| (0..n).map(|i| libm::sinf(i as f32 * f + 0.5)).collect::<Vec<f32>>();
            let mut g = Graph::new("one", Numeric::Single);
            let x = g.add(Tensor::new("x", Dtype::F32, x_shape.clone()));
            let weights = wave(w_shape.iter().product(), 0.7);
            let w = g.add(Tensor::constant("w", Dtype::F32, w_shape, &weights));
            let y = g.push("y", op.clone(), &[Some(x), Some(w)]).unwrap();
            (g.inputs, g.outputs) = (vec![x], vec![y]);
            let values = wave(x_shape.iter().product(), 0.3);
            let input = Tensor::constant("x", Dtype::F32, x_shape, &values).value().unwrap();
            let got = interpret::run(&g, vec![input.clone()]).unwrap();
            let got = got[y].as_ref().unwrap().elements::<f32>().to_vec();

            let layer = Layer::of(&g, &g.nodes[0]).unwrap();
            let patches = Patches::of(&g, &g.nodes[0], &layer, 4).unwrap();
            let (mut x, mut rows) = (Vec::new(), Vec::new());
            reals(&input, &mut x);
            let all = choose(patches.positions(), usize::MAX, 0);
            patches.extract(&x, &all, &mut rows);
            for (position, row) in rows.chunks(patches.len).enumerate() {
                let mut want = vec![0.0; layer.channels];
                for unit in &patches.units {
                    for o in unit.outputs.clone() {
                        let products = unit.columns.iter().enumerate();
                        let term = |(j, &c): (usize, &usize)| layer.row(o)[unit.first + j] * row[c];
                        want[o] += products.map(term).sum::<f64>();
                    }
                }
                for (o, want) in want.iter().enumerate() {
                    let got = got[position * layer.channels + o] as f64;
                    assert!((got - want).abs() < 1e-4, "{op:?} at {position}, {o}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn chosen_positions_are_apart_and_inside() {
        for sample in 0..5 {
            let chosen = choose(100, 30, sample);
            assert!(chosen.windows(2).all(|w| w[0] < w[1]) && *chosen.last().unwrap() < 100);
        }
        assert_eq!(choose(3, 8, 1), [0, 1, 2]);
    }
}
