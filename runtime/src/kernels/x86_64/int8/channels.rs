//! Biases and requantization constants of sixteen channels as vectors.
#![allow(unsafe_code)]

use super::rescale::{Constants, Rescale};
use super::simd::{LANES, Simd};
use crate::error::Result;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS};

/// A layer's constants as its operands hold them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels<'a, R: Rescale> {
    bias: &'a [i32],
    /// One per channel or one for all.
    scales: &'a [R::Scale],
    /// The output's.
    zero_point: i32,
}

/// Of a block of sixteen channels; those beyond the last are whatever.
#[derive(Clone, Copy)]
pub(super) struct Block<S: Simd> {
    pub(super) bias: S::I32,
    pub(super) constants: Constants<S>,
}

/// Room for constants of sixteen channels.
pub(super) struct Room<R: Rescale> {
    bias: [i32; LANES],
    scales: [R::Scale; LANES],
}

impl<R: Rescale> Default for Room<R> {
    fn default() -> Self {
        Room { bias: [0; LANES], scales: [R::NONE; LANES] }
    }
}

impl<'a, R: Rescale> Channels<'a, R> {
    #[inline(always)]
    pub(super) fn new(io: &Io<'a>) -> Result<Self> {
        Ok(Channels {
            bias: io.optional(BIAS)?.unwrap_or(&[]),
            scales: io.input(CONSTANTS)?,
            zero_point: io.output_desc(0)?.zero_point,
        })
    }

    /// The first `count` channels again and again, in `room`.
    pub(super) fn repeated<'r>(&self, count: usize, room: &'r mut Room<R>) -> Channels<'r, R>
    where
        'a: 'r,
    {
        let biases = self.bias.iter().take(count).cycle();
        room.bias.iter_mut().zip(biases).for_each(|(slot, &bias)| *slot = bias);
        let scales = self.scales.iter().take(count).cycle();
        room.scales.iter_mut().zip(scales).for_each(|(slot, &scale)| *slot = scale);
        let bias = if self.bias.is_empty() { &[][..] } else { &room.bias };
        Channels { bias, scales: &room.scales, zero_point: self.zero_point }
    }

    /// Sixteen channels from `first` on.
    #[inline(always)]
    pub(super) unsafe fn block<S: Simd, const RELU: bool>(&self, first: usize) -> Block<S> {
        // SAFETY: the caller's.
        unsafe { Block { bias: self.bias::<S>(first), constants: self.constants::<S, RELU>(first) } }
    }

    /// Whether one constant serves all channels.
    #[inline(always)]
    pub(super) fn is_shared(&self) -> bool {
        self.scales.len() == 1
    }

    /// The biases of `COUNT` channels from `first` on, where there are so many.
    #[inline(always)]
    pub(super) fn biases<const COUNT: usize>(&self, first: usize) -> Option<&'a [i32; COUNT]> {
        self.bias.get(first..)?.first_chunk()
    }

    /// The biases of sixteen channels from `first` on.
    #[inline(always)]
    pub(super) unsafe fn bias<S: Simd>(&self, first: usize) -> S::I32 {
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            match self.biases::<LANES>(first) {
                Some(bias) => S::load(bias.as_ptr()),
                None => {
                    let mut bias = [0i32; LANES];
                    let own = self.bias.get(first..).unwrap_or(&[]);
                    bias.iter_mut().zip(own).for_each(|(slot, &b)| *slot = b);
                    S::load(bias.as_ptr())
                }
            }
        }
    }

    /// The constants of sixteen channels from `first` on.
    #[inline(always)]
    pub(super) unsafe fn constants<S: Simd, const RELU: bool>(&self, first: usize) -> Constants<S> {
        let mut room = [R::NONE; LANES];
        // SAFETY: the caller's.
        unsafe { R::constants::<S, RELU>(self.scales(first, &mut room), self.zero_point) }
    }

    /// Copies biases from channel `first` on; without them slots stay as they are.
    #[inline(always)]
    pub(super) fn copy_biases(&self, first: usize, to: &mut [i32]) {
        to.iter_mut().zip(self.bias.iter().skip(first)).for_each(|(slot, &bias)| *slot = bias);
    }

    /// Copies constants from channel `first` on.
    #[inline(always)]
    pub(super) fn copy_scales(&self, first: usize, to: &mut [R::Scale]) {
        match self.scales {
            &[one] => to.fill(one),
            all => to.iter_mut().zip(all.iter().skip(first)).for_each(|(slot, &scale)| *slot = scale),
        }
    }

    /// The constants of sixteen channels from `first` on as the layer holds them, in `room` where they are not so many.
    #[inline(always)]
    pub(super) fn scales<'r>(&self, first: usize, room: &'r mut [R::Scale; LANES]) -> &'r [R::Scale; LANES]
    where
        'a: 'r,
    {
        let own = self.scales.get(first..).unwrap_or(&[]);
        match own.first_chunk() {
            Some(scales) => scales,
            None => {
                self.copy_scales(first, room);
                room
            }
        }
    }

    /// A block of these biases and constants.
    #[inline(always)]
    pub(super) unsafe fn made<S: Simd, const RELU: bool>(
        &self,
        bias: &[i32; LANES],
        scales: &[R::Scale; LANES],
    ) -> Block<S> {
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            let constants = R::constants::<S, RELU>(scales, self.zero_point);
            Block { bias: S::load(bias.as_ptr()), constants }
        }
    }
}
