//! Transpose by any permutation, against a lookup index by index.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::{Inputs, Op, Transpose};
use samara_runtime::{Desc, Dtype, Error, Shape};

#[test]
fn attributes_round_trip() {
    for permutation in [&[][..], &[0], &[5, 3, 1, 0, 2, 4]] {
        let op = Transpose::new(permutation).unwrap();
        assert_eq!(Transpose::parse(op.emit().bytes()).unwrap(), op);
        assert_eq!(op.permutation(), permutation);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_element_moves_as_its_index(
        (dims, permutation) in prop_oneof![
            3 => prop::collection::vec(1u32..5, 0..=6),
            1 => prop::collection::vec(1u32..40, 2..=3),
        ].prop_flat_map(|dims| {
            let axes: Vec<u8> = (0..dims.len() as u8).collect();
            (Just(dims), Just(axes).prop_shuffle())
        }),
        d in 0usize..6,
    ) {
        let x = noise(Dtype::COMPUTED[d], &dims, 5);
        let op = Transpose::new(&permutation).unwrap();
        let y = run(&op, &[&x]).unwrap();
        for at in indices(y.desc.shape.dims()) {
            let mut source = vec![0; dims.len()];
            for (&axis, &i) in permutation.iter().zip(&at) {
                source[axis as usize] = i;
            }
            prop_assert_eq!(element(&y, &at), element(&x, &source));
        }
        if op.moves_nothing(&x.desc.shape) {
            prop_assert_eq!(x.bytes(), y.bytes());
        }
    }
}

#[test]
fn in_place_only_where_nothing_moves() {
    let op = Transpose::new(&[0, 2, 3, 1]).unwrap();
    let at = |dims: &[u32]| {
        let x = Some(Desc::new(Dtype::I8, Shape::new(dims).unwrap()));
        let y = *op.infer(&Inputs(&[x])).unwrap().outputs().first().unwrap();
        op.overlap(&Inputs(&[x]), &[y], 0, 0)
    };
    assert_eq!(at(&[1, 1, 5, 7]), Some(0));
    assert_eq!(at(&[4, 3, 1, 1]), Some(0));
    assert_eq!(at(&[1, 2, 5, 1]), None);
}

#[test]
fn what_is_no_permutation_is_refused() {
    for bad in [&[1][..], &[0, 0], &[0, 2], &[0, 1, 2, 3, 4, 5, 6], &[255, 0]] {
        assert_eq!(Transpose::parse(bad), Err(Error::Attribute));
    }
    let x = noise(Dtype::I8, &[2, 2], 0);
    assert_eq!(run(&Transpose::new(&[0]).unwrap(), &[&x]).unwrap_err(), Error::Shape);
}
