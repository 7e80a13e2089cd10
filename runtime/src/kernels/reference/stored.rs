//! int8 weights in any layout, with zero points folded into the bias: the oracle of kernel ids other than 0.

use core::marker::PhantomData;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::reference::dot::{Dot, of_channel};
use crate::kernels::reference::weights::{Format, Weights};
use crate::layout::Layout;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS, kernel};
use crate::tensor::Shape;

/// Elements in the layout of their tensor.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a, T> {
    elements: &'a [T],
    layout: Layout,
    shape: Shape,
    /// Output channels, and weights of each.
    channels: [usize; 2],
    is_depthwise: bool,
}

impl<'a, T: bytemuck::Pod> Stored<'a, T> {
    /// From a step's operands.
    pub fn read(io: &Io<'a>, is_depthwise: bool) -> Result<Self> {
        let desc = io.input_desc(WEIGHTS)?;
        let n = if is_depthwise { desc.shape.dim(3) } else { desc.shape.dim(0) };
        let k = desc.shape.elements().checked_div(n).ok_or(Error::Shape)?;
        Ok(Stored {
            elements: io.input(WEIGHTS)?,
            layout: desc.layout,
            shape: desc.shape,
            channels: [n, k],
            is_depthwise,
        })
    }

    /// The weight that dense index `at` of channel `channel` has.
    fn element(&self, channel: usize, at: usize) -> Result<(T, usize)> {
        let [n, k] = self.channels;
        let tap = if self.is_depthwise {
            at.checked_div(n).ok_or(Error::Internal)?
        } else {
            at.checked_sub(channel * k).ok_or(Error::Internal)?
        };
        let index = match self.layout {
            Layout::Dense => at,
            layout => layout.index(&self.shape, channel, tap),
        };
        Ok((*self.elements.get(index).ok_or(Error::Internal)?, index))
    }
}

/// 16 bits: in pairs, where an even weight is negative, its odd neighbour is one more than its byte, 128 at most.
impl Weights for Stored<'_, i8> {
    type Value = i16;

    fn row(&self, channel: usize, first: usize, count: usize) -> Result<impl Iterator<Item = i16>> {
        self.at(channel, first + count.saturating_sub(1))?;
        Ok((first..first + count).map(move |at| self.at(channel, at).unwrap_or(0)))
    }

    fn at(&self, channel: usize, at: usize) -> Result<i16> {
        let (element, index) = self.element(channel, at)?;
        if self.layout != Layout::Pairs || channel & 1 == 0 {
            return Ok(i16::from(element));
        }
        let even = *self.elements.get(index.wrapping_sub(1)).ok_or(Error::Internal)?;
        Ok(i16::from(element) + i16::from(even < 0))
    }
}

impl Weights for Stored<'_, f32> {
    type Value = f32;

    fn row(&self, channel: usize, first: usize, count: usize) -> Result<impl Iterator<Item = f32>> {
        self.at(channel, first + count.saturating_sub(1))?;
        Ok((first..first + count).map(move |at| self.at(channel, at).unwrap_or(0.0)))
    }

    fn at(&self, channel: usize, at: usize) -> Result<f32> {
        Ok(self.element(channel, at)?.0)
    }
}

/// [`kernel::LANES`].
#[derive(Clone, Copy, Debug)]
pub struct Lanes;

impl Format for Lanes {
    type Value = f32;
    type Weights<'a> = Stored<'a, f32>;

    fn read<'a>(io: &Io<'a>) -> Result<Stored<'a, f32>> {
        Stored::read(io, false)
    }
}

/// int8 input and output, int32 sums as kernel id `ID` has them.
#[derive(Clone, Copy, Debug)]
pub struct Folded<'a, R: Requant, const ID: u8> {
    weights: Stored<'a, i8>,
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    zero: i32,
    output_zero: i32,
    clamp: Clamp,
    rounding: PhantomData<R>,
}

impl<'a, R: Requant, const ID: u8> Folded<'a, R, ID> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp, is_depthwise: bool) -> Result<Self> {
        Ok(Folded {
            weights: Stored::read(io, is_depthwise)?,
            bias: io.optional(BIAS)?,
            scales: io.input(CONSTANTS)?,
            zero: io.input_desc(0)?.zero_point,
            output_zero: io.output_desc(0)?.zero_point,
            clamp,
            rounding: PhantomData,
        })
    }

    fn folded(&self, o: usize) -> i32 {
        self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0)
    }
}

impl<'a, R: Requant, const ID: u8> Dot for Folded<'a, R, ID> {
    type Element = i8;
    type Weights = Stored<'a, i8>;
    type Sum = i32;

    fn weights(&self) -> &Stored<'a, i8> {
        &self.weights
    }

    /// The products that all taps would have in the padding; those that are not there change theirs.
    fn start(&self, o: usize) -> i32 {
        let Stored { channels: [n, k], is_depthwise, .. } = self.weights;
        let fill = self.zero.wrapping_add(kernel::offset(ID));
        let at = |tap: usize| if is_depthwise { tap * n + o } else { o * k + tap };
        (0..k).fold(0, |sum, tap| {
            let w = i32::from(self.weights.at(o, at(tap)).unwrap_or(0));
            i32::wrapping_add(sum, fill.wrapping_mul(w))
        })
    }

    fn add(&self, sum: i32, x: i8, w: i16) -> i32 {
        sum.wrapping_add(i32::from(x).wrapping_sub(self.zero).wrapping_mul(i32::from(w)))
    }

    fn finish(&self, sum: i32, o: usize) -> Result<i8> {
        let is_odd = self.weights.layout == Layout::Pairs && o & 1 == 1;
        let products = if is_odd { sum.wrapping_shl(8).wrapping_shr(8) } else { sum };
        let scaled = R::apply(self.folded(o).wrapping_add(products), of_channel(self.scales, o)?);
        Ok(self.clamp.limit_i32(scaled.wrapping_add(self.output_zero)) as i8)
    }
}
