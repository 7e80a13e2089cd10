//! Pad on any axis, against a lookup index by index.

mod moving;

use moving::{element, indices, noise, run};
use proptest::prelude::*;
use samara_runtime::ops::{Inputs, Op, Pad};
use samara_runtime::{Desc, Dtype, Error, Shape};

#[test]
fn attributes_round_trip() {
    let op = Pad::new(&[1, 2, 3, 4, 5, 65535], &[7, 8, 9, 10, 11, 12], [1, 2, 3, 4]).unwrap();
    assert_eq!(op.emit().bytes().len(), 28);
    assert_eq!(Pad::parse(op.emit().bytes()).unwrap(), op);
    let scalar = Pad::new(&[], &[], [0; 4]).unwrap();
    assert_eq!(Pad::parse(scalar.emit().bytes()).unwrap(), scalar);
}

#[test]
fn a_row_by_hand() {
    let x = moving::noise(Dtype::I8, &[2, 2], 3);
    let [a, b, c, d] = <[u8; 4]>::try_from(x.bytes()).unwrap();
    let y = run(&Pad::new(&[1, 0], &[0, 2], [0x80, 0, 0, 0]).unwrap(), &[&x]).unwrap();
    assert_eq!(y.bytes(), [128, 128, 128, 128, a, b, 128, 128, c, d, 128, 128]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_element_is_the_input_or_the_value(
        axes in prop::collection::vec((1u32..4, 0u16..3, 0u16..3), 0..=6),
        d in 0usize..5,
        value in any::<[u8; 4]>(),
    ) {
        let dtype = Dtype::COMPUTED[d];
        let dims: Vec<u32> = axes.iter().map(|a| a.0).collect();
        let (before, after): (Vec<u16>, Vec<u16>) = axes.iter().map(|a| (a.1, a.2)).unzip();
        let mut value = value;
        value[dtype.size()..].fill(0);
        let x = noise(dtype, &dims, 9);
        let y = run(&Pad::new(&before, &after, value).unwrap(), &[&x]).unwrap();
        for at in indices(y.desc.shape.dims()) {
            let source: Option<Vec<usize>> = at
                .iter()
                .zip(&axes)
                .map(|(&i, a)| i.checked_sub(a.1 as usize).filter(|&i| i < a.0 as usize))
                .collect();
            let expect = source.map_or(&value[..dtype.size()], |s| element(&x, &s));
            prop_assert_eq!(element(&y, &at), expect);
        }
    }

    #[test]
    fn overlap_is_the_largest_lead_of_the_output(
        axes in prop::collection::vec((1u32..4, 0u16..3, 0u16..3), 1..=4),
    ) {
        let dims: Vec<u32> = axes.iter().map(|a| a.0).collect();
        let (before, after): (Vec<u16>, Vec<u16>) = axes.iter().map(|a| (a.1, a.2)).unzip();
        let op = Pad::new(&before, &after, [0; 4]).unwrap();
        let x = Some(Desc::new(Dtype::I16, Shape::new(&dims).unwrap()));
        let y = *op.infer(&Inputs(&[x])).unwrap().outputs().first().unwrap();
        let all = indices(&dims);
        let lead = all.iter().enumerate().map(|(p, at)| {
            let q = at.iter().zip(&axes).zip(y.shape.dims()).fold(0, |n, ((&i, a), &d)| {
                n * d as usize + i + a.1 as usize
            });
            (q - p) * 2
        });
        prop_assert_eq!(op.overlap(&Inputs(&[x]), &[y], 0, 0), lead.max());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = noise(Dtype::I8, &[2, 2], 0);
    assert_eq!(run(&Pad::new(&[1], &[1], [0; 4]).unwrap(), &[&x]).unwrap_err(), Error::Shape);
    // 300 is no int8 level.
    let wide = Pad::new(&[1, 1], &[1, 1], 300u32.to_le_bytes()).unwrap();
    assert_eq!(run(&wide, &[&x]).unwrap_err(), Error::Attribute);
    let flag = noise(Dtype::Bool, &[1], 0);
    assert_eq!(run(&Pad::new(&[1], &[1], [2, 0, 0, 0]).unwrap(), &[&flag]).unwrap_err(), Error::Attribute);
    let vast = Pad::new(&[65535; 2], &[65535; 2], [0; 4]).unwrap();
    assert_eq!(run(&vast, &[&x]).unwrap_err(), Error::Limit);
    for length in [0, 3, 5, 7, 32] {
        assert_eq!(Pad::parse(&vec![0; length]), Err(Error::Attribute), "{length}");
    }
    assert!(Pad::new(&[0; 7], &[0; 7], [0; 4]).is_err() && Pad::new(&[0], &[], [0; 4]).is_err());
}
