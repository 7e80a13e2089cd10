//! Mean, Sum and ReduceMax against a naive oracle over random shapes and axes, and their refusals.

mod oracle;
#[path = "oracle/requant.rs"]
mod requant;

use oracle::{Noise, close, float, int8, int16};
use proptest::prelude::*;
use requant::{random_scales, requantize, scales};
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{Mean, Op, OpDef, Reduce, ReduceMax, Rounding, Sum};
use samara_runtime::{Error, Result};

/// By result in row-major order: the indices of the elements it is made of.
fn groups(dims: &[u32], axes: u8) -> Vec<Vec<usize>> {
    let kept: Vec<usize> = (0..dims.len()).filter(|k| axes >> k & 1 == 0).collect();
    let results: usize = kept.iter().map(|&k| dims[k] as usize).product();
    let mut groups = vec![Vec::new(); results];
    for index in 0..dims.iter().product::<u32>() as usize {
        let coordinate = |k: usize| {
            let inner: u32 = dims[k + 1..].iter().product();
            index / inner as usize % dims[k] as usize
        };
        let result = kept.iter().fold(0, |r, &k| r * dims[k] as usize + coordinate(k));
        groups[result].push(index);
    }
    groups
}

fn shape(dims: &[u32], reduce: Reduce) -> Vec<u32> {
    let axes = dims.iter().enumerate();
    match reduce.keep_dims {
        true => axes.map(|(k, &d)| if reduce.axes >> k & 1 == 1 { 1 } else { d }).collect(),
        false => axes.filter(|(k, _)| reduce.axes >> k & 1 == 0).map(|(_, &d)| d).collect(),
    }
}

fn run<O: Op>(op: &O, rounding: Rounding, x: &Value, parameters: (f32, i32)) -> Result<Value> {
    let y = eval(&OpDef::of::<O>(), op.emit().bytes(), rounding, 0, &[Some(x)], &[parameters])?;
    Ok(y.into_iter().next().unwrap())
}

fn reductions() -> impl Strategy<Value = (Vec<u32>, Reduce)> {
    let few = prop::collection::vec(1u32..5, 0..6);
    // More results beside each other than are computed together.
    let many = (prop::collection::vec(1u32..4, 0..3), 30u32..70).prop_map(|(mut dims, last)| {
        dims.push(last);
        dims
    });
    let dims = prop_oneof![3 => few, 1 => many];
    (dims, any::<u8>(), any::<bool>()).prop_map(|(dims, axes, keep_dims)| {
        let axes = axes & ((1u16 << dims.len()) - 1) as u8;
        (dims, Reduce { axes, keep_dims })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn int8_is_exact(
        (dims, reduce) in reductions(),
        zero in -128i32..128,
        output_zero in -128i32..128,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let x = noise.int8(dims.iter().product::<u32>() as usize);
        let input = int8(&dims, 0.3, zero, &x);
        let groups = groups(&dims, reduce.axes);
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let onnx = rounding == Rounding::Onnx;
            let scale = if onnx { [0, 0] } else { random_scales(&mut noise, rounding, 1).0[0] };
            let mean = run(&Mean { reduce, scale }, rounding, &input, (0.7, output_zero)).unwrap();
            let sum = run(&Sum { reduce, scale }, rounding, &input, (0.7, output_zero)).unwrap();
            prop_assert_eq!(mean.desc.shape.dims(), shape(&dims, reduce));
            prop_assert_eq!(sum.desc.shape.dims(), shape(&dims, reduce));
            let expect = |divide: bool| -> Vec<i8> {
                groups
                    .iter()
                    .map(|group| {
                        let level = if onnx {
                            let mut real = 0f32;
                            for &i in group {
                                real += (x[i] as i32 - zero) as f32 * 0.3f32;
                            }
                            let real = if divide { real / group.len() as f32 } else { real };
                            (real / 0.7f32).round_ties_even() as i64
                        } else {
                            let sum = group.iter().map(|&i| x[i] as i64 - zero as i64).sum();
                            requantize(rounding, sum, scale, 0.0)
                        };
                        (level + output_zero as i64).clamp(-128, 127) as i8
                    })
                    .collect()
            };
            prop_assert_eq!(mean.elements::<i8>(), expect(true), "{:?}", rounding);
            prop_assert_eq!(sum.elements::<i8>(), expect(false), "{:?}", rounding);
        }
        let max = run(&ReduceMax { reduce }, Rounding::None, &input, (0.3, zero)).unwrap();
        let expect: Vec<i8> = groups.iter().map(|g| g.iter().map(|&i| x[i]).max().unwrap()).collect();
        prop_assert_eq!(max.desc.shape.dims(), shape(&dims, reduce));
        prop_assert_eq!(max.elements::<i8>(), expect);
    }

    #[test]
    fn int16_is_exact((dims, reduce) in reductions(), zeros in prop::array::uniform2(-32768i32..32768), seed: u64) {
        let mut noise = Noise(seed);
        let x = noise.int16(dims.iter().product::<u32>() as usize);
        let groups = groups(&dims, reduce.axes);
        for rounding in [Rounding::Tflite, Rounding::Single, Rounding::Onnx] {
            let onnx = rounding == Rounding::Onnx;
            let scale = if onnx { [0, 0] } else { random_scales(&mut noise, rounding, 1).0[0] };
            let [zero, output_zero] = if onnx { zeros } else { [0, 0] };
            let input = int16(&dims, 0.3, zero, &x);
            let mean = run(&Mean { reduce, scale }, rounding, &input, (0.7, output_zero)).unwrap();
            let sum = run(&Sum { reduce, scale }, rounding, &input, (0.7, output_zero)).unwrap();
            prop_assert_eq!(mean.desc.shape.dims(), shape(&dims, reduce));
            let expect = |divide: bool| -> Vec<i16> {
                let level = |group: &Vec<usize>| {
                    if !onnx {
                        return requantize(rounding, group.iter().map(|&i| x[i] as i64).sum(), scale, 0.0);
                    }
                    let mut real = 0f32;
                    for &i in group {
                        real += (x[i] as i32 - zero) as f32 * 0.3f32;
                    }
                    let real = if divide { real / group.len() as f32 } else { real };
                    (real / 0.7f32).round_ties_even() as i64 + output_zero as i64
                };
                groups.iter().map(|group| level(group).clamp(-32768, 32767) as i16).collect()
            };
            prop_assert_eq!(mean.elements::<i16>(), expect(true), "{:?}", rounding);
            prop_assert_eq!(sum.elements::<i16>(), expect(false), "{:?}", rounding);
        }
        let input = int16(&dims, 0.3, 0, &x);
        let max = run(&ReduceMax { reduce }, Rounding::None, &input, (0.3, 0)).unwrap();
        let expect: Vec<i16> = groups.iter().map(|g| g.iter().map(|&i| x[i]).max().unwrap()).collect();
        prop_assert_eq!(max.elements::<i16>(), expect);
    }

    #[test]
    fn floats_are_close((dims, reduce) in reductions(), seed: u64) {
        let x = Noise(seed).floats(dims.iter().product::<u32>() as usize);
        let input = float(&dims, &x);
        let scale = [0, 0];
        let mean = run(&Mean { reduce, scale }, Rounding::None, &input, (0.0, 0)).unwrap();
        let sum = run(&Sum { reduce, scale }, Rounding::None, &input, (0.0, 0)).unwrap();
        let max = run(&ReduceMax { reduce }, Rounding::None, &input, (0.0, 0)).unwrap();
        for (k, group) in groups(&dims, reduce.axes).iter().enumerate() {
            let total: f64 = group.iter().map(|&i| x[i] as f64).sum();
            prop_assert!(close(sum.elements::<f32>()[k], total));
            prop_assert!(close(mean.elements::<f32>()[k], total / group.len() as f64));
            let greatest = group.iter().map(|&i| x[i]).fold(f32::MIN, f32::max);
            prop_assert_eq!(max.elements::<f32>()[k], greatest);
        }
    }
}

#[test]
fn a_mean_by_hand() {
    // Deviations from zero point 10: -9..=-4; the mean -6.5 at a scale ratio of 1/2.
    let x = int8(&[2, 3], 0.5, 10, &[1, 2, 3, 4, 5, 6]);
    let reduce = Reduce { axes: 0b11, keep_dims: false };
    // The pair of 1/2 is [2^30, 0]; six elements give k = 2.
    let tflite = Mean { reduce, scale: [((1i64 << 30 << 2) / 6) as i32, -2] };
    let y = run(&tflite, Rounding::Tflite, &x, (1.0, 0)).unwrap();
    assert_eq!((y.desc.shape.rank(), y.elements::<i8>()), (0, &[-3i8][..]));
    let onnx = Mean { reduce, scale: [0, 0] };
    let y = run(&onnx, Rounding::Onnx, &x, (1.0, 0)).unwrap();
    assert_eq!(y.elements::<i8>(), [-3]);
    let total = Sum { reduce, scale: [1 << 30, 0] };
    let y = run(&total, Rounding::Tflite, &x, (1.0, 0)).unwrap();
    // -39 / 2 is a tie, which the high multiply takes upwards.
    assert_eq!(y.elements::<i8>(), [-19]);
}

#[test]
fn a_sum_that_needs_more_than_32_bits() {
    // 2^18 times 32767 at a ratio of 2^-18: what one element is.
    let x = int16(&[512, 512], 0.5, 0, &[32767; 512 * 512]);
    let reduce = Reduce { axes: 0b11, keep_dims: false };
    for (rounding, scale) in [(Rounding::Tflite, [1 << 30, -17]), (Rounding::Single, [1 << 14, 0])] {
        let mean = run(&Mean { reduce, scale }, rounding, &x, (0.5, 0)).unwrap();
        assert_eq!(mean.elements::<i16>(), [32767], "{rounding:?}");
        let sum = run(&Sum { reduce, scale }, rounding, &x, (0.5, 0)).unwrap();
        assert_eq!(sum.elements::<i16>(), [32767], "{rounding:?}");
        let off = int16(&[2, 2], 0.5, 1, &[0; 4]);
        let refused = run(&Mean { reduce, scale }, rounding, &off, (0.5, 0));
        assert_eq!(refused.map(|_| ()), Err(Error::Quantization));
    }
}

#[test]
fn attributes_round_trip() {
    let reduce = Reduce { axes: 0b101, keep_dims: true };
    let (mean, sum) = (Mean { reduce, scale: [5, -6] }, Sum { reduce, scale: [7, 8] });
    assert_eq!(Mean::parse(mean.emit().bytes()).unwrap(), mean);
    assert_eq!(Sum::parse(sum.emit().bytes()).unwrap(), sum);
    assert_eq!(ReduceMax::parse(ReduceMax { reduce }.emit().bytes()).unwrap(), ReduceMax { reduce });
    let seventh = Reduce { axes: 0x40, keep_dims: true };
    assert_eq!(ReduceMax::parse(ReduceMax { reduce: seventh }.emit().bytes()), Err(Error::Attribute));
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = int8(&[2, 2], 0.5, 7, &[0; 4]);
    let reduce = Reduce { axes: 0b10, keep_dims: true };
    let beyond = Reduce { axes: 0b100, keep_dims: true };
    let same = (0.5, 7);
    assert_eq!(run(&ReduceMax { reduce: beyond }, Rounding::None, &x, same).unwrap_err(), Error::Attribute);
    assert_eq!(run(&ReduceMax { reduce }, Rounding::None, &x, (0.5, 8)).unwrap_err(), Error::Quantization);
    for (rounding, scale) in [
        (Rounding::Tflite, [-1, 0]),
        (Rounding::Tflite, [1, 31]),
        (Rounding::Single, [1, -1]),
        (Rounding::Onnx, [1, 0]),
    ] {
        assert_eq!(run(&Mean { reduce, scale }, rounding, &x, same).unwrap_err(), Error::Quantization);
        assert_eq!(run(&Sum { reduce, scale }, rounding, &x, same).unwrap_err(), Error::Quantization);
    }
    let two = scales(Rounding::Onnx, &[], &[1.0]);
    let inputs = [Some(&x), Some(&two)];
    let op = ReduceMax { reduce };
    let refused = eval(&OpDef::of::<ReduceMax>(), op.emit().bytes(), Rounding::None, 0, &inputs, &[same]);
    assert_eq!(refused.map(|_| ()).unwrap_err(), Error::Operand);
}
