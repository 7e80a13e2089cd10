//! BatchMatMul: broadcast batches, transpositions, zero points and the three roundings, against exact sums.

use proptest::prelude::*;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{BatchMatmul, Clamp, Inputs, Op, OpDef, PerTensor, Rounding, batch_matmul};
use samara_runtime::{Desc, Dtype, Error, Result, Shape};

const FLOAT: BatchMatmul =
    BatchMatmul { adj_x: false, adj_y: false, clamp: Clamp::NONE, requant: PerTensor::NONE };

fn tensor<T: bytemuck::Pod>(dtype: Dtype, dims: &[u32], zero_point: i32, elements: &[T]) -> Value {
    let scale = if matches!(dtype, Dtype::I8 | Dtype::I16) { 0.5 } else { 0.0 };
    let desc = Desc { scale, zero_point, ..Desc::new(dtype, Shape::new(dims).unwrap()) };
    Value::new(desc, elements).unwrap()
}

fn run(op: &BatchMatmul, rounding: Rounding, a: &Value, b: &Value, output: (f32, i32)) -> Result<Value> {
    eval(&OpDef::of::<BatchMatmul>(), op.emit().bytes(), rounding, 0, &[Some(a), Some(b)], &[output])
        .map(|mut y| y.remove(0))
}

#[test]
fn attributes_round_trip() {
    for requant in [PerTensor::NONE, PerTensor::fixed(-5, 6), PerTensor::float(0.25)] {
        let op = BatchMatmul { adj_x: true, adj_y: false, clamp: Clamp::i32(-5, 6), requant };
        assert_eq!(BatchMatmul::parse(op.emit().bytes()).unwrap(), op);
    }
}

#[test]
fn a_product_by_hand() {
    let a = tensor(Dtype::F32, &[2, 3], 0, &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = tensor(Dtype::F32, &[3, 1], 0, &[1f32, 0.0, -1.0]);
    let y = run(&FLOAT, Rounding::None, &a, &b, (0.0, 0)).unwrap();
    assert_eq!((y.desc.shape.dims(), y.elements::<f32>()), (&[2, 1][..], &[-2f32, -2.0][..]));
    let clamped = BatchMatmul { clamp: Clamp::f32(-1.0, 6.0), ..FLOAT };
    assert_eq!(run(&clamped, Rounding::None, &a, &b, (0.0, 0)).unwrap().elements::<f32>(), [-1.0, -1.0]);
}

#[test]
fn each_rounding_of_a_half() {
    // Sums 1 and 3, and their negatives, times one half: ties.
    let a = tensor(Dtype::I8, &[4, 1], 1, &[2i8, 4, 0, -2]);
    let b = tensor(Dtype::I8, &[1, 1], -1, &[0i8]);
    let half = [
        (Rounding::Tflite, PerTensor::fixed(1 << 30, 0), [1, 2, 0, -1]),
        (Rounding::Tflite, PerTensor::fixed(1 << 30, -1), [1, 1, 0, -1]),
        (Rounding::Single, PerTensor::fixed(1 << 30, 1), [1, 2, 0, -1]),
        (Rounding::Onnx, PerTensor::float(0.5), [0, 2, 0, -2]),
    ];
    for (rounding, requant, expect) in half {
        let op = BatchMatmul { clamp: Clamp::i32(-128, 127), requant, ..FLOAT };
        let y = run(&op, rounding, &a, &b, (1.0, 7)).unwrap();
        let y: Vec<i32> = y.elements::<i8>().iter().map(|&v| v as i32 - 7).collect();
        assert_eq!(y, expect, "{rounding:?} {requant:?}");
    }
}

/// Shapes of both operands, the batch dimensions of the output, and the matrices' sizes.
#[derive(Clone, Debug)]
struct Case {
    batch: Vec<(u32, bool, bool)>,
    drop: usize,
    sizes: [u32; 3],
    adj: [bool; 2],
    data: Vec<i8>,
    zeros: [i32; 2],
}

impl Case {
    fn left(&self) -> Vec<u32> {
        let [m, k, _] = self.sizes;
        let batch = self.batch.iter().map(|&(d, one, _)| if one { 1 } else { d });
        batch.chain(if self.adj[0] { [k, m] } else { [m, k] }).collect()
    }

    /// Fewer batch dimensions than left where `drop` says so.
    fn right(&self) -> Vec<u32> {
        let [_, k, n] = self.sizes;
        let batch = self.batch.iter().map(|&(d, _, one)| if one { 1 } else { d });
        batch.skip(self.drop.min(self.batch.len())).chain(if self.adj[1] { [n, k] } else { [k, n] }).collect()
    }

    fn elements(&self, dims: &[u32], from: usize) -> Vec<i8> {
        let count = dims.iter().product::<u32>() as usize;
        self.data.iter().cycle().skip(from).take(count).copied().collect()
    }

    /// Each output's terms, in order.
    fn terms(&self, out: &[u32]) -> Vec<Vec<(i8, i8)>> {
        let (left, right) = (self.left(), self.right());
        let (a, b) = (self.elements(&left, 0), self.elements(&right, 11));
        let fetch = |data: &[i8], dims: &[u32], batch: &[usize], row: usize, column: usize, adj: bool| {
            let batch = &batch[batch.len() + 2 - dims.len()..];
            let at = if adj { [column, row] } else { [row, column] };
            let flat = batch
                .iter()
                .chain(&at)
                .zip(dims)
                .fold(0, |n, (&i, &d)| n * d as usize + if d == 1 { 0 } else { i });
            data[flat]
        };
        (0..out.iter().product::<u32>() as usize)
            .map(|mut k| {
                let mut index = vec![0; out.len()];
                for (slot, &d) in index.iter_mut().zip(out).rev() {
                    (*slot, k) = (k % d as usize, k / d as usize);
                }
                let (batch, at) = index.split_at(out.len() - 2);
                (0..self.sizes[1] as usize)
                    .map(|t| {
                        let x = fetch(&a, &left, batch, at[0], t, self.adj[0]);
                        (x, fetch(&b, &right, batch, t, at[1], self.adj[1]))
                    })
                    .collect()
            })
            .collect()
    }
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec((1u32..4, any::<bool>(), any::<bool>()), 0..=4),
        0usize..3,
        [1u32..5, 1u32..7, 1u32..5],
        any::<[bool; 2]>(),
        prop::collection::vec(any::<i8>(), 97),
        [-128i32..=127, -128i32..=127],
    )
        .prop_map(|(batch, drop, sizes, adj, data, zeros)| Case { batch, drop, sizes, adj, data, zeros })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn int8_equals_exact_sums(c in case(), multiplier in (1i32 << 30)..=i32::MAX, shift in -12i32..-4) {
        let (left, right) = (c.left(), c.right());
        let a = tensor(Dtype::I8, &left, c.zeros[0], &c.elements(&left, 0));
        let b = tensor(Dtype::I8, &right, c.zeros[1], &c.elements(&right, 11));
        let real = multiplier as f64 / 2f64.powi(31) * 2f64.powi(shift);
        let single = multiplier >> -shift;
        for (rounding, requant) in [
            (Rounding::Tflite, PerTensor::fixed(multiplier, shift)),
            (Rounding::Single, PerTensor::fixed(single, 1)),
            (Rounding::Onnx, PerTensor::float(real as f32)),
        ] {
            let op = BatchMatmul {
                adj_x: c.adj[0], adj_y: c.adj[1], clamp: Clamp::i32(-100, 90), requant,
            };
            let y = run(&op, rounding, &a, &b, (1.0, 3)).unwrap();
            for (&got, terms) in y.elements::<i8>().iter().zip(c.terms(y.desc.shape.dims())) {
                let sum: i128 = terms
                    .iter()
                    .map(|&(x, y)| (x as i128 - c.zeros[0] as i128) * (y as i128 - c.zeros[1] as i128))
                    .sum();
                let scaled = match rounding {
                    // Both steps as exact quotients.
                    Rounding::Tflite => {
                        let product = sum * multiplier as i128;
                        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
                        let high: i128 = (product + nudge) / (1 << 31);
                        let half = 1i128 << (-shift - 1);
                        high.signum() * ((high.abs() + half) >> -shift)
                    }
                    Rounding::Single => (2 * sum * single as i128 + (1 << 31)).div_euclid(1 << 32),
                    _ => (sum as f32 * real as f32).round_ties_even() as i128,
                };
                prop_assert_eq!(got as i128, (scaled + 3).clamp(-100, 90), "{:?}", rounding);
            }
        }
    }

    #[test]
    fn int16_equals_exact_sums(c in case(), multiplier in (1i32 << 30)..=i32::MAX, shift in -20i32..-10) {
        let (left, right) = (c.left(), c.right());
        // Levels over the whole range of int16 from those of int8.
        let wide = |v: i8| v as i16 * 256 + 177;
        let widened = |dims: &[u32], from| c.elements(dims, from).into_iter().map(wide).collect::<Vec<_>>();
        for (rounding, requant, zeros) in [
            (Rounding::Tflite, PerTensor::fixed(multiplier, shift), [0, 0]),
            (Rounding::Single, PerTensor::fixed(multiplier, shift), [0, 0]),
            (Rounding::Single, PerTensor::fixed(multiplier >> 16, 1), [0, 0]),
            (Rounding::Onnx, PerTensor::float(multiplier as f32 / 2f32.powi(31 - shift)), c.zeros.map(|z| z * 256)),
        ] {
            let a = tensor(Dtype::I16, &left, zeros[0], &widened(&left, 0));
            let b = tensor(Dtype::I16, &right, zeros[1], &widened(&right, 11));
            let op = BatchMatmul {
                adj_x: c.adj[0], adj_y: c.adj[1], clamp: Clamp::i32(-32000, 31000), requant,
            };
            let y = run(&op, rounding, &a, &b, (1.0, 0)).unwrap();
            for (&got, terms) in y.elements::<i16>().iter().zip(c.terms(y.desc.shape.dims())) {
                let term = |&(x, y): &(i8, i8)| {
                    (wide(x) as i128 - zeros[0] as i128) * (wide(y) as i128 - zeros[1] as i128)
                };
                let sum: i128 = terms.iter().map(term).sum();
                let scaled = match rounding {
                    Rounding::Tflite => {
                        let reduced = ((multiplier as i128 + (1 << 15)) >> 16).min(0x7FFF);
                        (sum * reduced + (1i128 << (14 - shift))).div_euclid(1 << (15 - shift))
                    }
                    Rounding::Single if requant == PerTensor::fixed(multiplier, shift) => {
                        (sum * multiplier as i128 + (1i128 << (31 - shift))).div_euclid(1 << (32 - shift))
                    }
                    Rounding::Single => {
                        (2 * sum * (multiplier >> 16) as i128 + (1 << 31)).div_euclid(1 << 32)
                    }
                    _ => (sum as f32 * (multiplier as f32 / 2f32.powi(31 - shift))).round_ties_even() as i128,
                };
                prop_assert_eq!(got as i128, scaled.clamp(-32000, 31000), "{:?}", rounding);
            }
        }
    }

    #[test]
    fn floats_equal_fused_sums_in_order(c in case()) {
        let (left, right) = (c.left(), c.right());
        let real = |v: &i8| *v as f32 / 3.0;
        let floats = |dims: &[u32], from: usize| c.elements(dims, from).iter().map(real).collect::<Vec<_>>();
        let a = tensor(Dtype::F32, &left, 0, &floats(&left, 0));
        let b = tensor(Dtype::F32, &right, 0, &floats(&right, 11));
        let op = BatchMatmul { adj_x: c.adj[0], adj_y: c.adj[1], ..FLOAT };
        let y = run(&op, Rounding::None, &a, &b, (0.0, 0)).unwrap();
        for (&got, terms) in y.elements::<f32>().iter().zip(c.terms(y.desc.shape.dims())) {
            let sum = terms.iter().fold(0f32, |acc, (x, y)| real(x).mul_add(real(y), acc));
            prop_assert_eq!(got.to_bits(), sum.to_bits());
        }
    }
}

#[test]
fn macs_count_the_depth() {
    let desc = |dims: &[u32]| Some(Desc::new(Dtype::I8, Shape::new(dims).unwrap()));
    let inputs = [desc(&[5, 1, 2, 7]), desc(&[3, 7, 4])];
    let y = *FLOAT.infer(&Inputs(&inputs)).unwrap().outputs().first().unwrap();
    assert_eq!(y.shape.dims(), [5, 3, 2, 4]);
    assert_eq!(FLOAT.macs(&Inputs(&inputs), &[y]), 5 * 3 * 2 * 4 * 7);
}

#[test]
fn what_does_not_fit_is_refused() {
    let infer = |a: (Dtype, &[u32]), b: (Dtype, &[u32])| {
        let desc = |(dtype, dims): (Dtype, &[u32])| Some(Desc::new(dtype, Shape::new(dims).unwrap()));
        FLOAT.infer(&Inputs(&[desc(a), desc(b)])).map(|_| ()).unwrap_err()
    };
    use Dtype::{F32, I8, I32};
    assert_eq!(infer((F32, &[2, 3]), (F32, &[2, 3])), Error::Shape);
    assert_eq!(infer((F32, &[3]), (F32, &[3, 1])), Error::Shape);
    assert_eq!(infer((F32, &[2, 1, 1]), (F32, &[3, 1, 1])), Error::Shape);
    assert_eq!(infer((F32, &[1, 1]), (I8, &[1, 1])), Error::Dtype);
    assert_eq!(infer((I32, &[1, 1]), (I32, &[1, 1])), Error::Dtype);
    assert_eq!(infer((F32, &[1 << 15, 1]), (F32, &[1, 1 << 15])), Error::Limit);
    assert_eq!(BatchMatmul::parse(&[2; 18]), Err(Error::Attribute));
    assert_eq!(BatchMatmul::parse(&[0; 17]), Err(Error::Attribute));

    let x = tensor(Dtype::I8, &[1, 1], 0, &[0i8]);
    let refused = |clamp, requant, rounding, zero| {
        run(&BatchMatmul { clamp, requant, ..FLOAT }, rounding, &x, &x, (1.0, zero)).unwrap_err()
    };
    let (clamp, good) = (Clamp::i32(-128, 127), PerTensor::fixed(1, 1));
    assert_eq!(refused(Clamp::i32(1, 0), good, Rounding::Single, 0), Error::Attribute);
    assert_eq!(refused(clamp, good, Rounding::Single, 128), Error::Quantization);
    assert_eq!(refused(clamp, good, Rounding::None, 0), Error::Attribute);
    assert_eq!(refused(clamp, PerTensor::fixed(-1, 0), Rounding::Tflite, 0), Error::Quantization);
    assert_eq!(refused(clamp, PerTensor::fixed(1, -1), Rounding::Single, 0), Error::Quantization);
    assert_eq!(refused(clamp, PerTensor::float(f32::NAN), Rounding::Onnx, 0), Error::Quantization);
    assert_eq!(refused(clamp, PerTensor::fixed(1, 1), Rounding::Onnx, 0), Error::Quantization);
    let wide = |rounding, requant, zero| {
        let x = tensor(Dtype::I16, &[1, 1], zero, &[0i16]);
        run(&BatchMatmul { clamp, requant, ..FLOAT }, rounding, &x, &x, (1.0, 0)).map(|_| ())
    };
    // int16 may shift to the right under `single` too.
    assert_eq!(wide(Rounding::Single, PerTensor::fixed(1, -31), 0), Ok(()));
    assert_eq!(wide(Rounding::Single, PerTensor::fixed(1, -32), 0), Err(Error::Quantization));
    assert_eq!(wide(Rounding::Single, PerTensor::fixed(-1, 0), 0), Err(Error::Quantization));
    assert_eq!(wide(Rounding::Tflite, good, 1), Err(Error::Quantization));
    assert_eq!(wide(Rounding::Onnx, PerTensor::float(0.5), 1), Ok(()));
    let float = tensor(Dtype::F32, &[1, 1], 0, &[0f32]);
    let op = BatchMatmul { requant: good, ..FLOAT };
    assert_eq!(run(&op, Rounding::None, &float, &float, (0.0, 0)).unwrap_err(), Error::Quantization);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sums in several parts, columns in several blocks.
    #[test]
    fn every_float_kernel_has_the_reference_bits(
        [rows, depth, columns] in [1usize..20, 1usize..300, 1usize..150],
        adj: [bool; 2],
        seed: u64,
    ) {
        let mut state = seed;
        let mut noise = |n: usize| -> Vec<f32> {
            (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
                })
                .collect()
        };
        let dims = |transposed: bool, m: usize, n: usize| -> [u32; 3] {
            if transposed { [2, n as u32, m as u32] } else { [2, m as u32, n as u32] }
        };
        let a = tensor(Dtype::F32, &dims(adj[0], rows, depth), 0, &noise(2 * rows * depth));
        let b = tensor(Dtype::F32, &dims(adj[1], depth, columns), 0, &noise(2 * depth * columns));
        let op = BatchMatmul { adj_x: adj[0], adj_y: adj[1], clamp: Clamp::f32(-1.5, 2.0), ..FLOAT };
        let bits = |def: &OpDef| {
            let y = eval(def, op.emit().bytes(), Rounding::None, 0, &[Some(&a), Some(&b)], &[]).unwrap();
            y[0].elements::<u32>().to_vec()
        };
        let expect = bits(&OpDef::with::<BatchMatmul>(&[batch_matmul::F32]));
        let floats = BatchMatmul::KERNELS.iter().filter(|e| e.dtypes.contains(&Dtype::F32));
        for entry in floats.filter(|e| e.isa.available()) {
            prop_assert_eq!(bits(&OpDef::with::<BatchMatmul>(std::slice::from_ref(entry))), expect.clone(), "{}", entry.name);
        }
    }
}
