//! Every format of weights with every format of activations, from the graph to a loaded bundle: the same bits by the
//! interpreter and by a session, near what the same reals give as floats.

use samara_packager::bundle;
use samara_packager::files::AlignedBytes;
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Activation, Graph, Numeric, Op, Quant, Tensor, TensorId};
use samara_packager::plan::{self, Kernels};
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{self, Window};
use samara_runtime::{Bundle, Choice, Dtype, Session};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Weights {
    F16,
    Int8,
    Int4,
    Grouped,
    Palette { each: bool },
}

const INTEGERS: [Weights; 5] = [
    Weights::Int8,
    Weights::Int4,
    Weights::Grouped,
    Weights::Palette { each: false },
    Weights::Palette { each: true },
];

/// Numbers that look random and repeat.
fn level(k: usize, lo: i32, hi: i32) -> i32 {
    lo + (k * 40_503 / 7 % (hi - lo + 1) as usize) as i32
}

/// A graph and its twin of floats.
struct Twins {
    graph: Graph,
    float: Graph,
    activations: Dtype,
    /// What the graph gets, and the same as floats.
    x: Value,
    reals: Value,
}

impl Twins {
    fn new(activations: Dtype, numeric: Numeric, shape: &[usize]) -> Self {
        let (mut graph, mut float) = (Graph::new("g", numeric), Graph::new("f", numeric));
        let mut tensor = Tensor::new("x", activations, shape.to_vec());
        tensor.quant = quant(activations, 2.5);
        let real = Tensor::new("x", Dtype::F32, shape.to_vec());
        let x = input(Value::zeros(tensor.desc().unwrap()));
        let mut reals = Value::zeros(real.desc().unwrap());
        reals.bytes_mut().copy_from_slice(bytemuck::cast_slice(&self::reals(&x)));
        (graph.inputs, float.inputs) = (vec![graph.add(tensor)], vec![float.add(real)]);
        Twins { graph, float, activations, x, reals }
    }

    /// Appends a layer with weights of this shape, whose channels run along `axis`.
    fn layer(&mut self, op: Op, x: TensorId, shape: &[usize], axis: usize, weights: Weights) -> TensorId {
        let n: usize = shape.iter().product();
        let channels = shape[axis];
        let (inner, depth) = (shape[axis + 1..].iter().product::<usize>(), n / channels);
        let channel = |i: usize| i / inner % channels;
        let most = match weights {
            Weights::Int4 => 7.0,
            Weights::Grouped => 7.0 * 15.0,
            Weights::F16 | Weights::Int8 | Weights::Palette { .. } => 127.0,
        };
        let scale: Vec<f32> = (0..channels).map(|c| (0.3 + 0.2 * c as f32) / most).collect();
        let name = format!("{}{}", op.name(), self.graph.nodes.len());
        let scales = Quant { scale: scale.clone(), zero_point: vec![0; channels], axis };
        let wanted = weights;
        // Groups are only where a channel's weights lie together.
        let weights = if wanted == Weights::Grouped && axis != 0 { Weights::Int4 } else { wanted };
        let (stored, table, integers) = match weights {
            Weights::F16 => {
                let halves: Vec<u16> =
                    (0..n).map(|k| 0x2000 | level(k, 0, 4095) as u16 | (k as u16 % 2) << 15).collect();
                (Tensor::constant(&name, Dtype::F16, shape.to_vec(), &halves), None, Vec::new())
            }
            Weights::Int8 => {
                let levels: Vec<i8> = (0..n).map(|k| level(k, -127, 127) as i8).collect();
                let stored = Tensor::constant(&name, Dtype::I8, shape.to_vec(), &levels).quantized(scales);
                (stored, None, levels.into_iter().map(i32::from).collect())
            }
            Weights::Int4 | Weights::Grouped => {
                let levels: Vec<i8> = (0..n).map(|k| level(k, -7, 7) as i8).collect();
                let stored = Tensor::packed4(&name, Dtype::I4, shape.to_vec(), &levels).quantized(scales);
                let groups = if weights == Weights::Grouped { 2 } else { 1 };
                let multipliers: Vec<i8> = (0..channels * groups).map(|k| level(k, 1, 15) as i8).collect();
                let table = Tensor::constant("t", Dtype::I8, vec![channels, groups], &multipliers);
                let table = (weights == Weights::Grouped).then_some(table);
                let integer = |(i, &l): (usize, &i8)| {
                    let group = channel(i) * groups + i % depth / (depth / groups);
                    i32::from(l) * if table.is_some() { i32::from(multipliers[group]) } else { 1 }
                };
                let integers = levels.iter().enumerate().map(integer).collect();
                (stored, table, integers)
            }
            Weights::Palette { each } => {
                let indices: Vec<i8> = (0..n).map(|k| level(k, 0, 15) as i8).collect();
                let tables = if each { channels } else { 1 };
                let levels: Vec<i8> = (0..16 * tables).map(|k| level(k, -127, 127) as i8).collect();
                let stored = Tensor::packed4(&name, Dtype::U4, shape.to_vec(), &indices).quantized(scales);
                let start = |i: usize| if each { 16 * channel(i) } else { 0 };
                let integers =
                    indices.iter().enumerate().map(|(i, &k)| levels[start(i) + k as usize].into()).collect();
                (stored, Some(Tensor::constant("t", Dtype::I8, vec![tables, 16], &levels)), integers)
            }
        };
        let reals = match stored.f32s() {
            Some(reals) => reals,
            None => integers.iter().enumerate().map(|(i, &v)| scale[channel(i)] * v as f32).collect(),
        };
        let bias: Vec<f32> = (0..channels).map(|c| 0.3 * c as f32 - 0.4).collect();
        let input = self.graph.tensors[x].quant.as_ref().map(|q| q.scale[0] as f64);
        let levels = |c: usize| (bias[c] as f64 / (input.unwrap_or(1.0) * scale[c] as f64)).round();
        let quantized: Vec<i64> = (0..channels).map(|c| levels(c) as i64).collect();
        let narrow: Vec<i32> = quantized.iter().map(|&b| b as i32).collect();
        let real = self.float.add(Tensor::constant(&name, Dtype::F32, shape.to_vec(), &reals));
        let real_bias = Tensor::constant("b", Dtype::F32, vec![channels], &bias);
        let bias = match self.activations {
            Dtype::F32 => real_bias.clone(),
            Dtype::I16 => Tensor::constant("b", Dtype::I64, vec![channels], &quantized),
            _ => Tensor::constant("b", Dtype::I32, vec![channels], &narrow),
        };
        let real_bias = self.float.add(real_bias);
        let operands: Vec<_> = [Some(stored), Some(bias), table]
            .into_iter()
            .flatten()
            .map(|t| Some(self.graph.add(t)))
            .collect();
        let y = self.graph.push(&name, op.clone(), &[&[Some(x)], &operands[..]].concat()).unwrap();
        // The twin's tensors keep the same numbers.
        while self.float.tensors.len() < y {
            self.float.add(Tensor::constant("unused", Dtype::F32, vec![1], &[0f32]));
        }
        assert_eq!(self.float.push(&name, op, &[Some(x), Some(real), Some(real_bias)]).unwrap(), y);
        (self.graph.outputs, self.float.outputs) = (vec![y], vec![y]);
        self.graph.tensors[y].quant = quant(self.activations, self.spread());
        y
    }
}

impl Twins {
    /// Greatest magnitude of the twin's output.
    fn spread(&self) -> f32 {
        let want = interpret(&self.float, self.reals.clone());
        want.elements::<f32>().iter().fold(0f32, |m, v| m.max(v.abs()))
    }
}

/// Parameters that hold reals up to this magnitude.
fn quant(activations: Dtype, spread: f32) -> Option<Quant> {
    match activations {
        Dtype::I8 => Some(Quant::per_tensor(spread / 115.0, -7)),
        Dtype::I16 => Some(Quant::per_tensor(spread / 32000.0, 0)),
        _ => None,
    }
}

/// A convolution in two groups, a depthwise one, and a fully connected layer.
fn net(activations: Dtype, weights: Weights, numeric: Numeric) -> Twins {
    let mut twins = Twins::new(activations, numeric, &[1, 5, 6, 4]);
    let x = twins.graph.inputs[0];
    let window = Window { stride: [1, 2], dilation: [1, 1], pad: [1, 0, 1, 1] };
    let conv = Op::Conv2d { window, groups: 2, activation: Activation::RELU };
    let h = twins.layer(conv, x, &[6, 3, 2, 2], 0, weights);
    let depthwise = Op::DepthwiseConv2d { window: Window::UNIT, activation: Activation::NONE };
    let h = twins.layer(depthwise, h, &[1, 2, 2, 6], 3, weights);
    twins.layer(Op::FullyConnected { activation: Activation::NONE }, h, &[5, 6], 0, weights);
    twins
}

/// Numbers over the whole range.
fn input(mut value: Value) -> Value {
    let n = value.desc.shape.elements();
    let bytes: Vec<u8> = match value.desc.dtype {
        Dtype::I8 => (0..n).map(|k| level(k, -128, 127) as u8).collect(),
        Dtype::I16 => (0..n).flat_map(|k| (level(k, -32768, 32767) as i16).to_le_bytes()).collect(),
        _ => (0..n).flat_map(|k| (level(k, -3000, 3000) as f32 / 1000.0).to_le_bytes()).collect(),
    };
    value.bytes_mut().copy_from_slice(&bytes);
    value
}

fn reals(value: &Value) -> Vec<f32> {
    let real = |level: i32| value.desc.scale * (level - value.desc.zero_point) as f32;
    match value.desc.dtype {
        Dtype::I8 => value.elements::<i8>().iter().map(|&l| real(l.into())).collect(),
        Dtype::I16 => value.elements::<i16>().iter().map(|&l| real(l.into())).collect(),
        _ => value.elements::<f32>().to_vec(),
    }
}

fn interpret(graph: &Graph, x: Value) -> Value {
    Interpreter::new(graph).unwrap().run(vec![x], |_, _| Ok(())).unwrap().remove(0)
}

/// The outputs of sessions on the graph's bundle: with reference kernels, and with all.
fn deployed(graph: &Graph, x: &Value) -> [Vec<u8>; 2] {
    let plan = plan::plan(graph, Kernels::HOST).unwrap();
    let bytes = AlignedBytes::new(&bundle::bare("formats", &plan).unwrap());
    let bundle = Bundle::check(&bytes).unwrap();
    [Choice::Reference, Choice::Auto].map(|choice| {
        let session = Session::load_with(&bundle, ops::ALL, choice).unwrap();
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena).unwrap();
        run.input(0).unwrap().copy_from_bytes(x.bytes()).unwrap();
        run.run().unwrap();
        run.output(0).unwrap().bytes().to_vec()
    })
}

/// Worst distance to the twin of floats, relative to `step`.
fn check(activations: Dtype, weights: Weights, numeric: Numeric) -> f32 {
    let twins = net(activations, weights, numeric);
    let (graph, x) = (&twins.graph, &twins.x);
    let y = interpret(graph, x.clone());
    for output in deployed(graph, x) {
        assert_eq!(output, y.bytes(), "{activations:?} {weights:?} {numeric:?}");
    }
    let (want, spread) = (interpret(&twins.float, twins.reals.clone()), twins.spread());
    let step = if y.desc.scale > 0.0 { y.desc.scale } else { spread };
    let worst = reals(&y).iter().zip(want.elements::<f32>()).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    println!("{activations:?} {weights:?} {numeric:?}: {:.3} of {:.1}", worst / step, spread / step);
    worst / step
}

#[test]
fn int8_activations() {
    for weights in INTEGERS {
        for numeric in [Numeric::Tflite, Numeric::Single, Numeric::Onnx] {
            // What three layers' rounding adds up to.
            assert!(check(Dtype::I8, weights, numeric) < 2.5);
        }
    }
}

#[test]
fn int16_activations() {
    for weights in INTEGERS {
        for numeric in [Numeric::Single, Numeric::Onnx, Numeric::Tflite] {
            assert!(check(Dtype::I16, weights, numeric) < 2.5);
        }
    }
}

#[test]
fn float_activations() {
    for weights in INTEGERS.into_iter().chain([Weights::F16]) {
        assert!(check(Dtype::F32, weights, Numeric::Single) < 1e-5);
    }
}

/// The message for a fully connected layer of 2 outputs and 6 int4 weights each with this table.
fn refused(activations: Dtype, weights: Tensor, table: Tensor) -> String {
    let mut graph = Graph::new("g", Numeric::Single);
    let quant =
        |t: Tensor| if activations == Dtype::F32 { t } else { t.quantized(Quant::per_tensor(0.1, 0)) };
    let x = graph.add(quant(Tensor::new("x", activations, vec![1, 6])));
    let w = graph.add(weights.quantized(Quant::per_tensor(0.1, 0)));
    let t = graph.add(table);
    let y = graph.add(quant(Tensor::new("y", activations, vec![1, 2])));
    let op = Op::FullyConnected { activation: Activation::NONE };
    let inputs = vec![Some(x), Some(w), None, Some(t)];
    graph.nodes.push(samara_packager::ir::Node { name: "n".into(), op, inputs, outputs: vec![y] });
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    plan::plan(&graph, Kernels::Reference).unwrap_err().to_string()
}

#[test]
fn tables_that_do_not_decode() {
    let int4 = || Tensor::packed4("w", Dtype::I4, vec![2, 6], &[1; 12]);
    let table = |shape: &[usize], level: i8| {
        Tensor::constant("t", Dtype::I8, shape.to_vec(), &vec![level; shape.iter().product()])
    };
    for activations in [Dtype::F32, Dtype::I8, Dtype::I16] {
        let message = refused(activations, int4(), table(&[2, 3], 0));
        assert!(message.contains("table 't' of weights 'w' (int4) has the multiplier 0"), "{message}");
        let message = refused(activations, int4(), table(&[2, 4], 1));
        assert!(message.contains("is 2x4, which does not divide 2 channels of 6 weights"), "{message}");
        let uint4 = Tensor::packed4("w", Dtype::U4, vec![2, 6], &[1; 12]);
        let message = refused(activations, uint4, table(&[3, 16], 1));
        assert!(message.contains("is 3x16, not 1x16 or 2x16"), "{message}");
        let int8 = Tensor::constant("w", Dtype::I8, vec![2, 6], &[1i8; 12]);
        let message = refused(activations, int8, table(&[2, 3], 1));
        assert!(message.contains("has nothing to decode"), "{message}");
        let message = refused(activations, int4(), Tensor::new("t", Dtype::I8, vec![2, 3]));
        assert!(message.contains("is not constant int8"), "{message}");
    }
}
