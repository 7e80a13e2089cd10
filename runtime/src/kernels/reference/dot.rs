//! What convolutions and fully connected layers do with one output: add products and the bias, scale and clamp.
//! Their operands are those of [`crate::ops::layer`].

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::float::{Fma, Soft};
use crate::kernels::reference::weights::{Format, Weights};
use crate::kernels::sum::RequantWide;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS};

/// The arithmetic of a layer, apart from its geometry.
pub trait Dot {
    /// Element of inputs and outputs.
    type Element: Pod;
    /// The layer's weights.
    type Weights: Weights;
    /// What products are added to.
    type Sum: Copy;

    /// In the reference layout.
    fn weights(&self) -> &Self::Weights;
    /// What the products of output channel `o` are added to.
    fn start(&self, o: usize) -> Self::Sum;
    /// `sum + x * w`.
    fn add(&self, sum: Self::Sum, x: Self::Element, w: <Self::Weights as Weights>::Value) -> Self::Sum;
    /// Output channel `o` from its sum.
    fn finish(&self, sum: Self::Sum, o: usize) -> Result<Self::Element>;
}

/// One per channel, or one for all: the constant of channel `o`.
#[inline(always)]
pub(crate) fn of_channel<T: Copy>(constants: &[T], o: usize) -> Result<T> {
    constants.get(o).or(constants.first()).copied().ok_or(Error::Internal)
}

/// int8 input and output, int32 accumulation that wraps.
#[derive(Clone, Copy, Debug)]
pub struct Int8<'a, R: Requant, F: Format> {
    weights: F::Weights<'a>,
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    zero: i32,
    output_zero: i32,
    clamp: Clamp,
}

impl<'a, R: Requant, F: Format> Int8<'a, R, F> {
    /// From a step's operands.
    #[inline(always)]
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Int8 {
            weights: F::read(io)?,
            bias: io.optional(BIAS)?,
            scales: io.input(CONSTANTS)?,
            zero: io.input_desc(0)?.zero_point,
            output_zero: io.output_desc(0)?.zero_point,
            clamp,
        })
    }
}

impl<'a, R: Requant, F: Format<Value: Into<i32>>> Dot for Int8<'a, R, F> {
    type Element = i8;
    type Weights = F::Weights<'a>;
    type Sum = i32;

    #[inline(always)]
    fn weights(&self) -> &F::Weights<'a> {
        &self.weights
    }

    #[inline(always)]
    fn start(&self, o: usize) -> i32 {
        self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0)
    }

    #[inline(always)]
    fn add(&self, sum: i32, x: i8, w: F::Value) -> i32 {
        sum.wrapping_add((x as i32).wrapping_sub(self.zero).wrapping_mul(w.into()))
    }

    #[inline(always)]
    fn finish(&self, sum: i32, o: usize) -> Result<i8> {
        let scale = of_channel(self.scales, o)?;
        Ok(self.clamp.limit_i32(R::apply(sum, scale).wrapping_add(self.output_zero)) as i8)
    }
}

/// int16 input and output, both with zero point 0, int64 accumulation.
#[derive(Clone, Copy, Debug)]
pub struct Int16<'a, R: RequantWide, F: Format> {
    weights: F::Weights<'a>,
    bias: Option<&'a [i64]>,
    scales: &'a [R::Scale],
    clamp: Clamp,
}

impl<'a, R: RequantWide, F: Format> Int16<'a, R, F> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Int16 { weights: F::read(io)?, bias: io.optional(BIAS)?, scales: io.input(CONSTANTS)?, clamp })
    }
}

impl<'a, R: RequantWide, F: Format<Value: Into<i32>>> Dot for Int16<'a, R, F> {
    type Element = i16;
    type Weights = F::Weights<'a>;
    type Sum = i64;

    #[inline(always)]
    fn weights(&self) -> &F::Weights<'a> {
        &self.weights
    }

    #[inline(always)]
    fn start(&self, o: usize) -> i64 {
        self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0)
    }

    #[inline(always)]
    fn add(&self, sum: i64, x: i16, w: F::Value) -> i64 {
        // At most 2^15 * 8 * 127, so the product fits 32 bits.
        sum.wrapping_add(i64::from(i32::from(x).wrapping_mul(w.into())))
    }

    #[inline(always)]
    fn finish(&self, sum: i64, o: usize) -> Result<i16> {
        Ok(self.clamp.limit_i32(R::apply_wide(sum, of_channel(self.scales, o)?)) as i16)
    }
}

/// Floats in canonical order with fused multiply-add. Sums of integer weights are then scaled by their channel's
/// scale. The bias comes last, as ONNX and TFLite have it: products that nearly cancel it would otherwise be rounded
/// to its precision.
#[derive(Clone, Copy, Debug)]
pub struct Float<'a, F: Format> {
    weights: F::Weights<'a>,
    end: End<'a>,
}

impl<'a, F: Format> Float<'a, F> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Float { weights: F::read(io)?, end: End::new(io, clamp)? })
    }
}

/// How a float layer ends.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    scales: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    clamp: Clamp,
}

impl<'a> End<'a> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(End { scales: io.optional(CONSTANTS)?, bias: io.optional(BIAS)?, clamp })
    }

    /// Output channel `o` from its sum of products.
    #[inline(always)]
    pub fn finish(&self, sum: f32, o: usize) -> Result<f32> {
        let scaled = match self.scales {
            Some(scales) => sum * of_channel(scales, o)?,
            None => sum,
        };
        let bias = self.bias.and_then(|b| b.get(o));
        Ok(self.clamp.limit_f32(bias.map_or(scaled, |b| scaled + b)))
    }
}

impl<'a, F: Format> Dot for Float<'a, F> {
    type Element = f32;
    type Weights = F::Weights<'a>;
    type Sum = f32;

    #[inline(always)]
    fn weights(&self) -> &F::Weights<'a> {
        &self.weights
    }

    #[inline(always)]
    fn start(&self, _: usize) -> f32 {
        0.0
    }

    #[inline(always)]
    fn add(&self, sum: f32, x: f32, w: F::Value) -> f32 {
        Soft::fma(x, w.into(), sum)
    }

    #[inline(always)]
    fn finish(&self, sum: f32, o: usize) -> Result<f32> {
        self.end.finish(sum, o)
    }
}
