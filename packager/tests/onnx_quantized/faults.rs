//! Models with one fault each, named after it.

use samara_packager::import::{self, Options};

use crate::net::{At, FLOAT, INT4, INT8, INT32, MS, Net, UINT8, UINT16};
use crate::proto::Model;

fn message(model: &Model) -> String {
    use prost::Message;
    let read = import::parse(&model.encode_to_vec(), "m", "onnx", &Options::default());
    read.expect_err("must be refused").to_string()
}

/// `x [2, 5] -> QuantizeLinear -> DequantizeLinear` with the given constants and attributes in the first.
#[derive(Clone)]
struct Pair {
    opset: i64,
    scale: (Vec<usize>, Vec<f64>),
    zero: Option<(i32, Vec<usize>, Vec<f64>)>,
    attributes: Vec<(&'static str, At)>,
}

fn pair() -> Pair {
    Pair { opset: 21, scale: (vec![], vec![0.1]), zero: Some((INT8, vec![], vec![0.0])), attributes: vec![] }
}

/// The same pair on weights `[3, 4]`, as DequantizeLinear before a MatMul.
fn weights(p: &Pair, kind: i32) -> Model {
    let mut net = Net::new(p.opset, 1);
    let x = net.input(FLOAT, &[2, 3]);
    let w = net.constant(kind, &[3, 4], vec![1.0; 12]);
    let mut inputs = vec![w, net.constant(FLOAT, &p.scale.0, p.scale.1.clone())];
    if let Some((kind, dims, v)) = &p.zero {
        inputs.push(net.constant(*kind, dims, v.clone()));
    }
    model_of(&mut net, &x, inputs, &p.attributes)
}

/// Faulty constants cannot be evaluated, so the nodes are written without.
fn model_of(net: &mut Net, x: &str, inputs: Vec<String>, attributes: &[(&'static str, At)]) -> Model {
    let good = net.floats(&[1.0]);
    let zero = net.constant(INT8, &[], vec![0.0]);
    let plain = net.constant(INT8, &[3, 4], vec![1.0; 12]);
    let d = net.node("", "DequantizeLinear", &[&plain, &good, &zero], attributes);
    let y = net.node("", "MatMul", &[x, &d], &[]);
    net.output(&y, 1.0);
    let mut model = net.model();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].input = inputs;
    model
}

#[track_caller]
fn refused(p: Pair, kind: i32, with: &str) {
    let text = message(&weights(&p, kind));
    assert!(text.contains(with) && text.contains("DequantizeLinear_of"), "{text}");
}

#[test]
fn scales_that_are_no_positive_numbers() {
    for (scale, text) in [(0.0, "0"), (-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let with = format!("its scale {text} is not a positive number");
        refused(Pair { scale: (vec![], vec![scale]), ..pair() }, INT8, &with);
    }
}

#[test]
fn scales_that_do_not_fit_the_axis() {
    let three = || (Some((INT8, vec![3], vec![0.0; 3])), (vec![3], vec![0.1; 3]));
    let (zero, scale) = three();
    refused(Pair { zero, scale, ..pair() }, INT8, "3 scales do not fit axis 1 of [3, 4]");
    let (zero, scale) = three();
    let attributes = vec![("axis", At::I(2))];
    refused(Pair { zero, scale, attributes, ..pair() }, INT8, "axis 2 is outside of rank 2");
    let (zero, _) = three();
    refused(Pair { zero, ..pair() }, INT8, "its scale and zero point differ in length");
}

#[test]
fn zero_points_of_another_type() {
    refused(
        Pair { zero: Some((UINT8, vec![], vec![0.0])), ..pair() },
        INT8,
        "its zero point is uint8, its input int8",
    );
    refused(
        Pair { zero: Some((FLOAT, vec![], vec![0.0])), ..pair() },
        INT8,
        "its zero point is not an integer",
    );
}

#[test]
fn a_zero_point_outside_its_type() {
    let mut model = weights(&pair(), INT8);
    let tensors = &mut model.graph.as_mut().unwrap().initializer;
    let zero = tensors.iter_mut().find(|t| t.dims.is_empty() && t.data_type == INT8).unwrap();
    zero.raw_data.clear();
    zero.int32_data = vec![300];
    let text = message(&model);
    assert!(text.contains("it holds 300, outside of int8"), "{text}");
}

#[test]
fn blocks_that_do_not_fit() {
    let blocked = |block: i64, dims: &[usize]| {
        let count = dims.iter().product();
        Pair {
            scale: (dims.to_vec(), vec![0.1; count]),
            zero: None,
            attributes: vec![("axis", At::I(0)), ("block_size", At::I(block))],
            ..pair()
        }
    };
    refused(
        blocked(2, &[1, 4]),
        INT8,
        "scales have shape [1, 4], blocks of 2 along axis 0 of [3, 4] need [2, 4]",
    );
    refused(blocked(2, &[2]), INT8, "need [2, 4]");
    refused(blocked(-1, &[3, 4]), INT8, "block_size -1 is negative");
}

#[test]
fn four_bit_elements_of_another_count() {
    let mut model = weights(&Pair { zero: None, ..pair() }, INT4);
    let tensors = &mut model.graph.as_mut().unwrap().initializer;
    tensors.iter_mut().find(|t| t.data_type == INT4).unwrap().raw_data.push(0);
    let text = message(&model);
    assert!(text.contains("7 bytes do not hold 12 elements of int4"), "{text}");
}

/// A net of one node on activations, whose constants may be faulty.
fn activations(op: &str, kind: i32, scale: &[f32], zero: &[f64], a: &[(&'static str, At)]) -> String {
    let mut net = Net::new(21, 1);
    let x = net.input(if op == "QuantizeLinear" { FLOAT } else { kind }, &[2, 5]);
    let [s, z] = net.parameters(scale, zero, kind);
    let y = net.node("", op, &[&x, &s, &z], a);
    net.output(&y, 1.0);
    message(&net.model())
}

#[test]
fn activations_have_one_scale() {
    let axis = [("axis", At::I(0))];
    for (op, doing) in [("QuantizeLinear", "quantizing"), ("DequantizeLinear", "dequantizing")] {
        let text = activations(op, INT8, &[0.1, 0.2], &[0.0, 1.0], &axis);
        assert!(text.contains(&format!("{doing} activations per axis is not supported")), "{text}");
    }
}

#[test]
fn types_that_disagree() {
    let text = activations("QuantizeLinear", INT8, &[0.1], &[0.0], &[("output_dtype", At::I(UINT8.into()))]);
    assert!(text.contains("its zero point is int8, its output_dtype uint8"), "{text}");
    let mut net = Net::new(13, 1);
    let x = net.input(UINT8, &[2, 5]);
    let [s, z] = net.parameters(&[0.1], &[0.0], INT8);
    let y = net.node("", "DequantizeLinear", &[&x, &s, &z], &[]);
    net.output(&y, 1.0);
    let text = message(&net.model());
    assert!(text.contains("its zero point is int8, its input uint8"), "{text}");
    let text = activations("QuantizeLinear", INT32, &[0.1], &[0.0], &[]);
    assert!(text.contains("quantizing to int32 is not supported"), "{text}");
}

#[test]
fn levels_read_with_another_scale() {
    let mut net = Net::new(13, 1);
    let x = net.input(FLOAT, &[2, 5]);
    let q = net.quantize(&x, INT8, (0.1, 0.0));
    let y = net.dequantize(&q, (0.2, 0.0));
    net.output(&y, 1.0);
    let text = message(&net.model());
    assert!(text.contains("not that of the QuantizeLinear before it"), "{text}");
}

#[test]
fn sixteen_bits_of_unknown_sign() {
    let mut net = Net::new(21, 1);
    let q = net.quantized_input(UINT16, &[2, 5], (0.1, 32768.0));
    let s = net.floats(&[0.1]);
    let y = net.node("", "DequantizeLinear", &[&q, &s], &[]);
    net.output(&y, 1.0);
    let text = message(&net.model());
    assert!(text.contains("int16 or uint16 is not known") && text.contains("zero point"), "{text}");
}

#[test]
fn operators_whose_scales_are_not_in_the_file() {
    let mut net = Net::new(13, 1);
    let x = net.input(FLOAT, &[2, 5]);
    let y = net.node("", "Relu", &[&x], &[]);
    net.output(&y, 1.0);
    for op in ["DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"] {
        let mut model = net.model();
        model.graph.as_mut().unwrap().node[0].op_type = op.into();
        let text = message(&model);
        assert!(text.contains(op) && text.contains("quantize the model statically"), "{text}");
    }
    // Known elsewhere, unknown in this domain.
    let mut model = net.model();
    let node = &mut model.graph.as_mut().unwrap().node[0];
    (node.op_type, node.domain) = ("QLinearWhere".into(), MS.into());
    assert!(message(&model).contains("1 unsupported operators: com.microsoft.QLinearWhere"));
}

/// A QLinearAveragePool, edited.
fn pool(edit: impl FnOnce(&mut crate::proto::Node)) -> String {
    let mut net = Net::new(13, 1);
    let x = net.input(INT8, &[1, 2, 4, 4]);
    let [sx, zx] = net.parameters(&[0.1], &[0.0], INT8);
    let [sy, zy] = net.parameters(&[0.1], &[0.0], INT8);
    let a = [("kernel_shape", At::Is(vec![2, 2])), ("channels_last", At::I(0))];
    let y = net.node(MS, "QLinearAveragePool", &[&x, &sx, &zx, &sy, &zy], &a);
    net.output(&y, 1.0);
    let mut model = net.model();
    import::parse(&net.bytes(), "m", "onnx", &Options::default()).expect("sound before the edit");
    edit(&mut model.graph.as_mut().unwrap().node[0]);
    message(&model)
}

#[test]
fn qlinear_operators_without_what_they_need() {
    let text = pool(|n| n.attribute[1].i = 1);
    assert!(text.contains("QLinearAveragePool") && text.contains("channels_last is not supported"), "{text}");
    let text = pool(|n| n.input.truncate(4));
    assert!(text.contains("input 4, its output's zero point, is missing"), "{text}");
    let text = pool(|n| n.input.truncate(3));
    assert!(text.contains("input 3, its output's scale, is missing"), "{text}");
    let text = pool(|n| n.input.truncate(1));
    assert!(text.contains("is missing"), "{text}");
    let text = pool(|n| n.input[1] = "nowhere".into());
    assert!(text.contains("'nowhere'"), "{text}");
    let text = pool(|n| n.op_type = "QLinearSoftmax".into());
    assert!(text.contains("its opset is missing"), "{text}");
    let text = pool(|n| {
        n.op_type = "QLinearConcat".into();
        n.input.truncate(4);
    });
    assert!(text.contains("it has 4 inputs, not two and triples"), "{text}");
    let text = pool(|n| n.output.push("second".into()));
    assert!(text.contains("it has not one output"), "{text}");
}

#[test]
fn damaged_quantized_models_do_not_panic() {
    let g = &crate::layers::geometries()[6];
    let bytes =
        crate::layers::layer(g, &crate::layers::Way { qlinear: true, ..crate::layers::S8 }, 1).bytes();
    for n in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[n] ^= 1 << bit;
            if let Ok(mut graph) = import::parse(&damaged, "m", "onnx", &Options::default()) {
                let _passed = samara_packager::passes::run(&mut graph).is_ok();
            }
        }
    }
}
