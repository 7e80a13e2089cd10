//! Weights of a depthwise convolution as columns of four taps, and which channels 64 lanes are.
#![allow(unsafe_code)]

use super::channels::Channels;
use super::rescale::{Constants, Rescale};
use super::simd::{LANES, Simd};
use crate::error::{Error, Result};
use crate::ops::layer::strips::Planes;

/// Bytes of a vector.
const VECTOR: usize = 64;
/// Lanes that are four consecutive channels wherever channels are a multiple of that.
const PIECE: usize = 4;

/// The columns of all channels from weights stored as `[channels / 16][taps / 4][16][4]`: for each group of rows and each
/// column of taps 32 bits per channel, channels up to a multiple of sixteen.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn columns<S: Simd>(weights: &[i8], p: &Planes, to: &mut [u8]) -> Result<()> {
    let [kh, kw] = p.taps;
    let quads = (kh * kw).div_ceil(4);
    let blocks = p.output[2].div_ceil(LANES);
    if weights.len() < blocks * quads * VECTOR || to.len() < p.groups * kw * blocks * VECTOR {
        return Err(Error::Internal);
    }
    for group in 0..p.groups {
        for kx in 0..kw {
            for block in 0..blocks {
                // SAFETY: tap numbers are below the window's, and slices long enough, as just seen.
                unsafe {
                    let mut column = S::splat(0);
                    for (i, ky) in (4 * group..kh).take(4).enumerate() {
                        let tap = ky * kw + kx;
                        let w = weights.as_ptr().add((block * quads + tap / 4) * VECTOR);
                        let byte = S::srl(S::load(w.cast()), S::splat(8 * (tap % 4) as i32));
                        let byte = S::and(byte, S::splat(255));
                        column = S::or(column, S::sll(byte, S::splat(8 * i as i32)));
                    }
                    let at = ((group * kw + kx) * blocks + block) * VECTOR;
                    S::put(to.as_mut_ptr().add(at).cast(), column);
                }
            }
        }
    }
    Ok(())
}

/// 64 lanes: bytes of an output row from number 64 times `index` on.
pub(super) struct Pattern<'a> {
    pub(super) planes: &'a Planes,
    pub(super) index: usize,
}

impl Pattern<'_> {
    /// How many there are before they repeat.
    pub(super) fn count(p: &Planes) -> usize {
        // 64 has no other divisors than powers of two.
        let common = (1usize << p.output[2].trailing_zeros().min(6)).max(1);
        p.output[2] / common
    }

    /// The channel of a lane of a vector. Where the order is split, every vector has a quarter of each 16 bytes.
    fn channel(&self, vector: usize, lane: usize) -> usize {
        let byte = if self.planes.is_split {
            lane / PIECE * LANES + PIECE * vector + lane % PIECE
        } else {
            vector * LANES + lane
        };
        (self.index * VECTOR + byte).checked_rem(self.planes.output[2]).unwrap_or(0)
    }

    /// Calls `f` with a vector, a lane, its channel and how many lanes have the following channels as well.
    #[inline(always)]
    fn pieces(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let length = if self.planes.output[2].is_multiple_of(PIECE) { PIECE } else { 1 };
        for vector in 0..4 {
            for lane in (0..LANES).step_by(length) {
                f(vector, lane, self.channel(vector, lane), length);
            }
        }
    }

    /// The first channel of each of the four vectors, of the four natural ones where the order is split; `None` where
    /// vectors are not sixteen channels side by side.
    fn firsts(&self) -> Option<[usize; 4]> {
        let channels = self.planes.output[2];
        let first = |vector: usize| (self.index * VECTOR + vector * LANES).checked_rem(channels).unwrap_or(0);
        channels.is_multiple_of(LANES).then(|| [first(0), first(1), first(2), first(3)])
    }

    /// Biases and constants of the four vectors.
    #[inline(always)]
    pub(super) unsafe fn blocks<S: Simd, R: Rescale, const RELU: bool>(
        &self,
        channels: &Channels<'_, R>,
    ) -> ([S::I32; 4], [Constants<S>; 4]) {
        // SAFETY: the caller's.
        unsafe {
            let [a, b, c, d] = match self.firsts() {
                Some([a, b, c, d]) => [
                    channels.block::<S, RELU>(a),
                    channels.block::<S, RELU>(b),
                    channels.block::<S, RELU>(c),
                    channels.block::<S, RELU>(d),
                ],
                None => {
                    let (mut bias, scales) = ([[0; LANES]; 4], self.scales(channels));
                    self.pieces(|vector, lane, channel, length| {
                        let slots = bias.get_mut(vector).and_then(|b| b.get_mut(lane..lane + length));
                        channels.copy_biases(channel, slots.unwrap_or(&mut []));
                    });
                    [
                        channels.made::<S, RELU>(&bias[0], &scales[0]),
                        channels.made::<S, RELU>(&bias[1], &scales[1]),
                        channels.made::<S, RELU>(&bias[2], &scales[2]),
                        channels.made::<S, RELU>(&bias[3], &scales[3]),
                    ]
                }
            };
            let bias = [a.bias, b.bias, c.bias, d.bias];
            let constants = [a.constants, b.constants, c.constants, d.constants];
            if self.planes.is_split {
                (S::transpose(bias), Constants::transpose(constants))
            } else {
                (bias, constants)
            }
        }
    }

    /// The constants of the four vectors' lanes as the layer holds them.
    pub(super) fn scales<R: Rescale>(&self, channels: &Channels<'_, R>) -> [[R::Scale; LANES]; 4] {
        let mut scales = [[R::NONE; LANES]; 4];
        self.pieces(|vector, lane, channel, length| {
            let slots = scales.get_mut(vector).and_then(|s| s.get_mut(lane..lane + length));
            channels.copy_scales(channel, slots.unwrap_or(&mut []));
        });
        scales
    }

    /// The columns of the four vectors' channels; after them the same for the next output row where rows are shared,
    /// whose taps are one row further down.
    #[inline(always)]
    pub(super) unsafe fn arrange<S: Simd>(&self, columns: &[u8], to: &mut [u8]) -> Result<()> {
        let p = self.planes;
        let each = p.output[2].next_multiple_of(LANES);
        let taps = p.groups * p.taps[1];
        let (own, next) = to.split_at_mut_checked(taps * 4 * VECTOR).ok_or(Error::Internal)?;
        let columns: &[u32] = bytemuck::try_cast_slice(columns).map_err(|_| Error::Alignment)?;
        let slots: &mut [u32] = bytemuck::try_cast_slice_mut(own).map_err(|_| Error::Alignment)?;
        for (columns, slots) in columns.chunks_exact(each.max(1)).zip(slots.chunks_exact_mut(4 * LANES)) {
            match self.firsts() {
                Some([a, b, c, d]) if a.max(b).max(c).max(d) + LANES <= columns.len() => {
                    let (from, to) = (columns.as_ptr().cast::<i32>(), slots.as_mut_ptr().cast::<i32>());
                    // SAFETY: sixteen columns from each of these on, as just seen; room for four vectors.
                    unsafe {
                        let own = [
                            S::load(from.add(a)),
                            S::load(from.add(b)),
                            S::load(from.add(c)),
                            S::load(from.add(d)),
                        ];
                        let own = if p.is_split { S::transpose(own) } else { own };
                        S::put(to, own[0]);
                        S::put(to.add(LANES), own[1]);
                        S::put(to.add(2 * LANES), own[2]);
                        S::put(to.add(3 * LANES), own[3]);
                    }
                }
                _ => self.pieces(|vector, lane, channel, length| {
                    let at = vector * LANES + lane;
                    let to = slots.get_mut(at..at + length).unwrap_or(&mut []);
                    to.iter_mut()
                        .zip(columns.iter().skip(channel))
                        .for_each(|(slot, &column)| *slot = column);
                }),
            }
        }
        if p.shared > 1 {
            let slots = next.chunks_exact_mut(VECTOR).take(4 * taps);
            for (from, slot) in own.chunks_exact(VECTOR).zip(slots) {
                // SAFETY: vectors; else the caller's.
                unsafe {
                    let column = S::sll(S::load(from.as_ptr().cast()), S::splat(8));
                    S::put(slot.as_mut_ptr().cast(), column);
                }
            }
        }
        Ok(())
    }
}
