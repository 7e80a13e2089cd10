//! Every int8 Add and Sub and every float Add of every instruction set against the plain loops, on lengths around the
//! vectors'.

use proptest::prelude::*;
use samara_runtime::ops::add::Additive;
use samara_runtime::ops::eval::{Value, eval, eval_together};
use samara_runtime::ops::{Clamp, Isa, Op, OpDef, Rounding};
use samara_runtime::{Dtype, ops::Entry};

use crate::oracle::{Noise, float, int8};

fn compare<const SUB: bool>(
    op: Additive<SUB>,
    rounding: Rounding,
    [a, b]: [&Value; 2],
    zero: i32,
) -> Result<(), TestCaseError> {
    let serves = |e: &&'static Entry| e.dtypes.contains(&Dtype::I8) && e.roundings.contains(&rounding);
    let (mut plain, mut others) = (None, Vec::new());
    for entry in Additive::<SUB>::KERNELS.iter().filter(serves).filter(|e| e.isa.available()) {
        if entry.isa == Isa::Reference { plain = Some(entry) } else { others.push(entry) }
    }
    let run = |entry: &'static Entry| {
        let def = OpDef::with::<Additive<SUB>>(std::slice::from_ref(entry));
        let (attributes, y) = (op.emit(), [(0.1, zero)]);
        let inputs = [Some(a), Some(b)];
        let mut results = eval(&def, attributes.bytes(), rounding, 0, &inputs, &y).unwrap();
        for descending in [false, true] {
            results.extend(
                eval_together(&def, attributes.bytes(), rounding, 0, &inputs, &y, descending).unwrap(),
            );
        }
        results
    };
    let expect = run(plain.expect("there are plain loops")).remove(0);
    for entry in others {
        for y in run(entry) {
            prop_assert_eq!(y.bytes(), expect.bytes(), "{}", entry.name);
        }
    }
    Ok(())
}

/// Every entry for floats gives the plain loops' bits, apart and in the output's memory.
fn compare_floats(length: usize, clamp: Clamp, noise: &mut Noise) -> Result<(), TestCaseError> {
    let op = Additive::<false>::plain(clamp);
    let mut values = || {
        let mut values = noise.floats(length);
        // What neither is less nor greater than anything.
        values[length / 2] = f32::NAN;
        values[length / 3] = -0.0;
        float(&[length as u32], &values)
    };
    let (a, b) = (values(), values());
    let (attributes, inputs) = (op.emit(), [Some(&a), Some(&b)]);
    let run = |entry: &'static Entry| {
        let def = OpDef::with::<Additive<false>>(std::slice::from_ref(entry));
        let mut results = eval(&def, attributes.bytes(), Rounding::None, 0, &inputs, &[]).unwrap();
        for descending in [false, true] {
            results.extend(
                eval_together(&def, attributes.bytes(), Rounding::None, 0, &inputs, &[], descending).unwrap(),
            );
        }
        results
    };
    let serves = |e: &&'static Entry| e.dtypes.contains(&Dtype::F32) && e.isa.available();
    let entries = || Additive::<false>::KERNELS.iter().filter(serves);
    let plain = entries().find(|e| e.isa == Isa::Reference).expect("there are plain loops");
    let expect = run(plain).remove(0);
    for entry in entries().filter(|e| e.isa != Isa::Reference) {
        for y in run(entry) {
            prop_assert_eq!(y.bytes(), expect.bytes(), "{}", entry.name);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sums(length in 1usize..400, zeros in prop::array::uniform3(-128i32..128), seed: u64, hostile in 0..5) {
        let mut noise = Noise(seed);
        // As where a rectifier was fused to what is added.
        let [za, zb, zo] = [0, 1, 2].map(|i| if seed >> i & 1 == 0 { zeros[i] } else { -128 });
        let a = int8(&[length as u32], 0.1, za, &noise.int8(length));
        let b = int8(&[length as u32], 0.1, zb, &noise.int8(length));
        let mut multiplier = || noise.int(1 << 30, i32::MAX as i64) as i32;
        let (left, right, output) = (multiplier(), multiplier(), multiplier());
        let mut shift = |from: i64, to: i64| noise.int(from, to) as i32;
        let (left, right, output) = match hostile {
            // As it is told: any shifts, or halves, whose sums are ties again and again.
            0 => ([left, shift(-31, 0)], [right, shift(-31, 0)], [output, shift(-31, 0)]),
            1 => ([1 << 30, 0], [1 << 30, shift(-1, 0)], [1 << 30, -18 + shift(-2, 0)]),
            2 => ([left, shift(-3, -1)], [1 << 30, 0], [output, shift(-20, -12)]),
            _ => ([1 << 30, 0], [right, shift(-3, -1)], [output, shift(-20, -12)]),
        };
        let clamp = if seed >> 3 & 1 == 0 { Clamp::i32(-128, 127) } else { Clamp::i32(zo, 100.max(zo)) };
        compare(Additive::<false> { left, right, output, clamp }, Rounding::Tflite, [&a, &b], zo)?;
        compare(Additive::<true> { left, right, output, clamp }, Rounding::Tflite, [&a, &b], zo)?;
        let bits = noise.int(0, 22) as i32;
        let (left, right) = (noise.int(0, 1 << 21) as i32, noise.int(0, 1 << 21) as i32);
        let (left, right, output) = ([left, 0], [right, 0], [0, bits]);
        compare(Additive::<false> { left, right, output, clamp }, Rounding::Single, [&a, &b], zo)?;
        compare(Additive::<true> { left, right, output, clamp }, Rounding::Single, [&a, &b], zo)?;
    }

    #[test]
    fn float_sums(length in 1usize..400, seed: u64) {
        let clamp = if seed % 2 == 0 { Clamp::f32(-0.5, 1.0) } else { Clamp::f32(f32::NEG_INFINITY, f32::INFINITY) };
        compare_floats(length, clamp, &mut Noise(seed))?;
    }
}
