//! Comparisons of bundles with the model they were packed from: equalization undone, noise told apart.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use samara_packager::bundle::bare;
use samara_packager::compare::{Comparison, compare, compare_alone, worst_alone};
use samara_packager::files::AlignedBytes;
use samara_packager::ir::{Activation, Graph, Numeric, Op};
use samara_packager::quantize::equalize::Options;
use samara_packager::quantize::{Activations, Recipe, Weights, calibrate, quantize};
use samara_packager::{passes, plan};
use samara_runtime::ops::eval::Value;

use crate::build::Build;
use crate::signal::{equalized, mobile};

type Factors = BTreeMap<String, Vec<f32>>;

fn bundle(graph: &Graph, factors: Factors) -> AlignedBytes {
    let mut graph = graph.clone();
    passes::prepare_for_lowering(&mut graph).unwrap_or_else(|e| panic!("{e}"));
    let mut plan = plan::plan(&graph, plan::Kernels::HOST).unwrap_or_else(|e| panic!("{e}"));
    plan.equalized = factors;
    AlignedBytes::new(&bare("test", &plan).unwrap_or_else(|e| panic!("{e}")))
}

fn quantized(graph: &Graph, recipe: &Recipe, samples: &[Vec<Value>]) -> Graph {
    let ranges = calibrate(graph, samples.iter().cloned().map(Ok)).unwrap_or_else(|e| panic!("{e}"));
    quantize(graph, recipe, Some(&ranges), Numeric::Single).unwrap_or_else(|e| panic!("{e}"))
}

fn layers(source: &Graph, bundle: &[u8], samples: &[Vec<Value>]) -> Vec<Comparison> {
    compare_alone(source, bundle, samples.iter().cloned().map(Ok)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn equalization_is_undone() {
    let build = mobile(Activation::RELU6, 12, 0);
    let samples = build.samples(24);
    let (graph, done) = equalized(&build, &samples, &Options::default());
    let int8 = quantized(&graph, &Recipe::default(), &samples);
    let seen = layers(&build.graph, &bundle(&int8, done.factors.clone()), &samples);
    for l in &seen {
        let own = l.own_sqnr_db().unwrap();
        println!("{:24} {:5.1} dB, alone {own:5.1} dB, {:.4}", l.name, l.sqnr_db(), l.cosine());
        assert!(l.sqnr_db() > 15.0 && own > 15.0, "{}", l.name);
    }
    // Every layer of the model is there under its own name.
    assert_eq!(seen.len(), build.graph.nodes.len());
    // Without the factors a scaled layer looks wrong, though the output is not.
    let blind = layers(&build.graph, &bundle(&int8, Factors::new()), &samples);
    assert!(blind[0].sqnr_db() < 5.0 && blind.last().unwrap().sqnr_db() > 15.0);
    // Factors that do not belong to the tensor are refused by its name.
    let wrong: Factors = done.factors.keys().map(|name| (name.clone(), vec![1.0; 5])).collect();
    let error = compare(&build.graph, &bundle(&int8, wrong), std::iter::empty()).unwrap_err().to_string();
    assert!(error.contains("factors") && error.contains("channels"), "{error}");
}

#[test]
fn the_layer_that_goes_wrong_is_told_from_those_that_inherit() {
    let build = mobile(Activation::RELU, 0, 0);
    let samples = build.samples(16);
    let mut int8 = quantized(&build.graph, &Recipe::default(), &samples);
    // Half of one layer's weights are lost.
    let broken = 4;
    let weights = int8.nodes[broken].inputs[1].unwrap();
    int8.tensors[weights].data.as_mut().unwrap().iter_mut().step_by(2).for_each(|w| *w = 0);
    let seen = layers(&build.graph, &bundle(&int8, Factors::new()), &samples);
    let name = &build.graph.tensors[build.graph.nodes[broken].outputs[0]].name;
    assert_eq!(&worst_alone(&seen).unwrap().name, name);
    for (n, l) in seen.iter().enumerate() {
        let own = l.own_sqnr_db().unwrap();
        let all = l.sqnr_db();
        let told = match n.cmp(&broken) {
            Ordering::Less => own > 25.0 && all > 25.0,
            Ordering::Equal => own < 10.0,
            Ordering::Greater => own > 20.0 && all < own - 10.0,
        };
        assert!(told, "{}: {all:.1} dB, alone {own:.1} dB", l.name);
    }
}

#[test]
fn every_scheme_is_compared() {
    let build = mobile(Activation::RELU, 0, 0);
    let samples = build.samples(12);
    let int4 = Weights::Int4 { group: None };
    for (activations, weights, floor) in [
        (Activations::Int8, Weights::Int8, 25.0),
        (Activations::Int16, Weights::Int8, 30.0),
        (Activations::F32, Weights::F32, 120.0),
        (Activations::F32, Weights::F16, 50.0),
        (Activations::F32, Weights::Int8, 30.0),
        (Activations::F32, int4, 6.0),
        (Activations::Int8, Weights::Palette, 6.0),
    ] {
        let recipe = Recipe { activations, weights, ..Recipe::default() };
        let graph = quantized(&build.graph, &recipe, &samples);
        let seen = layers(&build.graph, &bundle(&graph, Factors::new()), &samples);
        let last = seen.last().unwrap();
        println!(
            "{activations:?} x {weights:?}: {:.1} dB, worst {:?}",
            last.sqnr_db(),
            worst_alone(&seen).map(|l| &l.name)
        );
        assert!(last.sqnr_db() > floor, "{activations:?} x {weights:?}: {:.1} dB", last.sqnr_db());
        assert_eq!(seen.len(), build.graph.nodes.len());
        // Alone, a layer has no more than its own noise.
        assert!(seen.iter().all(|l| l.own_sqnr_db().unwrap() >= l.sqnr_db() - 3.0));
    }
}

#[test]
fn what_was_fused_counts_to_the_last_common_tensor() {
    let (mut build, x) = Build::new(5, &[1, 4, 4, 3]);
    let a = build.conv(x, 8, 3, 1, Activation::NONE);
    let b = build.node(Op::Clamp { activation: Activation::RELU }, &[a]);
    let c = build.conv(b, 4, 1, 1, Activation::NONE);
    build.graph.outputs = vec![c];
    let samples = build.samples(8);
    let mut fused = build.graph.clone();
    passes::run(&mut fused).unwrap();
    assert_eq!(fused.nodes.len(), 2, "the clamp is part of the convolution");
    let seen = layers(
        &build.graph,
        &bundle(&quantized(&fused, &Recipe::default(), &samples), Factors::new()),
        &samples,
    );
    let name = |t: usize| build.graph.tensors[t].name.clone();
    let got: Vec<_> = seen.iter().map(|l| (l.name.clone(), l.fused.clone())).collect();
    assert_eq!(got, [(name(b), vec![name(a)]), (name(c), vec![])]);
    assert!(seen.iter().all(|l| l.sqnr_db() > 25.0));
}
