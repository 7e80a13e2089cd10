//! Reshape keeps every byte where it was.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::eval::eval;
use samara_runtime::ops::{Op, OpDef, Reshape, Rounding};
use samara_runtime::{Dtype, Error, Shape};

fn reshape(dims: &[u32]) -> Reshape {
    Reshape { shape: Shape::new(dims).unwrap() }
}

#[test]
fn attributes_round_trip() {
    for dims in [&[][..], &[7], &[1, 2, 3, 4, 5, 6]] {
        assert_eq!(Reshape::parse(reshape(dims).emit().bytes()).unwrap(), reshape(dims));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flat_order_stays(dims in prop::collection::vec(1u32..5, 1..=6), split in 0usize..6, d in 0usize..6) {
        let x = noise(Dtype::COMPUTED[d], &dims, 1);
        // Two neighbouring axes become one, which then gets an axis of 1 in front.
        let mut to = dims.clone();
        let at = split % dims.len();
        if at + 1 < to.len() {
            let merged = to.remove(at + 1);
            to[at] *= merged;
            to.insert(0, 1);
        }
        let y = run(&reshape(&to), &[&x]).unwrap();
        prop_assert_eq!(y.desc.shape.dims(), &to[..]);
        for (from, to) in indices(&dims).iter().zip(indices(&to)) {
            prop_assert_eq!(element(&x, from), element(&y, &to));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = noise(Dtype::I8, &[2, 3], 0);
    assert_eq!(run(&reshape(&[5]), &[&x]).unwrap_err(), Error::Shape);
    assert_eq!(Reshape::parse(&[1, 0, 0]), Err(Error::Attribute));
    assert_eq!(Reshape::parse(&[0; 4]), Err(Error::Attribute));
    assert_eq!(Reshape::parse(&[1; 28]), Err(Error::Attribute));
    // A scale that changes on the way would change every number.
    let refused = eval(
        &OpDef::of::<Reshape>(),
        reshape(&[6]).emit().bytes(),
        Rounding::None,
        0,
        &[Some(&x)],
        &[(0.5, 0)],
    );
    assert_eq!(refused.unwrap_err(), Error::Quantization);
}
