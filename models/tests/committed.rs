//! The committed files of each model against the sources that make them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use prost::Message;
use samara_models::npz;
use samara_models::onnx::Weights;
use samara_models::onnx::proto::{DimensionValue, ModelProto, ValueInfoProto};
use samara_models::vibration::{Condition, DataSet, INPUT, OUTPUT, SEED, Split, WINDOW, generate, labels};

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "vibration", name].iter().collect()
}

fn model() -> (usize, ModelProto, Weights) {
    let bytes = std::fs::read(file("model.onnx")).unwrap();
    (bytes.len(), ModelProto::decode(&*bytes).unwrap(), Weights::parse(&bytes).unwrap())
}

fn evaluation() -> DataSet {
    DataSet::open(&file("evaluate.npz")).unwrap()
}

#[test]
fn data_come_from_the_seed() {
    assert_eq!(evaluation(), generate(SEED, Split::Test));
    let (shape, windows) = npz::read::<f32>(&file("calibrate.npz"), INPUT).unwrap();
    assert_eq!(shape, [256, 2, 16, 16]);
    assert_eq!(windows, generate(SEED, Split::Calibration).windows);
}

#[test]
fn evaluation_set_is_balanced_and_apart_from_calibration() {
    let set = evaluation();
    for class in 0..Condition::ALL.len() as i64 {
        assert_eq!(set.labels.iter().filter(|&&label| label == class).count(), 200, "class {class}");
    }
    let (_, calibration) = npz::read::<f32>(&file("calibrate.npz"), INPUT).unwrap();
    let bits = |window: &[f32]| window.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let all = set.windows.chunks(WINDOW).chain(calibration.chunks(WINDOW));
    assert_eq!(all.map(bits).collect::<HashSet<_>>().len(), 1200 + 256);
}

#[test]
fn files_stay_small() {
    let size = |name| std::fs::metadata(file(name)).unwrap().len();
    assert!(size("model.onnx") <= 100_000);
    assert!(size("evaluate.npz") + size("calibrate.npz") <= 1_000_000);
}

/// Dimensions of a float value, the symbolic batch as its name.
fn shape(value: &ValueInfoProto) -> Vec<String> {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, 1);
    let dimensions = &tensor.shape.as_ref().unwrap().dim;
    dimensions
        .iter()
        .map(|dimension| match dimension.value.as_ref().unwrap() {
            DimensionValue::Value(size) => size.to_string(),
            DimensionValue::Param(name) => name.clone(),
        })
        .collect()
}

#[test]
fn model_has_the_declared_interface() {
    let (_, model, _) = model();
    let graph = model.graph.unwrap();
    assert_eq!(model.opset_import.len(), 1);
    assert_eq!(model.opset_import[0].version, 17);
    assert_eq!(graph.input.len(), 1);
    assert_eq!(
        (graph.input[0].name.as_str(), shape(&graph.input[0]).join("x")),
        (INPUT, "batchx2x16x16".into())
    );
    assert_eq!(graph.output.len(), 1);
    assert_eq!(
        (graph.output[0].name.as_str(), shape(&graph.output[0]).join("x")),
        (OUTPUT, "batchx6".into())
    );
    let written = model.metadata_props.iter().find(|entry| entry.key == "labels").unwrap();
    assert_eq!(written.value, labels().join(","));
}

#[test]
fn nodes_are_connected_and_normalization_is_unfolded() {
    let (_, model, weights) = model();
    let graph = model.graph.unwrap();
    let mut known: HashSet<&str> = weights.iter().map(|(name, _)| name).collect();
    known.extend(graph.input.iter().map(|input| input.name.as_str()));
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        for input in &node.input {
            assert!(known.contains(input.as_str()), "{}: {input} comes from nowhere", node.name);
        }
        known.extend(node.output.iter().map(String::as_str));
        *counts.entry(node.op_type.as_str()).or_insert(0) += 1;
    }
    assert!(known.contains(OUTPUT));
    for (op_type, count) in [("Conv", 7), ("BatchNormalization", 7), ("Clip", 6), ("Add", 1), ("Gemm", 1)] {
        assert_eq!(counts[op_type], count, "{op_type}");
    }
}

#[test]
fn weights_have_the_shapes_of_the_network() {
    let (_, _, weights) = model();
    for (name, shape) in [
        ("stem.conv.weight", &[16, 2, 3, 3][..]),
        ("down.depthwise.conv.weight", &[16, 1, 3, 3]),
        ("down.pointwise.conv.weight", &[32, 16, 1, 1]),
        ("refine.depthwise.conv.weight", &[32, 1, 3, 3]),
        ("refine.pointwise.conv.weight", &[32, 32, 1, 1]),
        ("top.depthwise.conv.weight", &[32, 1, 3, 3]),
        ("top.pointwise.conv.weight", &[64, 32, 1, 1]),
        ("classifier.weight", &[6, 64]),
        ("classifier.bias", &[6]),
    ] {
        weights.array(name, shape).unwrap();
    }
    for (name, array) in weights.iter() {
        assert!(array.values.iter().all(|value| value.is_finite()), "{name}");
        if name.ends_with("running_var") {
            assert!(array.values.iter().all(|value| *value > 0.0), "{name}");
        }
    }
}

#[test]
#[cfg(feature = "train")]
fn model_card_states_the_measured_accuracy() {
    use burn::tensor::Device;
    use samara_models::train::evaluate;
    use samara_models::vibration::card::{Facts, render};
    use samara_models::vibration::network::Network;

    let device = Device::flex();
    let (model_bytes, _, weights) = model();
    let parameters = weights.iter().map(|(_, array)| array.values.len()).sum();
    let network = Network::new(&device).load(&weights, &device).unwrap();
    let confusion = evaluate(&network, &evaluation());
    assert!((0.85..0.97).contains(&confusion.accuracy()), "{confusion}");
    let facts = Facts { seed: SEED, epochs: 20, parameters, model_bytes, confusion: &confusion };
    assert_eq!(std::fs::read_to_string(file("README.md")).unwrap(), render(&facts));
}
