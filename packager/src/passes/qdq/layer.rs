//! Weights and biases of a layer between Dequantize and Quantize as the integers that the model holds.

use samara_runtime::Dtype;

use crate::ir::{Graph, Op, Quant, Tensor, TensorId};
use crate::passes::rewrite::insert;

/// Most int8 summands of one weight; beyond, the layer stays float.
const MAX_PARTS: usize = 3;
/// Greatest bias level that a channel without weights is given.
const QUIET_BIAS: f64 = (1 << 24) as f64;

/// A layer's constants as integers, before they have a type.
pub(super) struct Layer {
    /// In the weights' own order, zero point subtracted.
    levels: Vec<i32>,
    shape: Vec<usize>,
    quant: Quant,
    /// int32, or int64 for int16 inputs, on the scale of the products.
    pub(super) bias: Option<Tensor>,
    name: String,
}

impl Layer {
    /// Of weights alone; `None` where they lie on no grid along `axis`, or are wider than a few int8 summands.
    pub(super) fn of_weights(w: &Tensor, axis: usize) -> Option<Self> {
        let (values, grid) = (w.f32s()?, w.quant.as_ref()?);
        if grid.scale.len() > 1 && grid.axis != axis {
            return None;
        }
        let inner: usize = w.shape.get(axis + 1..)?.iter().product();
        let channels = *w.shape.get(axis)?;
        let level = |(k, &v): (usize, &f32)| {
            let q = libm::rint(v as f64 / grid.scale_at(k / inner % channels) as f64);
            (q.abs() <= (MAX_PARTS * 127) as f64).then_some(q as i32)
        };
        let levels: Vec<i32> = values.iter().enumerate().map(level).collect::<Option<_>>()?;
        let quant = Quant { scale: grid.scale.clone(), zero_point: vec![0; grid.scale.len()], axis };
        Some(Layer { levels, shape: w.shape.clone(), quant, bias: None, name: w.name.clone() })
    }

    /// Of the node's float constants `w` and `b`, whose levels are `exact` where they are wide; `x` is the integer
    /// input, `axis` the weights' one of output channels. `None` where they lie on no grid, or where a 32-bit
    /// accumulator could overflow.
    pub(super) fn new(
        x: &Tensor,
        w: &Tensor,
        (b, exact): (Option<&Tensor>, Option<&[i64]>),
        axis: usize,
        y: &Tensor,
    ) -> Option<Self> {
        let mut layer = Layer::of_weights(w, axis)?;
        let channels = *w.shape.get(axis)?;
        // int16 is accumulated in 64 bits, which nothing here fills.
        let wide = x.dtype == Dtype::I16;
        // What the products of a channel can add up to at most.
        let (scale, zero) = x.quant.as_ref()?.single()?;
        let reach = i64::from((127 - zero).max(zero + 128));
        let mut sums = vec![0i64; channels];
        let inner: usize = w.shape.get(axis + 1..)?.iter().product();
        for (k, &w) in layer.levels.iter().enumerate() {
            sums[k / inner % channels] += i64::from(w.abs()) * reach;
        }
        let mut biases = vec![0i64; channels];
        if let Some(b) = b {
            let reals = b.f32s().filter(|reals| reals.len() == channels)?;
            layer.raise_quiet(&reals, scale, &sums);
            let (step, _) = y.quant.as_ref()?.single()?;
            for (c, (&real, slot)) in reals.iter().zip(&mut biases).enumerate() {
                let product = scale as f64 * layer.quant.scale_at(c) as f64;
                let level = bias_level(real, product, step as f64, wide)?;
                // The model's own integer, where it is one of this grid.
                let own = exact.and_then(|e| e.get(c).copied());
                let near = |&e: &i64| (e - level).abs() <= level.abs() >> (f32::MANTISSA_DIGITS - 2);
                *slot = own.filter(near).unwrap_or(level);
            }
            let scale: Vec<f32> = (0..channels).map(|c| scale * layer.quant.scale_at(c)).collect();
            let quant = Quant { zero_point: vec![0; channels], scale, axis: 0 };
            layer.bias = Some(bias(b, &biases, wide)?.quantized(quant));
        }
        let safe = |(sum, bias): (&i64, &i64)| sum + bias.abs() <= i64::from(i32::MAX);
        (wide || sums.iter().zip(&biases).all(safe)).then_some(layer)
    }

    /// A channel whose weights are all 0 takes any scale. Its own is often so small that the bias would not fit.
    fn raise_quiet(&mut self, biases: &[f32], input: f32, sums: &[i64]) {
        let scale_at = |q: &Quant, c: usize| f64::from(input) * f64::from(q.scale_at(c));
        let quiet =
            |c: usize| sums[c] == 0 && libm::fabs(biases[c] as f64 / scale_at(&self.quant, c)) > QUIET_BIAS;
        let raised: Vec<usize> = (0..biases.len()).filter(|&c| quiet(c)).collect();
        if raised.is_empty() {
            return;
        }
        if self.quant.scale.len() == 1 {
            self.quant.scale = vec![self.quant.scale[0]; biases.len()];
            self.quant.zero_point = vec![0; biases.len()];
        }
        for c in raised {
            self.quant.scale[c] = (libm::fabs(biases[c] as f64) / QUIET_BIAS / f64::from(input)) as f32;
        }
    }

    /// How many int8 numbers a weight needs as their sum.
    fn parts(&self) -> usize {
        let least = |w: i32| w.unsigned_abs().div_ceil(if w < 0 { 128 } else { 127 });
        self.levels.iter().map(|&w| least(w)).max().unwrap_or(0).max(1) as usize
    }

    /// As int8, or as int4 where all levels fit; `None` where int8 does not hold them.
    pub(super) fn weights(&self) -> Option<Tensor> {
        let levels: Vec<i8> = self.levels.iter().map(|&w| i8::try_from(w).ok()).collect::<Option<_>>()?;
        if levels.iter().all(|w| (-8..=7).contains(w)) {
            let packed = Tensor::packed4(self.name.clone(), Dtype::I4, self.shape.clone(), &levels);
            return Some(packed.quantized(self.quant.clone()));
        }
        Some(self.tensor(self.shape.clone(), &levels))
    }

    fn tensor(&self, shape: Vec<usize>, levels: &[i8]) -> Tensor {
        Tensor::constant(self.name.clone(), Dtype::I8, shape, levels).quantized(self.quant.clone())
    }

    /// Weights beyond int8 (uint8 with its zero point subtracted spans 9 bits) as sums of int8 ones, for an input
    /// that is repeated as often along its channels: the sum of the products is the same integer. `None` where the
    /// input has no such form.
    pub(super) fn widened(&self, op: &Op, x: &Tensor) -> Option<Wide> {
        let parts = self.parts();
        let channels = *x.shape.last()?;
        let (op, shape, groups) = if let Op::DepthwiseConv2d { window, activation } = op {
            let groups = u16::try_from(channels).ok()?;
            let &[1, kh, kw, outputs] = &self.shape[..] else { return None };
            let op = Op::Conv2d { window: *window, groups, activation: *activation };
            (op, vec![outputs, kh, kw, 1], groups)
        } else {
            let groups = if let Op::Conv2d { groups, .. } = op { *groups } else { 1 };
            (op.clone(), self.shape.clone(), groups)
        };
        // One row of weights meets one group of channels.
        let (row, per_group) = (*shape.last()?, channels.checked_div(groups.into())?);
        if row != per_group || parts > MAX_PARTS {
            return None;
        }
        let outputs = shape[0];
        let depthwise = self.quant.axis == 3;
        // Where the wide weight has its level: depthwise weights have their outputs last.
        let taps = self.levels.len() / outputs / row;
        let level = |o: usize, tap: usize, c: usize| match depthwise {
            true => self.levels[tap * outputs + o],
            false => self.levels[(o * taps + tap) * row + c],
        };
        let mut levels = Vec::with_capacity(self.levels.len() * parts);
        for (o, tap) in (0..outputs).flat_map(|o| (0..taps).map(move |tap| (o, tap))) {
            for (part, c) in (0..parts).flat_map(|part| (0..row).map(move |c| (part, c))) {
                levels.push(summand(level(o, tap, c), part));
            }
        }
        let mut wide = shape;
        *wide.last_mut()? = row * parts;
        let mut weights = self.tensor(wide, &levels);
        if let Some(quant) = &mut weights.quant {
            quant.axis = 0;
        }
        Some(Wide { op, weights, parts, groups: groups.into() })
    }
}

/// Bias levels in the type of the accumulator.
fn bias(b: &Tensor, levels: &[i64], wide: bool) -> Option<Tensor> {
    if wide {
        return Some(Tensor::constant(&*b.name, Dtype::I64, b.shape.clone(), levels));
    }
    let narrow: Vec<i32> = levels.iter().map(|&b| i32::try_from(b).ok()).collect::<Option<_>>()?;
    Some(Tensor::constant(&*b.name, Dtype::I32, b.shape.clone(), &narrow))
}

/// The bias as a level of `product`, the scale of the products. `None` where it is none within a quarter of the
/// output's `step`, or fits no int32; where `wide`, none that a double holds.
fn bias_level(real: f32, product: f64, step: f64, wide: bool) -> Option<i64> {
    let level = libm::rint(real as f64 / product);
    let off = libm::fabs(level * product - real as f64);
    let most = if wide { (1i64 << f64::MANTISSA_DIGITS) as f64 } else { i32::MAX as f64 };
    (libm::fabs(level) <= most && off <= step / 4.0).then_some(level as i64)
}

/// The int8 number that is part `part` of a level.
fn summand(level: i32, part: usize) -> i8 {
    let mut rest = level;
    let mut taken = 0;
    for _ in 0..=part {
        taken = rest.clamp(-128, 127);
        rest -= taken;
    }
    taken as i8
}

/// A layer on a repeated input.
pub(super) struct Wide {
    /// The operator on the repeated input.
    pub(super) op: Op,
    /// Its weights.
    pub(super) weights: Tensor,
    parts: usize,
    groups: usize,
}

impl Wide {
    /// How often the input is repeated.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Inserts what repeats `x` before position `at`; returns the repeated tensor and how many nodes it took.
    pub(super) fn repeat(&self, graph: &mut Graph, at: usize, x: TensorId) -> (TensorId, usize) {
        let source = graph.tensors[x].clone();
        let name = |what: &str| format!("{}/{what}", source.name);
        let shaped = |shape: Vec<usize>| Tensor { shape, data: None, ..source.clone() };
        let reshape = |shape: &[usize]| Op::Reshape { shape: shape.to_vec() };
        let mut end = source.shape.clone();
        let Some(channels) = end.pop() else { return (x, 0) };
        let (mut t, mut n) = (x, at);
        let mut grouped = source.shape.clone();
        if self.groups > 1 {
            grouped = [&end[..], &[self.groups, channels / self.groups]].concat();
            t = insert(graph, n, name("groups"), reshape(&grouped), vec![Some(t)], shaped(grouped.clone()));
            n += 1;
        }
        let axis = grouped.len() - 1;
        grouped[axis] *= self.parts;
        let op = Op::Concatenation { axis };
        t = insert(graph, n, name("repeated"), op, vec![Some(t); self.parts], shaped(grouped));
        n += 1;
        if self.groups > 1 {
            end.push(channels * self.parts);
            t = insert(graph, n, name("channels"), reshape(&end), vec![Some(t)], shaped(end.clone()));
            n += 1;
        }
        (t, n - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summands_add_up() {
        for level in -384..=381 {
            let sum: i32 = (0..MAX_PARTS).map(|part| i32::from(summand(level, part))).sum();
            assert_eq!(sum, level);
        }
    }

    #[test]
    fn a_channel_without_weights_takes_the_scale_that_its_bias_needs() {
        let quant = |s: &[f32]| Quant { scale: s.to_vec(), zero_point: vec![0; s.len()], axis: 0 };
        let x = Tensor::new("x", Dtype::I8, vec![1, 2]).quantized(Quant::per_tensor(0.5, 3));
        let y = Tensor::new("y", Dtype::I8, vec![1, 2]).quantized(Quant::per_tensor(0.25, 0));
        let w = Tensor::constant("w", Dtype::F32, vec![2, 2], &[0.0f32, 0.0, 1.0, -0.5]);
        let w = w.quantized(quant(&[1e-12, 0.25]));
        let b = Tensor::constant("b", Dtype::F32, vec![2], &[3.0f32, 0.5]);
        let layer = Layer::new(&x, &w, (Some(&b), None), 0, &y).unwrap();
        assert_eq!(layer.levels, [0, 0, 4, -2]);
        let bias = layer.bias.as_ref().unwrap();
        assert_eq!(bias.ints().unwrap(), [1 << 24, 4]);
        let real = f64::from(0.5 * layer.quant.scale[0]) * QUIET_BIAS;
        assert!((real - 3.0).abs() < 1e-6, "{real}");
    }

    #[test]
    fn a_bias_that_could_overflow_the_accumulator_is_left_float() {
        let x = Tensor::new("x", Dtype::I8, vec![1, 1]).quantized(Quant::per_tensor(1.0, 0));
        let y = Tensor::new("y", Dtype::I8, vec![1, 1]).quantized(Quant::per_tensor(1e9, 0));
        let w = Tensor::constant("w", Dtype::F32, vec![1, 1], &[1.0f32]).quantized(Quant::per_tensor(1.0, 0));
        let of = |bias: f32| Tensor::constant("b", Dtype::F32, vec![1], &[bias]);
        assert!(Layer::new(&x, &w, (Some(&of(2.147_483e9)), None), 0, &y).is_some());
        assert!(Layer::new(&x, &w, (Some(&of(2.147_483_6e9)), None), 0, &y).is_none());
    }
}
