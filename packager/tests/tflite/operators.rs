//! Operators and options, one small model each.

use samara_packager::import::tflite::registry;
use samara_packager::import::{Options, parse};
use samara_packager::ir::{Activation, Function, Graph, NearestMode, Op, ReduceKind, Sampling};
use samara_runtime::Dtype;

use crate::build::*;

fn import(m: &M) -> Result<Graph, String> {
    parse(&m.bytes(), "m", "tflite", &Options::default()).map_err(|e| e.to_string())
}

/// One operator on input 0 with more constant operands; its result is the last tensor.
fn one(code: i32, kind: u8, fields: &[Field], x: T, constants: Vec<T>, y: T) -> M {
    let n = constants.len() as i32;
    let mut tensors = vec![x];
    tensors.extend(constants);
    tensors.push(y);
    let inputs: Vec<i32> = (0..=n).collect();
    model(tensors, vec![operator(code, &inputs, &[n + 1]).options(kind, fields)], &[0], &[n + 1])
}

fn ops(m: &M) -> Vec<Op> {
    import(m).unwrap().nodes.into_iter().map(|n| n.op).collect()
}

fn floats(name: &str, shape: &[i32]) -> T {
    tensor(name, F32, shape)
}

#[track_caller]
fn refused(m: &M, with: &str) {
    let message = import(m).expect_err("must be refused");
    assert!(message.contains(with), "{message}");
}

#[test]
fn every_unsupported_operator_is_listed() {
    let x = || floats("x", &[1, 2]);
    let mut custom = operator(32, &[0], &[2]);
    custom.custom = "Mystery";
    let mut lstm = operator(16, &[0], &[1]);
    lstm.version = 4;
    let operators =
        vec![lstm, custom, operator(19, &[0], &[3]), operator(128, &[0], &[4]), operator(16, &[0], &[5])];
    let tensors = ["x", "a", "b", "c", "d", "e"].map(|name| T { name: name.into(), ..x() });
    let m = model(tensors.to_vec(), operators, &[0], &[3]);
    let message = import(&m).unwrap_err();
    for part in [
        "LSTM version 4 (operator 0, makes 'a')",
        "LSTM version 1 (operator 4, makes 'e')",
        "custom 'Mystery' version 1 (operator 1, makes 'b')",
        "CUMSUM version 1 (operator 3, makes 'd')",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("RELU"), "{message}");
}

#[test]
fn every_entry_refuses_options_it_does_not_know() {
    for e in registry::ALL {
        let inputs = vec![0; *e.inputs.start()];
        let o = operator(e.code, &inputs, &[1]).options(e.options.max(1), &[Field::I32(40, 1)]);
        let m = model(vec![floats("x", &[1, 2]), floats("y", &[1, 2])], vec![o], &[0], &[1]);
        refused(&m, "newer than this importer");
    }
}

#[test]
fn every_entry_refuses_missing_operands() {
    for e in registry::ALL {
        let m = model(
            vec![floats("x", &[1, 2]), floats("y", &[1, 2])],
            vec![operator(e.code, &[], &[1])],
            &[0],
            &[1],
        );
        refused(&m, &format!("{} (operator 0, makes 'y'): it has 0 operands", e.name));
    }
}

#[test]
fn fused_activations() {
    for (code, expected) in
        [(0, Activation::NONE), (1, Activation::RELU), (2, Activation::RELU_N1_TO_1), (3, Activation::RELU6)]
    {
        let b = floats("b", &[2]).f32s(&[1.0, 2.0]);
        let m = one(0, 11, &[Field::I8(0, code)], floats("x", &[1, 2]), vec![b], floats("y", &[1, 2]));
        let Op::Binary { activation, .. } = ops(&m)[0] else { panic!() };
        assert_eq!(activation, expected);
    }
    for (code, name) in [(4, "TANH"), (5, "SIGN_BIT"), (9, "9")] {
        let b = floats("b", &[2]).f32s(&[1.0, 2.0]);
        let m = one(0, 11, &[Field::I8(0, code)], floats("x", &[1, 2]), vec![b], floats("y", &[1, 2]));
        refused(&m, name);
    }
}

fn conv(fields: &[Field], y: &[i32]) -> M {
    let w = floats("w", &[4, 3, 2, 3]).f32s(&[0.0; 72]);
    one(3, 1, fields, floats("x", &[1, 9, 8, 6]), vec![w], floats("y", y))
}

#[test]
fn convolution_with_groups_dilation_and_both_paddings() {
    let stride = [Field::I32(1, 1), Field::I32(2, 2)];
    let dilation = [Field::I32(4, 3), Field::I32(5, 2)];
    let valid = [&stride[..], &dilation, &[Field::I8(0, 1)]].concat();
    let Op::Conv2d { window, groups, .. } = ops(&conv(&valid, &[1, 3, 5, 4]))[0] else { panic!() };
    assert_eq!((groups, window.stride, window.dilation, window.pad), (2, [2, 1], [2, 3], [0; 4]));
    let same = [&stride[..], &dilation, &[Field::I8(0, 0)]].concat();
    let Op::Conv2d { window, .. } = ops(&conv(&same, &[1, 5, 8, 4]))[0] else { panic!() };
    assert_eq!(window.pad, [2, 1, 2, 2]);
    refused(
        &conv(&same, &[1, 5, 8, 5]),
        "the file gives its result the shape [1, 5, 8, 5], not [1, 5, 8, 4]",
    );
    refused(&conv(&[Field::I32(1, 0), Field::I32(2, 1)], &[1, 9, 8, 4]), "stride_w is 0");
    let biased = [&same[..], &[Field::I8(6, 4)]].concat();
    refused(&conv(&biased, &[1, 5, 8, 4]), "quantized_bias_type 4");
}

#[test]
fn hybrid_weights_are_refused() {
    let w = tensor("w", I8, &[3, 2]).quant(0.5, 0).data(vec![0; 6]);
    let m = one(9, 8, &[], floats("x", &[1, 2]), vec![w], floats("y", &[1, 3]));
    refused(&m, "hybrid");
}

#[test]
fn fully_connected_keeps_or_flattens_dimensions() {
    let w = || floats("w", &[3, 4]).f32s(&[0.0; 12]);
    let m = one(9, 8, &[Field::I8(2, 1)], floats("x", &[2, 5, 4]), vec![w()], floats("y", &[2, 5, 3]));
    assert!(matches!(ops(&m)[..], [Op::FullyConnected { .. }]));
    let m = one(9, 8, &[], floats("x", &[2, 5, 4]), vec![w()], floats("y", &[10, 3]));
    let all = ops(&m);
    assert!(matches!(&all[..], [Op::Reshape { shape }, Op::FullyConnected { .. }] if *shape == [10, 4]));
    let m = one(9, 8, &[Field::I8(1, 1)], floats("x", &[1, 4]), vec![w()], floats("y", &[1, 3]));
    refused(&m, "SHUFFLED4x16INT8");
}

#[test]
fn float16_weights_become_float32() {
    let half: Vec<u8> = [0x3c00u16, 0xc000, 0x3555, 0x7bff].iter().flat_map(|h| h.to_le_bytes()).collect();
    let tensors = vec![
        floats("x", &[1, 2]),
        tensor("half", F16, &[2, 2]).data(half),
        floats("w", &[2, 2]),
        floats("y", &[1, 2]),
    ];
    let operators = vec![operator(6, &[1], &[2]), operator(9, &[0, 2], &[3])];
    let graph = import(&model(tensors, operators, &[0], &[3])).unwrap();
    assert_eq!(graph.nodes.len(), 1);
    let w = graph.input(&graph.nodes[0], 1).unwrap();
    assert_eq!(w.f32s().unwrap(), [1.0, -2.0, 0.333_251_95, 65504.0]);
}

#[test]
fn uint8_at_the_boundary() {
    let tensors = vec![
        tensor("x", U8, &[1, 2]).quant(0.5, 128),
        tensor("q", I8, &[1, 2]).quant(0.5, 0),
        floats("y", &[1, 2]),
    ];
    let operators = vec![operator(114, &[0], &[1]), operator(6, &[1], &[2])];
    let graph = import(&model(tensors, operators, &[0], &[2])).unwrap();
    let ops: Vec<_> = graph.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["Quantize", "Dequantize"]);
    assert_eq!(graph.tensors[graph.inputs[0]].dtype, Dtype::U8);
}

#[test]
fn int16_activations_are_refused() {
    let m = one(19, 0, &[], tensor("x", I16, &[1, 2]).quant(1.0, 0), vec![], tensor("y", I16, &[1, 2]));
    refused(&m, "tensor 'x': int16");
}

#[test]
fn relu_rescales_where_parameters_differ() {
    let x = || tensor("x", I8, &[1, 2]).quant(0.5, 0);
    let m = one(19, 0, &[], x(), vec![], tensor("y", I8, &[1, 2]).quant(0.5, 0));
    assert!(matches!(ops(&m)[..], [Op::Clamp { activation: Activation::RELU }]));
    let m = one(21, 0, &[], x(), vec![], tensor("y", I8, &[1, 2]).quant(0.25, -128));
    let graph = import(&m).unwrap();
    assert!(matches!(graph.nodes[0].op, Op::Quantize));
    assert!(matches!(graph.nodes[1].op, Op::Clamp { activation: Activation::RELU6 }));
    assert_eq!(graph.input(&graph.nodes[1], 0).unwrap().quant.as_ref().unwrap().single(), Some((0.25, -128)));
}

#[test]
fn reductions() {
    let x = || floats("x", &[2, 3, 4]);
    let m = one(40, 27, &[Field::I8(0, 1)], x(), vec![ints("axes", &[-1, 0, 2])], floats("y", &[1, 3, 1]));
    assert_eq!(ops(&m), [Op::Reduce { kind: ReduceKind::Mean, axes: vec![0, 2], keep_dims: true }]);
    let m = one(74, 27, &[], x(), vec![ints("axes", &[1])], floats("y", &[2, 4]));
    assert_eq!(ops(&m), [Op::Reduce { kind: ReduceKind::Sum, axes: vec![1], keep_dims: false }]);
    let m = one(82, 27, &[], x(), vec![ints("axes", &[3])], floats("y", &[2, 4]));
    refused(&m, "axis 3 is outside the rank 3");
}

#[test]
fn arg_max_of_int64_axis() {
    let axis = tensor("axis", I64, &[]).data((-1i64).to_le_bytes().to_vec());
    let m = one(56, 40, &[Field::I8(0, 4)], floats("x", &[2, 3]), vec![axis], tensor("y", I64, &[2]));
    assert_eq!(ops(&m), [Op::ArgMax { axis: 1, keep_dims: false, select_last: false }]);
    assert_eq!(import(&m).unwrap().tensors.last().unwrap().dtype, Dtype::I32);
    let axis = tensor("axis", I64, &[]).data((1i64 << 40).to_le_bytes().to_vec());
    let m = one(56, 40, &[], floats("x", &[2, 3]), vec![axis], tensor("y", I32, &[2]));
    refused(&m, "tensor 'axis': its value 1099511627776 is outside int32");
}

#[test]
fn computed_shape_operands() {
    // reshape(x, [shape(x)[0], -1]), as converters write Flatten with an open batch
    let scalar = |name: &str, v: i32| tensor(name, I32, &[1]).i32s(&[v]);
    let tensors = vec![
        floats("x", &[1, 2, 3]).signature(&[-1, 2, 3]),
        tensor("shape", I32, &[3]),
        scalar("zero", 0),
        scalar("one", 1),
        tensor("batch", I32, &[]),
        tensor("rest", I32, &[]).i32s(&[-1]),
        tensor("wanted", I32, &[2]),
        floats("y", &[1, 6]).signature(&[-1, 6]),
    ];
    let operators = vec![
        operator(77, &[0], &[1]).options(55, &[Field::I8(0, 2)]),
        operator(45, &[1, 2, 3, 3], &[4]).options(32, &[Field::I32(4, 1)]),
        operator(83, &[4, 5], &[6]).options(59, &[Field::I32(0, 2)]),
        operator(22, &[0, 6], &[7]),
    ];
    let mut m = model(tensors, operators, &[0], &[7]);
    assert_eq!(ops(&m), [Op::Reshape { shape: vec![1, 6] }]);
    // A shape from an input is not known.
    m.operators = vec![operator(22, &[0, 6], &[7])];
    m.inputs = vec![0, 6];
    refused(&m, "'wanted') is computed when the model runs");
}

#[test]
fn split_is_one_slice_per_result() {
    let tensors = vec![
        tensor("axis", I32, &[]).i32s(&[-1]),
        floats("x", &[2, 6]),
        floats("a", &[2, 2]),
        floats("b", &[2, 2]),
        floats("c", &[2, 2]),
    ];
    let split = operator(49, &[0, 1], &[2, 3, 4]).options(35, &[Field::I32(0, 3)]);
    let mut m = model(tensors, vec![split], &[1], &[2, 3, 4]);
    let expected = |at: i32| Op::StridedSlice { begin: vec![0, at], size: vec![2, 2], stride: vec![1, 1] };
    assert_eq!(ops(&m), [expected(0), expected(2), expected(4)]);
    m.operators[0].fields = vec![Field::I32(0, 2)];
    refused(&m, "num_splits is 2");
}

#[test]
fn split_v_with_an_open_size() {
    let tensors = vec![
        floats("x", &[5, 2]),
        ints("sizes", &[1, -1]),
        tensor("axis", I32, &[]).i32s(&[0]),
        floats("a", &[1, 2]),
        floats("b", &[4, 2]),
    ];
    let m = model(tensors, vec![operator(102, &[0, 1, 2], &[3, 4])], &[0], &[3, 4]);
    let Op::StridedSlice { begin, size, .. } = &ops(&m)[1] else { panic!() };
    assert_eq!((&begin[..], &size[..]), (&[1, 0][..], &[4, 2][..]));
}

#[test]
fn pack_and_unpack() {
    let tensors = vec![floats("a", &[2, 3]), floats("b", &[2, 3]), floats("y", &[2, 2, 3])];
    let pack = operator(83, &[0, 1], &[2]).options(59, &[Field::I32(0, 2), Field::I32(1, 1)]);
    let all = ops(&model(tensors, vec![pack], &[0, 1], &[2]));
    assert_eq!(all[0], Op::Reshape { shape: vec![2, 1, 3] });
    assert_eq!(all[2], Op::Concatenation { axis: 1 });
    let tensors = vec![floats("x", &[2, 3]), floats("a", &[2]), floats("b", &[2]), floats("c", &[2])];
    let unpack = operator(88, &[0], &[1, 2, 3]).options(64, &[Field::I32(0, 3), Field::I32(1, -1)]);
    assert_eq!(ops(&model(tensors, vec![unpack], &[0], &[1, 2, 3])).len(), 6);
}

#[test]
fn concatenation_rescales_operands_of_other_parameters() {
    let q = |name: &str, scale| tensor(name, I8, &[1, 2]).quant(scale, 0);
    let tensors = vec![q("a", 0.5), q("b", 0.25), tensor("y", I8, &[1, 4]).quant(0.5, 0)];
    let concat = operator(2, &[0, 1], &[2]).options(10, &[Field::I32(0, -1)]);
    let mut m = model(tensors, vec![concat], &[0, 1], &[2]);
    assert_eq!(ops(&m), [Op::Quantize, Op::Concatenation { axis: 1 }]);
    m.operators[0].fields.push(Field::I8(1, 1));
    refused(&m, "fused activation");
}

#[test]
fn resizing_flags() {
    let size = || vec![ints("size", &[4, 6])];
    let (x, y) = (|| floats("x", &[1, 2, 3, 1]), || floats("y", &[1, 4, 6, 1]));
    for (fields, sampling) in [
        (vec![], Sampling::Asymmetric),
        (vec![Field::I8(2, 1)], Sampling::AlignCorners),
        (vec![Field::I8(3, 1)], Sampling::HalfPixel),
    ] {
        let m = one(23, 15, &fields, x(), size(), y());
        assert_eq!(ops(&m), [Op::ResizeBilinear { size: [4, 6], sampling }]);
    }
    let m = one(97, 74, &[Field::I8(1, 1)], x(), size(), y());
    let (sampling, mode) = (Sampling::HalfPixel, NearestMode::RoundPreferCeil);
    assert_eq!(ops(&m), [Op::ResizeNearest { size: [4, 6], sampling, mode }]);
    refused(&one(97, 74, &[Field::I8(0, 1), Field::I8(1, 1)], x(), size(), y()), "both");
}

#[test]
fn padding_values() {
    let pairs = || tensor("pairs", I32, &[2, 2]).i32s(&[0, 0, 1, 2]);
    let m = one(34, 22, &[], floats("x", &[1, 2]), vec![pairs()], floats("y", &[1, 5]));
    let pad = |value| Op::Pad { before: vec![0, 1], after: vec![0, 2], value };
    assert_eq!(ops(&m), [pad(0.0)]);
    let q = |name: &str, shape: &[i32]| tensor(name, I8, shape).quant(0.5, 10);
    let fill = q("fill", &[]).data(vec![4]);
    let m = one(60, 43, &[], q("x", &[1, 2]), vec![pairs(), fill], q("y", &[1, 5]));
    assert_eq!(ops(&m), [pad(-3.0)]);
    let negative = tensor("pairs", I32, &[2, 2]).i32s(&[0, 0, -1, 2]);
    refused(&one(34, 22, &[], floats("x", &[1, 2]), vec![negative], floats("y", &[1, 3])), "paddings");
}

#[test]
fn functions_with_options() {
    let f = |code, kind, fields: &[Field]| {
        ops(&one(code, kind, fields, floats("x", &[3]), vec![], floats("y", &[3]))).remove(0)
    };
    assert_eq!(f(98, 75, &[Field::F32(0, 0.3)]), Op::Unary { function: Function::LeakyRelu { alpha: 0.3 } });
    assert_eq!(f(150, 116, &[Field::I8(0, 1)]), Op::Unary { function: Function::GeluTanh });
    assert_eq!(f(150, 116, &[]), Op::Unary { function: Function::Gelu });
    assert_eq!(f(25, 9, &[Field::F32(0, 2.0)]), Op::Softmax { axis: 0, beta: 2.0 });
    assert_eq!(f(111, 0, &[]), Op::Unary { function: Function::Elu { alpha: 1.0 } });
}

#[test]
fn bytes_are_not_moved_between_scales() {
    let x = tensor("x", I8, &[1, 4]).quant(0.5, 0);
    let y = tensor("y", I8, &[2, 2]).quant(0.25, 0);
    refused(&one(22, 17, &[Field::I32s(0, vec![2, 2])], x, vec![], y), "different quantization parameters");
}

#[test]
fn open_dimensions_beyond_the_batch() {
    let x = || floats("x", &[1, 1, 4]).signature(&[-1, -1, 4]);
    let m = one(19, 0, &[], x(), vec![], floats("y", &[1, 1, 4]));
    refused(&m, "input 'x': dimension 1 is open");
    let wish = |shape: &[usize], name: &str| {
        let options = Options { input_shapes: vec![(name.into(), shape.into())] };
        parse(&m.bytes(), "m", "", &options).map(|g| g.nodes.len()).map_err(|e| e.to_string())
    };
    assert_eq!(wish(&[1, 1, 4], "x"), Ok(1));
    assert!(wish(&[1, 7, 4], "x").unwrap_err().contains("shapes are fixed"));
    assert!(wish(&[1, 7, 4], "z").unwrap_err().contains("no input is called 'z'; its inputs are 'x'"));
}

#[test]
fn duplicate_names_are_told_apart() {
    let m = model(
        vec![floats("t", &[2]), floats("t", &[2]), floats("t", &[2])],
        vec![operator(0, &[0, 1], &[2])],
        &[0, 1],
        &[2],
    );
    let graph = import(&m).unwrap();
    let names: Vec<_> = graph.tensors.iter().map(|t| &t.name).collect();
    assert_eq!(names, ["t", "t:1", "t:2"]);
}
