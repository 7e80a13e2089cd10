//! Models with one fault each, named after it, and forms of one operator in several operator sets.

use prost::Message;
use samara_runtime::Dtype;

use super::load;
use super::proto::*;
use crate::import::Options;
use crate::ir::{Graph, Op};

fn float_input(name: &str, dims: &[(&str, i64)]) -> ValueInfoProto {
    let dim = dims.iter().map(|&(p, v)| Dimension { dim_value: v, dim_param: p.into() }).collect();
    let tensor = TensorTypeProto { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: format!("{op}_of_{output}"),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, kind: attribute_type::INT, ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let ints = ints.to_vec();
    AttributeProto { name: name.into(), ints, kind: attribute_type::INTS, ..AttributeProto::default() }
}

fn int64(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn model(opset: i64, nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let output = nodes.last().map_or("x", |n| &n.output[0]).to_owned();
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![float_input("x", &[("batch", 0), ("", 4), ("", 6)])],
        output: vec![ValueInfoProto { name: output, r#type: None }],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: opset }];
    ModelProto { ir_version: 8, graph: Some(graph), opset_import }
}

fn read(model: &ModelProto) -> Result<Graph, String> {
    load(&model.encode_to_vec(), "m", &Options::default()).map_err(|e| e.to_string())
}

fn with(mut node: NodeProto, attributes: Vec<AttributeProto>) -> NodeProto {
    node.attribute = attributes;
    node
}

#[test]
fn all_unsupported_operators_are_listed_with_their_place() {
    let mut foreign = node("FusedConv", &["b"], "c");
    foreign.domain = "com.example".into();
    let m = model(13, vec![node("GRU", &["x"], "a"), node("Relu", &["a"], "b"), foreign], vec![]);
    let error = read(&m).unwrap_err();
    for part in ["2 unsupported operators", "GRU at 'GRU_of_a'", "com.example.FusedConv at 'FusedConv_of_c'"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn every_node_that_fails_is_listed_and_none_behind_it() {
    let bad = |output| with(node("Softmax", &["x"], output), vec![int("axis", 9)]);
    let m = model(13, vec![bad("a"), node("Relu", &["a"], "b"), bad("c")], vec![]);
    let error = read(&m).unwrap_err();
    assert!(
        error.contains("2 nodes") && error.contains("Softmax_of_a") && error.contains("Softmax_of_c"),
        "{error}"
    );
    assert!(!error.contains("Relu"), "{error}");
}

#[test]
fn an_attribute_that_nobody_reads_is_refused() {
    let m = model(13, vec![with(node("Relu", &["x"], "y"), vec![int("consumed_inputs", 1)])], vec![]);
    assert!(read(&m).unwrap_err().contains("attribute 'consumed_inputs' is not supported"));
}

#[test]
fn an_attribute_of_the_wrong_type_is_refused() {
    let m = model(13, vec![with(node("Softmax", &["x"], "y"), vec![ints("axis", &[1])])], vec![]);
    assert!(read(&m).unwrap_err().contains("attribute 'axis' has the wrong type"));
}

#[test]
fn a_symbolic_dimension_is_refused_by_name_until_given() {
    let mut m = model(13, vec![node("Relu", &["x"], "y")], vec![]);
    m.graph.as_mut().unwrap().input[0] = float_input("x", &[("batch", 0), ("", 3), ("height", 0)]);
    let error = read(&m).unwrap_err();
    assert!(
        error.contains("'x'") && error.contains("'height'") && error.contains("--input-shape"),
        "{error}"
    );
    let give = |shape: &[usize]| {
        let options = Options { input_shapes: vec![("x".into(), shape.to_vec())] };
        load(&m.encode_to_vec(), "m", &options).map_err(|e| e.to_string())
    };
    let g = give(&[1, 3, 9]).unwrap();
    assert_eq!(g.tensors[g.inputs[0]].shape, [1, 3, 9]);
    assert!(give(&[1, 4, 9]).unwrap_err().contains("dimension 1 is 3 in the model, 4 is given"));
    assert!(give(&[1, 9]).unwrap_err().contains("2 dimensions"));
    let unknown = Options { input_shapes: vec![("y".into(), vec![1])] };
    assert!(load(&m.encode_to_vec(), "m", &unknown).unwrap_err().to_string().contains("'y'"));
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    let bytes = model(13, vec![node("Relu", &["x"], "y")], vec![]).encode_to_vec();
    for n in 0..bytes.len() {
        assert!(load(&bytes[..n], "m", &Options::default()).is_err(), "cut to {n} bytes");
    }
    assert!(load(b"TFL3 not a model", "m", &Options::default()).is_err());
    for n in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[n] ^= 1 << bit;
            // Refused or read; what it must not do is panic.
            let _read = load(&damaged, "m", &Options::default()).is_ok();
        }
    }
}

#[test]
fn operator_sets_outside_the_range_are_refused() {
    for opset in [6, 99] {
        let error = read(&model(opset, vec![node("Relu", &["x"], "y")], vec![])).unwrap_err();
        assert!(error.contains(&format!("operator set {opset}")), "{error}");
    }
}

#[test]
fn elements_in_another_file_are_refused() {
    let mut weights = int64("w", &[1]);
    weights.data_location = 1;
    let error = read(&model(13, vec![node("Relu", &["x"], "y")], vec![weights])).unwrap_err();
    assert!(error.contains("initializer 'w'") && error.contains("another file"), "{error}");
}

#[test]
fn an_initializer_shorter_than_its_shape_is_refused() {
    let mut weights = int64("w", &[1, 2, 3]);
    weights.dims = vec![4];
    let error = read(&model(13, vec![node("Relu", &["x"], "y")], vec![weights])).unwrap_err();
    assert!(error.contains("3 elements") && error.contains("[4]"), "{error}");
}

#[test]
fn an_int64_outside_int32_is_refused_where_it_reaches_the_graph() {
    let concat = with(node("Concat", &["big", "big"], "c"), vec![int("axis", 0)]);
    let nodes = vec![concat, node("Add", &["x", "c"], "y")];
    let error = read(&model(13, nodes, vec![int64("big", &[1 << 40, 2, 3])])).unwrap_err();
    assert!(error.contains("1099511627776") && error.contains("int32"), "{error}");
}

#[test]
fn an_initializer_that_is_also_an_input_is_a_constant() {
    let mut m = model(8, vec![node("Reshape", &["x", "shape"], "y")], vec![int64("shape", &[0, -1])]);
    m.graph.as_mut().unwrap().input.push(ValueInfoProto { name: "shape".into(), r#type: None });
    let g = read(&m).unwrap();
    assert_eq!((g.inputs.len(), &g.tensors[g.outputs[0]].shape[..]), (1, &[1, 24][..]));
}

#[test]
fn outputs_that_are_inputs_become_tensors_of_their_own() {
    let mut m = model(13, vec![node("Identity", &["x"], "y")], vec![]);
    m.graph.as_mut().unwrap().output.push(ValueInfoProto { name: "y".into(), r#type: None });
    // Twice the same name is for the common check; here each is its own tensor.
    let g = read(&m).unwrap();
    assert_ne!(g.outputs[0], g.inputs[0]);
    assert_ne!(g.outputs[0], g.outputs[1]);
}

#[test]
fn softmax_joins_dimensions_before_operator_set_13() {
    let softmax = || with(node("Softmax", &["x"], "y"), vec![int("axis", 1)]);
    let old = read(&model(11, vec![softmax()], vec![])).unwrap();
    assert!(old.nodes.iter().any(|n| n.op == Op::Reshape { shape: vec![1, 24] }));
    let new = read(&model(13, vec![softmax()], vec![])).unwrap();
    assert_eq!(new.nodes.len(), 1);
    assert_eq!(new.nodes[0].op, Op::Softmax { axis: 1, beta: 1.0 });
}

#[test]
fn shape_arithmetic_leaves_no_trace() {
    let nodes = vec![
        node("Shape", &["x"], "s"),
        with(node("Gather", &["s", "zero"], "n"), vec![int("axis", 0)]),
        with(node("Unsqueeze", &["n"], "nu"), vec![ints("axes", &[0])]),
        with(node("Concat", &["nu", "rest"], "shape"), vec![int("axis", 0)]),
        node("Reshape", &["x", "shape"], "y"),
    ];
    let mut zero = int64("zero", &[0]);
    zero.dims = vec![];
    let g = read(&model(11, nodes, vec![zero, int64("rest", &[-1, 2])])).unwrap();
    assert_eq!(g.nodes.len(), 1);
    assert_eq!(g.tensors[g.outputs[0]].shape, [1, 12, 2]);
    assert_eq!((g.nodes[0].name.as_str(), g.tensors[g.outputs[0]].dtype), ("Reshape_of_y", Dtype::F32));
}
