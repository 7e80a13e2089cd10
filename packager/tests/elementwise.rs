//! Elementwise operators from the graph to their integer steps, in every numeric profile: the result stays
//! within a level of the float graph's.

use samara_packager::ir::{Activation, Binary, Function, Graph, Numeric, Op, Quant, Tensor};
use samara_packager::{interpret, quantize};
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Shape};

const PROFILES: [Numeric; 3] = [Numeric::Tflite, Numeric::Single, Numeric::Onnx];
const SHAPE: [usize; 3] = [2, 3, 4];

/// A varied pattern over the whole int8 range.
fn pattern(seed: usize) -> Vec<i8> {
    (0..24).map(|k| ((k * 37 + seed * 11) % 256) as u8 as i8).collect()
}

fn value(dtype: Dtype, quant: &Quant, levels: &[i8]) -> Value {
    let (scale, zero_point) = quant.single().unwrap();
    let shape = Shape::new(&SHAPE.map(|d| d as u32)).unwrap();
    match dtype {
        Dtype::F32 => {
            let reals: Vec<f32> = levels.iter().map(|&v| (v as i32 - zero_point) as f32 * scale).collect();
            Value::new(Desc::new(dtype, shape), &reals).unwrap()
        }
        _ => Value::new(Desc::new(dtype, shape), levels).unwrap(),
    }
}

/// The output of one operator on the same data, as floats or as int8 levels of `output`.
fn run(op: &Op, inputs: &[Quant], output: &Quant, numeric: Numeric, dtype: Dtype) -> Value {
    let mut graph = Graph::new("g", numeric);
    let quantized = |t: Tensor, q: &Quant| if dtype == Dtype::F32 { t } else { t.quantized(q.clone()) };
    let mut operands = Vec::new();
    for (k, quant) in inputs.iter().enumerate() {
        let tensor = if *op == Op::PRelu && k == 1 {
            // Slopes are constant, one per channel.
            let slopes = value(dtype, quant, &pattern(k));
            match dtype {
                Dtype::F32 => Tensor::constant("s", dtype, vec![4], &slopes.elements::<f32>()[..4]),
                _ => Tensor::constant("s", dtype, vec![4], &slopes.elements::<i8>()[..4]),
            }
        } else {
            graph.inputs.push(graph.tensors.len());
            Tensor::new(format!("x{k}"), dtype, SHAPE.to_vec())
        };
        operands.push(Some(graph.add(quantized(tensor, quant))));
    }
    let y = graph.push("y", op.clone(), &operands).unwrap();
    assert_eq!((graph.tensors[y].dtype, &graph.tensors[y].shape[..]), (dtype, &SHAPE[..]));
    if dtype != Dtype::F32 {
        graph.tensors[y].quant = Some(output.clone());
    }
    graph.outputs.push(y);
    let values = (0..graph.inputs.len()).map(|k| value(dtype, &inputs[k], &pattern(k))).collect();
    interpret::Interpreter::new(&graph).unwrap().run(values, |_, _| Ok(())).unwrap().remove(0)
}

/// Within `tolerance` levels of the float result, in every profile.
fn close(op: Op, inputs: &[(f32, i32)], output: (f32, i32), tolerance: f64) {
    let inputs: Vec<Quant> = inputs.iter().map(|&(s, z)| Quant::per_tensor(s, z)).collect();
    let quant = Quant::per_tensor(output.0, output.1);
    for numeric in PROFILES {
        let float = run(&op, &inputs, &quant, numeric, Dtype::F32);
        let levels = run(&op, &inputs, &quant, numeric, Dtype::I8);
        for (x, level) in float.elements::<f32>().iter().zip(levels.elements::<i8>()) {
            let exact = (*x as f64 / output.0 as f64 + output.1 as f64).clamp(-128.0, 127.0);
            let off = (exact - *level as f64).abs();
            assert!(off <= tolerance, "{op:?} {numeric:?}: level {level} for {x}, exactly {exact}");
        }
    }
}

#[test]
fn binary_operators_follow_the_float_graph() {
    for activation in [Activation::NONE, Activation::RELU, Activation::RELU6, Activation::RELU_N1_TO_1] {
        let op = |kind| Op::Binary { kind, activation };
        close(op(Binary::Add), &[(0.05, 3), (0.021, -40)], (0.06, 10), 0.51);
        close(op(Binary::Sub), &[(0.05, 3), (0.021, -40)], (0.06, 10), 0.51);
        close(op(Binary::Mul), &[(0.05, 3), (0.021, -40)], (0.11, 10), 0.51);
        close(op(Binary::Minimum), &[(0.05, 3), (0.05, 3)], (0.05, 3), 0.51);
        close(op(Binary::Maximum), &[(0.05, 3), (0.05, 3)], (0.05, 3), 0.51);
    }
}

#[test]
fn functions_follow_the_float_graph() {
    let clamp = |activation| Op::Clamp { activation };
    close(clamp(Activation::RELU6), &[(0.05, 3)], (0.05, 3), 0.51);
    close(clamp(Activation::RELU6), &[(0.08, 3)], (6.0 / 255.0, -128), 0.51);
    close(clamp(Activation { lo: -1.5, hi: 2.5 }), &[(0.08, 3)], (0.031, -20), 0.51);
    let unary = |function| Op::Unary { function };
    close(unary(Function::Logistic), &[(0.05, 3)], (1.0 / 256.0, -128), 0.52);
    close(unary(Function::Tanh), &[(0.02, 3)], (1.0 / 128.0, 0), 0.52);
    close(unary(Function::HardSwish), &[(0.05, 3)], (0.04, -100), 1.6);
    close(unary(Function::LeakyRelu { alpha: 0.1 }), &[(0.05, 3)], (0.03, -100), 0.64);
    close(unary(Function::Gelu), &[(0.05, 3)], (0.03, -100), 0.51);
    close(unary(Function::Elu { alpha: 1.0 }), &[(0.05, 3)], (0.03, -80), 0.51);
    // A scale that is not the usual one takes the float table.
    close(unary(Function::Logistic), &[(0.05, 3)], (0.01, -50), 0.51);
    close(Op::PRelu, &[(0.05, 3), (0.01, 0)], (0.04, -20), 0.51);
    close(Op::Softmax { axis: 2, beta: 1.0 }, &[(0.05, 3)], (1.0 / 256.0, -128), 0.52);
    close(Op::Softmax { axis: 2, beta: 0.5 }, &[(0.05, 3)], (1.0 / 256.0, -128), 0.52);
}

#[test]
fn levels_move_between_parameters() {
    for numeric in PROFILES {
        let mut graph = Graph::new("g", numeric);
        let x = graph.add(Tensor::new("x", Dtype::F32, SHAPE.to_vec()));
        let quantize = |graph: &mut Graph, name, dtype, quant, input| {
            let y = graph.push(name, Op::Quantize, &[Some(input)]).unwrap();
            (graph.tensors[y].dtype, graph.tensors[y].quant) = (dtype, Some(quant));
            y
        };
        let a = quantize(&mut graph, "a", Dtype::U8, Quant::per_tensor(0.05, 128), x);
        let b = quantize(&mut graph, "b", Dtype::I8, Quant::per_tensor(0.05, 0), a);
        let c = quantize(&mut graph, "c", Dtype::I16, Quant::per_tensor(0.001, 0), b);
        let y = graph.push("y", Op::Dequantize, &[Some(c)]).unwrap();
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let input = value(Dtype::F32, &Quant::per_tensor(0.05, 0), &pattern(5));
        let output = interpret::run(&graph, vec![input.clone()]).unwrap()[y].clone().unwrap();
        for (a, b) in input.elements::<f32>().iter().zip(output.elements::<f32>()) {
            assert!((a - b).abs() < 0.0006, "{numeric:?} {a} {b}");
        }
    }
}

#[test]
fn what_has_no_step_is_refused_by_name() {
    let refuse = |op: Op, inputs: &[(f32, i32)], output: (f32, i32), needle: &str| {
        let mut graph = Graph::new("g", Numeric::Single);
        for &(s, z) in inputs {
            let x = Tensor::new("x", Dtype::I8, SHAPE.to_vec()).quantized(Quant::per_tensor(s, z));
            let x = graph.add(x);
            graph.inputs.push(x);
        }
        let operands: Vec<_> = graph.inputs.iter().map(|&x| Some(x)).collect();
        let y = graph.push("node", op, &operands).unwrap();
        graph.tensors[y].quant = Some(Quant::per_tensor(output.0, output.1));
        graph.outputs.push(y);
        let error = interpret::Interpreter::new(&graph).err().unwrap().to_string();
        assert!(error.contains("node 'node'") && error.contains(needle), "{error}");
    };
    let probability = (1.0 / 256.0, -128);
    refuse(Op::Softmax { axis: 1, beta: 1.0 }, &[(0.1, 0)], probability, "not the last");
    refuse(Op::Softmax { axis: 2, beta: 1.0 }, &[(0.1, 0)], (0.1, 0), "1/256");
    refuse(Op::Softmax { axis: 2, beta: -1.0 }, &[(0.1, 0)], probability, "beta");
    let maximum = Op::Binary { kind: Binary::Maximum, activation: Activation::NONE };
    refuse(maximum, &[(0.1, 0), (0.2, 0)], (0.1, 0), "compares levels");
}

#[test]
fn probabilities_are_requantized_where_they_join_other_values() {
    let mut graph = Graph::new("g", Numeric::Single);
    let x = graph.add(Tensor::new("x", Dtype::F32, SHAPE.to_vec()));
    let p = graph.push("p", Op::Softmax { axis: 2, beta: 1.0 }, &[Some(x)]).unwrap();
    let y = graph.push("y", Op::Concatenation { axis: 2 }, &[Some(p), Some(x)]).unwrap();
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let input = Quant::per_tensor(0.02, 0);
    let sample = vec![value(Dtype::F32, &input, &pattern(3))];
    let ranges = quantize::calibrate(&graph, std::iter::once(Ok(sample.clone()))).unwrap();
    let int8 = quantize::int8(&graph, &ranges, Numeric::Single).unwrap();
    let (scale, zero_point) = int8.tensors[x].quant.as_ref().unwrap().single().unwrap();
    let level = |&v: &f32| ((v / scale).round() as i32 + zero_point).clamp(-128, 127) as i8;
    let levels: Vec<i8> = sample[0].elements::<f32>().iter().map(level).collect();
    let exact = interpret::run(&graph, sample).unwrap()[y].clone().unwrap();
    let got = interpret::run(&int8, vec![value(Dtype::I8, &input, &levels)]).unwrap()[y].clone().unwrap();
    let (scale, zero_point) = int8.tensors[y].quant.as_ref().unwrap().single().unwrap();
    for (a, b) in exact.elements::<f32>().iter().zip(got.elements::<i8>()) {
        let b = (*b as i32 - zero_point) as f32 * scale;
        assert!((a - b).abs() < 1.1 * scale, "{a} {b}");
    }
}
