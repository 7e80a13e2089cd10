//! Products of two tensors.

use samara_runtime::Dtype;
use samara_runtime::ops::{Attr, BatchMatmul, Clamp, Op as _, PerTensor, Rounding};

use super::conv::clamp;
use super::multiplier::{fixed, wide};
use super::{Lowered, View, parameters};
use crate::error::{Error, Result};
use crate::ir::{Activation, Numeric, Op};

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    attributes(op, Clamp::NONE, PerTensor::NONE)
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let clamp = clamp(Activation::NONE, view.output)?;
    let requant = if view.is_float() { PerTensor::NONE } else { requantization(view)? };
    Ok(Lowered::plain(attributes(view.op, clamp, requant)?, view.rounding(), 2))
}

fn attributes(op: &Op, clamp: Clamp, requant: PerTensor) -> Result<(u16, Attr)> {
    match *op {
        Op::BatchMatMul { adj_x, adj_y } => {
            Ok((BatchMatmul::CODE, BatchMatmul { adj_x, adj_y, clamp, requant }.emit()))
        }
        _ => Err(Error::invalid("not of this family")),
    }
}

/// `left scale * right scale / output scale`; TFLite multiplies the two as floats before widening.
fn requantization(view: &View<'_>) -> Result<PerTensor> {
    let (left, _) = parameters(view.input(0)?)?;
    let (right, _) = parameters(view.input(1)?)?;
    let (output, _) = parameters(view.output)?;
    let product = match view.numeric {
        Numeric::Tflite => (left * right) as f64,
        Numeric::Single | Numeric::Onnx => left as f64 * right as f64,
    };
    let real = product / output as f64;
    match view.numeric.rounding() {
        Rounding::Onnx => Ok(PerTensor::float(real as f32)),
        // int16 products need all bits of the multiplier, and its shift may be negative.
        Rounding::Single if view.input(0)?.dtype == Dtype::I16 => {
            wide(real).map(|[multiplier, shift]| PerTensor::fixed(multiplier, shift))
        }
        rounding => fixed(real, rounding).map(|[multiplier, shift]| PerTensor::fixed(multiplier, shift)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret::Interpreter;
    use crate::ir::{Graph, Quant, Tensor};

    #[test]
    fn levels_stand_for_the_product_in_every_profile() {
        let (left, right, output) = ((0.25, 3), (0.125, -7), (0.0625, 5));
        let a = Tensor::constant("a", Dtype::I8, vec![1, 2, 3], &[9i8, -20, 3, 50, 0, -1]);
        let b = Tensor::constant("b", Dtype::I8, vec![1, 4, 3], &[1i8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let real = |t: &Tensor, (scale, zero): (f32, i32)| -> Vec<f32> {
            t.ints().unwrap().iter().map(|&v| (v - zero) as f32 * scale).collect()
        };
        let (x, w) = (real(&a, left), real(&b, right));
        for numeric in [Numeric::Tflite, Numeric::Single, Numeric::Onnx] {
            let mut graph = Graph::new("one", numeric);
            let quant = |(scale, zero)| Some(Quant::per_tensor(scale, zero));
            let i = graph.add(Tensor { data: None, quant: quant(left), ..a.clone() });
            let j = graph.add(Tensor { quant: quant(right), ..b.clone() });
            graph.inputs.push(i);
            let op = Op::BatchMatMul { adj_x: false, adj_y: true };
            let y = graph.push("y", op, &[Some(i), Some(j)]).unwrap();
            assert_eq!(graph.tensors[y].shape, [1, 2, 4]);
            graph.tensors[y].quant = quant(output);
            graph.outputs.push(y);
            let input = graph.tensors[i].clone();
            let input = Tensor { data: a.data.clone(), ..input }.value().unwrap();
            let y = Interpreter::new(&graph).unwrap().run(vec![input], |_, _| Ok(())).unwrap();
            for (k, &level) in y[0].elements::<i8>().iter().enumerate() {
                let (row, column) = (&x[k / 4 * 3..][..3], &w[k % 4 * 3..][..3]);
                let sum: f32 = row.iter().zip(column).map(|(x, w)| x * w).sum();
                let exact = (sum / output.0 + output.1 as f32).clamp(-128.0, 127.0);
                assert!((level as f32 - exact).abs() <= 0.5, "{numeric:?} {level} {exact}");
            }
        }
    }
}
