//! ArgMax over any axis, against a search index by index.

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{ArgMax, Op, OpDef, Rounding};
use samara_runtime::{Desc, Dtype, Error, Result, Shape};

fn tensor<T: bytemuck::Pod>(dtype: Dtype, dims: &[u32], elements: &[T]) -> Value {
    Value::new(Desc::new(dtype, Shape::new(dims).unwrap()), elements).unwrap()
}

fn run(op: ArgMax, x: &Value) -> Result<Value> {
    eval(&OpDef::of::<ArgMax>(), op.emit().bytes(), Rounding::None, 0, &[Some(x)], &[])
        .map(|mut y| y.remove(0))
}

#[test]
fn attributes_round_trip() {
    for (last, keep_dims) in [(false, true), (true, false)] {
        let op = ArgMax { axis: 4, last, keep_dims };
        assert_eq!(ArgMax::parse(op.emit().bytes()).unwrap(), op);
    }
    for bad in [&[][..], &[0, 0], &[0, 2, 0], &[0, 0, 2], &[6, 0, 0], &[0, 0, 0, 0]] {
        assert_eq!(ArgMax::parse(bad), Err(Error::Attribute));
    }
}

#[test]
fn equal_elements_and_nan() {
    let op = |last| ArgMax { axis: 1, last, keep_dims: false };
    let nan = f32::NAN;
    let x = tensor(Dtype::F32, &[4, 3], &[2.0f32, 5.0, 5.0, nan, -1.0, nan, nan, nan, nan, 0.0, -0.0, -3.0]);
    assert_eq!(run(op(false), &x).unwrap().elements::<i32>(), [1, 1, 0, 0]);
    assert_eq!(run(op(true), &x).unwrap().elements::<i32>(), [2, 1, 2, 1]);
    let x = tensor(Dtype::I8, &[1, 4], &[-128i8, -128, 3, 3]);
    assert_eq!(run(op(false), &x).unwrap().elements::<i32>(), [2]);
    assert_eq!(run(op(true), &x).unwrap().elements::<i32>(), [3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_element_is_larger(
        dims in prop::collection::vec(1u32..5, 1..=6),
        axis in 0usize..6,
        last in any::<bool>(),
        keep_dims in any::<bool>(),
        kind in 0..3u8,
        levels in prop::collection::vec(-3i8..3, 4096),
    ) {
        let axis = axis % dims.len();
        let count = dims.iter().product::<u32>() as usize;
        let levels = &levels[..count];
        let x = match kind {
            0 => tensor(Dtype::F32, &dims, &levels.iter().map(|&v| v as f32 / 4.0).collect::<Vec<_>>()),
            1 => tensor(Dtype::I16, &dims, &levels.iter().map(|&v| v as i16 * 9000).collect::<Vec<_>>()),
            _ => tensor(Dtype::I8, &dims, levels),
        };
        let y = run(ArgMax { axis: axis as u8, last, keep_dims }, &x).unwrap();
        let mut expect = dims.clone();
        if keep_dims { expect[axis] = 1 } else { expect.remove(axis); }
        prop_assert_eq!(y.desc.shape.dims(), &expect[..]);
        let length = dims[axis] as usize;
        let inner = dims[axis + 1..].iter().product::<u32>() as usize;
        for (k, &found) in y.elements::<i32>().iter().enumerate() {
            let line: Vec<i8> =
                (0..length).map(|j| levels[(k / inner * length + j) * inner + k % inner]).collect();
            let most = *line.iter().max().unwrap();
            let at = if last { line.iter().rposition(|&v| v == most) } else { line.iter().position(|&v| v == most) };
            prop_assert_eq!(found as usize, at.unwrap());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let op = ArgMax { axis: 1, last: false, keep_dims: false };
    assert_eq!(run(op, &tensor(Dtype::I8, &[2], &[0i8, 1])).unwrap_err(), Error::Shape);
    assert_eq!(run(op, &tensor(Dtype::I32, &[1, 2], &[0i32, 1])).unwrap_err(), Error::Dtype);
    let x = tensor(Dtype::I8, &[1, 2], &[0i8, 1]);
    let scaled = eval(&OpDef::of::<ArgMax>(), op.emit().bytes(), Rounding::None, 0, &[Some(&x)], &[(0.5, 0)]);
    assert_eq!(scaled.unwrap_err(), Error::Quantization);
}
