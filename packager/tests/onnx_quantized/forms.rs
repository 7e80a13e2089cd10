//! Forms of quantized models beyond one operator: levels that are moved as they are, narrow and blocked weights,
//! attributes of newer operator sets.

use samara_packager::ir::Op;
use samara_runtime::Dtype;

use crate::net::{At, FLOAT, INT4, INT8, INT64, MS, Net, UINT4, UINT8};
use crate::tally::{Expect, Tally, import};

/// `x -> DequantizeLinear -> Relu -> QuantizeLinear`, then levels.
fn levels(net: &mut Net, kind: i32, dims: &[usize], parameters: (f32, f64)) -> String {
    let x = net.input(kind, dims);
    let x = net.dequantize(&x, (0.02, 3.0));
    let x = net.node("", "LeakyRelu", &[&x], &[("alpha", At::F(0.5))]);
    net.quantize(&x, kind, parameters)
}

#[test]
fn levels_move_between_quantize_and_dequantize() {
    let mut tally = Tally::default();
    let is = |v: &[i64]| At::Is(v.to_vec());
    for (kind, zero) in [(INT8, -7.0), (UINT8, 121.0)] {
        let parameters = (0.017, zero);
        for op in ["MaxPool", "Transpose", "Reshape", "Concat", "Resize", "Pad", "three"] {
            let mut net = Net::new(13, 9);
            let q = levels(&mut net, kind, &[1, 3, 6, 6], parameters);
            let y = match op {
                "MaxPool" => {
                    net.node("", op, &[&q], &[("kernel_shape", is(&[2, 2])), ("strides", is(&[2, 2]))])
                }
                "Transpose" => net.node("", op, &[&q], &[("perm", is(&[0, 2, 3, 1]))]),
                "Reshape" => {
                    let shape = net.constant(INT64, &[2], vec![6.0, 18.0]);
                    net.node("", op, &[&q, &shape], &[])
                }
                "Concat" => {
                    let other = levels(&mut net, kind, &[1, 2, 6, 6], parameters);
                    net.node("", op, &[&q, &other], &[("axis", At::I(1))])
                }
                "Resize" => {
                    let sizes = net.constant(INT64, &[4], vec![1.0, 3.0, 12.0, 9.0]);
                    let mode = |m| At::S(m);
                    let attributes = [
                        ("mode", mode("nearest")),
                        ("coordinate_transformation_mode", mode("asymmetric")),
                        ("nearest_mode", mode("floor")),
                    ];
                    net.node("", op, &[&q, "", "", &sizes], &attributes)
                }
                "Pad" => {
                    let amounts = net.constant(INT64, &[8], vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 2.0, 0.0]);
                    let value = net.constant(kind, &[], vec![zero + 5.0]);
                    net.node("", op, &[&q, &amounts, &value], &[])
                }
                _ => {
                    let pooled = net.node("", "MaxPool", &[&q], &[("kernel_shape", is(&[3, 3]))]);
                    let moved = net.node("", "Transpose", &[&pooled], &[("perm", is(&[0, 3, 1, 2]))]);
                    net.node("", "Flatten", &[&moved], &[])
                }
            };
            let y = net.dequantize(&y, parameters);
            let y = net.node("", "Sigmoid", &[&y], &[]);
            let y = net.quantize(&y, kind, (1.0 / 256.0, if kind == INT8 { -128.0 } else { 0.0 }));
            net.output(&y, 1.0);
            tally.check(&format!("moved levels, {op}"), &net, Expect::Integer);
        }
    }
}

#[test]
fn levels_of_an_input_move_before_they_have_a_meaning() {
    let mut net = Net::new(13, 2);
    let x = net.input(UINT8, &[1, 4, 4, 3]);
    let x = net.node("", "Transpose", &[&x], &[("perm", At::Is(vec![0, 3, 1, 2]))]);
    let x = net.dequantize(&x, (0.05, 100.0));
    let y = net.node("", "Tanh", &[&x], &[]);
    let y = net.quantize(&y, UINT8, (1.0 / 128.0, 128.0));
    net.output(&y, 1.0);
    Tally::default().check("moved input", &net, Expect::Integer);
}

/// A fully connected layer whose weights are four bits wide.
fn narrow(kind: i32, grids: usize, block: Option<usize>, axis: i64) -> Net {
    let mut net = Net::new(21, 4);
    let x = net.input(INT8, &[3, 12]);
    let x = net.dequantize(&x, (0.03, -4.0));
    // [K, N] for MatMul.
    let (k, n) = (12, 7);
    let w: Vec<f64> = (0..k * n).map(|_| net.random.level(crate::net::bounds(kind))).collect();
    let w = net.constant(kind, &[k, n], w);
    let dims = match block {
        Some(block) if axis == 0 => vec![k.div_ceil(block), n],
        Some(block) => vec![k, n.div_ceil(block)],
        None if grids == 1 => vec![],
        None => vec![grids],
    };
    let count = dims.iter().product();
    let scale = (0..count).map(|_| 0.05 + 0.1 * net.random.unit()).collect();
    let scale = net.constant(FLOAT, &dims, scale);
    let zero = if kind == UINT4 { 8.0 } else { 0.0 };
    let zero = net.constant(kind, &dims, vec![zero; count]);
    let mut attributes = vec![("axis", At::I(axis))];
    if let Some(block) = block {
        attributes.push(("block_size", At::I(block as i64)));
    }
    let w = net.node("", "DequantizeLinear", &[&w, &scale, &zero], &attributes);
    let y = net.node("", "MatMul", &[&x, &w], &[]);
    let fitted = Net::fitting(net.value(&y), INT8);
    let y = net.quantize(&y, INT8, fitted);
    net.output(&y, 1.0);
    net
}

#[test]
fn four_bit_weights_keep_their_levels() {
    let mut tally = Tally::default();
    for kind in [INT4, UINT4] {
        for grids in [1, 7] {
            let graph = tally.check("weights of four bits", &narrow(kind, grids, None, 1), Expect::Integer);
            let layer = graph.nodes.iter().find(|n| matches!(n.op, Op::FullyConnected { .. })).unwrap();
            let w = graph.input(layer, 1).unwrap();
            assert_eq!(w.dtype, Dtype::I4);
            assert_eq!(w.quant.as_ref().unwrap().scale.len(), grids);
        }
    }
}

#[test]
fn blocked_weights_are_the_same_reals() {
    let mut tally = Tally::default();
    for kind in [INT4, UINT4, INT8] {
        // 5 and 16 leave a last block that is not full.
        for (block, axis) in [(4, 0), (5, 0), (16, 0), (1, 0), (4, 1)] {
            tally.check("blocked weights", &narrow(kind, 0, Some(block), axis), Expect::Float);
        }
    }
}

#[test]
fn the_type_may_come_from_an_attribute() {
    for (kind, expected) in [(UINT8, Dtype::U8), (INT8, Dtype::I8)] {
        let mut net = Net::new(21, 4);
        let x = net.input(FLOAT, &[2, 5]);
        let s = net.floats(&[0.05]);
        let attributes = [("output_dtype", At::I(kind.into())), ("axis", At::I(0))];
        let y = net.node("", "QuantizeLinear", &[&x, &s], &attributes);
        net.output(&y, 1.0);
        let graph = import(&net).unwrap();
        assert_eq!(graph.tensors[graph.outputs[0]].dtype, expected);
    }
}

#[test]
fn softmax_follows_the_operator_set_that_its_attribute_names() {
    let mut tally = Tally::default();
    for (model, opset) in [(13, 11), (11, 13), (13, 13)] {
        let mut net = Net::new(model, 6);
        let x = net.input(UINT8, &[2, 3, 4]);
        let [sx, zx] = net.parameters(&[0.03], &[120.0], UINT8);
        let [sy, zy] = net.parameters(&[1.0 / 256.0], &[0.0], UINT8);
        let attributes = [("axis", At::I(1)), ("opset", At::I(opset))];
        let y = net.node(MS, "QLinearSoftmax", &[&x, &sx, &zx, &sy, &zy], &attributes);
        net.output(&y, 1.0);
        tally.check(&format!("QLinearSoftmax of operator set {opset} in {model}"), &net, Expect::Integer);
    }
}

#[test]
fn a_factor_of_gemm_is_one_of_its_weights_scale() {
    let mut net = Net::new(13, 6);
    let x = net.input(UINT8, &[2, 6]);
    let [sx, zx] = net.parameters(&[0.03], &[120.0], UINT8);
    let w = (0..24).map(|k| f64::from(k % 13) - 6.0).collect();
    let w = net.constant(INT8, &[6, 4], w);
    let [sw, zw] = net.parameters(&[0.1, 0.2, 0.3, 0.4], &[0.0; 4], INT8);
    let b = net.constant(crate::net::INT32, &[4], vec![100.0, -50.0, 7.0, 0.0]);
    let [sy, zy] = net.parameters(&[0.2], &[128.0], UINT8);
    let inputs = [&*x, &sx, &zx, &w, &sw, &zw, &b, &sy, &zy];
    let y = net.node(MS, "QGemm", &inputs, &[("alpha", At::F(0.5))]);
    net.output(&y, 1.0);
    Tally::default().check("QGemm with a factor", &net, Expect::Integer);
}

#[test]
fn float_layers_keep_the_integers_of_their_weights() {
    let mut tally = Tally::default();
    for (kind, dtype) in [(INT8, Dtype::I8), (UINT8, Dtype::I8), (INT4, Dtype::I4), (UINT4, Dtype::I4)] {
        for (op, x, w, axis) in
            [("Conv", &[1, 3, 6, 6][..], &[4, 3, 3, 3][..], 0), ("MatMul", &[2, 8], &[8, 5], 1)]
        {
            let mut net = Net::new(21, 8);
            let x = net.input(FLOAT, x);
            let (lo, hi) = crate::net::bounds(kind);
            let levels = (0..w.iter().product()).map(|_| net.random.level((lo, hi))).collect();
            let levels = net.constant(kind, w, levels);
            let scale: Vec<f32> = (0..w[axis]).map(|c| 0.01 + 0.003 * c as f32).collect();
            let zero = (lo + hi + 1.0) / 2.0;
            let [s, z] = net.parameters(&scale, &vec![zero; w[axis]], kind);
            let attributes = [("axis", At::I(axis as i64))];
            let reals = net.node("", "DequantizeLinear", &[&levels, &s, &z], &attributes);
            let y = net.node("", op, &[&x, &reals], &[]);
            let most = net.value(&y).v.iter().fold(0f64, |m, y| m.max(y.abs()));
            net.output(&y, most * 1e-5);
            let graph = tally.check("weights alone", &net, Expect::Float);
            let layer = graph.nodes.iter().find(|n| n.inputs.len() > 1).unwrap();
            assert_eq!(graph.input(layer, 1).unwrap().dtype, dtype, "{op}");
        }
    }
}
