//! Operators without weights: QDQ and QLinear forms, int8, uint8 and 16 bits.

use crate::net::{At, FLOAT, INT8, INT16, INT64, MS, Net, UINT8, UINT16};
use crate::tally::{Expect, Tally};

type Attributes = Vec<(&'static str, At)>;

/// An operator on quantized operands.
struct Case {
    op: &'static str,
    operands: Vec<Vec<usize>>,
    attributes: Attributes,
    /// Operands after the quantized ones.
    rest: Vec<(i32, Vec<f64>)>,
    opset: i64,
}

fn case(op: &'static str, operands: &[&[usize]], attributes: Attributes) -> Case {
    let operands = operands.iter().map(|d| d.to_vec()).collect();
    Case { op, operands, attributes, rest: vec![], opset: 13 }
}

fn is(v: &[i64]) -> At {
    At::Is(v.to_vec())
}

fn cases() -> Vec<Case> {
    let image: &[usize] = &[1, 3, 6, 5];
    let window = vec![("kernel_shape", is(&[2, 3])), ("strides", is(&[2, 1])), ("pads", is(&[1, 1, 0, 1]))];
    let counted = [&window[..], &[("count_include_pad", At::I(1))]].concat();
    let floats = |v: &[f64]| (FLOAT, v.to_vec());
    let absent = || (0, vec![]);
    let sizes = || (INT64, vec![1.0, 3.0, 9.0, 10.0]);
    let mode = |m| {
        vec![
            ("mode", At::S(m)),
            ("coordinate_transformation_mode", At::S("asymmetric")),
            ("nearest_mode", At::S("floor")),
        ]
    };
    vec![
        case("Add", &[image, image], vec![]),
        case("Add", &[image, &[3, 1, 1]], vec![]),
        case("Sub", &[image, image], vec![]),
        case("Mul", &[image, &[1, 3, 1, 1]], vec![]),
        case("Min", &[image, image], vec![]),
        case("Max", &[image, image], vec![]),
        case("MatMul", &[&[2, 4, 6], &[2, 6, 5]], vec![]),
        case("Concat", &[image, &[1, 2, 6, 5]], vec![("axis", At::I(1))]),
        case("Concat", &[image, image, image], vec![("axis", At::I(3))]),
        case("MaxPool", &[image], window.clone()),
        case("AveragePool", &[image], window),
        case("AveragePool", &[image], counted),
        case("GlobalAveragePool", &[image], vec![]),
        case("ReduceMean", &[image], vec![("axes", is(&[2, 3]))]),
        case("Relu", &[image], vec![]),
        Case { rest: vec![floats(&[-0.5]), floats(&[1.25])], ..case("Clip", &[image], vec![]) },
        case("LeakyRelu", &[image], vec![("alpha", At::F(0.2))]),
        case("Sigmoid", &[image], vec![]),
        case("Tanh", &[image], vec![]),
        Case { opset: 14, ..case("HardSwish", &[image], vec![]) },
        case("Softmax", &[&[2, 7]], vec![("axis", At::I(1))]),
        case("Softmax", &[image], vec![("axis", At::I(1))]),
        case("Transpose", &[image], vec![("perm", is(&[0, 3, 1, 2]))]),
        case("Flatten", &[image], vec![]),
        Case { rest: vec![(INT64, vec![3.0, 30.0])], ..case("Reshape", &[image], vec![]) },
        Case {
            rest: vec![(INT64, vec![0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0])],
            ..case("Pad", &[image], vec![])
        },
        Case {
            rest: vec![(INT64, vec![0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0]), floats(&[0.3])],
            ..case("Pad", &[image], vec![])
        },
        Case { rest: vec![absent(), absent(), sizes()], ..case("Resize", &[image], mode("nearest")) },
        Case { rest: vec![absent(), absent(), sizes()], ..case("Resize", &[image], mode("linear")) },
    ]
}

/// How activations are quantized.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Activations {
    S8,
    U8,
    S16,
    U16,
    /// uint16 around a zero point other than the middle.
    OddU16,
}

impl Activations {
    fn kind(self) -> i32 {
        match self {
            Activations::S8 => INT8,
            Activations::U8 => UINT8,
            Activations::S16 => INT16,
            Activations::U16 | Activations::OddU16 => UINT16,
        }
    }

    fn zero(self, net: &mut Net) -> f64 {
        match self {
            Activations::S8 => net.random.level((-60.0, 60.0)),
            Activations::U8 => net.random.level((60.0, 190.0)),
            Activations::S16 => 0.0,
            Activations::U16 => 32768.0,
            Activations::OddU16 => 30001.0,
        }
    }
}

/// The case between Dequantize and Quantize, or as its QLinear operator. `equal` gives all operands one scale.
fn build(c: &Case, activations: Activations, qlinear: bool, equal: bool, seed: u64) -> Net {
    let mut net = Net::new(c.opset, seed);
    let kind = activations.kind();
    if c.opset < 21 && kind > INT8 {
        net.domain = MS;
    }
    let shared = (0.02f32, activations.zero(&mut net));
    let mut levels = Vec::new();
    for dims in &c.operands {
        let own = ((0.01 + 0.02 * net.random.unit()) as f32, activations.zero(&mut net));
        let unit = if kind > INT8 { 1.0 / 256.0 } else { 1.0 };
        let parameters = if equal { shared } else { own };
        let parameters = (parameters.0 * unit, parameters.1);
        let q =
            if kind == UINT16 { net.quantized_input(kind, dims, parameters) } else { net.input(kind, dims) };
        levels.push((q, parameters));
    }
    let mut rest: Vec<String> = Vec::new();
    for (kind, v) in &c.rest {
        let dims = if *kind == FLOAT { vec![] } else { vec![v.len()] };
        rest.push(if v.is_empty() { String::new() } else { net.constant(*kind, &dims, v.clone()) });
    }
    let mut qdq = net.clone();
    let mut inputs: Vec<String> = levels.iter().map(|(q, p)| qdq.dequantize(q, *p)).collect();
    inputs.extend(rest);
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let y = qdq.node("", c.op, &names, &c.attributes);
    let mut fitted = Net::fitting(qdq.value(&y), kind);
    if activations == Activations::OddU16 {
        fitted.1 = 30001.0;
    }
    if equal {
        fitted = levels[0].1;
    }
    let y = if qlinear {
        let mut operands = Vec::new();
        for (q, (scale, zero)) in &levels {
            operands.push(q.clone());
            operands.extend(net.parameters(&[*scale], &[*zero], kind));
        }
        let output = net.parameters(&[fitted.0], &[fitted.1], kind);
        let mut attributes = c.attributes.clone();
        if c.op == "Softmax" {
            attributes.push(("opset", At::I(c.opset)));
        }
        let inputs = if c.op == "Concat" {
            [&output[..], &operands].concat()
        } else {
            [&operands[..], &output].concat()
        };
        let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let domain = if c.op == "MatMul" { "" } else { MS };
        net.node(domain, &format!("QLinear{}", c.op), &names, &attributes)
    } else {
        net = qdq;
        net.quantize(&y, kind, fitted)
    };
    // The runtime's models have no uint16 outputs.
    let y = if kind == UINT16 { net.dequantize(&y, fitted) } else { y };
    net.output(&y, fitted.0.into());
    net
}

#[test]
fn operators_of_eight_bits_are_integer_and_exact() {
    let mut tally = Tally::default();
    for (k, c) in cases().iter().enumerate() {
        for activations in [Activations::S8, Activations::U8] {
            for equal in [false, true] {
                let net = build(c, activations, false, equal, k as u64 + 1);
                // Interpolating levels of other parameters would round twice.
                let float = c.op == "Resize" && c.attributes[0].1.is("linear") && !equal;
                let expect = if float { Expect::Float } else { Expect::Integer };
                tally.check(&format!("{} QDQ {activations:?}", c.op), &net, expect);
            }
        }
    }
}

#[test]
fn operators_of_sixteen_bits_around_zero_are_integer_and_exact() {
    let mut tally = Tally::default();
    for (k, c) in cases().iter().enumerate() {
        for activations in [Activations::S16, Activations::U16] {
            for (equal, opset) in [(false, c.opset), (true, c.opset), (false, 21)] {
                let rest = c.rest.clone();
                let (operands, attributes) = (c.operands.clone(), c.attributes.clone());
                let newer = Case { op: c.op, operands, attributes, rest, opset };
                // ReduceMean's axes are an input since 18.
                if opset == 21 && c.op == "ReduceMean" {
                    continue;
                }
                let net = build(&newer, activations, false, equal, 90 + k as u64);
                let linear = c.op == "Resize" && c.attributes[0].1.is("linear") && !equal;
                // Functions are interpolated tables, which are not always as exact as floats.
                let function = ["Clip", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish"].contains(&c.op);
                let expect = match (linear, function) {
                    (true, _) => Expect::Float,
                    (_, true) => Expect::Any,
                    _ => Expect::Integer,
                };
                tally.check(&format!("{} QDQ {activations:?}", c.op), &net, expect);
            }
        }
    }
}

#[test]
fn eight_bits_meet_sixteen() {
    let mut tally = Tally::default();
    for op in ["Add", "Mul", "Concat", "Max"] {
        let mut net = Net::new(21, 17);
        let (a, b) = (net.input(INT8, &[2, 9]), net.input(INT16, &[2, 9]));
        let (a, b) = (net.dequantize(&a, (0.02, 11.0)), net.dequantize(&b, (0.0001, 0.0)));
        let attributes = if op == "Concat" { vec![("axis", At::I(1))] } else { vec![] };
        let y = net.node("", op, &[&a, &b], &attributes);
        let fitted = Net::fitting(net.value(&y), INT16);
        let y = net.quantize(&y, INT16, fitted);
        net.output(&y, 1.0);
        tally.check(&format!("{op} of int8 and int16"), &net, Expect::Integer);
    }
}

#[test]
fn sixteen_bits_around_another_zero_point_stay_exact() {
    let mut tally = Tally::default();
    for (k, c) in cases().iter().enumerate().filter(|(_, c)| c.op != "Transpose") {
        let net = build(c, Activations::OddU16, false, false, 130 + k as u64);
        tally.check(&format!("{} QDQ OddU16", c.op), &net, Expect::Any);
    }
}

#[test]
fn qlinear_operators_are_their_qdq_form() {
    let names = [
        "Add",
        "Mul",
        "MatMul",
        "Concat",
        "AveragePool",
        "GlobalAveragePool",
        "ReduceMean",
        "LeakyRelu",
        "Sigmoid",
        "Softmax",
    ];
    let mut tally = Tally::default();
    for (k, c) in cases().iter().enumerate().filter(|(_, c)| names.contains(&c.op)) {
        for activations in [Activations::S8, Activations::U8] {
            let net = build(c, activations, true, false, 50 + k as u64);
            tally.check(&format!("QLinear{} {activations:?}", c.op), &net, Expect::Integer);
        }
    }
}

impl At {
    fn is(&self, text: &str) -> bool {
        matches!(self, At::S(s) if *s == text)
    }
}
