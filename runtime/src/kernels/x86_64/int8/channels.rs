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
    /// Whether every channel's constant is ordinary ([`Rescale::is_ordinary`]).
    pub(super) ordinary: bool,
}

impl<'a, R: Rescale> Channels<'a, R> {
    pub(super) fn new(io: &Io<'a>) -> Result<Self> {
        Ok(Channels { bias: io.optional(BIAS)?.unwrap_or(&[]), scales: io.input(CONSTANTS)? })
    }

    /// The channels that `of` names for each lane.
    #[inline(always)]
    pub(super) unsafe fn block<S: Simd>(&self, of: impl Fn(usize) -> usize) -> Block<S> {
        let (mut bias, mut scales) = ([0i32; LANES], [R::NONE; LANES]);
        for (lane, (bias, scale)) in bias.iter_mut().zip(&mut scales).enumerate() {
            let channel = of(lane);
            *bias = self.bias.get(channel).copied().unwrap_or(0);
            let one = self.scales.get(channel).or(if self.scales.len() == 1 { self.scales.first() } else { None });
            *scale = one.copied().unwrap_or(R::NONE);
        }
        // SAFETY: 64 bytes; else the caller's.
        unsafe {
            Block {
                bias: S::load(bias.as_ptr()),
                constants: R::constants::<S>(&scales),
                ordinary: scales.iter().all(|&s| R::is_ordinary(s)),
            }
        }
    }
}
