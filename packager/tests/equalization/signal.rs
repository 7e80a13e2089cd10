//! How much of the signal int8 keeps where channel ranges are badly unequal, before and after equalization.

use samara_packager::data::samples::quantize;
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Activation, Graph, Numeric, Op, ReduceKind, TensorId};
use samara_packager::passes::prepare_for_lowering;
use samara_packager::quantize::equalize::{Equalization, Options, equalize};
use samara_packager::quantize::{calibrate, int8, prepare};
use samara_packager::{import, pipeline};
use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use crate::build::{Build, observe};
use crate::mixed;

/// Depthwise separable blocks as MobileNet has them; the spread of channel ranges between layers is `2^-down` to
/// `2^up`, and the function is the same whatever the spread (caps are never reached).
pub(crate) fn mobile(activation: Activation, down: i32, up: i32) -> Build {
    let (mut build, x) = Build::new(3, &[1, 16, 16, 3]);
    let mut t = build.conv(x, 16, 3, 1, activation);
    for (channels, stride) in [(24, 2), (32, 1), (32, 2), (48, 1), (48, 1)] {
        t = build.depthwise(t, 1, stride, activation);
        t = build.conv(t, channels, 1, 1, activation);
    }
    t = build.node(Op::Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: false }, &[t]);
    let layers = build.graph.nodes.len() - 1;
    t = build.dense(t, 10, Activation::NONE);
    build.graph.outputs = vec![t];
    for n in 0..layers {
        let consumer = if n + 1 < layers { n + 1 } else { n + 2 };
        let channels = build.channels(build.graph.nodes[n].outputs[0]);
        let steps = (up + down + 1) as usize;
        let factors: Vec<f32> =
            (0..channels).map(|_| 2f32.powi(build.random.below(steps) as i32 - down)).collect();
        build.spread(n, &[consumer], &factors);
    }
    build
}

/// What a softmax at the end reads, or the output.
fn scores(graph: &Graph) -> TensorId {
    let output = graph.outputs[0];
    let softmax = graph.nodes.iter().find(|n| n.outputs == [output] && matches!(n.op, Op::Softmax { .. }));
    softmax.and_then(|n| n.inputs[0]).unwrap_or(output)
}

/// Signal to noise of the int8 graph's scores on samples that were not calibrated on, in decibels.
fn sqnr(graph: &Graph, source: &Graph, fit: &[Vec<Value>], held: &[Vec<Value>]) -> f64 {
    let ranges = calibrate(graph, fit.iter().cloned().map(Ok)).unwrap_or_else(|e| panic!("{e}"));
    let mut quantized = int8(graph, &ranges, Numeric::Single).unwrap_or_else(|e| panic!("{e}"));
    prepare_for_lowering(&mut quantized).unwrap_or_else(|e| panic!("{e}"));
    let y = scores(source);
    let (mut signal, mut noise) = (0f64, 0f64);
    let (exact, rounded) = (Interpreter::new(source).unwrap(), Interpreter::new(&quantized).unwrap());
    let one = |interpreter: &Interpreter<'_>, input: Value| {
        let mut found = None;
        let keep = |t, v: &Value| {
            if t == y {
                found = Some(v.clone());
            }
            Ok(())
        };
        interpreter.run(vec![input], keep).unwrap_or_else(|e| panic!("{e}"));
        found.expect("the scores are computed")
    };
    for sample in held {
        let want = one(&exact, sample[0].clone());
        let desc = quantized.tensors[quantized.inputs[0]].desc().unwrap();
        let mut levels = Vec::new();
        quantize(sample[0].elements(), &desc, &mut levels).unwrap();
        let mut input = Value::zeros(desc);
        input.bytes_mut().copy_from_slice(&levels);
        let got = one(&rounded, input);
        assert_eq!(got.desc.dtype, Dtype::I8);
        for (w, g) in want.elements::<f32>().iter().zip(got.elements::<i8>()) {
            let g = (*g as i32 - got.desc.zero_point) as f64 * got.desc.scale as f64;
            signal += (*w as f64).powi(2);
            noise += (*w as f64 - g).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

pub(crate) fn equalized(build: &Build, fit: &[Vec<Value>], options: &Options) -> (Graph, Equalization) {
    let channels = observe(&build.graph, fit);
    let mut graph = build.graph.clone();
    let done = equalize(&mut graph, |t| channels[t].as_deref(), options).unwrap_or_else(|e| panic!("{e}"));
    (graph, done)
}

#[test]
fn unequal_channels_keep_their_signal() {
    for (name, activation, down, up) in
        [("ReLU, 1/64 to 64", Activation::RELU, 6, 6), ("ReLU6, 1/4096 to 1", Activation::RELU6, 12, 0)]
    {
        let build = mobile(activation, down, up);
        let samples = build.samples(48);
        let (fit, held) = samples.split_at(32);
        let before = sqnr(&build.graph, &build.graph, fit, held);
        let even = mobile(activation, 0, 0);
        let reference = sqnr(&even.graph, &even.graph, fit, held);
        println!("{name}: int8 {before:.1} dB; {reference:.1} dB without the spread");
        let tried = [Some(0.25), Some(0.5), Some(0.75), Some(1.0), None].map(|alpha| Options {
            alpha,
            headroom: 1.0,
            ..Options::default()
        });
        let mut last = 0.0;
        for options in tried.into_iter().chain([Options::default()]) {
            let (graph, done) = equalized(&build, fit, &options);
            last = sqnr(&graph, &build.graph, fit, held);
            let caps: usize = done.streams.iter().map(|s| s.caps).sum();
            let (alpha, headroom, streams) = (options.alpha, options.headroom, done.streams.len());
            println!("  alpha {alpha:?}, headroom {headroom}: {last:.1} dB, {streams} streams, {caps} caps");
        }
        assert!(before < 12.0, "{name}: {before:.1} dB before, so the fixture shows nothing");
        assert!(last > 24.0, "{name}: {last:.1} dB after");
    }
}

#[test]
fn caps_that_stay_above_the_range_cost_no_step() {
    let build = mobile(Activation::RELU6, 12, 0);
    let samples = build.samples(32);
    let options = Options { alpha: Some(1.0), ..Options::default() };
    let (graph, done) = equalized(&build, &samples, &options);
    let caps: usize = done.streams.iter().map(|s| s.caps).sum();
    let minimums = |g: &Graph| g.nodes.iter().filter(|n| n.name.ends_with("/cap")).count();
    assert!(caps > 5 && minimums(&graph) == caps);
    let ranges = calibrate(&graph, samples.iter().cloned().map(Ok)).unwrap();
    let quantized = int8(&graph, &ranges, Numeric::Single).unwrap();
    println!("{caps} caps in floats, {} in int8", minimums(&quantized));
    assert_eq!(minimums(&quantized), 0);
    // Without caps nothing is crossed.
    let (_, without) = equalized(&build, &samples, &Options { caps: false, ..options });
    assert!(without.streams.is_empty() || without.streams.iter().all(|s| s.caps == 0));
}

/// int8 before and after on held-out samples, in decibels; `None` where the model is not here.
fn mlperf_tiny(stem: &str) -> Option<[f64; 2]> {
    let model = mixed::shared().join(format!("models/mlperf-tiny/{stem}_float.tflite"));
    if !model.exists() {
        println!("SKIPPED: {stem}, {} is not here", model.display());
        return None;
    }
    let mut graph = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    prepare(&mut graph).unwrap_or_else(|e| panic!("{e}"));
    let input = &graph.tensors[graph.inputs[0]];
    let desc = input.desc().unwrap();
    let inputs = mixed::inputs(&input.shape, &mixed::natural(stem));
    let value = |i: &mixed::Input| vec![Value::new(desc, &i.elements).unwrap()];
    let fit: Vec<_> = inputs.iter().step_by(2).map(value).collect();
    let held: Vec<_> = inputs.iter().skip(1).step_by(2).map(value).collect();
    let channels = observe(&graph, &fit);
    let mut scaled = graph.clone();
    let done = equalize(&mut scaled, |t| channels[t].as_deref(), &Options::default())
        .unwrap_or_else(|e| panic!("{e}"));
    let [before, after] = [&graph, &scaled].map(|g| sqnr(g, &graph, &fit, &held));
    let (streams, outliers) = (done.streams.len(), done.outliers.len());
    println!(
        "{stem}: int8 {before:.1} dB, {after:.1} dB after, {streams} streams, {outliers} outlier channels"
    );
    println!("  {}", mixed::summary(&inputs));
    Some([before, after])
}

/// The float models, calibrated on few samples of many kinds: hardest on what was fitted to samples.
#[test]
fn equalization_helps_on_average_and_hurts_nowhere_much() {
    let stems = ["ad_autoencoder", "ic_resnet8", "kws_dscnn", "vww_mobilenet"];
    let seen: Vec<_> = stems.into_iter().filter_map(|stem| Some((stem, mlperf_tiny(stem)?))).collect();
    for (stem, [before, after]) in &seen {
        assert!(after > &(before - 2.0), "{stem}: {before:.1} dB fell to {after:.1} dB");
    }
    let gain: f64 = seen.iter().map(|(_, [before, after])| after - before).sum();
    assert!(seen.is_empty() || gain / seen.len() as f64 > 0.5, "{gain:.1} dB over {} models", seen.len());
}
