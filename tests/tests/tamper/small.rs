//! A bundle small enough for exhaustive tests, with several operators, overlap and constants.

use samara_packager::bundle::{Identity, Parts, Vector, write};
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Activation, Binary, Graph, Numeric, Op, Quant, Tensor};
use samara_packager::plan::{Kernels, plan};
use samara_runtime::Dtype;
use samara_runtime::bundle::{Family, golden::Tolerance};
use samara_runtime::ops::Window;
use samara_runtime::ops::eval::Value;

/// int8: convolution, depthwise, residual add, softmax.
pub fn bundle() -> Vec<u8> {
    let mut g = Graph::new("small", Numeric::Single);
    let activation = |name: &str, shape: &[usize]| {
        Tensor::new(name, Dtype::I8, shape.to_vec()).quantized(Quant::per_tensor(0.05, -3))
    };
    let x = g.add(activation("x", &[1, 5, 4, 2]));
    g.inputs = vec![x];
    let weights = |g: &mut Graph, name: &str, shape: &[usize], channels: usize, axis: usize| {
        let n: usize = shape.iter().product();
        let levels: Vec<i8> = (0..n).map(|i| ((i * 37) % 255) as i8).collect();
        let quant = Quant { scale: vec![0.01; channels], zero_point: vec![0; channels], axis };
        g.add(Tensor::constant(name, Dtype::I8, shape.to_vec(), &levels).quantized(quant))
    };
    let same = Window { pad: [1, 1, 1, 1], ..Window::UNIT };
    let conv = weights(&mut g, "w1", &[2, 3, 3, 2], 2, 0);
    let bias = g.add(Tensor::constant("b1", Dtype::I32, vec![2], &[100i32, -100]));
    let y = push(
        &mut g,
        "conv",
        Op::Conv2d { window: same, groups: 1, activation: Activation::RELU6 },
        &[Some(x), Some(conv), Some(bias)],
    );
    let depthwise = weights(&mut g, "w2", &[1, 3, 3, 2], 2, 3);
    let z = push(
        &mut g,
        "depthwise",
        Op::DepthwiseConv2d { window: same, activation: Activation::NONE },
        &[Some(y), Some(depthwise), None],
    );
    let sum = push(
        &mut g,
        "add",
        Op::Binary { kind: Binary::Add, activation: Activation::NONE },
        &[Some(y), Some(z)],
    );
    let p = push(&mut g, "softmax", Op::Softmax { axis: 3, beta: 1.0 }, &[Some(sum)]);
    g.tensors[p].quant = Some(Quant::per_tensor(1.0 / 256.0, -128));
    g.outputs = vec![p];
    let input: Vec<i8> = (0..40).map(|i| (i * 6 - 120) as i8).collect();
    let value = Value::new(g.tensors[x].desc().unwrap(), &input).unwrap();
    let outputs = Interpreter::new(&g).unwrap().run(vec![value.clone()], |_, _| Ok(())).unwrap();
    let golden = [Vector {
        inputs: vec![value.bytes().to_vec()],
        outputs: outputs.iter().map(|v| v.bytes().to_vec()).collect(),
    }];
    let identity = Identity { name: "small".into(), ..Identity::default() };
    let plan = plan(&g, Kernels::HOST).unwrap();
    let tolerance = Tolerance { absolute: 0.0, relative: 0.0 };
    write(&Parts {
        identity: &identity,
        plans: &[(Family::Any, &plan)],
        golden: &golden,
        tolerance,
        card: b"",
    })
    .unwrap()
}

fn push(g: &mut Graph, name: &str, op: Op, inputs: &[Option<usize>]) -> usize {
    let t = g.push(name, op, inputs).unwrap();
    g.tensors[t].quant = Some(Quant::per_tensor(0.05, -3));
    t
}
