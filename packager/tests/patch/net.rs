//! Random graphs of image operators, from fixed seeds.

use samara_packager::ir::{Activation, Binary, Graph, Numeric, Op, PoolKind, ReduceKind, Tensor, TensorId};
use samara_packager::passes;
use samara_packager::plan::{Kernels, Plan, plan};
use samara_packager::quantize::{Activations, Recipe, calibrate, quantize};
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{Function, Window};
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

    pub(crate) fn within(&mut self, lo: usize, hi: usize) -> usize {
        lo + (self.next() % (hi - lo + 1) as u64) as usize
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.within(0, all.len() - 1)].clone()
    }

    /// In [-1, 1).
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }
}

/// A float graph under construction.
struct Net<'r> {
    graph: Graph,
    random: &'r mut Random,
    /// Images so far, the newest last.
    images: Vec<TensorId>,
}

/// A float graph of up to `nodes` operators on one image, with one or two outputs.
pub(crate) fn graph(random: &mut Random, nodes: usize) -> Graph {
    let mut graph = Graph::new("net", Numeric::Single);
    let shape = vec![1, random.within(4, 26), random.within(1, 7), random.within(1, 7)];
    let x = graph.add(Tensor::new("x", Dtype::F32, shape));
    graph.inputs.push(x);
    let mut net = Net { graph, random, images: vec![x] };
    for n in 0..nodes {
        net.node(n);
    }
    let last = *net.images.last().expect("the input at least");
    let mut outputs = vec![last];
    if net.random.within(0, 3) == 0 {
        let other = net.random.pick(&net.images[1..]);
        outputs.extend(Some(other).filter(|&t| t != last));
    }
    let mut graph = net.graph;
    graph.outputs = outputs;
    graph.drop_dead();
    graph
}

impl Net<'_> {
    fn shape(&self, t: TensorId) -> Vec<usize> {
        self.graph.tensors[t].shape.clone()
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[TensorId]) {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        // A window that does not fit is no operator.
        if let Ok(t) = self.graph.push(name, op, &inputs) {
            self.images.push(t);
        }
    }

    fn constant(&mut self, name: String, shape: Vec<usize>) -> TensorId {
        let values = self.random.values(shape.iter().product());
        self.graph.add(Tensor::constant(name, Dtype::F32, shape, &values))
    }

    fn window(&mut self, size: [usize; 2], dilated: bool) -> Window {
        let r = &mut *self.random;
        let dilation = if dilated { [r.pick(&[1, 1, 2]), 1] } else { [1, 1] };
        let reach = [(size[0] - 1) * dilation[0] as usize, size[1] - 1];
        let mut pad = |axis: usize| if r.within(0, 2) == 0 { 0 } else { r.within(0, reach[axis]) as u16 };
        let pad = [pad(0), pad(1), pad(0), pad(1)];
        Window { stride: [r.pick(&[1, 1, 1, 2, 3]), r.pick(&[1, 1, 2])], dilation, pad }
    }

    fn node(&mut self, n: usize) {
        let name = format!("n{n}");
        let newest = *self.images.last().expect("the input at least");
        let x = if self.random.within(0, 5) == 0 { self.random.pick(&self.images) } else { newest };
        let [_, h, w, c] = self.shape(x)[..] else { return };
        let activation = self.random.pick(&[Activation::NONE, Activation::RELU, Activation::RELU6]);
        let size = [self.random.within(1, 5.min(h)), self.random.within(1, 3.min(w))];
        match self.random.within(0, 11) {
            0..=2 => {
                let outputs = self.random.within(1, 9);
                let groups = if c.is_multiple_of(2) && outputs.is_multiple_of(2) {
                    self.random.pick(&[1, 1, 2])
                } else {
                    1
                };
                let weights = self.constant(format!("{name}/w"), vec![outputs, size[0], size[1], c / groups]);
                let bias = self.constant(format!("{name}/b"), vec![outputs]);
                let window = self.window(size, true);
                self.push(
                    &name,
                    Op::Conv2d { window, groups: groups as u16, activation },
                    &[x, weights, bias],
                );
            }
            3..=5 => {
                let outputs = c * self.random.pick(&[1, 1, 1, 2]);
                let weights = self.constant(format!("{name}/w"), vec![1, size[0], size[1], outputs]);
                let bias = self.constant(format!("{name}/b"), vec![outputs]);
                let window = self.window(size, true);
                self.push(&name, Op::DepthwiseConv2d { window, activation }, &[x, weights, bias]);
            }
            6 => {
                let count_include_pad = self.random.within(0, 1) == 0;
                let kind = self.random.pick(&[PoolKind::Max, PoolKind::Average { count_include_pad }]);
                let size = [size[0].max(2).min(h), size[1]];
                let window = self.window(size, false);
                self.push(&name, Op::Pool2d { kind, size: size.map(|s| s as u16), window, activation }, &[x]);
            }
            7 | 8 => {
                let alike = |t: &&TensorId| self.graph.tensors[**t].shape == [1, h, w, c];
                let all: Vec<TensorId> = self.images.iter().filter(alike).copied().collect();
                let other = self.random.pick(&all);
                let kind = self.random.pick(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Maximum]);
                self.push(&name, Op::Binary { kind, activation }, &[x, other]);
            }
            9 => {
                let fits = |t: &&TensorId| self.graph.tensors[**t].shape[..3] == [1, h, w];
                let all: Vec<TensorId> = self.images.iter().filter(fits).copied().collect();
                let other = self.random.pick(&all);
                self.push(&name, Op::Concatenation { axis: 3 }, &[x, other]);
            }
            10 => {
                // A gate per channel, as squeeze and excitation has it.
                let op = Op::Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: true };
                let gate = self.graph.push(&format!("{name}/gate"), op, &[Some(x)]).expect("a mean");
                let kind = Binary::Mul;
                self.push(&name, Op::Binary { kind, activation }, &[x, gate]);
            }
            _ => {
                let functions = [Function::Logistic, Function::Tanh, Function::HardSwish];
                let function = self.random.pick(&functions);
                self.push(&name, Op::Unary { function }, &[x]);
            }
        }
    }
}

/// A random input.
pub(crate) fn sample(graph: &Graph, random: &mut Random) -> Value {
    let tensor = &graph.tensors[graph.inputs[0]];
    let dims: Vec<u32> = tensor.shape.iter().map(|&d| d as u32).collect();
    let desc = Desc::new(Dtype::F32, Shape::new(&dims).unwrap());
    Value::new(desc, &random.values(tensor.elements())).unwrap()
}

/// The plan of a float graph with these activations, unpatched.
pub(crate) fn planned(
    graph: &Graph,
    activations: Activations,
    numeric: Numeric,
    kernels: Kernels,
    random: &mut Random,
) -> Plan {
    let mut graph = graph.clone();
    passes::run(&mut graph).unwrap_or_else(|e| panic!("{e}"));
    if activations != Activations::F32 {
        let samples: Vec<_> = (0..4).map(|_| Ok(vec![sample(&graph, random)])).collect();
        let ranges = calibrate(&graph, samples.into_iter()).unwrap_or_else(|e| panic!("{e}"));
        let recipe = Recipe { activations, ..Recipe::default() };
        graph = quantize(&graph, &recipe, Some(&ranges), numeric).unwrap_or_else(|e| panic!("{e}"));
    }
    passes::prepare_for_lowering(&mut graph).unwrap_or_else(|e| panic!("{e}"));
    plan(&graph, kernels).unwrap_or_else(|e| panic!("{e}"))
}

/// A network as MobileNetV2 has it (inverted residuals), on square images of this size; weights are random.
pub(crate) fn mobile(size: usize) -> Graph {
    let mut random = Random(1);
    let mut graph = Graph::new("mobile", Numeric::Single);
    let x = graph.add(Tensor::new("x", Dtype::F32, vec![1, size, size, 3]));
    graph.inputs.push(x);
    let mut layer =
        |graph: &mut Graph, name: String, x: TensorId, outputs: Option<usize>, taps: usize, stride: u16| {
            let [_, h, _, c] = graph.tensors[x].shape[..] else { panic!("an image") };
            let pad = taps as u16 / 2;
            // As TFLite's SAME: an even image with stride 2 is padded at its end alone.
            let before = if stride == 2 && h % 2 == 0 { pad - 1.min(pad) } else { pad };
            let window = Window { stride: [stride; 2], dilation: [1; 2], pad: [before, before, pad, pad] };
            let activation = Activation::RELU6;
            let (op, shape) = match outputs {
                Some(n) => (Op::Conv2d { window, groups: 1, activation }, vec![n, taps, taps, c]),
                None => (Op::DepthwiseConv2d { window, activation }, vec![1, taps, taps, c]),
            };
            let fan = (taps * taps * outputs.map_or(1, |_| c)) as f32;
            let weights: Vec<f32> =
                random.values(shape.iter().product()).iter().map(|w| w * 3.0 / fan.sqrt()).collect();
            let w = graph.add(Tensor::constant(format!("{name}/w"), Dtype::F32, shape, &weights));
            graph.push(&name, op, &[Some(x), Some(w)]).unwrap()
        };
    let mut t = layer(&mut graph, "stem".into(), x, Some(32), 3, 2);
    let blocks = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (b, (expand, outputs, repeats, stride)) in blocks.into_iter().enumerate() {
        for r in 0..repeats {
            let c = graph.tensors[t].shape[3];
            let mut inner = t;
            if expand > 1 {
                inner = layer(&mut graph, format!("{b}.{r}/expand"), t, Some(c * expand), 1, 1);
            }
            inner = layer(
                &mut graph,
                format!("{b}.{r}/depthwise"),
                inner,
                None,
                3,
                if r == 0 { stride } else { 1 },
            );
            inner = layer(&mut graph, format!("{b}.{r}/project"), inner, Some(outputs), 1, 1);
            if r > 0 {
                let op = Op::Binary { kind: Binary::Add, activation: Activation::NONE };
                inner = graph.push(&format!("{b}.{r}/add"), op, &[Some(t), Some(inner)]).unwrap();
            }
            t = inner;
        }
    }
    t = layer(&mut graph, "head".into(), t, Some(1280), 1, 1);
    let op = Op::Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: true };
    let t = graph.push("mean", op, &[Some(t)]).unwrap();
    graph.outputs.push(t);
    graph
}
