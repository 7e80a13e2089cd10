//! How sums become levels: in the loops' few instructions where a channel's constants are ordinary ones, else by the
//! functions that define it.

use super::args::Args;
use super::{four, one, three};
use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::kernels::reference::dot::of_channel;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS};

/// A rounding with loops of its own.
pub trait Scale: Requant {
    /// Whether the loops' instructions give this constant's levels, for any sum up to [`Scale::MOST`].
    fn is_plain(scale: Self::Scale) -> bool;

    /// The largest magnitude of a sum that the loops take.
    const MOST: u32;

    /// How the loops take the output's zero point.
    fn zero(zero: i32) -> i32;

    /// One pixel's sums of pairs of channels, and four pixels'.
    const PAIRS: [unsafe fn(&mut Args); 2];

    /// A row of depthwise convolution with a window of 3 by 3.
    const THREE: unsafe fn(&mut three::Three);
}

impl Scale for Tflite {
    /// With larger shifts what is added before the last one could overflow; without any there is nothing to add.
    fn is_plain([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && (-22..=-1).contains(&shift)
    }

    fn zero(zero: i32) -> i32 {
        zero.wrapping_mul(2).wrapping_add(1)
    }

    // They double it.
    const MOST: u32 = (1 << 30) - 1;
    const PAIRS: [unsafe fn(&mut Args); 2] = [one::tflite, four::tflite];
    const THREE: unsafe fn(&mut three::Three) = three::tflite;
}

impl Scale for Single {
    fn is_plain([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && shift == 0
    }

    fn zero(zero: i32) -> i32 {
        zero
    }

    const MOST: u32 = i32::MAX as u32;
    const PAIRS: [unsafe fn(&mut Args); 2] = [one::single, four::single];
    const THREE: unsafe fn(&mut three::Three) = three::single;
}

/// In floats; only the products are the loops'.
impl Scale for Onnx {
    fn is_plain(_: f32) -> bool {
        false
    }

    fn zero(zero: i32) -> i32 {
        zero
    }

    const MOST: u32 = i32::MAX as u32;
    const PAIRS: [unsafe fn(&mut Args); 2] = [one::single, four::single];
    const THREE: unsafe fn(&mut three::Three) = three::single;
}

/// Channels that the loops serve, as far as constants decide: their biases and scales.
pub(super) struct Channels<'a, R: Scale> {
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    /// A pair's, where all channels share one.
    shared: [R::Scale; 2],
    /// The largest magnitude of a bias that leaves room for the products.
    most: u32,
    /// Whether every channel is plain.
    all: bool,
}

impl<'a, R: Scale> Channels<'a, R> {
    /// Constants of `outputs` channels, of `depth` weights each, or one scale for all.
    pub(super) fn new(io: &Io<'a>, outputs: usize, depth: usize) -> Result<Self> {
        let (bias, scales): (Option<&[i32]>, &[R::Scale]) = (io.optional(BIAS)?, io.input(CONSTANTS)?);
        let is_long = |length: usize| length == outputs;
        if !bias.is_none_or(|b| is_long(b.len())) || !(is_long(scales.len()) || scales.len() == 1) {
            return Err(Error::Internal);
        }
        let products = u32::try_from(depth).ok().and_then(|d| d.checked_mul(128 * 128));
        let most = products.and_then(|p| R::MOST.checked_sub(p)).unwrap_or(0);
        let small = bias.is_some_and(|b| b.iter().all(|b| b.unsigned_abs() <= most));
        let all = small && scales.iter().all(|&s| R::is_plain(s));
        Ok(Channels { bias, scales, shared: [*scales.first().ok_or(Error::Internal)?; 2], most, all })
    }

    /// Whether the loops give channel `o`'s levels.
    fn is_plain(&self, o: usize) -> bool {
        let small = self.bias.and_then(|b| b.get(o)).is_some_and(|b| b.unsigned_abs() <= self.most);
        small && of_channel(self.scales, o).is_ok_and(R::is_plain)
    }

    /// How many pairs of channels from `first` on, of `pairs` whole ones, are known to be plain.
    pub(super) fn plain(&self, first: usize, pairs: usize) -> usize {
        if self.all {
            return pairs.saturating_sub(first);
        }
        usize::from(first < pairs && (0..2).all(|o| self.is_plain(2 * first + o)))
    }

    /// Whether all channels are plain.
    pub(super) fn all_plain(&self) -> bool {
        self.all
    }

    /// Of all channels: biases and constants.
    pub(super) fn all(&self) -> (&'a [i32], &'a [R::Scale]) {
        (self.bias.unwrap_or(&[]), self.scales)
    }

    /// Of `pairs` pairs of channels from number `first` on: biases, and the first pair's constants and what follows.
    pub(super) fn pairs(&self, first: usize, pairs: usize) -> Result<(&'a [i32], &[R::Scale])> {
        let bias = self.bias.and_then(|b| b.get(2 * first..2 * (first + pairs)));
        let scales =
            if self.scales.len() == 1 { Some(&self.shared[..]) } else { self.scales.get(2 * first..) };
        bias.zip(scales).ok_or(Error::Internal)
    }

    /// Bytes from one channel's constants to the next one's.
    pub(super) fn step(&self) -> usize {
        if self.scales.len() == 1 { 0 } else { size_of::<R::Scale>() }
    }

    /// Channel `o`'s bias; none is zero.
    pub(super) fn bias(&self, o: usize) -> i32 {
        self.bias.and_then(|b| b.get(o).copied()).unwrap_or(0)
    }

    /// Channel `o`'s level of a sum, for an output of zero point `zero`, before a fused activation.
    #[inline(never)]
    pub(super) fn level(&self, o: usize, sum: i32, zero: i32) -> Result<i8> {
        let level = R::apply(sum, of_channel(self.scales, o)?).wrapping_add(zero);
        Ok(Clamp::i32(-128, 127).limit_i32(level) as i8)
    }
}
