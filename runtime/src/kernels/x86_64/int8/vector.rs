//! One pixel by many channels: weights are read once and in order, one block after the other.
#![allow(unsafe_code)]

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::channels::Channels;
use super::finish::scatter;
use super::rescale::{Finish, Rescale};
use super::simd::{LANES, Simd};
use super::tile::Taps;

/// Quads whose sums are kept apart: one dot product need not wait for the last one.
const APART: usize = 4;
/// Channels whose sums are finished together.
const GROUP: usize = 4 * LANES;
/// Bytes of the next weights, of this layer or what follows it, that are asked for while sums are finished.
const AHEAD: usize = 2048;

/// One pixel and what it is multiplied by.
pub(super) struct Pixel<'a, R: Rescale> {
    pub(super) x: *const u8,
    pub(super) taps: Taps,
    pub(super) w: *const i8,
    pub(super) channels: &'a Channels<'a, R>,
    pub(super) end: &'a Finish,
}

impl<R: Rescale> Pixel<'_, R> {
    /// All output channels.
    ///
    /// # Safety
    ///
    /// As [`Simd`]'s; `x` has [`Taps::reach`] bytes of a pixel, `w` [`Taps::block`] for every sixteen outputs.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, const RELU: bool>(&self, output: &mut [u8]) {
        let (x, taps, channels, end) = (self.x, self.taps, self.channels, *self.end);
        let (block, is_shared) = (taps.block(), channels.is_shared());
        let mut w = self.w;
        let count = output.len();
        // SAFETY: the caller's.
        unsafe {
            // Of all channels, or of the first ones: made once where one constant serves all.
            let shared = channels.constants::<S, RELU>(0);
            let mut first = 0;
            while first < count {
                let left = count - first;
                let sums = match channels.biases::<GROUP>(first) {
                    Some(bias) if left >= GROUP => {
                        let bias = bias.as_ptr();
                        let a = dot::<S>(x, &taps, w, S::load(bias));
                        let b = dot::<S>(x, &taps, w.add(block), S::load(bias.add(LANES)));
                        let c = dot::<S>(x, &taps, w.add(2 * block), S::load(bias.add(2 * LANES)));
                        let d = dot::<S>(x, &taps, w.add(3 * block), S::load(bias.add(3 * LANES)));
                        [a, b, c, d]
                    }
                    _ => {
                        // Sums of blocks beyond the last one are whatever.
                        let mut sums = [S::splat(0); 4];
                        let own = sums.iter_mut().take(left.div_ceil(LANES)).enumerate();
                        for (b, sum) in own {
                            let bias = channels.bias::<S>(first + b * LANES);
                            *sum = dot::<S>(x, &taps, w.add(b * block), bias);
                        }
                        sums
                    }
                };
                w = w.wrapping_add(left.div_ceil(LANES).min(4) * block);
                if left <= GROUP {
                    ahead(w);
                }
                let (mut bytes, is_sure) = if is_shared {
                    let (bytes, is_doubtful) = R::quick::<S, RELU, false>(sums, [&shared; 4], &end);
                    (bytes, shared.is_quick && !is_doubtful)
                } else {
                    let a = channels.constants::<S, RELU>(first);
                    let b = channels.constants::<S, RELU>(first + LANES);
                    let c = channels.constants::<S, RELU>(first + 2 * LANES);
                    let d = channels.constants::<S, RELU>(first + 3 * LANES);
                    let (bytes, is_doubtful) = R::quick::<S, RELU, false>(sums, [&a, &b, &c, &d], &end);
                    (bytes, a.is_quick && b.is_quick && c.is_quick && d.is_quick && !is_doubtful)
                };
                if !is_sure {
                    let mut scales = [[R::NONE; LANES]; 4];
                    for (block, scales) in scales.iter_mut().enumerate() {
                        channels.copy_scales(first + block * LANES, scales);
                    }
                    // A copy, so that the sums stay in registers otherwise.
                    let copy = sums;
                    bytes = S::exact::<R>(&copy, scales.each_ref(), &end);
                }
                let to = output.as_mut_ptr().add(first);
                if left >= GROUP {
                    S::store(to, bytes);
                } else {
                    scatter::<S>(bytes, [GROUP, left, 1], to, 0);
                }
                first += GROUP;
            }
        }
    }
}

/// The sums of one pixel with sixteen channels.
///
/// # Safety
///
/// As [`Simd`]'s; `x` has [`Taps::reach`] bytes of a pixel, `w` [`Taps::block`].
#[inline(always)]
pub(super) unsafe fn dot<S: Simd>(x: *const u8, taps: &Taps, mut w: *const i8, bias: S::I32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe {
        let zero = S::splat(0);
        let mut acc = [bias, zero, zero, zero];
        let mut row = 0;
        while row < taps.rows {
            let mut x = x.add(row * taps.row_step);
            let mut left = taps.quads;
            while left >= 2 * APART {
                let mut i = 0;
                while i < 2 * APART {
                    let (x, w) = (S::quad(x.add(4 * i)), S::weights(w.add(i * 4 * LANES)));
                    acc[i % APART] = S::dot(acc[i % APART], x, w);
                    i += 1;
                }
                (x, w) = (x.add(8 * APART), w.add(8 * LANES * APART));
                left -= 2 * APART;
            }
            if left >= APART {
                let mut i = 0;
                while i < APART {
                    acc[i] = S::dot(acc[i], S::quad(x.add(4 * i)), S::weights(w.add(i * 4 * LANES)));
                    i += 1;
                }
                (x, w) = (x.add(4 * APART), w.add(4 * LANES * APART));
                left -= APART;
            }
            while left > 0 {
                acc[0] = S::dot(acc[0], S::quad(x), S::weights(w));
                (x, w) = (x.add(4), w.add(4 * LANES));
                left -= 1;
            }
            row += 1;
        }
        S::add(S::add(acc[0], acc[1]), S::add(acc[2], acc[3]))
    }
}

/// Asks for what is read next, while sums are finished: the processor looks ahead only as far as it reads.
#[inline(always)]
fn ahead(w: *const i8) {
    for at in (0..AHEAD).step_by(64) {
        // SAFETY: reads nothing; every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(at)) };
    }
}
