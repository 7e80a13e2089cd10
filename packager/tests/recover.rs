//! What recovery without retraining gains: signal to quantization noise before the softmax on samples that took
//! no part, for every format, with nearest rounding and with what recovery adds.

mod mixed;

use std::path::Path;
use std::time::Instant;

use samara_packager::data::samples::{self, Samples};
use samara_packager::import;
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Graph, Numeric, Op, Quant};
use samara_packager::pipeline;
use samara_packager::quantize::recover::{self, recover};
use samara_packager::quantize::{self, Activations, Recipe, WeightRounding, Weights};
use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

type Sample = Vec<Value>;

/// The output, or what its softmax reads.
fn last(graph: &Graph) -> usize {
    let output = graph.outputs[0];
    let softmax = graph.nodes.iter().find(|n| n.outputs == [output] && matches!(n.op, Op::Softmax { .. }));
    softmax.and_then(|n| n.inputs[0]).unwrap_or(output)
}

fn reals(graph: &Graph, sample: &Sample, t: usize) -> Vec<f64> {
    let inputs: Vec<Value> = graph.inputs.iter().zip(sample).map(|(&i, v)| input(graph, i, v)).collect();
    let mut found = Vec::new();
    let interpreter = Interpreter::new(graph).unwrap_or_else(|e| panic!("{e}"));
    let observed = interpreter.run(inputs, |tensor, value| {
        if tensor == t {
            let (scale, zero) = graph.tensors[t].quant.as_ref().and_then(Quant::single).unwrap_or((1.0, 0));
            found = match value.desc.dtype {
                Dtype::F32 => value.elements::<f32>().iter().map(|&x| x as f64).collect(),
                _ => {
                    value.elements::<i8>().iter().map(|&q| scale as f64 * (q as i32 - zero) as f64).collect()
                }
            };
        }
        Ok(())
    });
    observed.unwrap_or_else(|e| panic!("{e}"));
    found
}

fn input(graph: &Graph, t: usize, value: &Value) -> Value {
    let desc = graph.tensors[t].desc().unwrap();
    if desc.dtype == value.desc.dtype {
        return value.clone();
    }
    let mut bytes = Vec::new();
    samples::quantize(value.elements::<f32>(), &desc, &mut bytes).unwrap();
    let mut quantized = Value::zeros(desc);
    quantized.bytes_mut().copy_from_slice(&bytes);
    quantized
}

/// Decibels, and the share of samples with the same greatest element.
fn score(want: &[Vec<f64>], graph: &Graph, samples: &[Sample]) -> (f64, f64) {
    let (mut signal, mut noise, mut same) = (0.0, 0.0, 0);
    let greatest = |v: &[f64]| (0..v.len()).max_by(|&a, &b| v[a].total_cmp(&v[b]));
    for (want, sample) in want.iter().zip(samples) {
        let got = reals(graph, sample, last(graph));
        for (w, g) in want.iter().zip(&got) {
            signal += w * w;
            noise += (w - g) * (w - g);
        }
        same += usize::from(greatest(want) == greatest(&got));
    }
    (10.0 * (signal / noise).log10(), same as f64 / samples.len() as f64)
}

const FORMATS: [(&str, Weights); 3] =
    [("int8", Weights::Int8), ("int4", Weights::Int4 { group: None }), ("palette", Weights::Palette)];

fn measure(name: &str, source: &Graph, calibration: &[Sample], test: &[Sample]) {
    let mut float = source.clone();
    quantize::prepare(&mut float).unwrap();
    let ranges = quantize::calibrate(&float, calibration.iter().cloned().map(Ok)).unwrap();
    let want: Vec<Vec<f64>> = test.iter().map(|s| reals(&float, s, last(&float))).collect();
    println!("{name}: {} calibration, {} test samples", calibration.len(), test.len());
    for (format, weights) in FORMATS {
        let mut line = format!("  {format:8}");
        let mut scores = Vec::new();
        for (label, rounding, correct_bias) in [
            ("nearest", WeightRounding::Nearest, false),
            ("+bias", WeightRounding::Nearest, true),
            ("optimized", WeightRounding::Optimized, false),
            ("optimized+bias", WeightRounding::Optimized, true),
        ] {
            let recipe = Recipe {
                activations: Activations::Int8,
                weights,
                rounding,
                correct_bias,
                ..Recipe::default()
            };
            let start = Instant::now();
            let graph = quantize::quantize(&float, &recipe, Some(&ranges), Numeric::Single).unwrap();
            let (graph, outcomes) = recover(
                &float,
                graph,
                &recipe,
                calibration.iter().cloned().map(Ok),
                &recover::Options::default(),
            )
            .unwrap_or_else(|e| panic!("{e}"));
            let seconds = start.elapsed().as_secs_f64();
            let (db, same) = score(&want, &graph, test);
            line += &format!("  {label} {db:5.2} dB {:5.1} % {seconds:4.1} s", 100.0 * same);
            scores.push(db);
            if std::env::var_os("LAYERS").is_some() {
                for o in outcomes {
                    println!(
                        "      {:50.50} {:6.2} -> {:6.2} dB, {} of {}",
                        o.node, o.nearest_db, o.kept_db, o.moved, o.channels
                    );
                }
            }
        }
        println!("{line}");
    }
}

fn mlperf_tiny(stem: &str) {
    let model = mixed::shared().join(format!("models/mlperf-tiny/{stem}_float.tflite"));
    if !model.exists() {
        println!("SKIPPED: {stem}, {} is not here", model.display());
        return;
    }
    let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let tensor = &source.tensors[source.inputs[0]];
    let desc = tensor.desc().unwrap();
    let inputs = mixed::inputs(&tensor.shape, &mixed::natural(stem));
    let all: Vec<Sample> = inputs.iter().map(|i| vec![Value::new(desc, &i.elements).unwrap()]).collect();
    let half = |from: usize| all.iter().skip(from).step_by(2).cloned().collect::<Vec<_>>();
    measure(stem, &source, &half(0), &half(1));
}

#[test]
fn anomaly_detection() {
    mlperf_tiny("ad_autoencoder");
}

#[test]
fn image_classification() {
    mlperf_tiny("ic_resnet8");
}

#[test]
fn keyword_spotting() {
    mlperf_tiny("kws_dscnn");
}

#[test]
fn visual_wake_words() {
    mlperf_tiny("vww_mobilenet");
}

#[test]
fn vibration() {
    let file = |f: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(f);
    let source = pipeline::import(&file("model.onnx"), &import::Options::default()).unwrap();
    let read =
        |f: &str| Samples::read(&file(f), &source).unwrap().iter().collect::<Result<Vec<_>, _>>().unwrap();
    let test: Vec<Sample> = read("evaluate.npz").into_iter().step_by(4).collect();
    measure("vibration", &source, &read("calibrate.npz"), &test);
}
