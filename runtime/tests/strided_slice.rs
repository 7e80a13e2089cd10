//! StridedSlice with steps of either sign, against a lookup index by index.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{Inputs, Op, StridedSlice};
use samara_runtime::{Dtype, Error};

fn strides(steps: &[i32]) -> Value {
    Value::constant(Dtype::I32, &[steps.len() as u32], steps).unwrap()
}

#[test]
fn attributes_round_trip() {
    let op = StridedSlice::new(&[1, 2, 3, 4, 5, u32::MAX], &[7, 8, 9, 10, 11, u32::MAX]).unwrap();
    assert_eq!(op.emit().bytes().len(), 48);
    assert_eq!(StridedSlice::parse(op.emit().bytes()).unwrap(), op);
}

#[test]
fn a_row_backwards() {
    let x = noise(Dtype::I32, &[5], 3);
    let y = run(&StridedSlice::new(&[4], &[3]).unwrap(), &[&x, &strides(&[-2])]).unwrap();
    let x = x.elements::<i32>();
    assert_eq!(y.elements::<i32>(), [x[4], x[2], x[0]]);
}

/// One axis: its length, first index, indices taken, step; all inside.
fn axis() -> impl Strategy<Value = (u32, u32, u32, i32)> {
    (1u32..8).prop_flat_map(|d| {
        (0..d, prop_oneof![1i32..4, -3i32..0]).prop_flat_map(move |(begin, step)| {
            let room = if step > 0 { d - 1 - begin } else { begin };
            let most = room / step.unsigned_abs() + 1;
            (Just(d), Just(begin), 1..=most, Just(step))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_element_comes_from_its_index(
        axes in prop::collection::vec(axis(), 1..=6),
        d in 0usize..6,
        unit in any::<bool>(),
    ) {
        let dims: Vec<u32> = axes.iter().map(|a| a.0).collect();
        let begin: Vec<u32> = axes.iter().map(|a| a.1).collect();
        let step: Vec<i32> = axes.iter().map(|a| if unit { 1 } else { a.3 }).collect();
        let size: Vec<u32> = axes
            .iter()
            .map(|&(d, begin, size, _)| if unit { size.min(d - begin) } else { size })
            .collect();
        let x = noise(Dtype::COMPUTED[d], &dims, 5);
        let op = StridedSlice::new(&begin, &size).unwrap();
        let steps = strides(&step);
        let y = if unit { run(&op, &[&x]) } else { run(&op, &[&x, &steps]) }.unwrap();
        prop_assert_eq!(y.desc.shape.dims(), &size[..]);
        for at in indices(&size) {
            let source: Vec<usize> = at
                .iter()
                .zip(begin.iter().zip(&step))
                .map(|(&i, (&b, &s))| (b as i64 + i as i64 * s as i64) as usize)
                .collect();
            prop_assert_eq!(element(&y, &at), element(&x, &source));
        }
    }
}

#[test]
fn what_leaves_the_input_is_refused() {
    let x = noise(Dtype::I8, &[4, 4], 0);
    let slice = |begin: u32, size: u32| StridedSlice::new(&[begin, 0], &[size, 1]).unwrap();
    assert_eq!(run(&slice(2, 3), &[&x]).unwrap_err(), Error::Shape);
    assert_eq!(run(&slice(4, 1), &[&x]).unwrap_err(), Error::Shape);
    assert_eq!(run(&slice(u32::MAX, 2), &[&x]).unwrap_err(), Error::Shape);
    for (begin, size, step) in [(1, 3, -1), (0, 3, 2), (0, 2, 0), (0, 2, i32::MIN), (0, 2, i32::MAX)] {
        let steps = strides(&[step, 1]);
        assert_eq!(run(&slice(begin, size), &[&x, &steps]).unwrap_err(), Error::Attribute, "{step}");
    }
    assert_eq!(run(&slice(0, 1), &[&x, &strides(&[1])]).unwrap_err(), Error::Shape);
    let moving = Value::new(x.desc, x.elements::<i8>()).unwrap();
    assert_eq!(run(&slice(0, 1), &[&x, &moving]).unwrap_err(), Error::Dtype);
    assert!(StridedSlice::new(&[0], &[0]).is_err());
    for length in [4, 7, 56] {
        assert_eq!(StridedSlice::parse(&vec![1; length]), Err(Error::Attribute));
    }
    assert_eq!(slice(0, 1).overlap(&Inputs(&[Some(x.desc)]), &[], 0, 0), Some(0));
    let both = [Some(x.desc), Some(strides(&[1, 1]).desc)];
    assert_eq!(slice(0, 1).overlap(&Inputs(&both), &[], 0, 0), None);
}
