//! int16 activations from the graph to their steps, in every numeric profile: the levels stay within one or two of
//! what the operator gives in double precision on the same levels.

use samara_packager::bundle;
use samara_packager::files::AlignedBytes;
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{
    Activation, Binary, Function, Graph, Numeric, Op, PoolKind, Quant, ReduceKind, Sampling, Tensor, TensorId,
};
use samara_packager::lower::{knots, table::Side};
use samara_packager::plan;
use samara_runtime::bundle::Bundle;
use samara_runtime::ops::Window;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Dtype, Session, ops};

const PROFILES: [Numeric; 3] = [Numeric::Tflite, Numeric::Single, Numeric::Onnx];
/// Softmax, Logistic and Tanh.
const FIXED: f32 = 1.0 / 32768.0;

/// Levels over the whole range, the ends included.
fn levels(count: usize, seed: usize) -> Vec<i16> {
    let level = |k: usize| match k {
        0 => i16::MIN,
        1 => i16::MAX,
        _ => ((k * 40_503 + seed * 9_973) % 65_536) as u16 as i16,
    };
    (0..count).map(level).collect()
}

/// One operand: shape, scale, and whether it is constant.
struct Operand(&'static [usize], f32, bool);

/// The output's levels of one operator, and the operands' levels.
fn run(op: &Op, operands: &[Operand], scale: f32, numeric: Numeric) -> (Vec<i16>, Vec<Vec<i16>>) {
    let mut graph = Graph::new("g", numeric);
    let mut inputs: Vec<Option<TensorId>> = Vec::new();
    let (mut values, mut data) = (Vec::new(), Vec::new());
    for (k, &Operand(shape, scale, constant)) in operands.iter().enumerate() {
        let levels = levels(shape.iter().product(), k);
        let tensor = Tensor::constant(format!("x{k}"), Dtype::I16, shape.to_vec(), &levels)
            .quantized(Quant::per_tensor(scale, 0));
        if constant {
            inputs.push(Some(graph.add(tensor)));
        } else {
            values.push(tensor.value().unwrap());
            let t = graph.add(Tensor { data: None, ..tensor });
            graph.inputs.push(t);
            inputs.push(Some(t));
        }
        data.push(levels);
    }
    let y = graph.push("y", op.clone(), &inputs).unwrap();
    if *op == Op::Quantize {
        graph.tensors[y].dtype = Dtype::I16;
    }
    assert_eq!(graph.tensors[y].dtype, Dtype::I16, "{op:?}");
    graph.tensors[y].quant = Some(Quant::per_tensor(scale, 0));
    graph.outputs.push(y);
    let y = Interpreter::new(&graph).unwrap().run(values, |_, _| Ok(())).unwrap().remove(0);
    (y.elements::<i16>().to_vec(), data)
}

/// In every profile, the worst distance in levels from `exact`, which gets the operands' reals and returns the
/// outputs' reals.
fn close(op: Op, operands: &[Operand], scale: f32, tolerance: f64, exact: impl Fn(&[Vec<f64>]) -> Vec<f64>) {
    for numeric in PROFILES {
        let (y, data) = run(&op, operands, scale, numeric);
        let real = |(levels, operand): (&Vec<i16>, &Operand)| -> Vec<f64> {
            levels.iter().map(|&v| v as f64 * operand.1 as f64).collect()
        };
        let reals: Vec<Vec<f64>> = data.iter().zip(operands).map(real).collect();
        let expect = exact(&reals);
        assert_eq!(y.len(), expect.len(), "{op:?}");
        let mut worst = 0f64;
        for (&level, real) in y.iter().zip(&expect) {
            let exact = (real / scale as f64).clamp(-32768.0, 32767.0);
            worst = worst.max((level as f64 - exact).abs());
        }
        println!("{} {numeric:?}: {worst:.3} levels off", op.name());
        assert!(worst <= tolerance, "{op:?} {numeric:?}: {worst}");
    }
}

fn limited(a: Activation, x: f64) -> f64 {
    x.max(a.lo as f64).min(a.hi as f64)
}

#[test]
fn binary_operators() {
    let two = || [Operand(&[2, 3, 40], 3e-4, false), Operand(&[40], 1.3e-4, false)];
    for activation in [Activation::NONE, Activation::RELU, Activation::RELU6] {
        let op = |kind| Op::Binary { kind, activation };
        let each = |f: fn(f64, f64) -> f64| {
            move |x: &[Vec<f64>]| -> Vec<f64> {
                x[0].iter().enumerate().map(|(k, &a)| limited(activation, f(a, x[1][k % 40]))).collect()
            }
        };
        // The doubly rounded sums of TFLite have 15 bits more than the levels, single ones 30.
        close(op(Binary::Add), &two(), 4.1e-4, 0.8, each(|a, b| a + b));
        close(op(Binary::Sub), &two(), 4.1e-4, 0.8, each(|a, b| a - b));
        close(op(Binary::Mul), &two(), 1.2e-3, 0.8, each(|a, b| a * b));
        let same = || [Operand(&[2, 3, 40], 3e-4, false), Operand(&[40], 3e-4, false)];
        close(op(Binary::Minimum), &same(), 3e-4, 0.51, each(f64::min));
        close(op(Binary::Maximum), &same(), 3e-4, 0.51, each(f64::max));
    }
    let slopes = [Operand(&[2, 3, 40], 3e-4, false), Operand(&[40], 2e-5, true)];
    close(Op::PRelu, &slopes, 2.5e-4, 0.8, |x| {
        x[0].iter().enumerate().map(|(k, &a)| if a < 0.0 { a * x[1][k % 40] } else { a }).collect()
    });
}

#[test]
fn clamps_with_and_without_rescaling() {
    let all = || [Operand(&[65_536], 3e-4, false)];
    for activation in [Activation::RELU, Activation::RELU6, Activation { lo: -1.5, hi: 2.5 }] {
        for scale in [3e-4, 1.7e-4, 4e-3] {
            close(Op::Clamp { activation }, &all(), scale, 0.8, |x| {
                x[0].iter().map(|&v| limited(activation, v)).collect()
            });
        }
    }
}

#[test]
fn levels_between_parameters() {
    for scale in [3e-4, 2.9e-4, 1e-2] {
        close(Op::Quantize, &[Operand(&[65_536], 3e-4, false)], scale, 0.8, |x| x[0].clone());
    }
    // From int8 to int16 and back.
    for numeric in PROFILES {
        let mut graph = Graph::new("g", numeric);
        let bytes: Vec<i8> = (-128..=127).collect();
        let x = Tensor::constant("x", Dtype::I8, vec![256], &bytes).quantized(Quant::per_tensor(0.02, -7));
        let input = x.value().unwrap();
        let x = graph.add(Tensor { data: None, ..x });
        let wide = graph.push("wide", Op::Quantize, &[Some(x)]).unwrap();
        (graph.tensors[wide].dtype, graph.tensors[wide].quant) =
            (Dtype::I16, Some(Quant::per_tensor(1e-4, 0)));
        let back = graph.push("back", Op::Quantize, &[Some(wide)]).unwrap();
        graph.tensors[back].quant = Some(Quant::per_tensor(0.02, -7));
        (graph.inputs, graph.outputs) = (vec![x], vec![wide, back]);
        let y = Interpreter::new(&graph).unwrap().run(vec![input], |_, _| Ok(())).unwrap();
        for (&b, &w) in bytes.iter().zip(y[0].elements::<i16>()) {
            assert_eq!(w as i32, ((b as i32 + 7) * 200).clamp(-32768, 32767), "{numeric:?}");
        }
        assert_eq!(y[1].elements::<i8>()[..], bytes[..], "{numeric:?}");
    }
}

#[test]
fn pooling_and_reductions() {
    const IMAGE: &[usize] = &[2, 5, 6, 3];
    let mean = |x: &[f64], items: &[usize]| items.iter().map(|&i| x[i]).sum::<f64>() / items.len() as f64;
    // By output: the input elements of windows of 2x2 without padding, and of whole images.
    let windows: Vec<[usize; 4]> = (0..2 * 4 * 5 * 3)
        .map(|k| {
            let (n, y, x, c) = (k / 60, k / 15 % 4, k / 3 % 5, k % 3);
            [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| ((n * 5 + y + dy) * 6 + x + dx) * 3 + c)
        })
        .collect();
    let pool = |kind| Op::Pool2d { kind, size: [2, 2], window: Window::UNIT, activation: Activation::NONE };
    let average = pool(PoolKind::Average { count_include_pad: false });
    close(average, &[Operand(IMAGE, 1e-3, false)], 1e-3, 0.51, |x| {
        windows.iter().map(|w| mean(&x[0], w)).collect()
    });
    close(pool(PoolKind::Max), &[Operand(IMAGE, 1e-3, false)], 1e-3, 0.01, |x| {
        windows.iter().map(|w| w.iter().map(|&i| x[0][i]).fold(f64::MIN, f64::max)).collect()
    });
    let images: Vec<Vec<usize>> =
        (0..6).map(|k| (0..30).map(|p| (k / 3 * 30 + p) * 3 + k % 3).collect()).collect();
    let reduce = |kind| Op::Reduce { kind, axes: vec![1, 2], keep_dims: false };
    close(reduce(ReduceKind::Mean), &[Operand(IMAGE, 1e-3, false)], 3e-4, 0.8, |x| {
        images.iter().map(|i| mean(&x[0], i)).collect()
    });
    close(reduce(ReduceKind::Sum), &[Operand(IMAGE, 1e-3, false)], 9e-3, 0.8, |x| {
        images.iter().map(|i| mean(&x[0], i) * 30.0).collect()
    });
    close(reduce(ReduceKind::Max), &[Operand(IMAGE, 1e-3, false)], 1e-3, 0.01, |x| {
        images.iter().map(|i| i.iter().map(|&i| x[0][i]).fold(f64::MIN, f64::max)).collect()
    });
    // A mean of more elements than 32 bits can add up.
    let wide = Op::Reduce { kind: ReduceKind::Mean, axes: vec![0], keep_dims: false };
    close(wide, &[Operand(&[200_000], 1e-3, false)], 1e-5, 1.0, |x| {
        vec![x[0].iter().sum::<f64>() / 200_000.0]
    });
    let resize = Op::ResizeBilinear { size: [10, 12], sampling: Sampling::Asymmetric };
    close(resize, &[Operand(IMAGE, 1e-3, false)], 1e-3, 0.51, |x| {
        let at = |n: usize, y: usize, c: usize, i: usize| x[0][((n * 5 + y.min(4)) * 6 + c.min(5)) * 3 + i];
        (0..2 * 10 * 12 * 3)
            .map(|k| {
                let (n, y, c, i) = (k / 360, k / 36 % 10, k / 3 % 12, k % 3);
                let corner = |dy, dx| at(n, y / 2 + dy * (y % 2), c / 2 + dx * (c % 2), i);
                (corner(0, 0) + corner(0, 1) + corner(1, 0) + corner(1, 1)) / 4.0
            })
            .collect()
    });
}

#[test]
fn products_of_matrices() {
    let exact = |depth: usize| {
        move |x: &[Vec<f64>]| -> Vec<f64> {
            let dot =
                |r: usize, c: usize| (0..depth).map(|k| x[0][r * depth + k] * x[1][c * depth + k]).sum();
            (0..20).map(|k| dot(k / 5, k % 5)).collect()
        }
    };
    let op = Op::BatchMatMul { adj_x: false, adj_y: true };
    let single = [Operand(&[1, 4, 64], 1e-4, false), Operand(&[1, 5, 64], 1e-4, false)];
    // TFLite keeps 16 bits of the multiplier: up to 2^-17 of the result, relatively.
    close(op.clone(), &single, 2e-3, 0.9, exact(64));
    let long = [Operand(&[1, 4, 3000], 1e-4, false), Operand(&[1, 5, 3000], 1e-4, false)];
    close(op, &long, 0.5, 0.9, exact(3000));
}

#[test]
fn softmax_has_probabilities_in_32768_steps() {
    for (beta, scale) in [(1.0f32, 1e-4f32), (0.5, 1e-3), (2.0, 2e-5)] {
        let op = Op::Softmax { axis: 1, beta };
        close(op, &[Operand(&[4, 50], scale, false)], FIXED, if scale > 5e-4 { 1.0 } else { 0.6 }, |x| {
            x[0].chunks(50)
                .flat_map(|row| {
                    let max = row.iter().copied().fold(f64::MIN, f64::max);
                    let e: Vec<f64> = row.iter().map(|v| ((v - max) * beta as f64).exp()).collect();
                    let sum: f64 = e.iter().sum();
                    e.into_iter().map(move |e| e / sum).collect::<Vec<_>>()
                })
                .collect()
        });
    }
}

/// In levels, the worst and the mean distance of a function's table from the function over all inputs.
fn table_error(function: Function, exact: impl Fn(f64) -> f64, input: f32, output: f32) -> (f64, f64) {
    let op = Op::Unary { function };
    let (y, data) = run(&op, &[Operand(&[65_536], input, false)], output, Numeric::Single);
    let off = |(&level, &x): (&i16, &i16)| {
        let y = exact(x as f64 * input as f64);
        let y = if y.is_nan() { 0.0 } else { y };
        (level as f64 - (y / output as f64).clamp(-32768.0, 32767.0)).abs()
    };
    let all: Vec<f64> = y.iter().zip(&data[0]).map(off).collect();
    (all.iter().copied().fold(0.0, f64::max), all.iter().sum::<f64>() / all.len() as f64)
}

#[test]
fn functions_follow_their_definition() {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let gelu = |x: f64| x * 0.5 * libm::erfc(-x / 2f64.sqrt());
    type F = fn(f64) -> f64;
    // Range of the input, of the output, most levels off at worst and in the mean.
    let smooth: &[(Function, F, f32, f32, f64, f64)] = &[
        (Function::Abs, f64::abs, 4.0, 4.0, 1.01, 0.01),
        (Function::Neg, |x| -x, 4.0, 4.0, 1.01, 0.01),
        (Function::Square, |x| x * x, 4.0, 16.0, 1.5, 0.6),
        (Function::Logistic, logistic, 8.0, 1.0, 1.5, 0.5),
        (Function::Tanh, f64::tanh, 4.0, 1.0, 2.0, 0.6),
        (Function::Erf, libm::erf, 3.0, 1.0, 2.0, 0.6),
        (Function::Gelu, gelu, 6.0, 6.0, 1.5, 0.5),
        (Function::HardSwish, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0), 8.0, 8.0, 8.0, 0.5),
        (
            Function::LeakyRelu { alpha: 0.1 },
            |x| if x < 0.0 { 0.1f32 as f64 * x } else { x },
            5.0,
            5.0,
            1.1,
            0.5,
        ),
        (Function::Elu { alpha: 1.0 }, |x| if x < 0.0 { x.exp_m1() } else { x }, 5.0, 5.0, 1.5, 0.5),
        (Function::Softplus, |x| x.exp().ln_1p(), 8.0, 8.1, 1.5, 0.5),
        (Function::Silu, |x| x / (1.0 + (-x).exp()), 8.0, 8.0, 1.5, 0.5),
        (Function::Sin, f64::sin, 3.2, 1.0, 1.6, 0.6),
        (Function::Cos, f64::cos, 3.2, 1.0, 1.6, 0.6),
        (Function::Exp, f64::exp, 1.0, 3.0, 1.2, 0.5),
        (Function::Exp, f64::exp, 8.0, 3000.0, 4.0, 0.6),
        // Poles and vertical tangents: next to them no line follows the curve, and most lines do.
        (Function::Sqrt, f64::sqrt, 4.0, 2.0, 1100.0, 2.0),
        (Function::Log, f64::ln, 4.0, 6.0, 40_000.0, 50.0),
        (Function::Reciprocal, f64::recip, 4.0, 10.0, 70_000.0, 70.0),
        (Function::Rsqrt, |x| x.sqrt().recip(), 4.0, 10.0, 40_000.0, 60.0),
    ];
    for &(function, exact, input, output, most, mean) in smooth {
        let (worst, average) = table_error(function, exact, input / 32768.0, output / 32768.0);
        let name = function.name();
        println!("int16 {name} on +-{input}: {worst:.2} levels off at worst, {average:.3} in the mean");
        assert!(worst <= most && average <= mean, "{name}: {worst} {average}");
    }
}

#[test]
fn moved_entries_halve_the_error_of_a_curve() {
    let (x, y) = (8.0 / 32768.0, 3000.0 / 32768.0);
    let side = |scale| Side { dtype: Dtype::I16, scale, zero_point: 0 };
    let curve = knots::exact(side(x), side(y), libm::expf);
    let plain: Vec<i16> = curve.iter().step_by(128).map(|v| v.round() as i16).collect();
    let worst = |table: &[i16]| (0..512).map(|k| knots::error(&curve, table, k).abs()).fold(0.0, f64::max);
    let (before, after) = (worst(&plain), worst(&knots::fitted(&curve)));
    println!("exp on +-8: {before:.2} levels off by samples, {after:.2} by fitted entries");
    assert!(after < 0.65 * before);
}

#[test]
fn what_has_no_int16_form_is_refused_by_name() {
    let message = |function, dtype: Dtype| {
        let mut graph = Graph::new("g", Numeric::Single);
        let x = graph.add(Tensor::new("x", Dtype::I16, vec![4]).quantized(Quant::per_tensor(1e-3, 0)));
        let y = graph.push("y", Op::Unary { function }, &[Some(x)]).unwrap();
        (graph.tensors[y].dtype, graph.tensors[y].quant) = (dtype, Some(Quant::per_tensor(1e-2, 0)));
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        Interpreter::new(&graph).map(|_| ()).unwrap_err().to_string()
    };
    for function in [Function::Floor, Function::Ceil, Function::Round] {
        let text = message(function, Dtype::I16);
        assert!(text.contains(function.name()) && text.contains("int16"), "{text}");
    }
    let text = message(Function::Tanh, Dtype::I8);
    assert!(text.contains("int16") && text.contains("int8"), "{text}");
    let mut graph = Graph::new("g", Numeric::Single);
    let x = graph.add(Tensor::new("x", Dtype::I16, vec![1, 4]).quantized(Quant::per_tensor(1e-3, 0)));
    let y = graph.push("y", Op::Softmax { axis: 1, beta: 1.0 }, &[Some(x)]).unwrap();
    graph.tensors[y].quant = Some(Quant::per_tensor(1.0 / 256.0, -128));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let text = Interpreter::new(&graph).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("1/32768"), "{text}");
}

#[test]
fn data_is_moved_as_it_is() {
    let value = |op: Op, expect: &[usize]| {
        for numeric in PROFILES {
            let (y, data) = run(&op, &[Operand(&[2, 3, 4], 1e-3, false)], 1e-3, numeric);
            let expect: Vec<i16> = expect.iter().map(|&i| if i < 24 { data[0][i] } else { 250 }).collect();
            assert_eq!(y, expect, "{op:?}");
        }
    };
    value(Op::Reshape { shape: vec![24] }, &(0..24).collect::<Vec<_>>());
    let transposed: Vec<usize> = (0..24).map(|k| k % 6 * 4 + k / 6).collect();
    value(Op::Transpose { permutation: vec![2, 0, 1] }, &transposed);
    let slice = Op::StridedSlice { begin: vec![1, 2, 3], size: vec![1, 2, 2], stride: vec![1, -2, -3] };
    value(slice, &[23, 20, 15, 12]);
    let pad = Op::Pad { before: vec![0, 0, 0], after: vec![0, 0, 1], value: 0.25 };
    let padded: Vec<usize> = (0..30).map(|k| if k % 5 == 4 { 24 } else { k / 5 * 4 + k % 5 }).collect();
    value(pad, &padded);
    let two = [Operand(&[2, 2], 1e-3, false), Operand(&[2, 1], 1e-3, false)];
    let (y, d) = run(&Op::Concatenation { axis: 1 }, &two, 1e-3, Numeric::Single);
    assert_eq!(y, [d[0][0], d[0][1], d[1][0], d[0][2], d[0][3], d[1][1]]);
}

#[test]
fn indices_of_the_largest_and_by_indices() {
    let mut graph = Graph::new("g", Numeric::Single);
    let x = Tensor::constant("x", Dtype::I16, vec![2, 3], &[5i16, -300, 32767, -32768, -1, -2])
        .quantized(Quant::per_tensor(1e-3, 0));
    let input: Value = x.value().unwrap();
    let x = graph.add(Tensor { data: None, ..x });
    let indices = graph.add(Tensor::constant("i", Dtype::I32, vec![2], &[2i32, 0]));
    let most = Op::ArgMax { axis: 1, keep_dims: false, select_last: false };
    let most = graph.push("most", most, &[Some(x)]).unwrap();
    let picked = graph.push("picked", Op::Gather { axis: 1 }, &[Some(x), Some(indices)]).unwrap();
    graph.tensors[picked].quant = Some(Quant::per_tensor(1e-3, 0));
    (graph.inputs, graph.outputs) = (vec![x], vec![most, picked]);
    let y = Interpreter::new(&graph).unwrap().run(vec![input], |_, _| Ok(())).unwrap();
    assert_eq!(y[0].elements::<i32>(), [2, 1]);
    assert_eq!(y[1].elements::<i16>(), [32767, 5, -2, -32768]);
}

/// A network of nothing but int16 activations, with branches that join again.
fn network(numeric: Numeric) -> Graph {
    let mut g = Graph::new("network", numeric);
    let push = |g: &mut Graph, name: &str, op: Op, inputs: &[TensorId], scale: f32| {
        let inputs: Vec<_> = inputs.iter().map(|&t| Some(t)).collect();
        let y = g.push(name, op, &inputs).unwrap();
        (g.tensors[y].dtype, g.tensors[y].quant) = (Dtype::I16, Some(Quant::per_tensor(scale, 0)));
        y
    };
    let quantized = |name: &str, shape: &[usize], scale, seed| {
        let data = levels(shape.iter().product(), seed);
        Tensor::constant(name, Dtype::I16, shape.to_vec(), &data).quantized(Quant::per_tensor(scale, 0))
    };
    let x = quantized("x", &[1, 6, 6, 4], 1e-3, 0);
    let x = g.add(Tensor { data: None, ..x });
    let slopes = g.add(quantized("slopes", &[4], 2e-5, 1));
    let weights = g.add(quantized("weights", &[1, 4, 4], 1e-4, 2));
    let activation = Activation::NONE;
    let binary = |kind| Op::Binary { kind, activation };
    let kind = PoolKind::Average { count_include_pad: false };
    let window = Window { pad: [1, 1, 1, 1], ..Window::UNIT };
    let average = Op::Pool2d { kind, size: [3, 3], window, activation };
    let average = push(&mut g, "average", average, &[x], 1e-3);
    let most = Op::Pool2d { kind: PoolKind::Max, size: [3, 3], window, activation };
    let most = push(&mut g, "most", most, &[x], 1e-3);
    let sum = push(&mut g, "sum", binary(Binary::Add), &[average, most], 1.4e-3);
    let prelu = push(&mut g, "prelu", Op::PRelu, &[sum, slopes], 1.2e-3);
    let relu6 = push(&mut g, "relu6", Op::Clamp { activation: Activation::RELU6 }, &[prelu], 2e-4);
    let gate = push(&mut g, "gate", Op::Unary { function: Function::Logistic }, &[sum], FIXED);
    let product = push(&mut g, "product", binary(Binary::Mul), &[relu6, gate], 2e-4);
    let joined = push(&mut g, "joined", Op::Concatenation { axis: 2 }, &[product, relu6], 2e-4);
    let size = Op::ResizeBilinear { size: [4, 8], sampling: Sampling::HalfPixel };
    let resized = push(&mut g, "resized", size, &[joined], 2e-4);
    let mean = Op::Reduce { kind: ReduceKind::Mean, axes: vec![1], keep_dims: false };
    let mean = push(&mut g, "mean", mean, &[resized], 1.1e-4);
    let matmul = Op::BatchMatMul { adj_x: false, adj_y: true };
    let scores = push(&mut g, "scores", matmul, &[mean, weights], 1e-3);
    let softmax = push(&mut g, "softmax", Op::Softmax { axis: 2, beta: 1.0 }, &[scores], FIXED);
    let real = g.push("real", Op::Dequantize, &[Some(scores)]).unwrap();
    (g.inputs, g.outputs) = (vec![x], vec![softmax, real]);
    g
}

#[test]
fn a_session_gives_the_levels_of_the_graph() {
    for numeric in PROFILES {
        let graph = network(numeric);
        let plan = plan::plan(&graph, plan::Kernels::HOST).unwrap();
        let bytes = AlignedBytes::new(&bundle::bare("network", &plan).unwrap());
        let bundle = Bundle::check(&bytes).unwrap();
        let session = Session::load(&bundle, ops::ALL).unwrap();
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena).unwrap();
        for seed in 0..4 {
            let data = levels(144, seed);
            let x = Tensor { data: None, ..graph.tensors[graph.inputs[0]].clone() };
            let x = Tensor { data: Some(data.iter().flat_map(|v| v.to_le_bytes()).collect()), ..x };
            let expect =
                Interpreter::new(&graph).unwrap().run(vec![x.value().unwrap()], |_, _| Ok(())).unwrap();
            run.input(0).unwrap().copy_from(&data).unwrap();
            run.run().unwrap();
            let softmax = run.output(0).unwrap().elements::<i16>().unwrap().to_vec();
            assert_eq!(softmax, expect[0].elements::<i16>(), "{numeric:?}");
            assert!(softmax.iter().any(|&v| v != softmax[0]), "{numeric:?}: nothing to see");
            let real = run.output(1).unwrap().elements::<f32>().unwrap().to_vec();
            assert_eq!(real, expect[1].elements::<f32>(), "{numeric:?}");
        }
    }
}
