//! How far a tensor's range goes: what makes it, what reads it, and where nothing was seen.

use samara_packager::interpret;
use samara_packager::ir::{Activation, Binary, Function, Graph, Numeric, Op, Tensor};
use samara_packager::quantize::{Activations, Range, int8, solve};
use samara_runtime::Dtype;
use samara_runtime::ops::Window;
use samara_runtime::ops::eval::Value;

use crate::net::{Net, binary, near};

#[test]
fn a_fused_activation_bounds_the_range() {
    // Calibrated without the clamp, solved with it: as where a method's range is wider than what was seen.
    let mut net = Net::new();
    let factor = net.constant("factor", &[20.0]);
    let y = net.node("y", binary(Binary::Mul), &[net.x, factor]);
    net.graph.outputs = vec![y];
    let ranges = net.ranges();
    assert_eq!(ranges.get(y), Some(Range { lo: -20.0, hi: 20.0 }));
    net.graph.nodes[0].op = Op::Binary { kind: Binary::Mul, activation: Activation::RELU6 };
    let solved = net.solve_with(&ranges, Activations::Int8).unwrap();
    let (lo, hi) = solved.reach(y);
    assert!(lo == 0.0 && near(hi, 6.0), "[{lo}, {hi}]");
    let wide = net.solve_with(&ranges, Activations::Int16).unwrap();
    assert!(near(wide.of(y).0, 6.0 / 32767.0));
}

#[test]
fn what_a_sigmoid_cannot_tell_apart_takes_no_levels() {
    for (function, int8, int16) in
        [(Function::Logistic, 12.0 / 255.0, 11.5 / 32767.0), (Function::Tanh, 6.5 / 255.0, 6.25 / 32767.0)]
    {
        let mut net = Net::new();
        let wide = net.times("wide", net.x, 100.0);
        let flat = net.node("flat", Op::Reshape { shape: vec![1, 128] }, &[wide]);
        let y = net.node("y", Op::Unary { function }, &[flat]);
        let solved = net.solve(&[y], Activations::Int8);
        // Through what only moves, too.
        assert!(near(solved.of(wide).0, int8) && solved.of(flat) == solved.of(wide));
        assert!(near(net.solve(&[y], Activations::Int16).of(wide).0, int16));
        // Not where somebody else reads it.
        let z = net.times("z", wide, 1.0);
        assert!(near(net.solve(&[y, z], Activations::Int8).of(wide).0, 200.0 / 255.0));
    }
}

/// Saturating in front of a sigmoid is free only if every level beyond gives the last level.
#[test]
fn flat_ends_are_flat() {
    for function in [Function::Logistic, Function::Tanh, Function::HardSwish] {
        let mut net = Net::new();
        let wide = net.times("wide", net.x, 30.0);
        let y = net.node("y", Op::Unary { function }, &[wide]);
        net.graph.outputs = vec![y];
        let int8 = int8(&net.graph, &net.ranges(), Numeric::Single).unwrap_or_else(|e| panic!("{e}"));
        let levels: Vec<i8> = (0..128).map(|i| (i * 2 - 128) as i8).collect();
        let input = Value::new(int8.tensors[net.x].desc().unwrap(), &levels).unwrap();
        let (scale, zero) = int8.tensors[y].quant.as_ref().unwrap().single().unwrap();
        let all = interpret::run(&int8, vec![input.clone()]).unwrap();
        let got = all[y].clone().unwrap();
        let (sx, zx) = int8.tensors[net.x].quant.as_ref().unwrap().single().unwrap();
        let reals: Vec<f32> = levels.iter().map(|&l| (l as i32 - zx) as f32 * sx).collect();
        let exact = Value::new(net.graph.tensors[net.x].desc().unwrap(), &reals).unwrap();
        let exact = interpret::run(&net.graph, vec![exact]).unwrap();
        let (sw, _) = int8.tensors[wide].quant.as_ref().unwrap().single().unwrap();
        let (want, x) = (exact[y].clone().unwrap(), exact[wide].clone().unwrap());
        for ((want, got), x) in
            want.elements::<f32>().iter().zip(got.elements::<i8>()).zip(x.elements::<f32>())
        {
            let got = (*got as i32 - zero) as f32 * scale;
            // Within the flat ends the input's own steps count; beyond them only the output's.
            let slope = if x.abs() > 12.0 && function != Function::HardSwish { 0.0 } else { 1.1 };
            assert!((want - got).abs() <= 1.01 * scale + slope * sw, "{function:?} {x}: {want} {got}");
        }
    }
}

#[test]
fn what_a_slice_leaves_out_takes_no_levels() {
    let mut net = Net::new();
    let wide = net.times("wide", net.x, 10.0);
    // The input rises, so the first row is near -10 and the middle near 0.
    let slice =
        |row: i32| Op::StridedSlice { begin: vec![0, row, 0, 0], size: vec![1, 1, 4, 8], stride: vec![1; 4] };
    let y = net.node("y", slice(2), &[wide]);
    let solved = net.solve(&[y], Activations::Int8);
    let (lo, hi) = solved.reach(wide);
    assert!(lo == 0.0 && near(hi, 5.0), "[{lo}, {hi}]");
}

#[test]
fn a_cap_that_no_level_reaches_is_left_out() {
    let capped = |caps: &[f32]| {
        let mut net = Net::new();
        let a = net.times("a", net.x, 8.0);
        let caps = net.constant("caps", caps);
        let y = net.node("y", binary(Binary::Minimum), &[a, caps]);
        let z = net.times("z", y, 1.0);
        (net.solve(&[z], Activations::Int8), a, y)
    };
    // Every channel's cap is at the end of the range that the highest of them leaves.
    let (solved, a, y) = capped(&[6.0]);
    assert_eq!(solved.solution.idle, ["y"]);
    assert!(near(solved.reach(y).1, 6.0) && !solved.solution.activations.contains_key(&a));
    assert_eq!(solved.maker(y).name, "a");
    // One channel is capped below the others: the comparison stays.
    let (solved, a, y) = capped(&[6.0, 6.0, 6.0, 6.0, 6.0, 2.0, 6.0, 6.0]);
    assert!(solved.solution.idle.is_empty());
    assert!(near(solved.reach(y).1, 6.0) && solved.of(a) == solved.of(y));
}

#[test]
fn tensors_and_channels_of_zeros_get_usable_scales() {
    let mut g = Graph::new("zeros", Numeric::Single);
    let x = g.add(Tensor::new("x", Dtype::F32, vec![1, 2, 2, 2]));
    let weights = [0.0f32, 0.0, 1.0, -1.0];
    let w = g.add(Tensor::constant("w", Dtype::F32, vec![2, 1, 1, 2], &weights));
    let b = g.add(Tensor::constant("b", Dtype::F32, vec![2], &[0.75f32, 0.0]));
    let conv = Op::Conv2d { window: Window::UNIT, groups: 1, activation: Activation::NONE };
    let y = g.push("y", conv, &[Some(x), Some(w), Some(b)]).unwrap();
    (g.inputs, g.outputs) = (vec![x], vec![y]);
    let zeros = || vec![Value::zeros(g.tensors[x].desc().unwrap())];
    let ranges = samara_packager::quantize::calibrate(&g, std::iter::once(Ok(zeros()))).unwrap();
    for format in [Activations::Int8, Activations::Int16] {
        let solution = solve::solve(&mut g.clone(), &ranges, format).unwrap();
        assert!(solution.activations.values().all(|q| q.scale[0].is_normal() && q.scale[0] > 0.0));
    }
    let int8 = int8(&g, &ranges, Numeric::Single).unwrap();
    let zero = int8.tensors[x].quant.as_ref().unwrap().zero_point[0];
    let input = Value::new(int8.tensors[x].desc().unwrap(), &[zero as i8; 8]).unwrap();
    let out = interpret::run(&int8, vec![input]).unwrap()[y].clone().unwrap();
    let (scale, zero) = int8.tensors[y].quant.as_ref().unwrap().single().unwrap();
    let reals: Vec<f32> = out.elements::<i8>().iter().map(|&q| (q as i32 - zero) as f32 * scale).collect();
    assert!(reals.chunks(2).all(|c| (c[0] - 0.75).abs() < 0.01 && c[1] == 0.0), "{reals:?}");
}

#[test]
fn a_tensor_that_was_not_calibrated_is_named() {
    let mut net = Net::new();
    let ranges = {
        net.graph.outputs = vec![net.x];
        net.ranges()
    };
    let y = net.times("later", net.x, 2.0);
    net.graph.outputs = vec![y];
    let error = net.solve_with(&ranges, Activations::Int8).unwrap_err().to_string();
    assert!(error.contains("'later'"), "{error}");
    assert!(net.solve_with(&ranges, Activations::F32).is_err());
}
