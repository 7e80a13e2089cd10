use samara_runtime::{Desc, Dtype, Shape};

use super::*;
use crate::ir::{Function, Numeric, Op, Tensor};

/// y = |x| over four positions of three channels.
fn graph() -> Graph {
    let mut g = Graph::new("abs", Numeric::Single);
    let x = g.add(Tensor::new("x", Dtype::F32, vec![1, 4, 3]));
    let y = g.push("y", Op::Unary { function: Function::Abs }, &[Some(x)]).unwrap();
    (g.inputs, g.outputs) = (vec![x], vec![y]);
    g
}

fn sample(values: [f32; 12]) -> Result<Vec<Value>> {
    let desc = Desc::new(Dtype::F32, Shape::new(&[1, 4, 3]).unwrap());
    Ok(vec![Value::new(desc, &values).unwrap()])
}

fn counted(from: i32) -> [f32; 12] {
    std::array::from_fn(|i| (from + i as i32) as f32)
}

#[test]
fn tensors_and_channels_have_ranges() {
    let g = graph();
    let samples = [counted(-20), counted(0)].map(sample);
    let seen = observe(&g, samples.into_iter(), Observe::Ranges).unwrap();
    assert_eq!(seen.samples, 2);
    let (x, y) = (g.inputs[0], g.outputs[0]);
    let range = |lo, hi| Range { lo, hi };
    assert_eq!((seen.range(x), seen.range(y)), (Some(range(-20.0, 11.0)), Some(range(0.0, 20.0))));
    assert_eq!(seen.channels(x).unwrap(), [range(-20.0, 9.0), range(-19.0, 10.0), range(-18.0, 11.0)]);
    assert_eq!(seen.get(x).unwrap().count(), 24);
    assert!(seen.get(99).is_none());
    let ranges = seen.ranges(RangeMethod::MinMax, Levels::Int8).unwrap();
    assert_eq!((ranges.get(x), ranges.samples), (Some(range(-20.0, 11.0)), 2));
    for method in [RangeMethod::Percentile(99.0), RangeMethod::Mse] {
        let error = seen.ranges(method, Levels::Int8).unwrap_err().to_string();
        assert!(error.contains("tensor 'x'") && error.contains("histogram"), "{error}");
    }
}

#[test]
fn what_is_not_finite_names_tensor_and_sample() {
    let mut bad = counted(1);
    bad[7] = f32::NAN;
    for what in [Observe::Ranges, Observe::Histograms] {
        let samples = [counted(0), bad].map(sample);
        let error = observe(&graph(), samples.into_iter(), what).unwrap_err().to_string();
        assert!(error.contains("tensor 'x' is not finite on calibration sample 1"), "{error}");
    }
    let error = observe(&graph(), std::iter::empty(), Observe::Ranges).unwrap_err().to_string();
    assert!(error.contains("holds no sample"), "{error}");
}

fn observer(values: &[f32]) -> Observer {
    let mut observer = Observer::new(None, Observe::Histograms);
    assert!(values.chunks(100).all(|part| observer.add(part)));
    observer
}

/// A bell around `middle`: sums of uniform numbers from a fixed sequence.
fn bell(n: usize, middle: f32, spread: f32) -> Vec<f32> {
    let mut state = 0x0123_4567_89ab_cdefu64;
    let mut unit = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..n).map(|_| middle + spread * ((0..12).map(|_| unit()).sum::<f32>() - 6.0)).collect()
}

/// Mean squared error of int8 over a range, value by value.
fn rounding_error(values: &[f32], range: Range) -> f64 {
    let (scale, zero) = super::super::from_range(range).single().unwrap();
    let error = |&x: &f32| {
        let level = (libm::rint(f64::from(x) / f64::from(scale)) + f64::from(zero)).clamp(-128.0, 127.0);
        let d = (level - f64::from(zero)) * f64::from(scale) - f64::from(x);
        d * d
    };
    values.iter().map(error).sum::<f64>() / values.len() as f64
}

#[test]
fn a_percentile_leaves_out_its_share_at_each_end() {
    let values: Vec<f32> = (0..10_000).map(|i| i as f32 - 4_000.0).collect();
    let observer = observer(&values);
    let range = |kept| observer.range(RangeMethod::Percentile(kept), Levels::Int8).unwrap();
    let near = |got: f32, want: f32| (got - want).abs() < 8.0;
    assert!(near(range(99.0).lo, -3_900.0) && near(range(99.0).hi, 5_900.0), "{:?}", range(99.0));
    assert!(near(range(90.0).lo, -3_000.0) && near(range(90.0).hi, 5_000.0), "{:?}", range(90.0));
    assert_eq!(range(100.0), observer.extremes());
    for bad in [50.0, 0.0, 100.1, -1.0, f32::NAN] {
        let error = observer.range(RangeMethod::Percentile(bad), Levels::Int8).unwrap_err().to_string();
        assert!(error.contains("percentile"), "{error}");
    }
}

#[test]
fn outliers_are_clipped_where_that_costs_less() {
    let mut values = bell(20_000, 0.0, 1.0);
    values.extend([60.0, -35.0]);
    let seen = observer(&values);
    let range = seen.range(RangeMethod::Mse, Levels::Int8).unwrap();
    let (error, plain) = (rounding_error(&values, range), rounding_error(&values, seen.extremes()));
    assert!(range.lo > -35.0 && range.hi < 60.0 && error < 0.97 * plain, "{range:?}: {error}, {plain}");
    // Far more outliers than clipping them could pay for.
    let mut values = bell(20_000, 0.0, 1.0);
    values.extend(vec![60.0; 2_000]);
    let range = observer(&values).range(RangeMethod::Mse, Levels::Int8).unwrap();
    assert!(range.hi > 59.0, "{range:?}");
}

#[test]
fn the_least_error_is_the_least_of_a_dense_search() {
    let mut rectified: Vec<f32> = bell(20_000, -0.5, 1.0).into_iter().map(|x| x.max(0.0)).collect();
    rectified.extend([25.0, 30.0]);
    let mut skewed = bell(20_000, 1.0, 0.5);
    skewed.extend(bell(200, -4.0, 1.0));
    let heavy: Vec<f32> = bell(20_000, 0.0, 1.0).into_iter().map(|x| x * x * x).collect();
    let flat: Vec<f32> = (0..5_000).map(|i| i as f32 / 100.0).collect();
    for values in [rectified, skewed, heavy, flat] {
        let seen = observer(&values);
        let found = seen.range(RangeMethod::Mse, Levels::Int8).unwrap();
        let Range { lo, hi } = seen.extremes();
        let mut least = f64::INFINITY;
        for l in 1..=40 {
            for h in 1..=40 {
                let share = |n: i32| n as f32 / 40.0;
                let range = Range { lo: lo * share(l), hi: hi * share(h) };
                least = least.min(rounding_error(&values, range));
            }
        }
        let error = rounding_error(&values, found);
        println!("{found:?} of {:?}: {error:.3e}, dense {least:.3e}", seen.extremes());
        assert!(error <= 1.03 * least, "{error} {least}");
    }
}

#[test]
fn int16_is_hardly_clipped() {
    let values = bell(20_000, 0.3, 1.0);
    let seen = observer(&values);
    let range = seen.range(RangeMethod::Mse, Levels::Int16).unwrap();
    let Range { lo, hi } = seen.extremes();
    // The end that is nearer to zero costs nothing; the other is kept but for a sliver.
    assert!(range.hi > 0.9 * hi && range.lo >= lo, "{range:?} of {:?}", seen.extremes());
}

#[test]
fn all_zeros_and_single_values_have_ranges() {
    for values in [[0.0f32; 8], [3.0; 8], [-2.0; 8], [1e-42; 8], [3e38; 8]] {
        let seen = observer(&values);
        for method in [RangeMethod::Percentile(99.9), RangeMethod::Mse] {
            let Range { lo, hi } = seen.range(method, Levels::Int8).unwrap();
            let near = (values[0] * 0.99, values[0] * 1.01);
            assert!(
                lo.min(hi) >= near.0.min(near.1) && lo.max(hi) <= near.0.max(near.1),
                "{method:?} {lo} {hi}"
            );
        }
    }
}

/// Samples of other magnitudes and signs, more than there are threads.
#[test]
fn threads_change_nothing() {
    let g = graph();
    let samples: Vec<[f32; 12]> =
        (0..300).map(|n| counted(n * 37 % 101 - 50).map(|x| x * (1.0 + n as f32 / 7.0))).collect();
    let seen = observe(&g, samples.iter().map(|&s| sample(s)), Observe::Histograms).unwrap();
    for (t, abs) in [(g.inputs[0], false), (g.outputs[0], true)] {
        let mut alone = Observer::new(Some(3), Observe::Histograms);
        for s in &samples {
            assert!(alone.add(&s.map(|x| if abs { x.abs() } else { x })));
        }
        let got = seen.get(t).unwrap();
        assert_eq!((got.bins(), got.zeros(), got.count()), (alone.bins(), alone.zeros(), 3600));
        assert_eq!((got.extremes(), got.channels()), (alone.extremes(), alone.channels()));
    }
    assert_eq!(seen.samples, 300);
}

/// Whichever thread sees it first, the first bad sample is named.
#[test]
fn the_first_of_several_faults_is_named() {
    let mut bad = counted(1);
    bad[0] = f32::INFINITY;
    let error = |samples: Vec<Result<Vec<Value>>>| {
        observe(&graph(), samples.into_iter(), Observe::Ranges).unwrap_err().to_string()
    };
    for first in [0, 1, 17, 60] {
        for _ in 0..20 {
            let mix = |n| if n >= first && n % 2 == first % 2 { bad } else { counted(n) };
            let text = error((0..80).map(|n| sample(mix(n))).collect());
            assert!(text.ends_with(&format!("on calibration sample {first}")), "{text}");
        }
    }
    // Unreadable data ends it where it stands, before any later sample is looked at.
    let mut samples: Vec<Result<Vec<Value>>> = (0..9).map(|n| sample(counted(n))).collect();
    samples.extend([Err(Error::invalid("torn")), sample(bad)]);
    assert_eq!(error(samples), "torn");
}
