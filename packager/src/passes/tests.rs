//! Passes on small graphs whose result is known.

use samara_runtime::ops::Window;
use samara_runtime::{Desc, Dtype, Shape};

use super::*;
use crate::interpret::Interpreter;
use crate::ir::{Activation, Binary, Function, Numeric, Op, PoolKind, Tensor, TensorId};
use samara_runtime::ops::eval::Value;

const CONV: Op = Op::Conv2d { window: Window::UNIT, groups: 1, activation: Activation::NONE };

/// A graph with one float input.
fn graph(shape: &[usize]) -> (Graph, TensorId) {
    let mut g = Graph::new("g", Numeric::Single);
    let x = g.add(Tensor::new("x", Dtype::F32, shape.to_vec()));
    g.inputs = vec![x];
    (g, x)
}

fn constant(g: &mut Graph, shape: &[usize]) -> TensorId {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|k| 0.5 + (k as f32 * 1.7).sin()).collect();
    let name = format!("c{}", g.tensors.len());
    g.add(Tensor::constant(name, Dtype::F32, shape.to_vec(), &values))
}

fn op(g: &mut Graph, op: Op, inputs: &[TensorId]) -> TensorId {
    let inputs: Vec<_> = inputs.iter().map(|&t| Some(t)).collect();
    let name = format!("t{}", g.tensors.len());
    g.push(&name, op, &inputs).unwrap_or_else(|e| panic!("{e}"))
}

fn evaluate(g: &Graph) -> Vec<Vec<f32>> {
    let input = |&t: &TensorId| {
        let dims: Vec<u32> = g.tensors[t].shape.iter().map(|&d| d as u32).collect();
        let values: Vec<f32> = (0..g.tensors[t].elements()).map(|k| (k as f32 * 0.9).cos() * 3.0).collect();
        Value::new(Desc::new(Dtype::F32, Shape::new(&dims).unwrap()), &values).unwrap()
    };
    let inputs = g.inputs.iter().map(input).collect();
    let outputs = Interpreter::new(g).unwrap().run(inputs, |_, _| Ok(())).unwrap();
    outputs.iter().map(|v| v.elements::<f32>().to_vec()).collect()
}

/// Runs the passes, holds values, names and shapes of the outputs to what they were, and returns the operators.
fn passed(mut g: Graph, outputs: &[TensorId]) -> (Graph, Vec<&'static str>) {
    g.outputs = outputs.to_vec();
    let describe = |g: &Graph| -> Vec<(String, Vec<usize>)> {
        g.outputs.iter().map(|&t| (g.tensors[t].name.clone(), g.tensors[t].shape.clone())).collect()
    };
    let (values, outputs) = (evaluate(&g), describe(&g));
    run(&mut g).unwrap();
    assert_eq!(describe(&g), outputs);
    for (a, b) in evaluate(&g).iter().zip(&values) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 + 1e-5 * b.abs()), "{a:?} {b:?}");
    }
    let names = g.nodes.iter().map(|n| n.op.name()).collect();
    (g, names)
}

#[test]
fn a_batch_normalization_and_its_activation_join_the_convolution() {
    let (mut g, x) = graph(&[1, 4, 4, 2]);
    let (w, scale, shift) =
        (constant(&mut g, &[3, 1, 1, 2]), constant(&mut g, &[3]), constant(&mut g, &[1, 1, 1, 3]));
    let y = op(&mut g, CONV, &[x, w]);
    let mul = Op::Binary { kind: Binary::Mul, activation: Activation::NONE };
    let add = Op::Binary { kind: Binary::Add, activation: Activation::NONE };
    let y = op(&mut g, mul, &[y, scale]);
    let y = op(&mut g, add, &[shift, y]);
    let y = op(&mut g, Op::Clamp { activation: Activation::RELU6 }, &[y]);
    let (g, names) = passed(g, &[y]);
    assert_eq!(names, ["Conv2D"]);
    let Op::Conv2d { activation, .. } = g.nodes[0].op else { panic!() };
    assert_eq!(activation, Activation::RELU6);
}

#[test]
fn an_activation_of_a_tensor_that_others_read_stays() {
    let (mut g, x) = graph(&[1, 4, 4, 2]);
    let w = constant(&mut g, &[3, 1, 1, 2]);
    let y = op(&mut g, CONV, &[x, w]);
    let z = op(&mut g, Op::Clamp { activation: Activation::RELU }, &[y]);
    let (_, names) = passed(g, &[y, z]);
    assert_eq!(names, ["Conv2D", "Clamp"]);
}

#[test]
fn a_scale_across_pixels_stays() {
    let (mut g, x) = graph(&[1, 1, 3, 2]);
    let (w, pixels) = (constant(&mut g, &[3, 1, 1, 2]), constant(&mut g, &[1, 1, 3, 1]));
    let y = op(&mut g, CONV, &[x, w]);
    let y = op(&mut g, Op::Binary { kind: Binary::Mul, activation: Activation::NONE }, &[y, pixels]);
    assert_eq!(passed(g, &[y]).1, ["Conv2D", "Mul"]);
}

fn padded(kind: PoolKind, value: f32, relu: bool) -> Vec<&'static str> {
    let (mut g, x) = graph(&[1, 5, 5, 2]);
    let w = constant(&mut g, &[2, 1, 1, 2]);
    let mut y = op(&mut g, CONV, &[x, w]);
    if relu {
        y = op(&mut g, Op::Clamp { activation: Activation::RELU }, &[y]);
    }
    let pad = Op::Pad { before: vec![0, 1, 0, 0], after: vec![0, 1, 1, 0], value };
    let y = op(&mut g, pad, &[y]);
    let pool = Op::Pool2d { kind, size: [2, 2], window: Window::UNIT, activation: Activation::NONE };
    let y = op(&mut g, pool, &[y]);
    passed(g, &[y]).1
}

#[test]
fn padding_joins_a_pool_only_where_it_means_the_same() {
    let average = PoolKind::Average { count_include_pad: false };
    assert_eq!(padded(average, 0.0, false), ["Conv2D", "AveragePool2D"]);
    assert_eq!(padded(average, 1.0, false), ["Conv2D", "Pad", "AveragePool2D"]);
    assert_eq!(padded(PoolKind::Max, 0.0, true), ["Conv2D", "MaxPool2D"]);
    assert_eq!(padded(PoolKind::Max, 0.0, false), ["Conv2D", "Pad", "MaxPool2D"]);
}

#[test]
fn equal_nodes_and_constants_are_computed_once() {
    let (mut g, x) = graph(&[1, 2, 2, 2]);
    let (a, b) = (constant(&mut g, &[3, 1, 1, 2]), constant(&mut g, &[3, 1, 1, 2]));
    let (p, q) = (op(&mut g, CONV, &[x, a]), op(&mut g, CONV, &[x, b]));
    let y = op(&mut g, Op::Binary { kind: Binary::Mul, activation: Activation::NONE }, &[p, q]);
    assert_eq!(passed(g, &[y]).1, ["Conv2D", "Mul"]);
}

#[test]
fn what_is_known_is_folded_and_what_nobody_reads_dropped() {
    let (mut g, x) = graph(&[2, 3]);
    let c = constant(&mut g, &[3, 2]);
    let c = op(&mut g, Op::Transpose { permutation: vec![1, 0] }, &[c]);
    let c = op(&mut g, Op::Unary { function: Function::Exp }, &[c]);
    op(&mut g, Op::Unary { function: Function::Abs }, &[x]);
    let y = op(&mut g, Op::Binary { kind: Binary::Add, activation: Activation::NONE }, &[x, c]);
    assert_eq!(passed(g, &[y]).1, ["Add"]);
}

#[test]
fn an_output_that_is_an_intermediate_tensor_keeps_its_name() {
    let there = Op::Transpose { permutation: vec![0, 2, 3, 1] };
    let back = Op::Transpose { permutation: vec![0, 3, 1, 2] };
    let (mut g, x) = graph(&[1, 2, 3, 4]);
    let w = constant(&mut g, &[2, 1, 1, 2]);
    let h = op(&mut g, there.clone(), &[x]);
    let h = op(&mut g, CONV, &[h, w]);
    let a = op(&mut g, back.clone(), &[h]);
    let h = op(&mut g, there, &[a]);
    let h = op(&mut g, CONV, &[h, w]);
    let b = op(&mut g, back, &[h]);
    let (_, names) = passed(g, &[a, b]);
    assert_eq!(names.iter().filter(|n| **n == "Transpose").count(), 3, "{names:?}");
}

#[test]
fn a_residual_around_a_convolution_keeps_boundary_transposes_only() {
    let there = Op::Transpose { permutation: vec![0, 2, 3, 1] };
    let back = Op::Transpose { permutation: vec![0, 3, 1, 2] };
    let (mut g, x) = graph(&[1, 2, 3, 4]);
    let w = constant(&mut g, &[2, 1, 1, 2]);
    let h = op(&mut g, there.clone(), &[x]);
    let h = op(&mut g, CONV, &[h, w]);
    let h = op(&mut g, back.clone(), &[h]);
    // The input itself is NCHW here.
    let sum = op(&mut g, Op::Binary { kind: Binary::Add, activation: Activation::NONE }, &[x, h]);
    let h = op(&mut g, there, &[sum]);
    let h = op(&mut g, CONV, &[h, w]);
    let y = op(&mut g, back, &[h]);
    let (_, names) = passed(g, &[y]);
    assert_eq!(names, ["Transpose", "Conv2D", "Add", "Conv2D", "Transpose"]);
}

#[test]
fn long_concatenations_are_chained() {
    let mut g = Graph::new("g", Numeric::Single);
    let parts: Vec<TensorId> =
        (0..19).map(|k| g.add(Tensor::new(format!("x{k}"), Dtype::F32, vec![1, k % 3 + 1]))).collect();
    let width = parts.iter().map(|&t| g.tensors[t].shape[1]).sum();
    let y = g.add(Tensor::new("y", Dtype::F32, vec![1, width]));
    let inputs = parts.iter().map(|&t| Some(t)).collect();
    let node =
        crate::ir::Node { name: "y".into(), op: Op::Concatenation { axis: 1 }, inputs, outputs: vec![y] };
    g.nodes.push(node);
    (g.inputs, g.outputs) = (parts, vec![y]);
    prepare_for_lowering(&mut g).unwrap();
    assert!(g.nodes.iter().all(|n| n.inputs.len() <= 8) && g.nodes.len() == 3, "{:?}", g.nodes);
    let want: Vec<f32> = (0..19usize)
        .flat_map(|k| (0..k % 3 + 1).map(|i| (i as f32 * 0.9).cos() * 3.0).collect::<Vec<_>>())
        .collect();
    assert_eq!(evaluate(&g)[0], want);
}
