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
use samara_packager::quantize::{
    self, Activations, Levels, Observations, Observe, Recipe, WeightRounding, Weights, choose,
};
use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

type Sample = Vec<Value>;

/// The output, or what its softmax reads.
fn last(graph: &Graph) -> usize {
    let output = graph.outputs[0];
    let softmax = graph.nodes.iter().find(|n| n.outputs == [output] && matches!(n.op, Op::Softmax { .. }));
    softmax.and_then(|n| n.inputs[0]).unwrap_or(output)
}

/// Reals of the last layer for every sample.
fn run(graph: &Graph, samples: &[Sample]) -> Vec<Vec<f64>> {
    let interpreter = Interpreter::new(graph).unwrap_or_else(|e| panic!("{e}"));
    let t = last(graph);
    let (scale, zero) = graph.tensors[t].quant.as_ref().and_then(Quant::single).unwrap_or((1.0, 0));
    let real = |level: i32| scale as f64 * (level - zero) as f64;
    let one = |sample: &Sample| {
        let inputs = graph.inputs.iter().zip(sample).map(|(&i, v)| input(graph, i, v)).collect();
        let mut found = Vec::new();
        let observed = interpreter.run(inputs, |tensor, value| {
            if tensor == t {
                found = match value.desc.dtype {
                    Dtype::F32 => value.elements::<f32>().iter().map(|&x| x as f64).collect(),
                    Dtype::I16 => value.elements::<i16>().iter().map(|&q| real(q as i32)).collect(),
                    _ => value.elements::<i8>().iter().map(|&q| real(q as i32)).collect(),
                };
            }
            Ok(())
        });
        observed.unwrap_or_else(|e| panic!("{e}"));
        found
    };
    samples.iter().map(one).collect()
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
fn score(want: &[Vec<f64>], got: &[Vec<f64>]) -> (f64, f64) {
    let (mut signal, mut noise, mut same) = (0.0, 0.0, 0);
    let greatest = |v: &[f64]| (0..v.len()).max_by(|&a, &b| v[a].total_cmp(&v[b]));
    for (want, got) in want.iter().zip(got) {
        for (w, g) in want.iter().zip(got) {
            signal += w * w;
            noise += (w - g) * (w - g);
        }
        same += usize::from(greatest(want) == greatest(got));
    }
    (10.0 * (signal / noise).log10(), same as f64 / want.len() as f64)
}

/// A float model with what calibration saw of it, samples that took no part, and its outputs for them.
struct Model {
    float: Graph,
    observations: Observations,
    calibration: Vec<Sample>,
    test: Vec<Sample>,
    want: Vec<Vec<f64>>,
}

impl Model {
    fn new(source: &Graph, calibration: Vec<Sample>, test: Vec<Sample>) -> Self {
        let mut float = source.clone();
        quantize::prepare(&mut float).unwrap();
        let samples = calibration.iter().cloned().map(Ok);
        let observations = quantize::observe(&float, samples, Observe::Histograms).unwrap();
        let want = run(&float, &test);
        Model { float, observations, calibration, test, want }
    }

    /// Decibels on the test samples, agreement, and the quantized graph.
    fn measure(&self, recipe: &Recipe) -> (f64, f64, Graph) {
        let levels = if recipe.activations == Activations::Int16 { Levels::Int16 } else { Levels::Int8 };
        let ranges = self.observations.ranges(recipe.range, levels).unwrap();
        let start = Instant::now();
        let graph = quantize::quantize(&self.float, recipe, Some(&ranges), Numeric::Single);
        let graph = graph.unwrap_or_else(|e| panic!("{e}"));
        let samples = self.calibration.iter().cloned().map(Ok);
        let recovered = recover(&self.float, graph, recipe, samples, &recover::Options::default());
        let (graph, outcomes) = recovered.unwrap_or_else(|e| panic!("{e}"));
        let seconds = start.elapsed().as_secs_f64();
        let (db, same) = score(&self.want, &run(&graph, &self.test));
        let moved: usize = outcomes.iter().map(|o| o.moved).sum();
        let channels: usize = outcomes.iter().map(|o| o.channels).sum();
        println!(
            "  {:<58} {db:5.2} dB, {:5.1} % agree, {:4.2} bits per weight, {moved} of {channels} channels moved, {seconds:.1} s",
            describe(recipe),
            100.0 * same,
            quantize::bits(&graph).per_weight()
        );
        (db, same, graph)
    }

    /// Measures a recipe with each rounding; recovery must not lose what nearest rounding has. Returns decibels
    /// of nearest rounding and of both recoveries.
    fn recovers(&self, activations: Activations, weights: Weights) -> [f64; 3] {
        let nearest = Recipe { activations, weights, ..Recipe::default() };
        let optimized = Recipe { rounding: WeightRounding::Optimized, ..nearest.clone() };
        let both = Recipe { correct_bias: true, ..optimized.clone() };
        [&nearest, &optimized, &both].map(|r| self.measure(r).0)
    }
}

fn describe(r: &Recipe) -> String {
    let bias = if r.correct_bias { ", biases" } else { "" };
    format!("{:?} x {:?}, {:?}, {:?}{bias}", r.activations, r.weights, r.range, r.rounding)
}

const INT4: Weights = Weights::Int4 { group: None };

/// Each format gains from recovery, on samples that it has not seen: at least these decibels with the better of
/// weights alone and weights with biases, of which the chooser takes one. Few samples say little of means, so
/// neither alone loses much.
const GAINS: [(Weights, f64); 3] = [(Weights::Int8, 0.0), (INT4, 5.0), (Weights::Palette, 5.0)];
const MOST_LOSS: f64 = 1.0;

fn gains(model: &Model) {
    for (weights, gain) in GAINS {
        let [nearest, optimized, both] = model.recovers(Activations::Int8, weights);
        let (best, worst) = (optimized.max(both), optimized.min(both));
        assert!(best >= nearest + gain, "{weights:?}: {best:.2} dB, nearest {nearest:.2} dB");
        assert!(worst >= nearest - MOST_LOSS, "{weights:?}: {worst:.2} dB, nearest {nearest:.2} dB");
    }
}

fn mlperf_tiny(stem: &str) -> Option<Model> {
    let model = mixed::shared().join(format!("models/mlperf-tiny/{stem}_float.tflite"));
    if !model.exists() {
        println!("SKIPPED: {stem}, {} is not here", model.display());
        return None;
    }
    let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let tensor = &source.tensors[source.inputs[0]];
    let desc = tensor.desc().unwrap();
    let inputs = mixed::inputs(&tensor.shape, &mixed::natural(stem));
    println!("{stem}: {}", mixed::summary(&inputs));
    let all: Vec<Sample> = inputs.iter().map(|i| vec![Value::new(desc, &i.elements).unwrap()]).collect();
    let half = |from: usize| all.iter().skip(from).step_by(2).cloned().collect::<Vec<_>>();
    Some(Model::new(&source, half(0), half(1)))
}

fn vibration() -> Model {
    let file = |f: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(f);
    let source = pipeline::import(&file("model.onnx"), &import::Options::default()).unwrap();
    let read = |f: &str| -> Vec<Sample> {
        Samples::read(&file(f), &source).unwrap().iter().collect::<Result<_, _>>().unwrap()
    };
    Model::new(&source, read("calibrate.npz"), read("evaluate.npz").into_iter().step_by(4).collect())
}

#[test]
fn anomaly_detection() {
    mlperf_tiny("ad_autoencoder").iter().for_each(gains);
}

#[test]
fn image_classification() {
    mlperf_tiny("ic_resnet8").iter().for_each(gains);
}

#[test]
fn keyword_spotting() {
    mlperf_tiny("kws_dscnn").iter().for_each(gains);
}

#[test]
fn visual_wake_words() {
    mlperf_tiny("vww_mobilenet").iter().for_each(gains);
}

#[test]
fn vibration_classification() {
    gains(&vibration());
}

/// At most this much per weight, codes, scales and tables together, and at least this ratio before the softmax.
#[test]
fn four_bits_are_enough_for_visual_wake_words() {
    let Some(model) = mlperf_tiny("vww_mobilenet") else { return };
    for weights in [INT4, Weights::Palette] {
        let rounding = WeightRounding::Optimized;
        let (db, _, graph) =
            model.measure(&Recipe { weights, rounding, correct_bias: true, ..Recipe::default() });
        let bits = quantize::bits(&graph);
        println!("  {:.3} bits with scales as multiplier and shift", bits.stored_per_weight());
        assert!(bits.per_weight() <= 4.5, "{weights:?}: {:.3} bits per weight", bits.per_weight());
        assert!(db >= 12.0, "{weights:?}: {db:.2} dB");
    }
}

/// Every number format of activations runs with every format of weights, and recovery helps the narrow ones.
#[test]
fn all_formats_of_activations_and_weights() {
    let model = vibration();
    let grouped = Weights::Int4 { group: Some(16) };
    for activations in [Activations::F32, Activations::Int8, Activations::Int16] {
        for (weights, floor) in
            [(Weights::Int8, 30.0), (INT4, 18.0), (grouped, 18.0), (Weights::Palette, 18.0)]
        {
            let [nearest, optimized, both] = model.recovers(activations, weights);
            assert!(optimized >= floor && both >= floor && optimized > nearest - 0.3);
        }
    }
    let floats = |weights| Recipe { activations: Activations::F32, weights, ..Recipe::default() };
    assert!(model.measure(&floats(Weights::F16)).0 >= 60.0);
    assert!(model.measure(&floats(Weights::F32)).0.is_infinite());
}

/// What the chooser takes on calibration data is better on test data than the plain recipe, too.
#[test]
fn what_helps_on_calibration_data_helps_on_others() {
    let model = vibration();
    let count = model.calibration.len();
    let fitting = model.calibration.iter().enumerate().filter(|(n, _)| choose::fits(*n, count));
    let fitting = fitting.map(|(_, s)| Ok(s.clone()));
    let observations = quantize::observe(&model.float, fitting, Observe::Histograms).unwrap();
    let candidates =
        [choose::Candidate { graph: &model.float, equalized: false, observations: Some(&observations) }];
    let data = || -> Box<dyn Iterator<Item = _>> { Box::new(model.calibration.iter().cloned().map(Ok)) };
    for weights in [Weights::Int8, Weights::Palette] {
        let base = Recipe { weights, ..Recipe::default() };
        let options = recover::Options::default();
        let chosen = choose::choose(
            &candidates,
            &base,
            &choose::Fixed::default(),
            &data,
            count,
            Numeric::Single,
            options,
        )
        .unwrap();
        for t in &chosen.trials {
            let agreement = 100.0 * t.score.agreement.expect("the model classifies");
            let mark = if t.kept { "kept" } else { "" };
            println!("  {:58} {:5.2} dB, {agreement:5.1} % {mark}", describe(&t.recipe), t.score.sqnr_db);
        }
        assert!(chosen.trials.len() >= 6 && chosen.trials[0].kept);
        let (plain, chosen) = (model.measure(&base).0, model.measure(&chosen.recipe).0);
        assert!(chosen >= plain, "{chosen:.2} dB, plain {plain:.2} dB");
    }
}

/// Same samples, same constants, whatever the machine does meanwhile.
#[test]
fn recovery_repeats() {
    let mut model = vibration();
    model.calibration.truncate(32);
    let rounding = WeightRounding::Optimized;
    let recipe = Recipe { weights: Weights::Palette, rounding, correct_bias: true, ..Recipe::default() };
    let constants =
        |g: &Graph| g.tensors.iter().map(|t| (t.data.clone(), t.quant.clone())).collect::<Vec<_>>();
    let once = constants(&model.measure(&recipe).2);
    assert!(once == constants(&model.measure(&recipe).2));
}
