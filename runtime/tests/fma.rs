//! The fast float kernels of hosts give the reference kernels' bits.

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{
    Choice, Clamp, Conv2d, DepthwiseConv2d, Entry, FullyConnected, Isa, Op, OpDef, Rounding,
};
use samara_runtime::ops::{Window, conv_2d, depthwise_conv_2d, fully_connected};
use samara_runtime::{Desc, Dtype, Layout, Place, Shape};

/// Floats of many magnitudes, so that every rounding matters.
fn noise(dims: &[usize], place: Place, seed: u64) -> Value {
    let dims: Vec<u32> = dims.iter().map(|&d| d as u32).collect();
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    let data: Vec<f32> = (0..dims.iter().product::<u32>()).map(|_| next() * 16f32.powf(next())).collect();
    Value::new(Desc { place, ..Desc::new(Dtype::F32, Shape::new(&dims).unwrap()) }, &data).unwrap()
}

fn same_bits<O: Op>(op: &O, reference: &'static [Entry], inputs: &[Option<&Value>]) {
    let bits = |def: OpDef| {
        let y = eval(&def, op.emit().bytes(), Rounding::None, 0, inputs, &[]).unwrap();
        y[0].elements::<u32>().to_vec()
    };
    assert_eq!(bits(OpDef::of::<O>()), bits(OpDef::with::<O>(reference)));
}

fn windows() -> impl Strategy<Value = Window> {
    ([1u16..3, 1u16..3], [1u16..3, 1u16..3], [0u16..3, 0u16..3, 0u16..3, 0u16..3])
        .prop_map(|(stride, dilation, pad)| Window { stride, dilation, pad })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn conv_2d_has_the_reference_bits(
        window in windows(),
        [n, h, w] in [1usize..3, 5usize..9, 5usize..9],
        [groups, per_group, outputs] in [1usize..4, 1usize..7, 1usize..20],
        taps in [1usize..4, 1usize..4],
        with_bias: bool,
        seed: u64,
    ) {
        let x = noise(&[n, h, w, groups * per_group], Place::Arena, seed);
        let weights = noise(&[groups * outputs, taps[0], taps[1], per_group], Place::Weights, seed ^ 1);
        let bias = noise(&[groups * outputs], Place::Weights, seed ^ 2);
        let op = Conv2d { window, groups: groups as u16, clamp: Clamp::f32(-0.5, 1.5) };
        let inputs = [Some(&x), Some(&weights), with_bias.then_some(&bias)];
        same_bits(&op, &[conv_2d::F32], &inputs);
    }

    #[test]
    fn depthwise_conv_2d_has_the_reference_bits(
        window in windows(),
        [n, h, w] in [1usize..3, 5usize..9, 5usize..9],
        [channels, multiplier] in [1usize..40, 1usize..4],
        taps in [1usize..4, 1usize..4],
        with_bias: bool,
        seed: u64,
    ) {
        let x = noise(&[n, h, w, channels], Place::Arena, seed);
        let weights = noise(&[1, taps[0], taps[1], channels * multiplier], Place::Weights, seed ^ 1);
        let bias = noise(&[channels * multiplier], Place::Weights, seed ^ 2);
        let op = DepthwiseConv2d { window, clamp: Clamp::NONE };
        let inputs = [Some(&x), Some(&weights), with_bias.then_some(&bias)];
        same_bits(&op, &[depthwise_conv_2d::F32], &inputs);
    }

    #[test]
    fn fully_connected_has_the_reference_bits(
        [rows, depth, outputs] in [1usize..4, 1usize..90, 1usize..40],
        with_bias: bool,
        seed: u64,
    ) {
        let x = noise(&[rows, depth], Place::Arena, seed);
        let weights = noise(&[outputs, depth], Place::Weights, seed ^ 1);
        let bias = noise(&[outputs], Place::Weights, seed ^ 2);
        let op = FullyConnected { keep_dims: true, clamp: Clamp::NONE };
        let inputs = [Some(&x), Some(&weights), with_bias.then_some(&bias)];
        same_bits(&op, &[fully_connected::F32], &inputs);
    }
}

#[test]
fn the_fast_entries_are_chosen_where_the_processor_has_them() {
    if !Isa::X86Fma.available() {
        println!("SKIPPED: this processor has no FMA3 and AVX2, so only reference kernels were compared");
        return;
    }
    for def in [OpDef::of::<Conv2d>(), OpDef::of::<DepthwiseConv2d>(), OpDef::of::<FullyConnected>()] {
        let entry = def
            .select(0, Dtype::F32, Some((Dtype::F32, Layout::Dense)), Rounding::None, Choice::Auto)
            .unwrap();
        assert!(entry.name.starts_with("x86_"), "{}", entry.name);
        let entry = def
            .select(0, Dtype::F32, Some((Dtype::F32, Layout::Dense)), Rounding::None, Choice::Reference)
            .unwrap();
        assert!(entry.name.starts_with("reference_"), "{}", entry.name);
    }
}
