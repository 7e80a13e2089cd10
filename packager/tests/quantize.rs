//! Post-training quantization keeps what a float model computes: signal to quantization noise on the MLPerf
//! Tiny models, accuracy on the project's own.

mod mixed;

use std::path::{Path, PathBuf};

use samara_packager::compare::{Comparison, compare};
use samara_packager::data::dataset::Dataset;
use samara_packager::data::samples::{Samples, quantize};
use samara_packager::files::AlignedBytes;
use samara_packager::import;
use samara_packager::ir::{Graph, Numeric, Op};
use samara_packager::pipeline::{self, Options, Packed, Scheme};
use samara_packager::target;
use samara_runtime::bundle::Bundle;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Dtype, Session, ops};

/// Least ratio of signal to quantization noise before the softmax, in decibels.
const FLOOR_DB: f64 = 20.0;

/// The rounding modes that a float model can be quantized with.
const NUMERICS: [Numeric; 2] = [Numeric::Single, Numeric::Tflite];

fn pack(model: &Path, source: &Graph, numeric: Numeric, calibration: Option<Vec<Vec<Value>>>) -> Packed {
    let scheme = if calibration.is_some() { Scheme::Int8 } else { Scheme::F32 };
    let options = Options {
        scheme: Some(scheme),
        calibration: calibration.as_ref().map(|samples| samples as &dyn Dataset),
        numeric,
        ..Options::new(target::find("host").expect("the host is a target"))
    };
    pipeline::pack(model, source.clone(), &options).unwrap_or_else(|e| panic!("{e}"))
}

/// The tensor whose noise is measured: the output, or what its softmax reads.
fn last_layer(graph: &Graph) -> &str {
    let output = graph.outputs[0];
    let softmax = graph.nodes.iter().find(|n| n.outputs == [output] && matches!(n.op, Op::Softmax { .. }));
    let t = softmax.and_then(|n| n.inputs[0]).unwrap_or(output);
    &graph.tensors[t].name
}

/// A sample and the kind that it is of.
type Labelled = (&'static str, Vec<Value>);

/// Packs with the even samples, compares on the odd ones; returns the last layer's ratio in decibels.
fn measure(model: &Path, source: &Graph, samples: &[Labelled], numeric: Numeric) -> f64 {
    let calibration = samples.iter().step_by(2).map(|s| s.1.clone()).collect();
    let packed = pack(model, source, numeric, Some(calibration));
    let bundle = AlignedBytes::new(&packed.bytes);
    let last = last_layer(&packed.source);
    let evaluate = |kind: Option<&str>| {
        let odd = samples.iter().skip(1).step_by(2).filter(|s| kind.is_none_or(|k| s.0 == k));
        compare(&packed.source, &bundle, odd.map(|s| Ok(s.1.clone()))).unwrap_or_else(|e| panic!("{e}"))
    };
    let ratio = |layers: &[Comparison]| {
        let found = layers.iter().find(|l| l.name == last);
        found.unwrap_or_else(|| panic!("no layer is named {last}")).sqnr_db()
    };
    let layers = evaluate(None);
    let db = ratio(&layers);
    let kinds = samples.chunk_by(|a, b| a.0 == b.0).map(|run| run[0].0);
    let by_kind: Vec<String> = kinds.map(|k| format!("{k} {:.1}", ratio(&evaluate(Some(k))))).collect();
    let file = model.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{file:27} {:6} {db:5.1} dB at {last:30.30} ({})",
        numeric.rounding().name(),
        by_kind.join(", ")
    );
    if db < FLOOR_DB {
        for l in &layers {
            let saturated = 100.0 * l.saturated_share();
            println!("    {:60.60} {:6.1} dB, {saturated:5.2} % saturated", l.name, l.sqnr_db());
        }
    }
    db
}

fn samples_of(graph: &Graph, natural: &mixed::Natural) -> Vec<Labelled> {
    let input = &graph.tensors[graph.inputs[0]];
    let desc = input.desc().unwrap();
    let inputs = mixed::inputs(&input.shape, natural);
    println!("{}: {}", graph.name, mixed::summary(&inputs));
    inputs.iter().map(|i| (i.kind, vec![Value::new(desc, &i.elements).unwrap()])).collect()
}

fn mlperf_tiny(stem: &str) {
    let directory = mixed::shared().join("models/mlperf-tiny");
    if !directory.exists() {
        println!("SKIPPED: {stem}, {} is not here", directory.display());
        return;
    }
    let natural = mixed::natural(stem);
    for extension in ["tflite", "onnx"] {
        let model = directory.join(format!("{stem}_float.{extension}"));
        let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let samples = samples_of(&source, &natural);
        for numeric in NUMERICS {
            let db = measure(&model, &source, &samples, numeric);
            assert!(db >= FLOOR_DB, "{stem} from {extension}: {db:.1} dB with {}", numeric.rounding().name());
        }
    }
}

#[test]
fn anomaly_detection_keeps_its_signal() {
    mlperf_tiny("ad_autoencoder");
}

#[test]
fn image_classification_keeps_its_signal() {
    mlperf_tiny("ic_resnet8");
}

#[test]
fn keyword_spotting_keeps_its_signal() {
    mlperf_tiny("kws_dscnn");
}

#[test]
fn visual_wake_words_keeps_its_signal() {
    mlperf_tiny("vww_mobilenet");
}

/// Correct classes of a bundle on samples with labels, through a session.
fn correct(bundle: &[u8], samples: &Samples, labels: &[i64]) -> usize {
    let bytes = AlignedBytes::new(bundle);
    let bundle = Bundle::check(&bytes).unwrap();
    let session = Session::load(&bundle, ops::ALL).unwrap();
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut run = session.bind(&mut arena).unwrap();
    let mut correct = 0;
    for (sample, &label) in samples.iter().zip(labels) {
        let reals: Vec<f32> = sample.unwrap()[0].elements::<f32>().to_vec();
        let mut input = run.input(0).unwrap();
        if input.desc().dtype == Dtype::F32 {
            input.copy_from(&reals).unwrap();
        } else {
            let mut levels = Vec::new();
            quantize(&reals, &input.desc().clone(), &mut levels).unwrap();
            input.copy_from_bytes(&levels).unwrap();
        }
        run.run().unwrap();
        let output = run.output(0).unwrap();
        let scores: Vec<f32> = match output.desc().dtype {
            Dtype::F32 => output.elements::<f32>().unwrap().to_vec(),
            _ => output.elements::<i8>().unwrap().iter().map(|&q| q as f32).collect(),
        };
        let best = (0..scores.len()).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        correct += usize::from(best == label as usize);
    }
    correct
}

fn vibration(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(file)
}

/// The model card: 90.25 % of the 1200 windows of the test split.
#[test]
fn the_vibration_model_keeps_its_accuracy() {
    let model = vibration("model.onnx");
    let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let calibration = Samples::read(&vibration("calibrate.npz"), &source).unwrap_or_else(|e| panic!("{e}"));
    let evaluation = Samples::read(&vibration("evaluate.npz"), &source).unwrap_or_else(|e| panic!("{e}"));
    let labels = evaluation.labels("labels").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((labels.len(), evaluation.len()), (1200, 1200));

    let float = correct(&pack(&model, &source, Numeric::Single, None).bytes, &evaluation, &labels);
    println!("vibration f32: {float} of 1200 correct");
    assert!((1081..=1085).contains(&float), "{float} correct, the model card says 1083");
    for numeric in NUMERICS {
        let samples = calibration.iter().collect::<Result<_, _>>().unwrap();
        let packed = pack(&model, &source, numeric, Some(samples));
        let int8 = correct(&packed.bytes, &evaluation, &labels);
        println!(
            "vibration int8 {}: {int8} of 1200 correct, {} bytes",
            numeric.rounding().name(),
            packed.bytes.len()
        );
        assert!(int8 + 24 >= float, "int8 {int8}, float {float}: more than two points lost");
    }
    let mixed: Vec<Labelled> = evaluation.iter().step_by(20).map(|s| ("windows", s.unwrap())).collect();
    for numeric in NUMERICS {
        let db = measure(&model, &source, &mixed, numeric);
        assert!(db >= FLOOR_DB, "{db:.1} dB with {}", numeric.rounding().name());
    }
}
