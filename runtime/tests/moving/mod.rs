//! What the tests of operators that only move elements share: tensors whose bytes tell elements apart, and an
//! independent way to address them.

use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Op, OpDef, Rounding};
use samara_runtime::{Desc, Dtype, Result, Shape};

/// A tensor of pseudo-random bytes.
pub(crate) fn noise(dtype: Dtype, dims: &[u32], seed: u32) -> Value {
    let mut value = Value::zeros(Desc::new(dtype, Shape::new(dims).unwrap()));
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    for byte in value.bytes_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    value
}

/// Every index of a shape, the last axis fastest.
pub(crate) fn indices(dims: &[u32]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &d in dims {
        all = all
            .into_iter()
            .flat_map(|index| {
                (0..d as usize).map(move |i| index.iter().copied().chain([i]).collect::<Vec<_>>())
            })
            .collect();
    }
    all
}

/// The bytes of one element.
pub(crate) fn element<'a>(value: &'a Value, index: &[usize]) -> &'a [u8] {
    let dims = value.desc.shape.dims();
    assert_eq!(index.len(), dims.len());
    let flat = index.iter().zip(dims).fold(0, |n, (&i, &d)| {
        assert!(i < d as usize);
        n * d as usize + i
    });
    let size = value.desc.dtype.size();
    &value.bytes()[flat * size..][..size]
}

/// The operator's only output.
pub(crate) fn run<O: Op>(op: &O, inputs: &[&Value]) -> Result<Value> {
    let inputs: Vec<Option<&Value>> = inputs.iter().map(|&v| Some(v)).collect();
    let parameters = inputs[0].map(|v| (v.desc.scale, v.desc.zero_point)).unwrap();
    let values = eval(&OpDef::of::<O>(), op.emit().bytes(), Rounding::None, 0, &inputs, &[parameters])?;
    Ok(values.into_iter().next().unwrap())
}
