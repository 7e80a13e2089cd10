//! How exact a function between int16 tensors is.

use samara_runtime::Dtype;

use super::absorb::single;
use crate::error::Error;
use crate::interpret::Interpreter;
use crate::ir::{Graph, Node, Numeric, Op, Tensor};

/// Whether a function of int16 is within one level of its reals: tables that are interpolated may not be.
pub(super) fn precise(op: &Op, x: &Tensor, y: &Tensor, numeric: Numeric) -> bool {
    if x.dtype != Dtype::I16 || !matches!(op, Op::Unary { .. } | Op::Clamp { .. }) {
        return true;
    }
    let levels: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let run = |x: Tensor, y: Tensor, data: Tensor| {
        let mut one = Graph::new("one", numeric);
        let (x, y) = (one.add(x), one.add(y));
        one.nodes = vec![Node { name: "f".into(), op: op.clone(), inputs: vec![Some(x)], outputs: vec![y] }];
        (one.inputs, one.outputs) = (vec![x], vec![y]);
        let values = Interpreter::new(&one)?.run(vec![data.value()?], |_, _| Ok(()))?;
        values.into_iter().next().ok_or_else(|| Error::invalid("it has no output"))
    };
    let shape = vec![levels.len()];
    let of = |t: &Tensor| Tensor { shape: shape.clone(), data: None, ..t.clone() };
    let float = || Tensor::new("f", Dtype::F32, shape.clone());
    let (Some((sx, _)), Some((sy, _))) = (single(x), single(y)) else { return false };
    let reals: Vec<f32> = levels.iter().map(|&q| f32::from(q) * sx).collect();
    let data = Tensor { quant: x.quant.clone(), ..Tensor::constant("x", Dtype::I16, shape.clone(), &levels) };
    let Ok(table) = run(of(x), of(y), data) else { return false };
    let data = Tensor::constant("x", Dtype::F32, shape.clone(), &reals);
    let Ok(want) = run(float(), float(), data) else { return false };
    let near = |(&q, &r): (&i16, &f32)| {
        let exact = (f64::from(r) / f64::from(sy)).clamp(i16::MIN.into(), i16::MAX.into());
        // Less than one and a half from the real is at most one from the nearest level.
        libm::fabs(f64::from(q) - exact) < 1.49
    };
    table.elements::<i16>().iter().zip(want.elements::<f32>()).all(near)
}
