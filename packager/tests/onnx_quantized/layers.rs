//! Conv, Gemm and MatMul with constant weights: every geometry with every way to quantize it.

use samara_packager::ir::Op;
use samara_runtime::Dtype;

use crate::net::{At, INT8, INT16, INT32, MS, Net, UINT8};
use crate::real::T;
use crate::tally::{Expect, Tally, float_operators, import};

type Attributes = Vec<(&'static str, At)>;

/// A layer's geometry; `axis` is the weights' one of output channels.
#[derive(Clone)]
pub(crate) struct Geometry {
    op: &'static str,
    x: &'static [usize],
    w: &'static [usize],
    axis: usize,
    attributes: Attributes,
}

pub(crate) fn geometries() -> Vec<Geometry> {
    let conv = |x, w, attributes| Geometry { op: "Conv", x, w, axis: 0, attributes };
    let ints = |v: &[i64]| At::Is(v.to_vec());
    let pads = ("pads", ints(&[1, 1, 1, 1]));
    vec![
        conv(&[1, 3, 9, 8], &[5, 3, 3, 3], vec![pads.clone(), ("strides", ints(&[2, 1]))]),
        conv(&[1, 4, 5, 5], &[6, 4, 1, 1], vec![]),
        conv(&[1, 6, 7, 7], &[6, 1, 3, 3], vec![("group", At::I(6)), pads.clone()]),
        conv(&[1, 4, 7, 7], &[8, 1, 3, 3], vec![("group", At::I(4)), ("strides", ints(&[2, 2]))]),
        conv(&[1, 6, 8, 8], &[4, 3, 3, 3], vec![("group", At::I(2)), ("dilations", ints(&[2, 2]))]),
        conv(&[1, 3, 12], &[4, 3, 5], vec![("pads", ints(&[2, 2]))]),
        Geometry { op: "Gemm", x: &[2, 10], w: &[7, 10], axis: 0, attributes: vec![("transB", At::I(1))] },
        Geometry { op: "Gemm", x: &[2, 10], w: &[10, 7], axis: 1, attributes: vec![] },
        Geometry { op: "MatMul", x: &[1, 4, 10], w: &[10, 7], axis: 1, attributes: vec![] },
    ]
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Bias {
    None,
    /// int32 on the scale of the products.
    Int,
    /// int32 beyond what single precision holds.
    Wide,
    Float,
}

/// How a layer is quantized.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) x: i32,
    pub(crate) w: i32,
    /// Least and greatest zero point of the weights.
    pub(crate) zero: (f64, f64),
    pub(crate) per_channel: bool,
    pub(crate) bias: Bias,
    pub(crate) qlinear: bool,
    pub(crate) relu: bool,
    pub(crate) opset: i64,
}

pub(crate) const S8: Way = Way {
    x: INT8,
    w: INT8,
    zero: (0.0, 0.0),
    per_channel: false,
    bias: Bias::Int,
    qlinear: false,
    relu: false,
    opset: 13,
};

/// One layer between an integer input and an integer output.
pub(crate) fn layer(g: &Geometry, way: &Way, seed: u64) -> Net {
    let mut net = Net::new(way.opset, seed);
    if way.x == INT16 {
        net.domain = MS;
    }
    let x = net.input(way.x, g.x);
    let (channels, count) = (g.w[g.axis], g.w.iter().product::<usize>());
    let grids = if way.per_channel { channels } else { 1 };
    let sx = (0.01 + 0.04 * net.random.unit()) as f32 * if way.x == INT16 { 1.0 / 256.0 } else { 1.0 };
    let zx = if way.x == INT16 { 0.0 } else { net.random.level(crate::net::bounds(way.x)) };
    let sw: Vec<f32> = (0..grids).map(|_| (0.002 + 0.01 * net.random.unit()) as f32).collect();
    let zw: Vec<f64> = (0..grids).map(|_| net.random.level(way.zero)).collect();
    let range = if way.w == INT8 { (-127.0, 127.0) } else { (0.0, 255.0) };
    let levels = (0..count).map(|_| net.random.level(range)).collect();
    let w = net.constant(way.w, g.w, levels);
    let [sx_, zx_] = net.parameters(&[sx], &[zx], way.x);
    let [sw_, zw_] = net.parameters(&sw, &zw, way.w);
    let axis = vec![("axis", At::I(g.axis as i64))];
    // What the float layer makes of it, for the output's scale; these nodes are the QDQ form's own.
    let mut qdq = net.clone();
    let dx = qdq.node(qdq.domain, "DequantizeLinear", &[&x, &sx_, &zx_], &[]);
    let dw = qdq.node(
        qdq.domain,
        "DequantizeLinear",
        &[&w, &sw_, &zw_],
        if way.per_channel { &axis } else { &[] },
    );
    let product = |net: &mut Net| {
        let scale: Vec<f32> = (0..channels).map(|c| sx * sw[c.min(grids - 1)]).collect();
        net.floats(if way.per_channel { &scale } else { &scale[..1] })
    };
    let unit = f64::from(sx) * f64::from(sw[0]);
    let bias = |net: &mut Net| {
        let of =
            |net: &mut Net, r: f64| (0..channels).map(|_| net.random.level((-r, r))).collect::<Vec<f64>>();
        match way.bias {
            Bias::None => None,
            Bias::Int => Some(of(net, 1.0 / unit)),
            Bias::Wide => Some(of(net, 1.5e9).iter().map(|b| b + b.signum() * 1e8).collect()),
            Bias::Float => Some((0..channels).map(|_| 2.0 * net.random.unit() - 1.0).collect()),
        }
    };
    let matmul = g.op == "MatMul";
    let b = if matmul { None } else { bias(&mut net) };
    let mut inputs = vec![dx, dw];
    if let Some(b) = &b {
        inputs.push(if way.bias == Bias::Float {
            qdq.constant(crate::net::FLOAT, &[channels], b.clone())
        } else {
            let levels = qdq.constant(INT32, &[channels], b.clone());
            let scale = product(&mut qdq);
            qdq.node(qdq.domain, "DequantizeLinear", &[&levels, &scale], &[("axis", At::I(0))])
        });
    }
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut y = qdq.node("", g.op, &names, &g.attributes);
    if way.relu {
        y = qdq.node("", "Relu", &[&y], &[]);
    }
    let fitted = Net::fitting(qdq.value(&y), way.x);
    if !way.qlinear {
        let y = qdq.quantize(&y, way.x, fitted);
        qdq.output(&y, 1.0);
        return qdq;
    }
    assert!(!way.relu && way.bias != Bias::Float, "QLinear operators have neither");
    let [sy, zy] = net.parameters(&[fitted.0], &[fitted.1], way.x);
    let b = b.map_or(String::new(), |b| net.constant(INT32, &[channels], b));
    let mut inputs = vec![&*x, &sx_, &zx_, &w, &sw_, &zw_];
    let y = match g.op {
        "Conv" => {
            inputs.extend([&*sy, &zy, &b]);
            net.node("", "QLinearConv", &inputs, &g.attributes)
        }
        "Gemm" => {
            inputs.extend([&*b, &sy, &zy]);
            net.node(MS, "QGemm", &inputs, &g.attributes)
        }
        _ => {
            inputs.extend([&*sy, &zy]);
            net.node("", "QLinearMatMul", &inputs, &g.attributes)
        }
    };
    net.output(&y, 1.0);
    net
}

fn pairs() -> Vec<(&'static str, Way)> {
    let anywhere = (90.0, 170.0);
    vec![
        ("S8S8", S8),
        ("U8S8", Way { x: UINT8, ..S8 }),
        ("U8U8", Way { x: UINT8, w: UINT8, zero: anywhere, ..S8 }),
        ("S8U8", Way { w: UINT8, zero: anywhere, ..S8 }),
        ("S8S8 shifted", Way { zero: (-20.0, 20.0), ..S8 }),
        ("S16S8", Way { x: INT16, ..S8 }),
        ("S16U8", Way { x: INT16, w: UINT8, zero: anywhere, ..S8 }),
    ]
}

#[test]
fn layers_are_integer_and_exact_in_every_pair_of_types() {
    let mut tally = Tally::default();
    for (k, g) in geometries().iter().enumerate() {
        for (name, pair) in pairs() {
            for per_channel in [false, true] {
                // QLinear operators have no 16 bits.
                for qlinear in [false, true].into_iter().take(if pair.x == INT16 { 1 } else { 2 }) {
                    let channels = if per_channel { "per channel" } else { "per tensor" };
                    let form = if qlinear { "QLinear" } else { "QDQ" };
                    let way = Way { per_channel, qlinear, ..pair.clone() };
                    let net = layer(g, &way, k as u64 + 1);
                    tally.check(&format!("{} {form} {name} {channels}", g.op), &net, Expect::Integer);
                }
            }
        }
    }
}

#[test]
fn biases_of_every_kind() {
    let mut tally = Tally::default();
    for (k, g) in geometries().iter().enumerate().filter(|(_, g)| g.op != "MatMul") {
        for bias in [Bias::None, Bias::Float, Bias::Wide] {
            for relu in [false, true] {
                for x in [INT8, INT16] {
                    let way = Way { x, bias, relu, per_channel: k % 2 == 0, ..S8 };
                    let net = layer(g, &way, 7 + k as u64);
                    tally.check(&format!("{} bias {bias:?}", g.op), &net, Expect::Integer);
                }
            }
        }
    }
}

#[test]
fn operator_sets() {
    let mut tally = Tally::default();
    for opset in [10, 11, 13, 19, 21, 23, 25] {
        for g in [&geometries()[0], &geometries()[6]] {
            // Scales along an axis came with 13.
            let way = Way { opset, per_channel: opset >= 13, ..S8 };
            tally.check(&format!("operator set {opset}"), &layer(g, &way, 3), Expect::Integer);
        }
    }
}

/// The levels of the constant that a node of the graph reads.
fn constant(net: &Net, input: usize) -> (Vec<i32>, Vec<f32>) {
    let graph = import(net).unwrap();
    let layer = graph
        .nodes
        .iter()
        .find(|n| matches!(n.op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. }));
    let t = graph.input(layer.expect("a layer"), input).expect("a constant");
    (t.ints().unwrap(), t.quant.as_ref().unwrap().scale.clone())
}

#[test]
fn weights_and_biases_are_the_model_s_integers() {
    let g = &geometries()[6];
    for (way, zero) in [(S8, 0), (Way { w: UINT8, zero: (128.0, 128.0), ..S8 }, 128)] {
        for bias in [Bias::Int, Bias::Wide] {
            let net = layer(g, &Way { per_channel: true, bias, ..way.clone() }, 5);
            let initializers = net.model().graph.unwrap().initializer;
            let bytes = |dims: &[i64], kind: i32| {
                let found = initializers.iter().find(|t| t.dims == dims && t.data_type == kind);
                found.expect("an initializer").raw_data.clone()
            };
            let file: Vec<i32> = bytes(&[7, 10], way.w)
                .iter()
                .map(|&b| if way.w == INT8 { i32::from(b as i8) } else { i32::from(b) - zero })
                .collect();
            assert_eq!(constant(&net, 1).0, file);
            let file: Vec<i32> = bytes(&[7], INT32)
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            assert_eq!(constant(&net, 2).0, file, "{bias:?}");
            let scales: Vec<u8> = constant(&net, 1).1.iter().flat_map(|s| s.to_le_bytes()).collect();
            assert_eq!(scales, bytes(&[7], crate::net::FLOAT));
        }
    }
}

#[test]
fn weights_that_span_nine_bits_are_sums_of_int8() {
    let mut tally = Tally::default();
    for (k, g) in geometries().iter().enumerate() {
        for zero in [0.0, 1.0, 254.0, 255.0] {
            let way = Way { x: UINT8, w: UINT8, zero: (zero, zero), qlinear: k % 2 == 0, ..S8 };
            let net = layer(g, &way, 11 + k as u64);
            let graph = tally.check("weights of nine bits", &net, Expect::Integer);
            let int8 =
                |n: &samara_packager::ir::Node| graph.input(n, 1).is_none_or(|t| t.dtype != Dtype::I16);
            assert!(graph.nodes.iter().all(int8));
        }
    }
}

#[test]
fn a_model_without_float_inputs_has_no_float_operator() {
    let graph = import(&layer(&geometries()[0], &S8, 1)).unwrap();
    assert!(float_operators(&graph).is_empty());
    // The check itself finds floats where there are some: weights on no grid.
    let mut net = Net::new(13, 1);
    let x = net.input(INT8, &[1, 4]);
    let x = net.dequantize(&x, (0.1, 0.0));
    let w = net.constant(crate::net::FLOAT, &[4, 2], vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    let y = net.node("", "MatMul", &[&x, &w], &[]);
    let fitted = Net::fitting(net.value(&y), INT8);
    let y = net.quantize(&y, INT8, fitted);
    net.output(&y, 1.0);
    assert_eq!(float_operators(&import(&net).unwrap()), ["FullyConnected"]);
}

#[test]
fn the_reference_rounds_ties_to_even() {
    let ties = T::new(&[4], vec![0.5, 1.5, -0.5, -2.5]);
    let one = T::new(&[], vec![1.0]);
    assert_eq!(crate::real::quantize(&ties, &one, None, INT8, 0).v, [0.0, 2.0, 0.0, -2.0]);
}
