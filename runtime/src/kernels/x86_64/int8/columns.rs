//! Which channels of a depthwise convolution 64 lanes are, and their columns of taps.
#![allow(unsafe_code)]

use super::channels::Channels;
use super::rescale::{Constants, Rescale};
use super::simd::{LANES, Simd};
use crate::layout::QUAD;
use crate::ops::layer::strips::Planes;

/// Bytes of a vector.
const VECTOR: usize = 64;
/// Lanes that are four consecutive channels wherever channels are a multiple of that.
const PIECE: usize = 4;

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

    /// The channel of a lane of a vector.
    fn channel(&self, vector: usize, lane: usize) -> usize {
        (self.index * VECTOR + vector * LANES + lane).checked_rem(self.planes.output[2]).unwrap_or(0)
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

    /// The first channel of each of the four vectors; `None` where vectors are not sixteen channels side by side, as they
    /// are wherever the order is split.
    fn firsts(&self) -> Option<[usize; 4]> {
        let first = |vector| self.channel(vector, 0);
        self.planes.output[2].is_multiple_of(LANES).then(|| [first(0), first(1), first(2), first(3)])
    }

    /// Whether all vectors are the same channels, once or more often.
    fn is_uniform(&self) -> bool {
        LANES.is_multiple_of(self.planes.output[2].max(1))
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
                None if self.is_uniform() => {
                    let mut room = Default::default();
                    let one = channels.repeated(self.planes.output[2], &mut room).block::<S, RELU>(0);
                    [one, one, one, one]
                }
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

    /// The constants of the four vectors' lanes, in order, as the layer holds them.
    #[cold]
    pub(super) fn scales<R: Rescale>(&self, channels: &Channels<'_, R>) -> [[R::Scale; LANES]; 4] {
        let mut scales = [[R::NONE; LANES]; 4];
        match self.firsts() {
            Some(firsts) => {
                firsts.iter().zip(&mut scales).for_each(|(&first, slots)| channels.copy_scales(first, slots));
            }
            None => self.pieces(|vector, lane, channel, length| {
                let slots = scales.get_mut(vector).and_then(|s| s.get_mut(lane..lane + length));
                channels.copy_scales(channel, slots.unwrap_or(&mut []));
            }),
        }
        scales
    }

    /// Column `index` of taps of the four vectors' channels, taps `shift` rows further down.
    ///
    /// # Safety
    ///
    /// As [`Simd`]'s; `columns` holds that column.
    #[inline(always)]
    pub(super) unsafe fn column<S: Simd>(&self, columns: &[u8], index: usize, shift: usize) -> [S::I32; 4] {
        let p = self.planes;
        let first = index * p.output[2].next_multiple_of(LANES);
        // SAFETY: the caller's; sixteen channels from each of these on.
        unsafe {
            let v = match self.firsts() {
                Some([a, b, c, d]) => {
                    let from = columns.as_ptr().cast::<i32>().add(first);
                    [S::load(from.add(a)), S::load(from.add(b)), S::load(from.add(c)), S::load(from.add(d))]
                }
                None => {
                    let words = columns.get(4 * first..).unwrap_or(&[]).as_chunks::<QUAD>().0;
                    self.gathered::<S>(words)
                }
            };
            let [a, b, c, d] = if p.is_split { S::transpose(v) } else { v };
            let by = S::splat(8 * shift as i32);
            [S::sll(a, by), S::sll(b, by), S::sll(c, by), S::sll(d, by)]
        }
    }

    /// Words of all lanes' channels, where those are no vectors.
    #[inline(always)]
    unsafe fn gathered<S: Simd>(&self, words: &[[u8; QUAD]]) -> [S::I32; 4] {
        let mut room = [[0i32; LANES]; 4];
        if self.is_uniform() {
            let words = words.iter().take(self.planes.output[2]).cycle();
            room[0].iter_mut().zip(words).for_each(|(slot, &word)| *slot = i32::from_le_bytes(word));
            // SAFETY: a vector; else the caller's.
            return [unsafe { S::load(room[0].as_ptr()) }; 4];
        }
        self.pieces(|vector, lane, channel, length| {
            let to = room.get_mut(vector).and_then(|r| r.get_mut(lane..lane + length)).unwrap_or(&mut []);
            let words = words.iter().skip(channel);
            to.iter_mut().zip(words).for_each(|(slot, &word)| *slot = i32::from_le_bytes(word));
        });
        let [a, b, c, d] = room.each_ref().map(|r| r.as_ptr());
        // SAFETY: vectors; else the caller's.
        unsafe { [S::load(a), S::load(b), S::load(c), S::load(d)] }
    }

    /// All columns one after the other.
    ///
    /// # Safety
    ///
    /// As [`Simd`]'s; `columns` holds all of them, `to` has room for four vectors of each.
    #[inline(always)]
    pub(super) unsafe fn arrange<S: Simd>(&self, columns: &[u8], shift: usize, to: *mut u8) {
        for index in 0..self.planes.groups * self.planes.taps[1] {
            // SAFETY: the caller's.
            unsafe {
                let [a, b, c, d] = self.column::<S>(columns, index, shift);
                let to = to.add(index * 4 * VECTOR).cast::<i32>();
                S::put(to, a);
                S::put(to.add(LANES), b);
                S::put(to.add(2 * LANES), c);
                S::put(to.add(3 * LANES), d);
            }
        }
    }
}
