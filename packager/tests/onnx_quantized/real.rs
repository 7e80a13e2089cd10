//! ONNX operators in float64, written from their definitions: what quantized operators are held against.

use crate::net::{Attributes, bounds};

/// Any tensor, integers included.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct T {
    pub(crate) dims: Vec<usize>,
    pub(crate) v: Vec<f64>,
}

impl T {
    pub(crate) fn new(dims: &[usize], v: Vec<f64>) -> T {
        assert_eq!(dims.iter().product::<usize>(), v.len());
        T { dims: dims.to_vec(), v }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> T {
        T { dims: self.dims.clone(), v: self.v.iter().map(|&x| f(x)).collect() }
    }

    /// The element at `index`, whose axes of size 1 repeat; the last axes are aligned.
    fn at(&self, index: &[usize]) -> f64 {
        let skip = index.len() - self.dims.len();
        let step = |at: usize, (&d, &i): (&usize, &usize)| at * d + if d == 1 { 0 } else { i };
        self.v[self.dims.iter().zip(&index[skip..]).fold(0, step)]
    }
}

/// Every index of a shape, in order.
fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
    let step = |all: Vec<Vec<usize>>, &d: &usize| {
        all.iter().flat_map(|i| (0..d).map(move |k| [&i[..], &[k]].concat())).collect()
    };
    dims.iter().fold(vec![vec![]], step)
}

/// Nearest integer, ties to even.
pub(crate) fn ties_to_even(x: f64) -> f64 {
    let floor = x.floor();
    match x - floor {
        d if d < 0.5 => floor,
        d if d > 0.5 => floor + 1.0,
        _ if floor % 2.0 == 0.0 => floor,
        _ => floor + 1.0,
    }
}

/// The position of the scale of each element.
fn along(x: &T, scale: &T, axis: i64, block: usize) -> Vec<usize> {
    let axis = if axis < 0 { axis + x.dims.len() as i64 } else { axis } as usize;
    let of = |i: &Vec<usize>| match (scale.v.len(), block) {
        (1, 0) => 0,
        (_, 0) => i[axis],
        _ => {
            let index: Vec<usize> =
                (0..i.len()).map(|k| if k == axis { i[k] / block } else { i[k] }).collect();
            index.iter().zip(&scale.dims).fold(0, |at, (&i, &d)| at * d + i)
        }
    };
    indices(&x.dims).iter().map(of).collect()
}

pub(crate) fn dequantize(x: &T, scale: &T, zero: Option<&T>, axis: i64, block: usize) -> T {
    let at = along(x, scale, axis, block);
    let real = |(k, &q): (usize, &f64)| (q - zero.map_or(0.0, |z| z.v[at[k]])) * scale.v[at[k]];
    T::new(&x.dims, x.v.iter().enumerate().map(real).collect())
}

pub(crate) fn quantize(x: &T, scale: &T, zero: Option<&T>, kind: i32, axis: i64) -> T {
    let (lo, hi) = bounds(kind);
    let at = along(x, scale, axis, 0);
    let level = |(k, &r): (usize, &f64)| {
        (ties_to_even(r / scale.v[at[k]]) + zero.map_or(0.0, |z| z.v[at[k]])).clamp(lo, hi)
    };
    T::new(&x.dims, x.v.iter().enumerate().map(level).collect())
}

/// One float operator.
pub(crate) fn evaluate(op: &str, a: &Attributes, inputs: &[Option<&T>]) -> T {
    let input = |i: usize| inputs[i].unwrap_or_else(|| panic!("{op} needs input {i}"));
    let x = input(0);
    match op {
        "Conv" => conv(x, input(1), inputs.get(2).copied().flatten(), a),
        "Gemm" => gemm(x, input(1), inputs.get(2).copied().flatten(), a),
        "MatMul" => matmul(x, input(1)),
        "Add" => binary(x, input(1), |a, b| a + b),
        "Sub" => binary(x, input(1), |a, b| a - b),
        "Mul" => binary(x, input(1), |a, b| a * b),
        "Min" => binary(x, input(1), f64::min),
        "Max" => binary(x, input(1), f64::max),
        "PRelu" => binary(x, input(1), |x, s| if x < 0.0 { x * s } else { x }),
        "Relu" => x.map(|x| x.max(0.0)),
        "Clip" => {
            let limit = |i: usize| input(i).v[0];
            x.map(|x| x.max(limit(1)).min(limit(2)))
        }
        "LeakyRelu" => {
            let alpha = a.float("alpha", 0.01);
            x.map(|x| if x < 0.0 { alpha * x } else { x })
        }
        "Sigmoid" => x.map(|x| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => x.map(f64::tanh),
        "HardSwish" => x.map(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Softmax" => softmax(x, a.int("axis", -1)),
        "MaxPool" => pool(x, a, |window, _| window.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "AveragePool" => {
            let all = a.int("count_include_pad", 0) != 0;
            pool(x, a, |w, cells| w.iter().sum::<f64>() / if all { cells } else { w.len() } as f64)
        }
        "GlobalAveragePool" => mean(x, &(2..x.dims.len()).collect::<Vec<_>>()),
        "ReduceMean" => mean(x, &a.ints("axes", &[]).iter().map(|&k| k as usize).collect::<Vec<_>>()),
        "Concat" => {
            let parts: Vec<&T> = inputs.iter().flatten().copied().collect();
            concat(&parts, a.int("axis", 0) as usize)
        }
        "Transpose" => {
            let p: Vec<usize> = a.ints("perm", &[]).iter().map(|&k| k as usize).collect();
            let dims: Vec<usize> = p.iter().map(|&k| x.dims[k]).collect();
            let source = |i: &Vec<usize>| {
                let mut from = vec![0; i.len()];
                p.iter().zip(i).for_each(|(&k, &v)| from[k] = v);
                x.at(&from)
            };
            T::new(&dims, indices(&dims).iter().map(source).collect())
        }
        "Flatten" => T::new(&[x.dims[0], x.dims[1..].iter().product()], x.v.clone()),
        "Reshape" => T::new(&input(1).v.iter().map(|&d| d as usize).collect::<Vec<_>>(), x.v.clone()),
        "Pad" => pad(x, &input(1).v, inputs.get(2).copied().flatten().map_or(0.0, |v| v.v[0])),
        "Resize" => resize(x, &input(3).v, &a.string("mode", "nearest")),
        other => panic!("{other} is not evaluated here"),
    }
}

fn binary(a: &T, b: &T, f: impl Fn(f64, f64) -> f64) -> T {
    let rank = a.dims.len().max(b.dims.len());
    let dim = |t: &T, k: usize| (k + t.dims.len()).checked_sub(rank).map_or(1, |k| t.dims[k]);
    let dims: Vec<usize> = (0..rank).map(|k| dim(a, k).max(dim(b, k))).collect();
    T::new(&dims, indices(&dims).iter().map(|i| f(a.at(i), b.at(i))).collect())
}

/// Any number of spatial dimensions.
fn conv(x: &T, w: &T, b: Option<&T>, a: &Attributes) -> T {
    let spatial = x.dims.len() - 2;
    let ones = vec![1; spatial];
    let (strides, dilations) = (a.ints("strides", &ones), a.ints("dilations", &ones));
    let pads = a.ints("pads", &vec![0; 2 * spatial]);
    let groups = a.int("group", 1) as usize;
    let size = |k: usize| {
        let reach = (w.dims[k + 2] as i64 - 1) * dilations[k] + 1;
        ((x.dims[k + 2] as i64 + pads[k] + pads[k + spatial] - reach) / strides[k] + 1) as usize
    };
    let mut dims = vec![x.dims[0], w.dims[0]];
    dims.extend((0..spatial).map(size));
    let per_group = w.dims[0] / groups;
    let output = |i: &Vec<usize>| {
        let mut sum = b.map_or(0.0, |b| b.v[i[1]]);
        for tap in indices(&w.dims[1..]) {
            let mut from = vec![i[0], i[1] / per_group * w.dims[1] + tap[0]];
            let place = |k: usize| i[k + 2] as i64 * strides[k] + tap[k + 1] as i64 * dilations[k] - pads[k];
            let inside = (0..spatial).all(|k| (0..x.dims[k + 2] as i64).contains(&place(k)));
            if inside {
                from.extend((0..spatial).map(|k| place(k) as usize));
                sum += x.at(&from) * w.at(&[&[i[1]], &tap[..]].concat());
            }
        }
        sum
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

fn gemm(x: &T, w: &T, b: Option<&T>, a: &Attributes) -> T {
    assert_eq!(a.int("transA", 0), 0);
    let w = if a.int("transB", 0) != 0 {
        let transposed = |i: &Vec<usize>| w.at(&[i[1], i[0]]);
        let dims = [w.dims[1], w.dims[0]];
        T::new(&dims, indices(&dims).iter().map(transposed).collect())
    } else {
        w.clone()
    };
    let y = matmul(x, &w).map(|y| y * a.float("alpha", 1.0));
    b.map_or(y.clone(), |b| binary(&y, b, |y, b| y + b))
}

/// Of equal or broadcast leading dimensions.
fn matmul(a: &T, b: &T) -> T {
    let (ra, rb) = (a.dims.len(), b.dims.len());
    let (m, k, n) = (a.dims[ra - 2], a.dims[ra - 1], b.dims[rb - 1]);
    let mut dims = if ra >= rb { a.dims[..ra - 2].to_vec() } else { b.dims[..rb - 2].to_vec() };
    dims.extend([m, n]);
    let output = |i: &Vec<usize>| {
        let (lead, [row, column]) = (&i[..i.len() - 2], [i[i.len() - 2], i[i.len() - 1]]);
        (0..k).map(|k| a.at(&[lead, &[row, k]].concat()) * b.at(&[lead, &[k, column]].concat())).sum()
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

fn softmax(x: &T, axis: i64) -> T {
    let axis = if axis < 0 { axis + x.dims.len() as i64 } else { axis } as usize;
    let output = |i: &Vec<usize>| {
        let along = |k: usize| x.at(&[&i[..axis], &[k], &i[axis + 1..]].concat());
        let sum: f64 = (0..x.dims[axis]).map(|k| (along(k) - x.at(i)).exp()).sum();
        1.0 / sum
    };
    T::new(&x.dims, indices(&x.dims).iter().map(output).collect())
}

/// `f` of the cells inside the image and the number of all cells.
fn pool(x: &T, a: &Attributes, f: impl Fn(&[f64], usize) -> f64) -> T {
    let kernel = a.ints("kernel_shape", &[]);
    let spatial = kernel.len();
    let strides = a.ints("strides", &vec![1; spatial]);
    let pads = a.ints("pads", &vec![0; 2 * spatial]);
    let mut dims = x.dims[..2].to_vec();
    let size = |k: usize| (x.dims[k + 2] as i64 + pads[k] + pads[k + spatial] - kernel[k]) / strides[k] + 1;
    dims.extend((0..spatial).map(|k| size(k) as usize));
    let taps: Vec<usize> = kernel.iter().map(|&k| k as usize).collect();
    let output = |i: &Vec<usize>| {
        let cell = |tap: Vec<usize>| {
            let place: Vec<i64> =
                (0..spatial).map(|k| i[k + 2] as i64 * strides[k] + tap[k] as i64 - pads[k]).collect();
            let inside = (0..spatial).all(|k| (0..x.dims[k + 2] as i64).contains(&place[k]));
            let place: Vec<usize> = place.iter().map(|&p| p as usize).collect();
            inside.then(|| x.at(&[&i[..2], &place[..]].concat()))
        };
        let window: Vec<f64> = indices(&taps).into_iter().filter_map(cell).collect();
        f(&window, taps.iter().product())
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

/// Axes are kept with size 1.
fn mean(x: &T, axes: &[usize]) -> T {
    let dims: Vec<usize> =
        x.dims.iter().enumerate().map(|(k, &d)| if axes.contains(&k) { 1 } else { d }).collect();
    let inner: Vec<usize> = axes.iter().map(|&k| x.dims[k]).collect();
    let output = |i: &Vec<usize>| {
        let values = indices(&inner).into_iter().map(|j| {
            let mut from = i.clone();
            axes.iter().zip(j).for_each(|(&k, v)| from[k] = v);
            x.at(&from)
        });
        values.sum::<f64>() / inner.iter().product::<usize>() as f64
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

fn concat(parts: &[&T], axis: usize) -> T {
    let mut dims = parts[0].dims.clone();
    dims[axis] = parts.iter().map(|p| p.dims[axis]).sum();
    let output = |i: &Vec<usize>| {
        let (mut from, mut i) = (parts.iter(), i.clone());
        loop {
            let part = from.next().expect("the index is inside");
            if i[axis] < part.dims[axis] {
                return part.at(&i);
            }
            i[axis] -= part.dims[axis];
        }
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

fn pad(x: &T, amounts: &[f64], value: f64) -> T {
    let rank = x.dims.len();
    let dims: Vec<usize> =
        (0..rank).map(|k| x.dims[k] + amounts[k] as usize + amounts[k + rank] as usize).collect();
    let output = |i: &Vec<usize>| {
        let inside =
            (0..rank).all(|k| (amounts[k] as usize..amounts[k] as usize + x.dims[k]).contains(&i[k]));
        let from: Vec<usize> = (0..rank).map(|k| i[k].wrapping_sub(amounts[k] as usize)).collect();
        if inside { x.at(&from) } else { value }
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}

/// Asymmetric coordinates; the nearest below.
fn resize(x: &T, sizes: &[f64], mode: &str) -> T {
    let dims: Vec<usize> = sizes.iter().map(|&d| d as usize).collect();
    let place = |k: usize, i: usize| i as f64 * x.dims[k] as f64 / dims[k] as f64;
    let output = |i: &Vec<usize>| {
        let at: Vec<f64> = (0..4).map(|k| place(k, i[k])).collect();
        let cell = |y: f64, z: f64| {
            let (y, z) = ((y as usize).min(x.dims[2] - 1), (z as usize).min(x.dims[3] - 1));
            x.at(&[i[0], i[1], y, z])
        };
        if mode == "nearest" {
            return cell(at[2].floor(), at[3].floor());
        }
        let (fy, fx) = (at[2].fract(), at[3].fract());
        let row = |y: f64| cell(y, at[3].floor()) * (1.0 - fx) + cell(y, at[3].floor() + 1.0) * fx;
        row(at[2].floor()) * (1.0 - fy) + row(at[2].floor() + 1.0) * fy
    };
    T::new(&dims, indices(&dims).iter().map(output).collect())
}
