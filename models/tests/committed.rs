//! The committed files of each model against the sources that make them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use prost::Message;
use samara_models::data::{DataSet, Split};
use samara_models::model::{ALL, Model, Task};
use samara_models::npz;
use samara_models::onnx::Weights;
use samara_models::onnx::proto::{DimensionValue, GraphProto, ModelProto, ValueInfoProto};

fn file(model: &Model, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), model.name, name].iter().collect()
}

fn onnx(model: &Model) -> (usize, ModelProto, Weights) {
    let bytes = std::fs::read(file(model, "model.onnx")).unwrap();
    (bytes.len(), ModelProto::decode(&*bytes).unwrap(), Weights::parse(&bytes).unwrap())
}

fn evaluation(model: &Model) -> DataSet {
    model.source.open(&file(model, "evaluate.npz")).unwrap()
}

#[test]
fn data_come_from_the_seed() {
    for model in ALL {
        assert_eq!(evaluation(model), model.source.generate(model.seed, Split::Evaluation), "{}", model.name);
        let (shape, values) = npz::read::<f32>(&file(model, "calibrate.npz"), model.source.input).unwrap();
        let dims = std::iter::once(256).chain(model.source.shape.iter().copied());
        assert_eq!(shape, dims.map(|n| n as u64).collect::<Vec<_>>());
        let drawn = model.source.generate(model.seed, Split::Calibration(0)).values;
        assert_eq!(values, drawn, "{}", model.name);
    }
}

#[test]
fn evaluation_set_is_balanced_and_apart_from_calibration() {
    for model in ALL {
        let (set, width) = (evaluation(model), model.source.width());
        let each = set.labels.len() / model.source.classes;
        for class in 0..model.source.classes as i64 {
            let count = set.labels.iter().filter(|&&label| label == class).count();
            assert_eq!(count, each, "{} class {class}", model.name);
        }
        let (_, calibration) = npz::read::<f32>(&file(model, "calibrate.npz"), model.source.input).unwrap();
        let bits = |sample: &[f32]| sample.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let all = set.values.chunks(width).chain(calibration.chunks(width));
        assert_eq!(all.map(bits).collect::<HashSet<_>>().len(), set.labels.len() + 256, "{}", model.name);
    }
}

#[test]
fn files_stay_small() {
    for model in ALL {
        let size = |name| std::fs::metadata(file(model, name)).unwrap().len();
        assert!(size("model.onnx") <= 100_000, "{}", model.name);
        assert!(size("evaluate.npz") + size("calibrate.npz") <= 1_000_000, "{}", model.name);
    }
}

/// Dimensions of a float value, the symbolic batch as its name.
fn shape(value: &ValueInfoProto) -> String {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, 1);
    let dimensions = &tensor.shape.as_ref().unwrap().dim;
    let names = dimensions.iter().map(|dimension| match dimension.value.as_ref().unwrap() {
        DimensionValue::Value(size) => size.to_string(),
        DimensionValue::Param(name) => name.clone(),
    });
    names.collect::<Vec<_>>().join("x")
}

#[test]
fn models_have_the_declared_interface() {
    for model in ALL {
        let (_, proto, _) = onnx(model);
        let graph = proto.graph.unwrap();
        assert_eq!(proto.opset_import.len(), 1);
        assert_eq!(proto.opset_import[0].version, 17);
        let batched = |shape: &[usize]| {
            let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("batchx{}", dims.join("x"))
        };
        let written = |key| proto.metadata_props.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let output = match model.task {
            Task::Classification { labels } => {
                assert_eq!(written("labels"), Some(labels.join(",").as_str()));
                batched(&[labels.len()])
            }
            Task::Reconstruction => batched(model.source.shape),
        };
        assert!(written("task").is_some());
        let [input] = &graph.input[..] else { panic!("{}: inputs {:?}", model.name, graph.input) };
        assert_eq!((input.name.as_str(), shape(input)), (model.source.input, batched(model.source.shape)));
        let [made] = &graph.output[..] else { panic!("{}: outputs {:?}", model.name, graph.output) };
        assert_eq!((made.name.as_str(), shape(made)), (model.output, output));
    }
}

/// Operators and how often each occurs; every input must come from somewhere.
fn operators(graph: &GraphProto, output: &str) -> BTreeMap<String, usize> {
    let mut known: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    known.extend(graph.input.iter().map(|input| input.name.as_str()));
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        for input in &node.input {
            assert!(known.contains(input.as_str()), "{}: {input} comes from nowhere", node.name);
        }
        known.extend(node.output.iter().map(String::as_str));
        *counts.entry(node.op_type.clone()).or_insert(0) += 1;
    }
    assert!(known.contains(output));
    counts
}

#[test]
fn nodes_are_connected_and_normalization_is_unfolded() {
    for (name, expected) in [
        ("vibration", &[("Conv", 7), ("BatchNormalization", 7), ("Clip", 6), ("Add", 1), ("Gemm", 1)][..]),
        ("anomaly", &[("Gemm", 6), ("Relu", 5)]),
        ("glyphs", &[("Conv", 9), ("BatchNormalization", 9), ("Relu", 8), ("Add", 1), ("Gemm", 1)]),
    ] {
        let model = samara_models::model::find(name).unwrap();
        let counts = operators(&onnx(model).1.graph.unwrap(), model.output);
        for &(op_type, count) in expected {
            assert_eq!(counts.get(op_type), Some(&count), "{name} {op_type}");
        }
    }
}

#[test]
fn weights_are_usable_numbers() {
    for model in ALL {
        for (name, array) in onnx(model).2.iter() {
            assert!(array.values.iter().all(|value| value.is_finite()), "{} {name}", model.name);
            if name.ends_with("running_var") {
                assert!(array.values.iter().all(|value| *value > 0.0), "{} {name}", model.name);
            }
        }
    }
}

#[test]
#[cfg(feature = "train")]
fn model_cards_state_the_measured_accuracy() {
    for model in ALL {
        let set = evaluation(model);
        let (bytes, _, weights) = onnx(model);
        let outcome = model.judge(&set, &(model.trainer.infer)(&weights, &set).unwrap());
        assert!((0.85..0.97).contains(&outcome.metric()), "{}: {}", model.name, outcome.summary());
        let card = std::fs::read_to_string(file(model, "README.md")).unwrap();
        let stated = |text: &str| assert!(card.contains(text), "{}: no {text:?} in the card", model.name);
        stated(&format!("{} on the evaluation split", outcome.summary()));
        stated(&outcome.to_string());
        let parameters: usize = weights.iter().map(|(_, array)| array.values.len()).sum();
        stated(&format!("{bytes} bytes, {parameters} stored values"));
    }
}

#[test]
fn model_cards_are_what_the_sources_say() {
    for model in ALL {
        let card = std::fs::read_to_string(file(model, "README.md")).unwrap();
        let text = &model.text;
        for part in [text.title, &(text.purpose)(), &(text.data)(), &(text.network)(), text.limits] {
            assert!(card.contains(part), "{}: the card lacks {part:?}; write it anew", model.name);
        }
        let trained = format!("{}, {} epochs", text.training, model.epochs);
        assert!(card.contains(&trained), "{}: {trained}", model.name);
    }
}
