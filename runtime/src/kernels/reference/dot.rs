//! What convolutions and fully connected layers do with one output: add products and the bias, scale and clamp.
//! Operands: 1 weights, 2 bias (optional), 3 requantization constants (integers only).

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::float::{Fma, Soft};
use crate::ops::attr::Clamp;
use crate::ops::io::Io;

/// The arithmetic of a layer, apart from its geometry.
pub trait Dot {
    /// Element of inputs, weights and outputs.
    type Element: Pod;
    /// What products are added to.
    type Sum: Copy;

    /// In the reference layout.
    fn weights(&self) -> &[Self::Element];
    /// What the products of output channel `o` are added to.
    fn start(&self, o: usize) -> Self::Sum;
    /// `sum + x * w`.
    fn add(&self, sum: Self::Sum, x: Self::Element, w: Self::Element) -> Self::Sum;
    /// Output channel `o` from its sum.
    fn finish(&self, sum: Self::Sum, o: usize) -> Result<Self::Element>;
}

/// int8 input and output, int32 accumulation that wraps.
#[derive(Clone, Copy, Debug)]
pub struct Int8<'a, R: Requant> {
    weights: &'a [i8],
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    zero: i32,
    output_zero: i32,
    clamp: Clamp,
}

impl<'a, R: Requant> Int8<'a, R> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Int8 {
            weights: io.input(1)?,
            bias: io.optional(2)?,
            scales: io.input(3)?,
            zero: io.input_desc(0)?.zero_point,
            output_zero: io.output_desc(0)?.zero_point,
            clamp,
        })
    }
}

impl<R: Requant> Dot for Int8<'_, R> {
    type Element = i8;
    type Sum = i32;

    #[inline(always)]
    fn weights(&self) -> &[i8] {
        self.weights
    }

    #[inline(always)]
    fn start(&self, o: usize) -> i32 {
        self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0)
    }

    #[inline(always)]
    fn add(&self, sum: i32, x: i8, w: i8) -> i32 {
        sum.wrapping_add((x as i32).wrapping_sub(self.zero).wrapping_mul(w as i32))
    }

    #[inline(always)]
    fn finish(&self, sum: i32, o: usize) -> Result<i8> {
        // One constant serves all channels where the weights have one scale.
        let scale = *self.scales.get(o).or(self.scales.first()).ok_or(Error::Internal)?;
        Ok(self.clamp.limit_i32(R::apply(sum, scale).wrapping_add(self.output_zero)) as i8)
    }
}

/// Floats in canonical order with fused multiply-add. The bias comes last, as ONNX and TFLite have it: products
/// that nearly cancel it would otherwise be rounded to its precision.
#[derive(Clone, Copy, Debug)]
pub struct Float<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    clamp: Clamp,
}

impl<'a> Float<'a> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Float { weights: io.input(1)?, bias: io.optional(2)?, clamp })
    }
}

impl Dot for Float<'_> {
    type Element = f32;
    type Sum = f32;

    #[inline(always)]
    fn weights(&self) -> &[f32] {
        self.weights
    }

    #[inline(always)]
    fn start(&self, _: usize) -> f32 {
        0.0
    }

    #[inline(always)]
    fn add(&self, sum: f32, x: f32, w: f32) -> f32 {
        Soft::fma(x, w, sum)
    }

    #[inline(always)]
    fn finish(&self, sum: f32, o: usize) -> Result<f32> {
        let bias = self.bias.and_then(|b| b.get(o));
        Ok(self.clamp.limit_f32(bias.map_or(sum, |b| sum + b)))
    }
}
