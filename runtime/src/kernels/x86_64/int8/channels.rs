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
}

/// Of a block of sixteen channels; those beyond the last are whatever.
#[derive(Clone, Copy)]
pub(super) struct Block<S: Simd> {
    pub(super) bias: S::I32,
    pub(super) constants: Constants<S>,
}

impl<'a, R: Rescale> Channels<'a, R> {
    pub(super) fn new(io: &Io<'a>) -> Result<Self> {
        Ok(Channels { bias: io.optional(BIAS)?.unwrap_or(&[]), scales: io.input(CONSTANTS)? })
    }

    /// Sixteen channels from `first` on.
    #[inline(always)]
    pub(super) unsafe fn block<S: Simd>(&self, first: usize) -> Block<S> {
        let (mut bias, mut scales) = ([0i32; LANES], [R::NONE; LANES]);
        let own = self.bias.get(first..).unwrap_or(&[]);
        let bias = own.first_chunk().unwrap_or_else(|| {
            bias.iter_mut().zip(own).for_each(|(slot, &b)| *slot = b);
            &bias
        });
        let own = self.scales.get(first..).unwrap_or(&[]);
        let scales = match self.scales {
            &[one] => {
                scales = [one; LANES];
                &scales
            }
            _ => own.first_chunk().unwrap_or_else(|| {
                scales.iter_mut().zip(own).for_each(|(slot, &s)| *slot = s);
                &scales
            }),
        };
        // SAFETY: the caller's.
        unsafe { Block::new::<R>(bias, scales) }
    }

    /// The first `count` channels again and again; `count` divides sixteen.
    #[inline(always)]
    pub(super) unsafe fn repeated<S: Simd>(&self, count: usize) -> Block<S> {
        let (mut bias, mut scales) = ([0i32; LANES], [R::NONE; LANES]);
        let channels = (0..count).cycle();
        for ((bias, scale), channel) in bias.iter_mut().zip(&mut scales).zip(channels) {
            *bias = self.bias.get(channel).copied().unwrap_or(0);
            *scale = self.scales.get(channel).copied().unwrap_or(R::NONE);
        }
        // SAFETY: the caller's.
        unsafe { Block::new::<R>(&bias, &scales) }
    }
}

impl<S: Simd> Block<S> {
    #[inline(always)]
    unsafe fn new<R: Rescale>(bias: &[i32; LANES], scales: &[R::Scale; LANES]) -> Self {
        // SAFETY: 64 bytes; else the caller's.
        unsafe { Block { bias: S::load(bias.as_ptr()), constants: R::constants::<S>(scales) } }
    }
}

/// Sixteen times one constant.
#[inline(always)]
pub(super) unsafe fn constants<S: Simd, R: Rescale>(scale: R::Scale) -> Constants<S> {
    // SAFETY: the caller's.
    unsafe { R::constants::<S>(&[scale; LANES]) }
}
