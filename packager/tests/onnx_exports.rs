//! Models built as torch.onnx writes them, at several operator sets, against ONNX's own reference evaluator.

use std::path::{Path, PathBuf};
use std::process::Command;

use samara_packager::data::{self, Array};
use samara_packager::import::{self, Options};
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Graph, Op};
use samara_packager::passes;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Shape};

/// Models that keep transposes of their own inside, and how many: the channel shuffles, the heads of attention
/// (three in, one out), and Softmax over rows of an image or over all of it in NCHW order.
const OWN_TRANSPOSES: &[(&str, usize)] = &[("shuffle", 2), ("attention", 4), ("softmax_axis", 3)];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the script that builds the models; `None` where Python or its packages are missing.
fn models(directory: &Path) -> Option<Vec<String>> {
    let python =
        |args: &[&str]| Command::new("python3").args(args).output().ok().filter(|o| o.status.success());
    python(&["-c", "import numpy, onnx, onnx.reference"])?;
    let script = workspace().join("tests/onnx_exports/make_models.py");
    let out = Command::new("python3").arg(script).arg(directory).output().expect("python3 starts");
    assert!(out.status.success(), "the script failed: {}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect())
}

fn value(array: &Array) -> Value {
    let dims: Vec<u32> = array.shape.iter().map(|&d| d as u32).collect();
    let desc = Desc::new(array.dtype, Shape::new(&dims).unwrap());
    let mut value = Value::zeros(desc);
    value.bytes_mut().copy_from_slice(&array.bytes);
    value
}

/// Largest |a-b| as a share of 1e-5 + 1e-4 |b|, or of one quantization step; integers must be equal.
fn error(got: &Value, want: &Array, step: Option<f32>) -> f64 {
    let dims: Vec<usize> = got.desc.shape.dims().iter().map(|&d| d as usize).collect();
    assert_eq!((got.desc.dtype, dims), (want.dtype, want.shape.clone()), "{}", want.name);
    if got.desc.dtype != Dtype::F32 {
        return if got.bytes() == want.bytes { 0.0 } else { f64::INFINITY };
    }
    let want: Vec<f32> = bytemuck::pod_collect_to_vec(&want.bytes);
    let share = |(&a, &b): (&f32, &f32)| {
        let (a, b) = (a as f64, b as f64);
        let tolerance = step.map_or(1e-5 + 1e-4 * b.abs(), |s| s as f64 * 1.001);
        if a.is_nan() { f64::INFINITY } else { (a - b).abs() / tolerance }
    };
    got.elements::<f32>().iter().zip(&want).map(share).fold(0.0, f64::max)
}

/// Runs a graph on the arrays `in/NAME` and returns the worst error over the arrays `out/NAME`.
fn check(graph: &Graph, arrays: &[Array]) -> f64 {
    let find = |prefix: &str, t: usize| {
        let name = format!("{prefix}/{}", graph.tensors[t].name);
        arrays.iter().find(|a| a.name == name).unwrap_or_else(|| panic!("no array {name}"))
    };
    let inputs = graph.inputs.iter().map(|&t| value(find("in", t))).collect();
    let interpreter = Interpreter::new(graph).unwrap_or_else(|e| panic!("{e}"));
    let outputs = interpreter.run(inputs, |_, _| Ok(())).unwrap_or_else(|e| panic!("{e}"));
    let step = |t: usize| {
        let array = arrays.iter().find(|a| a.name == format!("step/{}", graph.tensors[t].name));
        array.map(|a| bytemuck::pod_read_unaligned::<f32>(&a.bytes))
    };
    let errors = graph.outputs.iter().zip(&outputs).map(|(&t, got)| error(got, find("out", t), step(t)));
    errors.fold(0.0, f64::max)
}

/// Transposes that do not touch the model's boundary.
fn inner_transposes(graph: &Graph) -> usize {
    // A boundary transpose may have a Reshape or a Quantize between itself and the boundary.
    let passes = |op: &Op| matches!(op, Op::Reshape { .. } | Op::Quantize | Op::Dequantize);
    let from_input = |mut t: usize| loop {
        if graph.inputs.contains(&t) {
            return true;
        }
        let maker = graph.nodes.iter().find(|n| n.outputs.contains(&t) && passes(&n.op));
        match maker.and_then(|n| n.inputs[0]) {
            Some(before) => t = before,
            None => return false,
        }
    };
    let to_output = |mut t: usize| loop {
        if graph.outputs.contains(&t) {
            return true;
        }
        match graph.nodes.iter().find(|n| n.inputs.contains(&Some(t)) && passes(&n.op)) {
            Some(n) => t = n.outputs[0],
            None => return false,
        }
    };
    let inside = |n: &&samara_packager::ir::Node| {
        matches!(n.op, Op::Transpose { .. })
            && !n.inputs.iter().flatten().any(|&t| from_input(t))
            && !n.outputs.iter().any(|&t| to_output(t))
    };
    graph.nodes.iter().filter(inside).count()
}

fn listing(graph: &Graph) -> String {
    let tensor = |t: &usize| format!("{}{:?}", graph.tensors[*t].name, graph.tensors[*t].shape);
    let node = |n: &samara_packager::ir::Node| {
        let inputs: Vec<String> = n.inputs.iter().flatten().map(tensor).collect();
        format!("  {} <- {:?} {}", tensor(&n.outputs[0]), n.op, inputs.join(" "))
    };
    graph.nodes.iter().map(node).collect::<Vec<_>>().join("\n")
}

#[test]
fn models_run_as_the_reference_evaluator_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let Some(stems) = models(directory.path()) else {
        println!("SKIPPED: python3 with the packages onnx and numpy is needed to build the models");
        return;
    };
    assert!(stems.len() >= 50, "only {} models were built", stems.len());
    let mut failures = Vec::new();
    for stem in stems {
        let outcome = std::panic::catch_unwind(|| {
            let bytes = std::fs::read(directory.path().join(format!("{stem}.onnx"))).unwrap();
            let arrays = data::read(&directory.path().join(format!("{stem}.npz"))).unwrap();
            let mut graph =
                import::parse(&bytes, &stem, "onnx", &Options::default()).unwrap_or_else(|e| panic!("{e}"));
            let nodes = graph.nodes.len();
            let mut plain = graph.clone();
            passes::prepare_for_lowering(&mut plain).unwrap();
            let before = check(&plain, &arrays);
            passes::run(&mut graph).unwrap();
            passes::prepare_for_lowering(&mut graph).unwrap();
            import::check::check(&graph).unwrap_or_else(|e| panic!("{e}\n{}", listing(&graph)));
            let after = check(&graph, &arrays);
            let inner = inner_transposes(&graph);
            println!(
                "{stem}: {nodes} nodes become {}, error {before:.3} and {after:.3} of the tolerance, {inner} \
                 inner transposes",
                graph.nodes.len()
            );
            assert!(before <= 1.0 && after <= 1.0, "error {before} before, {after} after the passes");
            let model = stem.split("_opset").next().unwrap_or_default();
            let own = OWN_TRANSPOSES.iter().find(|(m, _)| *m == model).map_or(0, |&(_, n)| n);
            let float = |n: &&samara_packager::ir::Node| {
                let integer = n.outputs.iter().any(|&t| graph.tensors[t].dtype != Dtype::F32);
                model.starts_with("qdq") && !integer && !matches!(n.op, Op::Dequantize | Op::Transpose { .. })
            };
            assert_eq!(graph.nodes.iter().filter(float).count(), 0, "float:\n{}", listing(&graph));
            assert!(inner <= own, "{inner} transposes inside:\n{}", listing(&graph));
        });
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            failures.push(format!("{stem}: {}", text.unwrap_or_default()));
        }
    }
    assert!(failures.is_empty(), "{} models fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_mlperf_tiny_models_keep_no_inner_transpose() {
    let directory = workspace().join("../shared/models/mlperf-tiny");
    let names = ["ad_autoencoder_float", "ic_resnet8_float", "kws_dscnn_float", "vww_mobilenet_float"];
    if !directory.exists() {
        println!("SKIPPED: {} model files are not here", names.len());
        return;
    }
    for name in names {
        let source = import::load(&directory.join(format!("{name}.onnx")), &Options::default()).unwrap();
        let mut graph = source.clone();
        passes::run(&mut graph).unwrap();
        passes::prepare_for_lowering(&mut graph).unwrap();
        assert_eq!(inner_transposes(&graph), 0, "{name}\n{}", listing(&graph));
        let transposes = graph.nodes.iter().filter(|n| matches!(n.op, Op::Transpose { .. })).count();
        assert_eq!(transposes, 0, "its input is NHWC:\n{}", listing(&graph));
        // A smooth pattern with both signs; the two graphs must agree on it.
        let shape = &graph.tensors[graph.inputs[0]].shape;
        let elements: Vec<f32> = (0..shape.iter().product()).map(|k| (k as f32 * 0.37).sin()).collect();
        let dims: Vec<u32> = shape.iter().map(|&d| d as u32).collect();
        let input = || {
            let desc = Desc::new(Dtype::F32, Shape::new(&dims).unwrap());
            vec![Value::new(desc, &elements).unwrap()]
        };
        let run = |g: &Graph| Interpreter::new(g).unwrap().run(input(), |_, _| Ok(())).unwrap();
        let (plain, rewritten) = (run(&source), run(&graph));
        let want = Array {
            name: name.into(),
            dtype: Dtype::F32,
            shape: plain[0].desc.shape.dims().iter().map(|&d| d as usize).collect(),
            bytes: plain[0].bytes().to_vec(),
        };
        let error = error(&rewritten[0], &want, None);
        println!("{name}: {} nodes become {}, error {error:.3}", source.nodes.len(), graph.nodes.len());
        assert!(error <= 1.0, "{name}: {error}");
    }
}
