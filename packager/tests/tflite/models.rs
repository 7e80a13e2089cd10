//! The MLPerf Tiny models, where they are present.

use std::collections::BTreeMap;
use std::path::PathBuf;

use samara_packager::import::{Options, load};
use samara_packager::ir::{Graph, Op};
use samara_runtime::Dtype;

fn shared(name: &str) -> Option<Graph> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/mlperf-tiny").join(name);
    if !path.exists() {
        println!("SKIPPED {name}: the shared models are not here");
        return None;
    }
    Some(load(&path, &Options::default()).unwrap())
}

fn counts(graph: &Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for node in &graph.nodes {
        *counts.entry(node.op.name()).or_default() += 1;
    }
    counts
}

/// Operators, dtype and shape of the input, shape of the output.
type Expected = (&'static str, &'static [(&'static str, usize)], Dtype, &'static [usize], &'static [usize]);

const KWS: &[(&str, usize)] = &[
    ("AveragePool2D", 1),
    ("Conv2D", 5),
    ("DepthwiseConv2D", 4),
    ("FullyConnected", 1),
    ("Reshape", 1),
    ("Softmax", 1),
];
const IC: &[(&str, usize)] =
    &[("Add", 3), ("AveragePool2D", 1), ("Conv2D", 9), ("FullyConnected", 1), ("Reshape", 1), ("Softmax", 1)];
const VWW: &[(&str, usize)] = &[
    ("AveragePool2D", 1),
    ("Conv2D", 14),
    ("DepthwiseConv2D", 13),
    ("FullyConnected", 1),
    ("Reshape", 1),
    ("Softmax", 1),
];
const AD: &[(&str, usize)] = &[("FullyConnected", 10)];

const MODELS: &[Expected] = &[
    ("kws_dscnn_int8", KWS, Dtype::I8, &[1, 49, 10, 1], &[1, 12]),
    ("kws_dscnn_float", KWS, Dtype::F32, &[1, 49, 10, 1], &[1, 12]),
    ("ic_resnet8_int8", IC, Dtype::I8, &[1, 32, 32, 3], &[1, 10]),
    ("ic_resnet8_float", IC, Dtype::F32, &[1, 32, 32, 3], &[1, 10]),
    ("vww_mobilenet_int8", VWW, Dtype::I8, &[1, 96, 96, 3], &[1, 2]),
    ("vww_mobilenet_float", VWW, Dtype::F32, &[1, 96, 96, 3], &[1, 2]),
    ("ad_autoencoder_int8", AD, Dtype::I8, &[1, 640], &[1, 640]),
    ("ad_autoencoder_float", AD, Dtype::F32, &[1, 640], &[1, 640]),
];

#[test]
fn the_models_import_with_their_operators_and_boundaries() {
    for (name, operators, dtype, input, output) in MODELS {
        let Some(graph) = shared(&format!("{name}.tflite")) else { continue };
        assert_eq!(counts(&graph), operators.iter().copied().collect(), "{name}");
        assert_eq!((graph.inputs.len(), graph.outputs.len()), (1, 1), "{name}");
        let (x, y) = (&graph.tensors[graph.inputs[0]], &graph.tensors[graph.outputs[0]]);
        assert_eq!((x.dtype, &x.shape[..], &y.shape[..]), (*dtype, *input, *output), "{name}");
        assert_eq!(graph.name, *name);
    }
}

#[test]
fn int8_weights_keep_their_scales() {
    let Some(graph) = shared("kws_dscnn_int8.tflite") else { return };
    for node in &graph.nodes {
        let axis = match node.op {
            Op::Conv2d { .. } => 0,
            Op::DepthwiseConv2d { .. } => 3,
            _ => continue,
        };
        let weights = graph.input(node, 1).unwrap();
        let quant = weights.quant.as_ref().unwrap();
        assert_eq!((quant.axis, quant.scale.len()), (axis, weights.shape[axis]), "{}", node.name);
        assert!(quant.zero_point.iter().all(|&z| z == 0));
        assert_eq!(graph.input(node, 2).unwrap().dtype, Dtype::I32);
    }
    // The first layer: 10 x 4 windows, stride 2, SAME on 49 x 10.
    let Op::Conv2d { window, groups: 1, activation } = &graph.nodes[0].op else {
        panic!("{:?}", graph.nodes[0])
    };
    assert_eq!((window.stride, window.pad), ([2, 2], [4, 1, 5, 1]));
    assert_eq!(activation.lo, 0.0);
}

#[test]
fn recorded_shapes_are_the_inferred_ones() {
    let mut compared = 0;
    for (name, ..) in MODELS {
        let Some(graph) = shared(&format!("{name}.tflite")) else { continue };
        for node in &graph.nodes {
            let inputs = node.inputs.iter().map(|i| i.map(|t| &graph.tensors[t])).collect();
            let inferred = samara_packager::lower::infer(&node.op, inputs)
                .unwrap_or_else(|e| panic!("{name}: {}: {e}", node.name));
            let recorded = &graph.tensors[node.outputs[0]];
            assert_eq!(recorded.shape, inferred.shape, "{name}: {}", node.name);
            assert_eq!(recorded.dtype, inferred.dtype, "{name}: {}", node.name);
            compared += 1;
        }
    }
    println!("{compared} results compared");
}
