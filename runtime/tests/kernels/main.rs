//! Every kernel of the layers that this processor has gives the reference kernel's bits: on random shapes, in every
//! rounding, apart and in shared memory.

mod additive;
#[allow(dead_code)] // the other suite uses the rest
#[path = "../layers/geometry.rs"]
mod geometry;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../oracle/requant.rs"]
mod requant;

use std::sync::LazyLock;

use geometry::{Kind, Layer, layers};
use oracle::{Noise, float, int8};
use proptest::prelude::*;
use requant::scales;
use samara_runtime::Dtype;
use samara_runtime::ops::eval::{Value, eval, eval_together};
use samara_runtime::ops::layer::{kernel, prepare};
use samara_runtime::ops::{
    Clamp, Conv2d, DepthwiseConv2d, Entry, FullyConnected, Isa, Op, OpDef, Rounding, Window,
};

/// One entry, alone in its operator's list.
struct Alone {
    entry: &'static Entry,
    def: OpDef,
}

fn each<O: Op>() -> Vec<Alone> {
    let own = O::KERNELS.iter().filter(|e| e.isa.available());
    own.map(|entry| Alone { entry, def: OpDef::with::<O>(std::slice::from_ref(entry)) }).collect()
}

static CONV: LazyLock<Vec<Alone>> = LazyLock::new(each::<Conv2d>);
static DEPTHWISE: LazyLock<Vec<Alone>> = LazyLock::new(each::<DepthwiseConv2d>);
static DENSE: LazyLock<Vec<Alone>> = LazyLock::new(each::<FullyConnected>);

/// The entries for a layer that are not its plainest.
fn faster(layer: &Layer) -> impl Iterator<Item = &'static Alone> {
    let (all, groups) = match layer.kind {
        Kind::Conv { groups } => (&CONV, groups),
        Kind::Depthwise => (&DEPTHWISE, 1),
        Kind::Dense => (&DENSE, 1),
    };
    all.iter().filter(move |a| {
        let is_plainest = a.entry.id == kernel::DENSE && a.entry.isa == Isa::Reference;
        !is_plainest && (groups == 1 || a.entry.id == kernel::DENSE)
    })
}

/// Shapes as networks have them: channels around the kernels' blocks, few of the first layer, single pixels and long
/// rows; among them those of the other suite.
fn shapes() -> impl Strategy<Value = Layer> {
    let channels = || prop_oneof![1usize..5, 6usize..20, 28usize..36, 60usize..68];
    let kind = prop_oneof![Just(Kind::Conv { groups: 1 }), Just(Kind::Depthwise), Just(Kind::Dense)];
    let taps = prop_oneof![Just([1, 1]), Just([3, 3]), [1usize..6, 1usize..6]];
    let window = prop_oneof![
        Just(Window::UNIT),
        ([1u16..4, 1u16..4], [1u16..3, 1u16..3], [0u16..4, 0u16..4, 0u16..4, 0u16..4])
            .prop_map(|(stride, dilation, pad)| Window { stride, dilation, pad })
    ];
    let input = ([1usize..3, 1usize..8, 1usize..24], channels(), channels(), 1usize..3);
    let own = (kind, input, taps, window, any::<u64>())
        .prop_map(|(kind, ([n, h, w], depth, outputs, multiplier), taps, window, seed)| {
            let outputs = if kind == Kind::Depthwise { depth * multiplier } else { outputs };
            Layer { kind, input: [n, h, w, depth], taps, outputs, window, seed }
        })
        .prop_filter("the window fits", |l| l.kind == Kind::Dense || l.fits());
    prop_oneof![6 => own, 3 => layers(), 1 => wide(), 2 => even(), 2 => single()]
}

/// Convolutions over channels that vectors divide, of more outputs than one block and of more inputs than some kernels
/// bring together at a time.
fn even() -> impl Strategy<Value = Layer> {
    let many = ((12usize..17).prop_map(|c| 8 * c), 1usize..5, 1usize..80, 9usize..13);
    let few = ((1usize..9).prop_map(|c| 8 * c), 1usize..6, 1usize..34, 9usize..40);
    let sizes = prop_oneof![1 => many, 4 => few];
    let taps = prop_oneof![2 => Just([1, 1]), 3 => Just([3, 3]), 1 => [1usize..4, 1usize..6]];
    let window = ([1u16..3, 1u16..3], [1u16..3, 1u16..3], [0u16..2, 0u16..2, 0u16..2, 0u16..2])
        .prop_map(|(stride, dilation, pad)| Window { stride, dilation, pad });
    let window = prop_oneof![Just(Window::UNIT), Just(Window { pad: [1; 4], ..Window::UNIT }), window];
    (sizes, taps, window, any::<u64>())
        .prop_map(|((depth, h, w, outputs), taps, window, seed)| {
            let kind = Kind::Conv { groups: 1 };
            Layer { kind, input: [1, h, w, depth], taps, outputs, window, seed }
        })
        .prop_filter("the window fits", Layer::fits)
}

/// One row of a fully connected layer, of more outputs than are finished together.
fn single() -> impl Strategy<Value = Layer> {
    let depth = prop_oneof![3 => (1usize..50).prop_map(|quads| 4 * quads), 1 => 1usize..200];
    (depth, 1usize..200, any::<u64>()).prop_map(|(depth, outputs, seed)| {
        let (input, taps, window) = ([1, 1, 1, depth], [1, 1], Window::UNIT);
        Layer { kind: Kind::Dense, input, taps, outputs, window, seed }
    })
}

/// Rows of more outputs than kernels hold sums of.
fn wide() -> impl Strategy<Value = Layer> {
    let kind = prop_oneof![1 => Just(Kind::Conv { groups: 1 }), 3 => Just(Kind::Depthwise)];
    let window = ([1u16..3, 1u16..3], [0u16..2, 0u16..2, 0u16..2, 0u16..2])
        .prop_map(|(stride, pad)| Window { stride, dilation: [1, 1], pad });
    (kind, [3usize..5, 50usize..240], prop_oneof![Just(3), Just(8), 14usize..20], window, any::<u64>())
        .prop_map(|(kind, [h, w], depth, window, seed)| Layer {
            kind,
            input: [1, h, w, depth],
            taps: [3, 3],
            outputs: depth,
            window,
            seed,
        })
}

/// Which constants of requantization a layer gets.
#[derive(Clone, Copy)]
enum Constants {
    /// As packed models have them.
    Ordinary,
    /// Those whose shifts go right, with extreme multipliers among them.
    Right,
    /// Those whose results are known to be short, or nearly.
    Short,
    /// Those of scales that are sums of a few powers of two: results are ties, or next to it, again and again.
    Round,
    /// Whatever the loader admits.
    Any,
}

impl Constants {
    fn of(seed: u64) -> Self {
        match seed % 6 {
            0 | 1 => Constants::Ordinary,
            2 => Constants::Right,
            3 => Constants::Short,
            4 => Constants::Round,
            _ => Constants::Any,
        }
    }
}

/// Per-channel constants that the loader admits.
fn constants(rounding: Rounding, channels: usize, which: Constants, noise: &mut Noise) -> Value {
    let pair = |noise: &mut Noise| match (rounding, noise.int(0, 15), which) {
        (Rounding::Single, _, Constants::Round) => {
            let bits = noise.int(10, 24);
            [(noise.int(1, 7) << bits) as i32, noise.int(0, 3) as i32]
        }
        (_, _, Constants::Round) => {
            let bits = noise.int(2, 28);
            [(1 << 30 | noise.int(0, 3) << bits) as i32, noise.int(-15, -1) as i32]
        }
        (Rounding::Single, _, Constants::Ordinary) => [noise.int(0, 1 << 24) as i32, 0],
        (_, _, Constants::Ordinary) => {
            [noise.int(1 << 30, i32::MAX as i64) as i32, noise.int(-22, -1) as i32]
        }
        (Rounding::Tflite, 0, Constants::Right) => {
            [noise.int(0, i32::MAX as i64) as i32, noise.int(-31, -1) as i32]
        }
        (Rounding::Tflite, _, Constants::Right) => {
            [noise.int(1 << 30, i32::MAX as i64) as i32, noise.int(-14, -1) as i32]
        }
        (Rounding::Tflite, 0, Constants::Short) => {
            [noise.int(0, i32::MAX as i64) as i32, noise.int(-31, -17) as i32]
        }
        (Rounding::Tflite, _, Constants::Short) => {
            [noise.int(1 << 30, i32::MAX as i64) as i32, noise.int(-17, -7) as i32]
        }
        (Rounding::Single, 0, _) => [noise.int(0, i32::MAX as i64) as i32, noise.int(0, 30) as i32],
        (Rounding::Single, ..) => [noise.int(0, 1 << 24) as i32, noise.int(0, 3) as i32],
        (_, 0, _) => [noise.int(0, i32::MAX as i64) as i32, noise.int(-31, 30) as i32],
        _ => [noise.int(1 << 30, i32::MAX as i64) as i32, noise.int(-14, 0) as i32],
    };
    let pairs: Vec<[i32; 2]> = (0..channels).map(|_| pair(noise)).collect();
    let reals: Vec<f32> = (0..channels).map(|_| noise.int(0, 100000) as f32 / 3e7).collect();
    scales(rounding, &pairs, &reals)
}

/// Whether [`kernel::PAIRS`] keeps every sum of these weights; pairs have no room for -128.
fn is_small(layer: &Layer, levels: &[i8]) -> bool {
    if levels.contains(&i8::MIN) {
        return false;
    }
    let mut sums = vec![0i64; layer.outputs];
    for (i, &w) in levels.iter().enumerate() {
        sums[layer.channel(i)] += i64::from(w).abs() * 128;
    }
    sums.iter().all(|&s| s < 1 << 23)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn integers(layer in shapes(), zero in -128i32..128, output_zero in -128i32..128, with_bias: bool) {
        let mut noise = Noise(layer.seed);
        // -128 times -128 again and again: what sums of 16 bits do not hold.
        let is_extreme = layer.seed % 5 == 0;
        let mut inputs = noise.int8(layer.input.iter().product());
        if is_extreme {
            inputs.iter_mut().filter(|_| noise.int(0, 1) == 0).for_each(|x| *x = i8::MIN);
        }
        let x = int8(&layer.input_dims(), 0.1, zero, &inputs);
        let dims = layer.weight_dims();
        let mut levels: Vec<i8> = (0..dims.iter().product::<u32>()).map(|_| noise.int(-127, 127) as i8).collect();
        if is_extreme {
            levels.iter_mut().filter(|_| noise.int(0, 1) == 0).for_each(|w| *w = i8::MIN);
        }
        let w = Value::constant(Dtype::I8, &dims, &levels).unwrap();
        let mut bias: Vec<i32> = (0..layer.outputs).map(|_| noise.int(-90000, 90000) as i32).collect();
        if layer.seed % 7 == 0 {
            // Sums wrap alike.
            bias[layer.seed as usize / 7 % layer.outputs] = noise.int(i32::MIN as i64, i32::MAX as i64) as i32;
        }
        let b = Value::constant(Dtype::I32, &[layer.outputs as u32], &bias).unwrap();
        let b = with_bias.then_some(b);
        let clamp = if layer.seed % 2 == 0 { Clamp::i32(-128, 127) } else { Clamp::i32(-100, 90) };
        let (_, attributes) = layer.operator(clamp);
        // As where a rectifier was fused.
        let output_zero = if layer.seed % 3 == 1 { -128 } else { output_zero };
        let parameters = [(0.2, output_zero)];
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let shared = layer.kind == Kind::Dense && layer.seed % 3 == 0;
            let channels = if shared { 1 } else { layer.outputs };
            let s = constants(rounding, channels, Constants::of(layer.seed), &mut noise);
            let plain = [Some(&x), Some(&w), b.as_ref(), Some(&s)];
            let expect = eval(&layer.reference(), &attributes, rounding, 0, &plain, &parameters).unwrap().remove(0);
            for Alone { entry, def } in faster(&layer) {
                if !entry.dtypes.contains(&Dtype::I8) || !entry.weights.contains(&Dtype::I8) || !entry.roundings.contains(&rounding) {
                    continue;
                }
                if entry.id == kernel::PAIRS && !is_small(&layer, &levels) {
                    continue;
                }
                let prepared = (entry.id != kernel::DENSE)
                    .then(|| prepare(entry.id, layer.kind == Kind::Depthwise, &w, b.as_ref(), zero).unwrap());
                let operands = match &prepared {
                    Some(p) => [Some(&x), Some(&p.weights), p.bias.as_ref(), Some(&s)],
                    None => plain,
                };
                let y = eval(def, &attributes, rounding, entry.id, &operands, &parameters).unwrap().remove(0);
                prop_assert_eq!(y.bytes(), expect.bytes(), "{}", entry.name);
                for descending in [false, true] {
                    let y = eval_together(def, &attributes, rounding, entry.id, &operands, &parameters, descending).unwrap();
                    if let Some(y) = y {
                        prop_assert_eq!(y.bytes(), expect.bytes(), "{} in place, {}", entry.name, descending);
                    }
                }
            }
        }
    }

    #[test]
    fn floats(layer in shapes(), with_bias: bool) {
        compare_floats(&layer, with_bias)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Sums that are taken in parts, and many blocks of outputs of one or a few pixels.
    #[test]
    fn long_sums_of_floats(layer in long(), with_bias: bool) {
        compare_floats(&layer, with_bias)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Windows three taps wide over whole blocks of channels, of more rows and channels than are computed together.
    #[test]
    fn slid_windows_of_floats(layer in slid(), with_bias: bool) {
        compare_floats(&layer, with_bias)?;
    }
}

fn slid() -> impl Strategy<Value = Layer> {
    let blocks = prop_oneof![3 => 1usize..4, 1 => 15usize..20];
    let window = ([1u16..3, 1u16..3], 1u16..3, [0u16..3, 0u16..2, 0u16..3, 0u16..2])
        .prop_map(|(stride, dilation, pad)| Window { stride, dilation: [dilation, 1], pad });
    ([1usize..3, 1usize..36, 1usize..26], blocks, 1usize..5, window, any::<u64>())
        .prop_map(|([n, h, w], blocks, taps, window, seed)| {
            let channels = 16 * blocks;
            let input = [n, h, w, channels];
            Layer { kind: Kind::Depthwise, input, taps: [taps, 3], outputs: channels, window, seed }
        })
        .prop_filter("the window fits", Layer::fits)
}

fn long() -> impl Strategy<Value = Layer> {
    let kind = prop_oneof![Just(Kind::Conv { groups: 1 }), Just(Kind::Dense)];
    let taps = prop_oneof![Just([1, 1]), Just([3, 3]), Just([2, 5])];
    (kind, [1usize..5, 1usize..6], 100usize..600, 1usize..180, taps, any::<u64>()).prop_map(
        |(kind, [h, w], depth, outputs, taps, seed)| {
            let window = Window { pad: [taps[0] as u16 - 1, taps[1] as u16 - 1, 0, 0], ..Window::UNIT };
            Layer { kind, input: [1, h, w, depth], taps, outputs, window, seed }
        },
    )
}

fn compare_floats(layer: &Layer, with_bias: bool) -> Result<(), TestCaseError> {
    let mut noise = Noise(layer.seed);
    let x = float(&layer.input_dims(), &noise.floats(layer.input.iter().product()));
    let dims = layer.weight_dims();
    let w = noise.floats(dims.iter().product::<u32>() as usize);
    let w = Value::constant(Dtype::F32, &dims, &w).unwrap();
    let b = Value::constant(Dtype::F32, &[layer.outputs as u32], &noise.floats(layer.outputs)).unwrap();
    let b = with_bias.then_some(b);
    let (_, attributes) = layer.operator(Clamp::f32(-30.0, 1e3));
    let plain = [Some(&x), Some(&w), b.as_ref()];
    let expect = eval(&layer.reference(), &attributes, Rounding::None, 0, &plain, &[]).unwrap().remove(0);
    for Alone { entry, def } in faster(layer) {
        if !entry.dtypes.contains(&Dtype::F32) || !entry.weights.contains(&Dtype::F32) {
            continue;
        }
        let prepared = (entry.id != kernel::DENSE)
            .then(|| prepare(entry.id, layer.kind == Kind::Depthwise, &w, b.as_ref(), 0).unwrap());
        let operands = match &prepared {
            Some(p) => [Some(&x), Some(&p.weights), p.bias.as_ref()],
            None => plain,
        };
        let y = eval(def, &attributes, Rounding::None, entry.id, &operands, &[]).unwrap().remove(0);
        prop_assert_eq!(y.bytes(), expect.bytes(), "{}", entry.name);
        for descending in [false, true] {
            let y = eval_together(def, &attributes, Rounding::None, entry.id, &operands, &[], descending)
                .unwrap();
            if let Some(y) = y {
                prop_assert_eq!(y.bytes(), expect.bytes(), "{} in place, {}", entry.name, descending);
            }
        }
    }
    Ok(())
}

#[test]
fn entries_that_were_not_compared_are_named() {
    for def in [OpDef::of::<Conv2d>(), OpDef::of::<DepthwiseConv2d>(), OpDef::of::<FullyConnected>()] {
        for entry in def.entries.iter().filter(|e| !e.isa.available()) {
            println!("SKIPPED {}: this processor has no {}", entry.name, entry.isa.name());
        }
    }
}
