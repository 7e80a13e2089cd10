//! How weights are stored, and what one is worth: decoded one by one as sums are formed, never as a whole.

use core::marker::PhantomData;

use bytemuck::Pod;
use half::f16;

use crate::error::{Error, Result};
use crate::ops::io::Io;
use crate::ops::layer::{DECODE, LEVELS, WEIGHTS};
use crate::tensor::Dtype;

/// A way to store weights.
pub trait Format: 'static {
    /// What one weight decodes to, without its channel's scale.
    type Value: Copy + Into<f32>;
    /// A step's weights.
    type Weights<'a>: Weights<Value = Self::Value>;

    /// From a step's operands.
    fn read<'a>(io: &Io<'a>) -> Result<Self::Weights<'a>>;
}

/// Weights in storage order.
pub trait Weights: Copy {
    /// See [`Format::Value`].
    type Value: Copy;

    /// Weights `first..first + count`, all of output channel `channel`.
    fn row(&self, channel: usize, first: usize, count: usize) -> Result<impl Iterator<Item = Self::Value>>;

    /// Weight `at`, of output channel `channel`.
    fn at(&self, channel: usize, at: usize) -> Result<Self::Value>;

    /// All weights, where they are stored as floats.
    #[inline(always)]
    fn floats(&self) -> Option<&[f32]> {
        None
    }
}

/// Elements as they are: [`Dtype::I8`], [`Dtype::F32`].
#[derive(Clone, Copy, Debug)]
pub struct Plain<T>(PhantomData<T>);

/// [`Dtype::F16`].
#[derive(Clone, Copy, Debug)]
pub struct Half;

/// [`Dtype::I4`] with or without a multiplier per group, [`Dtype::U4`] with tables of levels.
#[derive(Clone, Copy, Debug)]
pub struct Packed;

/// An element that is a weight as it is.
pub trait Element: Pod + Into<f32> {
    /// The elements, where they are floats.
    fn floats(elements: &[Self]) -> Option<&[f32]>;
}

impl Element for i8 {
    fn floats(_: &[i8]) -> Option<&[f32]> {
        None
    }
}

impl Element for f32 {
    fn floats(elements: &[f32]) -> Option<&[f32]> {
        Some(elements)
    }
}

impl<T: Element> Format for Plain<T> {
    type Value = T;
    type Weights<'a> = &'a [T];

    #[inline(always)]
    fn read<'a>(io: &Io<'a>) -> Result<&'a [T]> {
        io.input(WEIGHTS)
    }
}

impl<T: Element> Weights for &[T] {
    type Value = T;

    #[inline(always)]
    fn row(&self, _: usize, first: usize, count: usize) -> Result<impl Iterator<Item = T>> {
        Ok(self.get(first..first + count).ok_or(Error::Internal)?.iter().copied())
    }

    #[inline(always)]
    fn at(&self, _: usize, at: usize) -> Result<T> {
        self.get(at).copied().ok_or(Error::Internal)
    }

    #[inline(always)]
    fn floats(&self) -> Option<&[f32]> {
        T::floats(self)
    }
}

impl Format for Half {
    type Value = f32;
    type Weights<'a> = Halves<'a>;

    fn read<'a>(io: &Io<'a>) -> Result<Halves<'a>> {
        Ok(Halves(io.input(WEIGHTS)?))
    }
}

/// Weights of [`Half`].
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a>(&'a [u16]);

impl Weights for Halves<'_> {
    type Value = f32;

    #[inline(always)]
    fn row(&self, _: usize, first: usize, count: usize) -> Result<impl Iterator<Item = f32>> {
        Ok(self.0.get(first..first + count).ok_or(Error::Internal)?.iter().map(|&bits| widened(bits)))
    }

    #[inline(always)]
    fn at(&self, _: usize, at: usize) -> Result<f32> {
        self.0.get(at).copied().map(widened).ok_or(Error::Internal)
    }
}

/// Exact. Not by an instruction, which not every target has.
#[inline(always)]
fn widened(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32_const()
}

impl Format for Packed {
    /// A level times a multiplier: at most 8 * 127, or a table's int8.
    type Value = i16;
    type Weights<'a> = Nibbles<'a>;

    fn read<'a>(io: &Io<'a>) -> Result<Nibbles<'a>> {
        let weights = io.input_desc(WEIGHTS)?;
        let table = io.optional::<i8>(DECODE)?;
        let plain = Nibbles {
            bytes: io.input(WEIGHTS)?,
            tables: &SIGNED,
            shared: true,
            multipliers: &[],
            groups: 0,
            depth: weights.shape.inner(0),
        };
        let Some(table) = table else { return Ok(plain) };
        let dims = io.input_desc(DECODE)?.shape;
        if weights.dtype == Dtype::U4 {
            return Ok(Nibbles { tables: table, shared: dims.dim(0) == 1, ..plain });
        }
        Ok(Nibbles { multipliers: table, groups: dims.dim(1), ..plain })
    }
}

/// What the nibbles of [`Dtype::I4`] stand for.
const SIGNED: [i8; LEVELS] = [0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1];

/// Weights of [`Packed`].
#[derive(Clone, Copy, Debug)]
pub struct Nibbles<'a> {
    /// Two weights each, the one with the even index low.
    bytes: &'a [u8],
    /// Levels of each nibble: one table, or one per channel.
    tables: &'a [i8],
    /// Whether there is one table.
    shared: bool,
    /// One per channel and group; empty where all are 1.
    multipliers: &'a [i8],
    /// Multipliers per channel, 0 where there are none.
    groups: usize,
    /// Weights per channel, where there are groups.
    depth: usize,
}

impl Nibbles<'_> {
    #[inline(always)]
    fn table(&self, channel: usize) -> Result<&[i8; LEVELS]> {
        let start = if self.shared { 0 } else { channel * LEVELS };
        self.tables.get(start..).and_then(|t| t.first_chunk()).ok_or(Error::Internal)
    }

    /// Multipliers of a channel from the one that weight `first` has, and how many weights still have that one.
    #[inline(always)]
    fn groups(&self, channel: usize, first: usize) -> Result<(&[i8], usize, usize)> {
        let Some(size) = self.depth.checked_div(self.groups) else {
            return Ok((&[], usize::MAX, usize::MAX));
        };
        let k = first.checked_sub(channel * self.depth).ok_or(Error::Internal)?;
        let (group, into) = (k.checked_div(size), k.checked_rem(size));
        let (group, into) = (group.ok_or(Error::Internal)?, into.ok_or(Error::Internal)?);
        let start = channel * self.groups + group;
        let multipliers = self.multipliers.get(start..).ok_or(Error::Internal)?;
        Ok((multipliers, size - into, size))
    }
}

impl Weights for Nibbles<'_> {
    type Value = i16;

    #[inline(always)]
    fn row(&self, channel: usize, first: usize, count: usize) -> Result<impl Iterator<Item = i16>> {
        let end = first + count;
        if end.div_ceil(2) > self.bytes.len() {
            return Err(Error::Internal);
        }
        let table = self.table(channel)?;
        let (multipliers, mut left, size) = self.groups(channel, first)?;
        let mut multipliers = multipliers.iter().map(|&m| i16::from(m));
        let mut multiplier = multipliers.next().unwrap_or(1);
        let bytes = self.bytes;
        Ok((first..end).map(move |at| {
            if left == 0 {
                multiplier = multipliers.next().unwrap_or(1);
                left = size;
            }
            left = left.wrapping_sub(1);
            level(bytes, table, at).wrapping_mul(multiplier)
        }))
    }

    #[inline(always)]
    fn at(&self, channel: usize, at: usize) -> Result<i16> {
        self.row(channel, at, 1)?.next().ok_or(Error::Internal)
    }
}

#[inline(always)]
fn level(bytes: &[u8], table: &[i8; LEVELS], at: usize) -> i16 {
    let byte = bytes.get(at >> 1).copied().unwrap_or(0);
    let nibble = if at & 1 == 0 { byte & 15 } else { byte >> 4 };
    i16::from(table.get(usize::from(nibble)).copied().unwrap_or(0))
}
