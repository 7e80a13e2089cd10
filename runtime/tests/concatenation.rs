//! Concatenation of one to eight tensors, against a lookup index by index.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{Concatenation, Inputs, Op};
use samara_runtime::{Desc, Dtype, Error, Shape};

#[test]
fn attributes_round_trip() {
    let op = Concatenation { axis: 5 };
    assert_eq!(Concatenation::parse(op.emit().bytes()).unwrap(), op);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_element_comes_from_its_input(
        dims in prop::collection::vec(1u32..4, 1..=6),
        along in prop::collection::vec(1u32..4, 1..=8),
        axis in 0usize..6,
        d in 0usize..6,
    ) {
        let axis = axis % dims.len();
        let inputs: Vec<Value> = along
            .iter()
            .enumerate()
            .map(|(i, &n)| {
                let mut dims = dims.clone();
                dims[axis] = n;
                noise(Dtype::COMPUTED[d], &dims, i as u32)
            })
            .collect();
        let y = run(&Concatenation { axis: axis as u8 }, &inputs.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(y.desc.shape.dim(axis) as u32, along.iter().sum::<u32>());
        for mut at in indices(y.desc.shape.dims()) {
            let whole = element(&y, &at);
            let mut i = 0;
            while at[axis] >= along[i] as usize {
                at[axis] -= along[i] as usize;
                i += 1;
            }
            prop_assert_eq!(whole, element(&inputs[i], &at));
        }
    }
}

#[test]
fn at_the_outermost_axis_an_input_may_stay_in_its_place() {
    let desc = |n: u32| Some(Desc::new(Dtype::I16, Shape::new(&[n, 3]).unwrap()));
    let inputs = [desc(1), desc(2), desc(4)];
    let op = Concatenation { axis: 0 };
    let y = *op.infer(&Inputs(&inputs)).unwrap().outputs().first().unwrap();
    let places: Vec<_> = (0..4).map(|i| op.overlap(&Inputs(&inputs), &[y], i, 0)).collect();
    assert_eq!(places, [Some(0), Some(6), Some(18), None]);
    // Along the inner axis the last row decides: two rows of 12 bytes each, of which input 1 brings 8.
    let desc = |n: u32| Some(Desc::new(Dtype::I16, Shape::new(&[2, n]).unwrap()));
    let inputs = [desc(2), desc(4)];
    let op = Concatenation { axis: 1 };
    let y = *op.infer(&Inputs(&inputs)).unwrap().outputs().first().unwrap();
    assert_eq!(op.overlap(&Inputs(&inputs), &[y], 1, 0), Some(4 + 4));
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = noise(Dtype::I8, &[2, 2], 0);
    let taller = noise(Dtype::I8, &[3, 2], 0);
    let wider = noise(Dtype::I16, &[2, 2], 0);
    let flat = noise(Dtype::I8, &[2], 0);
    let mut scaled = noise(Dtype::I8, &[2, 2], 0);
    scaled.desc.scale = 0.5;
    let op = Concatenation { axis: 1 };
    assert_eq!(run(&op, &[&x, &taller]).unwrap_err(), Error::Shape);
    assert_eq!(run(&op, &[&x, &flat]).unwrap_err(), Error::Shape);
    assert_eq!(run(&op, &[&x, &wider]).unwrap_err(), Error::Dtype);
    assert_eq!(run(&op, &[&x, &scaled]).unwrap_err(), Error::Quantization);
    assert_eq!(run(&Concatenation { axis: 2 }, &[&x, &x]).unwrap_err(), Error::Shape);
    assert_eq!(run(&op, &[&x; 9]).unwrap_err(), Error::Limit);
    assert_eq!(op.infer(&Inputs(&[])).unwrap_err(), Error::Operand);
    assert_eq!(op.infer(&Inputs(&[Some(x.desc), None])).unwrap_err(), Error::Operand);
    assert_eq!(Concatenation::parse(&[6]), Err(Error::Attribute));
    assert_eq!(Concatenation::parse(&[0, 0]), Err(Error::Attribute));
}
