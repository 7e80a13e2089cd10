//! The same function before and after, on random graphs.

use samara_packager::ir::{
    Activation, Binary, Function, NearestMode, Op, PoolKind, ReduceKind, Sampling, TensorId,
};
use samara_packager::quantize::equalize::{Options, equalize};
use samara_runtime::ops::Window;

use crate::build::{Build, binary, observe, values};

fn activation(build: &mut Build) -> Activation {
    [Activation::NONE, Activation::RELU, Activation::RELU, Activation::RELU6][build.random.below(4)]
}

/// One more operator on `t`; the shape stays an image.
fn step(build: &mut Build, t: TensorId) -> TensorId {
    let (shape, c) = (build.shape(t), build.channels(t));
    let a = activation(build);
    let random = |build: &mut Build, shape: &[usize]| {
        let values = build.random.signeds(shape.iter().product());
        build.constant(shape, &values)
    };
    match build.random.below(20) {
        0 | 1 => build.conv(t, 4 + build.random.clone().below(3) * 2, 3, 1, a),
        2 | 3 => build.conv(t, 8, 1, 1, a),
        4 if c % 2 == 0 => build.conv(t, 6, 3, 2, a),
        5 | 6 => build.depthwise(t, 1, 1, a),
        7 if c <= 8 => build.depthwise(t, 2, 1, a),
        8 if shape[1] >= 4 => {
            let window = Window { stride: [2, 2], ..Window::UNIT };
            let kind = if build.random.below(2) == 0 {
                PoolKind::Max
            } else {
                PoolKind::Average { count_include_pad: true }
            };
            build.node(Op::Pool2d { kind, size: [2, 2], window, activation: a }, &[t])
        }
        9 => {
            // A residual block: its ends are scaled alike.
            let h = build.conv(t, c, 3, 1, Activation::RELU6);
            let h = build.conv(h, c, 1, 1, Activation::NONE);
            build.node(Op::Binary { kind: Binary::Add, activation: a }, &[t, h])
        }
        10 => {
            // Two consumers of one tensor.
            let t = build.conv(t, 6, 1, 1, a);
            let (u, v) = (build.depthwise(t, 1, 1, a), build.conv(t, 6, 3, 1, a));
            build.node(
                binary(
                    [Binary::Add, Binary::Sub, Binary::Maximum, Binary::Minimum]
                        [build.random.clone().below(4)],
                ),
                &[u, v],
            )
        }
        11 => {
            let slopes = random(build, &[c]);
            build.node(Op::PRelu, &[t, slopes])
        }
        12 => build.node(Op::Unary { function: Function::LeakyRelu { alpha: 0.1 } }, &[t]),
        13 => {
            let kind = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Maximum][build.random.below(4)];
            let other = vec![vec![c], vec![1], vec![]].swap_remove(build.random.below(3));
            let other = random(build, &other);
            build.node(binary(kind), &[t, other])
        }
        14 => build.node(Op::Pad { before: vec![0, 1, 0, 0], after: vec![0, 0, 1, 0], value: 0.0 }, &[t]),
        15 => {
            // Squeeze and excite.
            let axes = vec![1, 2];
            let g = build.node(Op::Reduce { kind: ReduceKind::Mean, axes, keep_dims: true }, &[t]);
            let g = build.conv(g, 4, 1, 1, Activation::RELU);
            let g = build.conv(g, c, 1, 1, Activation::NONE);
            let g = build.node(Op::Unary { function: Function::Logistic }, &[g]);
            build.node(binary(Binary::Mul), &[t, g])
        }
        16 => build.node(Op::Transpose { permutation: vec![0, 2, 1, 3] }, &[t]),
        17 => {
            let half = build.node(
                Op::StridedSlice {
                    begin: vec![0; 4],
                    size: vec![1, shape[1] - 1, shape[2], c],
                    stride: vec![1; 4],
                },
                &[t],
            );
            build.node(Op::Concatenation { axis: 1 }, &[half, t])
        }
        18 => {
            let (size, sampling) = ([shape[1] + 1, shape[2]], Sampling::HalfPixel);
            let mode = NearestMode::RoundPreferFloor;
            build.node(Op::ResizeNearest { size, sampling, mode }, &[t])
        }
        _ => build.conv(t, c, 1, 1, Activation::RELU6),
    }
}

fn random_graph(seed: u64) -> Build {
    let (mut build, x) = Build::new(seed, &[1, 6, 5, 3]);
    let mut t = build.conv(x, 8, 3, 1, Activation::RELU6);
    for _ in 0..2 + build.random.below(6) {
        t = step(&mut build, t);
    }
    // Flattened columns or pooled ones, then a classifier.
    let shape = build.shape(t);
    t = if build.random.below(2) == 0 {
        build.node(Op::Reshape { shape: vec![1, shape[1..].iter().product()] }, &[t])
    } else {
        build.node(Op::Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: false }, &[t])
    };
    t = build.dense(t, 10, Activation::RELU);
    t = build.dense(t, 4, Activation::NONE);
    build.graph.outputs = vec![t];
    build
}

fn close(want: &[f32], got: impl Iterator<Item = f32>, about: &str) {
    let most = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (w, g) in want.iter().zip(got) {
        assert!((w - g).abs() <= 2e-4 * most, "{about}: {w} became {g}, greatest {most}");
    }
}

#[test]
fn random_graphs_compute_the_same_function() {
    let (mut scaled, mut capped, mut shared, mut tiled) = (0, 0, 0, 0);
    for seed in 0..150 {
        let build = random_graph(seed);
        let samples = build.samples(4);
        let channels = observe(&build.graph, &samples);
        let alpha = [None, Some(0.0), Some(0.5), Some(1.0)][seed as usize % 4];
        let options =
            Options { alpha, caps: seed % 5 > 0, least_gain_db: f64::NEG_INFINITY, ..Options::default() };
        let mut graph = build.graph.clone();
        let done =
            equalize(&mut graph, |t| channels[t].as_deref(), &options).unwrap_or_else(|e| panic!("{e}"));
        scaled += usize::from(done.factors.values().any(|f| f.iter().any(|&f| f != 1.0)));
        capped += done.streams.iter().map(|s| s.caps).sum::<usize>();
        shared += done.streams.iter().filter(|s| s.tensors.len() > 3).count();
        assert!(options.caps || done.streams.iter().all(|s| s.caps == 0));
        // Unseen samples, well outside the calibrated ranges: caps must hold there too.
        for sample in build.samples(8).iter().skip(4) {
            let mut loud = sample.clone();
            let louder: Vec<f32> = loud[0].elements::<f32>().iter().map(|v| v * 20.0).collect();
            loud[0] = samara_runtime::ops::eval::Value::new(loud[0].desc, &louder).unwrap();
            let (before, after) = (values(&build.graph, &loud), values(&graph, &loud));
            let output = graph.outputs[0];
            close(
                before[output].as_ref().unwrap(),
                after[output].clone().unwrap().into_iter(),
                &format!("seed {seed}"),
            );
            for (t, want) in before.iter().enumerate() {
                let (Some(want), Some(got)) = (want, &after[t]) else { continue };
                let name = &graph.tensors[t].name;
                let one = vec![1.0];
                let factors = done.factors.get(name).unwrap_or(&one);
                // The last axis may hold the channels several times.
                let last = graph.tensors[t].shape.last().copied().unwrap_or(1);
                assert_eq!(last % factors.len(), 0);
                tiled += usize::from(factors.len() > 1 && last > factors.len());
                let undone = got.iter().enumerate().map(|(k, g)| g * factors[k % last % factors.len()]);
                close(want, undone, &format!("seed {seed}, {name}"));
            }
        }
    }
    println!("{scaled} of 150 graphs scaled, {capped} caps, {shared} streams of more than 3 tensors");
    assert!(scaled > 130 && capped > 50 && shared > 30 && tiled > 10, "{scaled} {capped} {shared} {tiled}");
}

#[test]
fn inputs_outputs_and_what_is_not_homogeneous_stay() {
    let (mut build, x) = Build::new(7, &[1, 4, 4, 3]);
    let a = build.conv(x, 6, 1, 1, Activation::RELU);
    let b = build.node(Op::Unary { function: Function::Logistic }, &[a]);
    let c = build.conv(b, 6, 1, 1, Activation::RELU_N1_TO_1);
    let d = build.conv(c, 6, 1, 1, Activation::RELU);
    let e = build.node(Op::Concatenation { axis: 3 }, &[d, d]);
    let f = build.conv(e, 6, 1, 1, Activation::RELU);
    let g = build.conv(f, 6, 1, 1, Activation::RELU);
    build.graph.outputs = vec![g, f];
    let channels = observe(&build.graph, &build.samples(3));
    let options = Options { least_gain_db: f64::NEG_INFINITY, ..Options::default() };
    let done = equalize(&mut build.graph, |t| channels[t].as_deref(), &options).unwrap();
    assert!(done.factors.is_empty(), "{:?}", done.factors.keys());
}

#[test]
fn what_is_equal_already_is_left_alone() {
    let (mut build, x) = Build::new(9, &[1, 4, 4, 3]);
    let a = build.conv(x, 6, 1, 1, Activation::RELU6);
    let b = build.conv(a, 6, 1, 1, Activation::RELU);
    let c = build.depthwise(b, 1, 1, Activation::NONE);
    build.graph.outputs = vec![c];
    let equal = vec![samara_packager::quantize::Range { lo: 0.0, hi: 1.0 }; 6];
    let nodes = build.graph.nodes.len();
    let done = equalize(&mut build.graph, |_| Some(&equal[..]), &Options::default()).unwrap();
    assert!(done.streams.is_empty() && build.graph.nodes.len() == nodes);
}

#[test]
fn outlier_channels_are_named() {
    let (mut build, x) = Build::new(11, &[1, 4, 4, 3]);
    let a = build.conv(x, 8, 1, 1, Activation::RELU);
    let b = build.conv(a, 4, 1, 1, Activation::NONE);
    build.graph.outputs = vec![b];
    let mut factors = vec![1.0; 8];
    factors[5] = 100.0;
    build.spread(0, &[1], &factors);
    let channels = observe(&build.graph, &build.samples(6));
    let done = equalize(&mut build.graph, |t| channels[t].as_deref(), &Options::default()).unwrap();
    let name = &build.graph.tensors[a].name;
    assert!(done.outliers.iter().any(|o| &o.tensor == name && o.channel == 5 && o.ratio > 8.0));
    assert!(done.outliers.iter().all(|o| o.channel == 5), "{:?}", done.outliers);
    // And scaled away.
    let after = observe(&build.graph, &build.samples(6))[a].clone().unwrap();
    let rest = after.iter().map(|r| r.hi).fold(0f32, f32::max);
    assert!(done.factors.contains_key(name) && after[5].hi <= rest);
}
