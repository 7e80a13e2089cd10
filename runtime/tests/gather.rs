//! Gather along any axis by indices of any shape.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{Gather, Inputs, Op};
use samara_runtime::{Desc, Dtype, Error, Shape};

fn picked(dims: &[u32], elements: &[i32], constant: bool) -> Value {
    if constant {
        return Value::constant(Dtype::I32, dims, elements).unwrap();
    }
    Value::new(Desc::new(Dtype::I32, Shape::new(dims).unwrap()), elements).unwrap()
}

#[test]
fn attributes_round_trip() {
    let op = Gather { axis: 3 };
    assert_eq!(Gather::parse(op.emit().bytes()).unwrap(), op);
    assert_eq!(Gather::parse(&[6]), Err(Error::Attribute));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_element_comes_from_its_index(
        dims in prop::collection::vec(1u32..5, 1..=4),
        shape in prop::collection::vec(1u32..4, 0..=2),
        axis in 0usize..4,
        seed in prop::collection::vec(0i32..1000, 9),
        d in 0usize..6,
        constant in any::<bool>(),
    ) {
        let axis = axis % dims.len();
        let length = dims[axis] as i32;
        let count = shape.iter().product::<u32>() as usize;
        // In -length..length.
        let chosen: Vec<i32> = seed[..count].iter().map(|s| s % (2 * length) - length).collect();
        let x = noise(Dtype::COMPUTED[d], &dims, 5);
        let at = picked(&shape, &chosen, constant);
        let y = run(&Gather { axis: axis as u8 }, &[&x, &at]).unwrap();
        for index in indices(y.desc.shape.dims()) {
            let (before, rest) = index.split_at(axis);
            let (which, after) = rest.split_at(shape.len());
            let flat = which.iter().zip(&shape).fold(0, |n, (&i, &d)| n * d as usize + i);
            let from = chosen[flat].rem_euclid(length) as usize;
            let source = [before, &[from], after].concat();
            prop_assert_eq!(element(&y, &index), element(&x, &source));
        }
    }
}

#[test]
fn an_index_outside_the_axis_is_an_error() {
    let x = noise(Dtype::I8, &[3, 2], 0);
    let op = Gather { axis: 0 };
    for bad in [3, -4, i32::MIN, i32::MAX] {
        assert_eq!(run(&op, &[&x, &picked(&[2], &[0, bad], true)]).unwrap_err(), Error::Value);
        assert_eq!(run(&op, &[&x, &picked(&[2], &[0, bad], false)]).unwrap_err(), Error::Value);
        let at = picked(&[2], &[0, bad], false);
        assert!(op.infer(&Inputs(&[Some(x.desc), Some(at.desc)])).is_ok());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = noise(Dtype::I8, &[3, 2], 0);
    let one = picked(&[1], &[0], false);
    assert_eq!(run(&Gather { axis: 2 }, &[&x, &one]).unwrap_err(), Error::Shape);
    assert_eq!(run(&Gather { axis: 0 }, &[&x, &x]).unwrap_err(), Error::Dtype);
    assert_eq!(run(&Gather { axis: 0 }, &[&x]).unwrap_err(), Error::Operand);
    let deep = picked(&[1; 6], &[0], false);
    assert_eq!(run(&Gather { axis: 0 }, &[&x, &deep]).unwrap_err(), Error::Shape);
    let many = Desc::new(Dtype::I32, Shape::new(&[1 << 14, 1 << 14]).unwrap());
    let refused = Gather { axis: 0 }.infer(&Inputs(&[Some(x.desc), Some(many)]));
    assert_eq!(refused.unwrap_err(), Error::Limit);
}
