//! The project's own models as bundles: what training with fake quantization decided arrives unchanged.

use std::collections::BTreeSet;
use std::path::PathBuf;

use prost::Message;
use samara_models::model;
use samara_models::onnx::proto::{GraphProto, ModelProto, TensorProto};
use samara_packager::bundle;
use samara_packager::files::AlignedBytes;
use samara_packager::ir::{Graph, Op, Tensor};
use samara_packager::{import, passes, pipeline, plan};
use samara_runtime::{Bundle, Choice, Dtype, Session, ops};

/// Scale's bits and zero point.
type Grid = (u32, i32);

fn trained() -> Vec<(&'static str, PathBuf)> {
    let folder = |name| [env!("CARGO_MANIFEST_DIR"), "..", "models", name, "model_qat.onnx"].iter().collect();
    let all = model::ALL.iter().map(|model| (model.name, folder(model.name)));
    let found: Vec<(_, PathBuf)> = all.filter(|(_, path): &(_, PathBuf)| path.exists()).collect();
    assert!(!found.is_empty(), "no model was trained for integers");
    found
}

fn constant<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    graph.initializer.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no initializer {name}"))
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    tensor.raw_data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Parameters of every QuantizeLinear of the file.
fn activations(graph: &GraphProto) -> BTreeSet<Grid> {
    let grids = graph.node.iter().filter(|node| node.op_type == "QuantizeLinear").map(|node| {
        let (scale, zero) = (constant(graph, &node.input[1]), constant(graph, &node.input[2]));
        (floats(scale)[0].to_bits(), i32::from(zero.raw_data[0] as i8))
    });
    grids.collect()
}

/// Scales, and the sorted levels of each output channel, of an operator's weights: the layout may change on the
/// way, what belongs to a channel not.
type Layer = (Vec<u32>, Vec<Vec<i8>>);

/// Weights of every convolution and linear layer of the file, in order.
fn file_weights(graph: &GraphProto) -> Vec<Layer> {
    let layers = graph.node.iter().filter(|node| ["Conv", "Gemm"].contains(&node.op_type.as_str()));
    layers
        .map(|node| {
            let maker = graph.node.iter().find(|other| other.output[0] == node.input[1]).unwrap();
            let levels: Vec<i8> =
                constant(graph, &maker.input[0]).raw_data.iter().map(|b| *b as i8).collect();
            let scales = floats(constant(graph, &maker.input[1]));
            let channels = levels.chunks(levels.len() / scales.len()).map(sorted).collect();
            (scales.iter().map(|scale| scale.to_bits()).collect(), channels)
        })
        .collect()
}

/// The same of an imported graph.
fn graph_weights(graph: &Graph) -> Vec<Layer> {
    let layers = graph.nodes.iter().filter(|node| {
        matches!(node.op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. })
    });
    layers
        .map(|node| {
            let weights = graph.input(node, 1).unwrap();
            assert_eq!(weights.dtype, Dtype::I8, "{}", node.name);
            let quant = weights.quant.as_ref().unwrap();
            assert!(quant.zero_point.iter().all(|zero| *zero == 0), "{}", node.name);
            let inner: usize = weights.shape[quant.axis + 1..].iter().product();
            let mut channels = vec![Vec::new(); quant.scale.len()];
            for (k, byte) in weights.data.as_ref().unwrap().iter().enumerate() {
                channels[k / inner % quant.scale.len()].push(*byte as i8);
            }
            let scales = quant.scale.iter().map(|scale| scale.to_bits()).collect();
            (scales, channels.iter().map(|channel| sorted(channel)).collect())
        })
        .collect()
}

fn sorted(levels: &[i8]) -> Vec<i8> {
    let mut levels = levels.to_vec();
    levels.sort_unstable();
    levels
}

/// Parameters of the integer activations of a graph.
fn graph_activations(graph: &Graph) -> BTreeSet<Grid> {
    let used = |t: &usize| graph.nodes.iter().any(|n| n.inputs.contains(&Some(*t)) || n.outputs.contains(t));
    let integers = (0..graph.tensors.len()).filter(used).map(|t| &graph.tensors[t]);
    let integers = integers.filter(|t: &&Tensor| t.dtype == Dtype::I8 && t.data.is_none());
    integers.map(|t| t.quant.as_ref().unwrap().single().unwrap()).map(|(s, z)| (s.to_bits(), z)).collect()
}

/// Parameters of the int8 activations in a bundle made of the graph.
fn bundle_activations(mut graph: Graph) -> BTreeSet<Grid> {
    passes::prepare_for_lowering(&mut graph).unwrap();
    let plan = plan::plan(&graph, plan::Kernels::HOST).unwrap();
    let bytes = AlignedBytes::new(&bundle::bare("trained", &plan).unwrap());
    let session = Session::load_with(&Bundle::parse(&bytes).unwrap(), ops::ALL, Choice::Auto).unwrap();
    let plan = session.plan();
    let mut grids = BTreeSet::new();
    for i in 0..session.steps() {
        let step = plan.step(i).unwrap();
        let first = step.operands as usize;
        // The first operand and what is made: activations, whatever else the step reads.
        let made = first + usize::from(step.inputs);
        for operand in std::iter::once(first).chain(made..made + usize::from(step.outputs)) {
            let desc = plan.tensor(plan.operand(operand).unwrap().unwrap()).unwrap().desc;
            if desc.dtype == Dtype::I8 {
                grids.insert((desc.scale.to_bits(), desc.zero_point));
            }
        }
    }
    grids
}

#[test]
fn trained_ranges_and_integers_arrive_in_the_bundle_unchanged() {
    for (name, path) in trained() {
        let file = ModelProto::decode(&*std::fs::read(&path).unwrap()).unwrap().graph.unwrap();
        let graph = pipeline::import(&path, &import::Options::default()).unwrap();
        assert_eq!(file_weights(&file), graph_weights(&graph), "{name}: weights");
        let trained = activations(&file);
        assert!(trained.len() > 8, "{name}: {} ranges", trained.len());
        assert_eq!(trained, graph_activations(&graph), "{name}: imported ranges");
        assert_eq!(trained, bundle_activations(graph), "{name}: ranges in the bundle");
    }
}

#[test]
fn nothing_of_a_trained_model_is_left_in_floats() {
    for (name, path) in trained() {
        let graph = pipeline::import(&path, &import::Options::default()).unwrap();
        for node in &graph.nodes {
            let float = graph.input(node, 0).is_some_and(|t| t.dtype == Dtype::F32);
            assert!(
                !float || node.op == Op::Quantize,
                "{name}: {} ({}) in floats",
                node.name,
                node.op.name()
            );
        }
        let count = |op: &Op| graph.nodes.iter().filter(|node| node.op == *op).count();
        assert_eq!((count(&Op::Quantize), count(&Op::Dequantize)), (1, 1), "{name}");
    }
}
