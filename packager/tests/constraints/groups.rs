//! Operators that need equal parameters on all sides.

use samara_packager::interpret;
use samara_packager::ir::{
    Activation, Binary, NearestMode, Numeric, Op, PoolKind, ReduceKind, Sampling, Tensor,
};
use samara_packager::quantize::solve::Reason;
use samara_packager::quantize::{Activations, int8};
use samara_runtime::Dtype;
use samara_runtime::ops::Window;

use crate::net::{Net, binary, near};

fn pool(kind: PoolKind) -> Op {
    let window = Window { stride: [2, 2], ..Window::UNIT };
    Op::Pool2d { kind, size: [2, 2], window, activation: Activation::NONE }
}

#[test]
fn movers_and_comparisons_share_parameters() {
    let (size, sampling) = ([8, 8], Sampling::HalfPixel);
    let ops = [
        pool(PoolKind::Max),
        pool(PoolKind::Average { count_include_pad: false }),
        Op::Reduce { kind: ReduceKind::Max, axes: vec![1, 2], keep_dims: true },
        Op::Reshape { shape: vec![1, 128] },
        Op::Pad { before: vec![0, 1, 1, 0], after: vec![0, 1, 1, 0], value: 0.0 },
        Op::Transpose { permutation: vec![0, 2, 1, 3] },
        Op::StridedSlice { begin: vec![0; 4], size: vec![1, 2, 2, 8], stride: vec![1; 4] },
        Op::ResizeNearest { size, sampling, mode: NearestMode::RoundPreferFloor },
        Op::ResizeBilinear { size, sampling },
    ];
    for format in [Activations::Int8, Activations::Int16] {
        for op in &ops {
            let mut net = Net::new();
            let a = net.times("a", net.x, 3.0);
            let y = net.node("y", op.clone(), &[a]);
            // Somebody else reads it too.
            let z = net.times("z", a, 0.5);
            let solved = net.solve(&[y, z], format);
            assert_eq!(solved.of(a), solved.of(y), "{}", op.name());
            assert_ne!(solved.of(a), solved.of(z), "{}", op.name());
            assert!(solved.requantized().is_empty(), "{}", op.name());
        }
        for op in [binary(Binary::Minimum), binary(Binary::Maximum), Op::Concatenation { axis: 3 }] {
            let mut net = Net::new();
            let (a, b) = (net.times("a", net.x, 3.0), net.times("b", net.x, -4.0));
            let y = net.node("y", op.clone(), &[a, b]);
            let solved = net.solve(&[y], format);
            assert_eq!((solved.of(a), solved.of(b)), (solved.of(y), solved.of(y)), "{}", op.name());
        }
    }
}

#[test]
fn gathered_rows_share_parameters() {
    let mut net = Net::new();
    let a = net.times("a", net.x, 3.0);
    let rows = net.graph.add(Tensor::constant("rows", Dtype::I32, vec![2], &[3i32, 0]));
    let y = net.node("y", Op::Gather { axis: 1 }, &[a, rows]);
    let solved = net.solve(&[y], Activations::Int8);
    assert_eq!(solved.of(a), solved.of(y));
}

#[test]
fn padding_is_in_the_groups_range() {
    let mut net = Net::new();
    let a = net.times("a", net.x, 0.5);
    let y = net.node("y", Op::Pad { before: vec![0, 1, 1, 0], after: vec![0; 4], value: -2.0 }, &[a]);
    let solved = net.solve(&[y], Activations::Int8);
    let (lo, hi) = solved.reach(y);
    assert!(near(lo, -2.0) && near(hi, 0.5), "[{lo}, {hi}]");
    assert_eq!(solved.of(a), solved.of(y));
    // Max pooling never picks this padding, so it costs nothing.
    let mut net = Net::new();
    let a = net.times("a", net.x, 0.5);
    let p = net.node("p", Op::Pad { before: vec![0, 1, 1, 0], after: vec![0, 1, 1, 0], value: -1e30 }, &[a]);
    let y = net.node("y", pool(PoolKind::Max), &[p]);
    let solved = net.solve(&[y], Activations::Int8);
    let (lo, hi) = solved.reach(y);
    assert!(lo > -0.6 && near(hi, 0.5), "[{lo}, {hi}]");
}

#[test]
fn a_narrow_member_that_others_read_keeps_its_resolution() {
    let mut net = Net::new();
    let (narrow, wide) = (net.times("narrow", net.x, 0.1), net.times("wide", net.x, 10.0));
    let y = net.node("y", Op::Concatenation { axis: 3 }, &[narrow, wide]);
    let z = net.times("z", narrow, 2.0);
    let solved = net.solve(&[y, z], Activations::Int8);
    assert_eq!(solved.requantized(), ["narrow/requantize"]);
    assert!(matches!(solved.solution.requantized[0].reason, Reason::Resolution { bits } if near(bits, 6.64)));
    assert!(near(solved.reach(narrow).1, 0.1) && near(solved.reach(y).1, 10.0));
    assert_eq!(solved.of(wide), solved.of(y));
}

#[test]
fn a_member_that_nobody_else_reads_shares_without_a_step_more() {
    let mut net = Net::new();
    let (narrow, wide) = (net.times("narrow", net.x, 0.1), net.times("wide", net.x, 10.0));
    let y = net.node("y", Op::Concatenation { axis: 3 }, &[narrow, wide]);
    let solved = net.solve(&[y], Activations::Int8);
    assert!(solved.requantized().is_empty());
    assert_eq!(solved.of(narrow), solved.of(y));
    // A model's output is a reader, of one bit and a half here.
    let mut net = Net::new();
    let (narrow, wide) = (net.times("narrow", net.x, 1.0), net.times("wide", net.x, 2.8));
    let y = net.node("y", Op::Concatenation { axis: 3 }, &[narrow, wide]);
    let solved = net.solve(&[y, narrow], Activations::Int8);
    assert_eq!(solved.requantized(), ["narrow/requantize"]);
    // Sixteen bits have enough of it.
    assert!(net.solve(&[y, narrow], Activations::Int16).requantized().is_empty());
    // Less than a bit is not worth a step.
    let mut net = Net::new();
    let (narrow, wide) = (net.times("narrow", net.x, 1.0), net.times("wide", net.x, 1.9));
    let y = net.node("y", Op::Concatenation { axis: 3 }, &[narrow, wide]);
    assert!(net.solve(&[y, narrow], Activations::Int8).requantized().is_empty());
}

#[test]
fn readers_in_one_group_share_a_requantize_and_a_split_keeps_the_signal() {
    let mut net = Net::new();
    let (narrow, wide) = (net.times("narrow", net.x, 0.01), net.times("wide", net.x, 10.0));
    let a = net.node("a", Op::Concatenation { axis: 3 }, &[narrow, wide]);
    let b = net.node("b", Op::Concatenation { axis: 3 }, &[wide, narrow]);
    let z = net.times("z", narrow, 100.0);
    let solved = net.solve(&[a, b, z], Activations::Int8);
    assert_eq!(solved.requantized(), ["narrow/requantize"]);
    // The whole way through integers: the second reader still sees 255 steps.
    let int8 = int8(&net.graph, &net.ranges(), Numeric::Single).unwrap_or_else(|e| panic!("{e}"));
    let exact = interpret::run(&net.graph, net.sample()).unwrap()[z].clone().unwrap();
    let x = int8.tensors[net.x].quant.as_ref().unwrap().single().unwrap();
    let levels: Vec<i8> = net.sample()[0]
        .elements::<f32>()
        .iter()
        .map(|v| ((v / x.0).round() as i32 + x.1).clamp(-128, 127) as i8)
        .collect();
    let input = samara_runtime::ops::eval::Value::new(int8.tensors[net.x].desc().unwrap(), &levels).unwrap();
    let got = interpret::run(&int8, vec![input]).unwrap()[z].clone().unwrap();
    let (scale, zero) = int8.tensors[z].quant.as_ref().unwrap().single().unwrap();
    for (a, b) in exact.elements::<f32>().iter().zip(got.elements::<i8>()) {
        assert!((a - (*b as i32 - zero) as f32 * scale).abs() < 3.0 * scale);
    }
}

#[test]
fn a_shared_constant_is_quantized_for_each_consumer() {
    let mut net = Net::new();
    let c = net.constant("c", &[0.5, 0.25, 2.0, 0.1, 0.2, 0.3, 0.4, 0.6]);
    let y = net.node("y", binary(Binary::Add), &[net.x, c]);
    let wide = net.times("wide", net.x, 40.0);
    let z = net.node("z", binary(Binary::Maximum), &[wide, c]);
    net.graph.outputs = vec![y, z];
    let int8 = int8(&net.graph, &net.ranges(), Numeric::Single).unwrap_or_else(|e| panic!("{e}"));
    let constant = |t: usize| {
        let node = int8.nodes.iter().find(|n| n.outputs == [t]).unwrap();
        int8.tensors[node.inputs[1].unwrap()].clone()
    };
    let (a, b) = (constant(y), constant(z));
    // Add takes its own parameters, the comparison its output's.
    assert!(near(a.quant.as_ref().unwrap().scale[0], 2.0 / 255.0));
    assert_eq!(b.quant, int8.tensors[z].quant);
    assert_ne!(a.data, b.data);
}
