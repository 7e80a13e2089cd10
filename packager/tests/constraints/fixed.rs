//! Operators whose output parameters the specification fixes.

use samara_packager::ir::{Function, Op};
use samara_packager::quantize::Activations;
use samara_packager::quantize::solve::Reason;

use crate::net::Net;

fn softmax() -> Op {
    Op::Softmax { axis: 3, beta: 1.0 }
}

fn unary(function: Function) -> Op {
    Op::Unary { function }
}

#[test]
fn softmax_logistic_and_tanh_have_their_own_parameters() {
    for (op, int8) in [
        (softmax(), (1.0 / 256.0, -128)),
        (unary(Function::Logistic), (1.0 / 256.0, -128)),
        (unary(Function::Tanh), (1.0 / 128.0, 0)),
    ] {
        let mut net = Net::new();
        let y = net.node("y", op, &[net.x]);
        assert_eq!(net.solve(&[y], Activations::Int8).of(y), int8);
        let int16 = net.solve(&[y], Activations::Int16);
        assert_eq!(int16.of(y), (1.0 / 32768.0, 0));
        assert!(int16.solution.activations.values().all(|q| q.zero_point == [0]));
        assert!(crate::net::near(int16.of(net.x).0, 1.0 / 32767.0));
    }
}

#[test]
fn what_is_only_moved_inherits_fixed_parameters() {
    let mut net = Net::new();
    let p = net.node("p", softmax(), &[net.x]);
    let r = net.node("r", Op::Reshape { shape: vec![1, 128] }, &[p]);
    let y = net.node("y", Op::Concatenation { axis: 1 }, &[r, r]);
    let solved = net.solve(&[y], Activations::Int8);
    assert_eq!((solved.of(r), solved.of(y)), ((1.0 / 256.0, -128), (1.0 / 256.0, -128)));
    assert!(solved.requantized().is_empty());
}

#[test]
fn where_fixed_parameters_join_others_a_requantize_stands_between() {
    let mut net = Net::new();
    let p = net.node("p", softmax(), &[net.x]);
    let r = net.node("r", Op::Reshape { shape: vec![1, 128] }, &[p]);
    let flat = net.node("flat", Op::Reshape { shape: vec![1, 128] }, &[net.x]);
    let wide = net.times("wide", flat, 5.0);
    let y = net.node("y", Op::Concatenation { axis: 1 }, &[r, wide]);
    let solved = net.solve(&[y], Activations::Int8);
    // Behind the reshape, where the others come in.
    assert_eq!(solved.requantized(), ["r/requantize"]);
    assert_eq!(solved.solution.requantized[0].reason, Reason::Fixed);
    assert_eq!(solved.solution.requantized[0].reader, "y");
    assert_eq!((solved.of(p), solved.of(r)), ((1.0 / 256.0, -128), (1.0 / 256.0, -128)));
    assert_eq!(solved.of(y), solved.of(wide));
    let copy = solved.maker(y).inputs[0].unwrap();
    assert_eq!((solved.of(copy), &solved.graph.tensors[copy].name[..]), (solved.of(y), "r/requantized"));
}

#[test]
fn two_different_fixed_parameters_do_not_join() {
    let mut net = Net::new();
    let p = net.node("p", softmax(), &[net.x]);
    let t = net.node("t", unary(Function::Tanh), &[net.x]);
    let y = net.node("y", Op::Concatenation { axis: 3 }, &[p, t]);
    let solved = net.solve(&[y], Activations::Int8);
    assert_eq!(solved.requantized(), ["p/requantize", "t/requantize"]);
    assert_eq!((solved.of(p), solved.of(t)), ((1.0 / 256.0, -128), (1.0 / 128.0, 0)));
    // With 16 bits they are the same.
    assert!(net.solve(&[y], Activations::Int16).requantized().is_empty());
}

#[test]
fn padding_outside_the_fixed_range_does_not_inherit_it() {
    let pad = |value| Op::Pad { before: vec![0, 1, 1, 0], after: vec![0; 4], value };
    for (value, count) in [(0.0, 0), (0.5, 0), (3.0, 1), (-1.0, 1)] {
        let mut net = Net::new();
        let p = net.node("p", softmax(), &[net.x]);
        let y = net.node("y", pad(value), &[p]);
        let solved = net.solve(&[y], Activations::Int8);
        assert_eq!(solved.requantized().len(), count, "{value}");
        assert_eq!(solved.of(p), (1.0 / 256.0, -128));
        let (lo, hi) = solved.reach(y);
        assert!(lo <= value + 0.01 && hi >= value - 0.02, "{value} in [{lo}, {hi}]");
    }
}
