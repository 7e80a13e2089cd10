//! The inner loops: sums of a tile of pixels by output channels, and what becomes of the sums.
#![allow(unsafe_code)]

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::channels::Block;
use super::rescale::{Finish, Rescale};
use super::simd::{LANES, Simd};

/// Most sums of a tile.
pub(super) const SUMS: usize = 24;

/// Pixels in a row of memory, and the weights that meet them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    /// Bytes from one pixel to the next.
    pub(super) step: usize,
    /// Rows of taps under a window, and bytes from one to the next.
    pub(super) rows: usize,
    pub(super) row_step: usize,
    /// Groups of four consecutive bytes of a row of taps.
    pub(super) quads: usize,
}

impl Taps {
    /// Bytes of the weights of sixteen channels.
    pub(super) fn block(&self) -> usize {
        self.rows * self.quads * 4 * LANES
    }

    /// Bytes from the first one that `pixels` pixels have under their windows to the last one.
    pub(super) fn reach(&self, pixels: usize) -> usize {
        match (pixels.checked_sub(1), self.rows.checked_sub(1)) {
            (Some(pixels), Some(rows)) => pixels * self.step + rows * self.row_step + self.quads * 4,
            _ => 0,
        }
    }
}

/// Sums of `pixels` pixels from `x` on with `blocks` blocks of channels, whose weights start at `w`: those of the first
/// pixel first. Pixels and blocks are at most what `S` has registers for.
///
/// # Safety
///
/// As [`Simd`]'s; `x` has [`Taps::reach`] bytes, `w` `blocks` times [`Taps::block`].
#[inline(always)]
pub(super) unsafe fn tile<S: Simd>(
    x: *const u8,
    taps: &Taps,
    w: *const i8,
    bias: &[S::I32; 2],
    [blocks, pixels]: [usize; 2],
    sums: &mut [S::I32; SUMS],
) {
    macro_rules! pixels {
        ($blocks:literal: $($pixels:literal)*) => {
            match pixels {
                // SAFETY: the caller's.
                $($pixels if const { $pixels <= S::PIXELS[$blocks - 1] } => unsafe {
                    S::tile::<$blocks, $pixels>(x, taps, w, bias, sums)
                },)*
                _ => {}
            }
        };
    }
    match blocks {
        1 => pixels!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        2 if const { S::BLOCKS >= 2 } => pixels!(2: 1 2 3 4 5 6 7 8 9 10 11 12),
        _ => {}
    }
}

/// Quads whose sums a single pixel keeps apart: one dot product need not wait for the last one.
const APART: usize = 4;

/// How far ahead weights are asked for that are read once.
const AHEAD: usize = 512;

/// One pixel with `blocks` blocks of channels, at most four, one after the other: weights are read once and in order.
///
/// # Safety
///
/// As [`tile`]'s.
#[inline(always)]
pub(super) unsafe fn vector<S: Simd>(
    x: *const u8,
    taps: &Taps,
    mut w: *const i8,
    bias: &[S::I32; 4],
    blocks: usize,
    sums: &mut [S::I32; 4],
) {
    // SAFETY: the caller's; asking for memory ahead reads nothing.
    unsafe {
        let mut block = 0;
        while block < blocks && block < 4 {
            let mut acc = [bias[block], S::splat(0), S::splat(0), S::splat(0)];
            let mut row = 0;
            while row < taps.rows {
                let mut x = x.add(row * taps.row_step);
                let mut left = taps.quads;
                while left >= APART {
                    let mut i = 0;
                    while i < APART {
                        let w = w.add(i * 4 * LANES);
                        _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD));
                        acc[i] = S::dot(acc[i], S::quad(x.add(4 * i)), S::weights(w));
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
            sums[block] = S::add(S::add(acc[0], acc[1]), S::add(acc[2], acc[3]));
            block += 1;
        }
    }
}

/// As [`tile`], for numbers that are known here, so that the sums stay in registers. Loops count by hand: iterators of
/// vectors are not inlined for sure.
#[inline(always)]
pub(super) unsafe fn fixed<S: Simd, const BLOCKS: usize, const PIXELS: usize>(
    x: *const u8,
    taps: &Taps,
    mut w: *const i8,
    bias: &[S::I32; 2],
    sums: &mut [S::I32; SUMS],
) {
    let (step, block, quads) = (taps.step, taps.block(), taps.quads);
    let mut acc = [[bias[0]; BLOCKS]; PIXELS];
    if BLOCKS == 2 {
        let mut j = 0;
        while j < PIXELS {
            acc[j][BLOCKS - 1] = bias[1];
            j += 1;
        }
    }
    // SAFETY: the caller's; every offset is within what it promises.
    unsafe {
        let mut row = 0;
        while row < taps.rows {
            let mut x = x.add(row * taps.row_step);
            let mut quad = 0;
            while quad < quads {
                let mut weights = [S::weights(w); BLOCKS];
                if BLOCKS == 2 {
                    weights[BLOCKS - 1] = S::weights(w.add(block));
                }
                let mut j = 0;
                while j < PIXELS {
                    let quad = S::quad(x.add(j * step));
                    let mut b = 0;
                    while b < BLOCKS {
                        acc[j][b] = S::dot(acc[j][b], quad, weights[b]);
                        b += 1;
                    }
                    j += 1;
                }
                (x, w) = (x.add(4), w.add(4 * LANES));
                quad += 1;
            }
            row += 1;
        }
    }
    let mut j = 0;
    while j < PIXELS {
        let mut b = 0;
        while b < BLOCKS {
            sums[j * BLOCKS + b] = acc[j][b];
            b += 1;
        }
        j += 1;
    }
}

/// Rescales four vectors of sums, which have the constants of these blocks, and narrows them to bytes.
///
/// # Safety
///
/// As [`Simd`]'s.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, R: Rescale, const RELU: bool>(
    sums: [S::I32; 4],
    of: [&Block<S, R>; 4],
    end: &Finish,
) -> S::Bytes {
    let [a, b, c, d] = of.map(|block| &block.constants);
    // SAFETY: the caller's.
    unsafe {
        if a.is_quick && b.is_quick && c.is_quick && d.is_quick {
            let (bytes, is_doubtful) = R::quick::<S, RELU, false>(sums, [a, b, c, d], end);
            if !is_doubtful {
                return bytes;
            }
        }
        S::exact::<R, false>(&sums, of.map(|block| &block.scales), end)
    }
}

/// As [`finish`], step by step as defined. The zero point is added in 32 bits, where it may wrap.
#[inline(always)]
pub(super) unsafe fn exact<S: Simd, R: Rescale, const SPLIT: bool>(
    sums: &[S::I32; 4],
    scales: [&[R::Scale; LANES]; 4],
    end: &Finish,
) -> S::Bytes {
    // SAFETY: the caller's.
    unsafe {
        let zero = S::splat(end.zero_point);
        let y = [
            S::add(R::exact::<S>(sums[0], scales[0]), zero),
            S::add(R::exact::<S>(sums[1], scales[1]), zero),
            S::add(R::exact::<S>(sums[2], scales[2]), zero),
            S::add(R::exact::<S>(sums[3], scales[3]), zero),
        ];
        S::narrow::<SPLIT>(y, 0, end.low, end.high)
    }
}

/// Writes the first `count` bytes of each of the pieces of `bytes` that start every `piece` bytes, to `to` and every
/// `step` bytes after it, `pieces` of them. For what is left over at ends.
///
/// # Safety
///
/// As [`Simd`]'s; all of these places can be written.
#[inline(always)]
pub(super) unsafe fn scatter<S: Simd>(
    bytes: S::Bytes,
    [piece, count, pieces]: [usize; 3],
    to: *mut u8,
    step: usize,
) {
    let mut all = [0u8; 64];
    // SAFETY: 64 bytes; else the caller's.
    unsafe { S::store(all.as_mut_ptr(), bytes) };
    for (p, piece) in all.chunks_exact(piece.max(1)).take(pieces).enumerate() {
        let Some(piece) = piece.get(..count) else { break };
        // SAFETY: the caller's.
        unsafe { core::ptr::copy_nonoverlapping(piece.as_ptr(), to.add(p * step), count) };
    }
}

/// How pieces of 64 bytes go to memory where they are whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pieces {
    /// One, of 64 bytes.
    One,
    /// Two of 32 bytes.
    Halves,
    /// Four of 16 bytes.
    Quarters,
    /// Four of 8 bytes, written together; 8 more follow each.
    Eights,
}

impl Pieces {
    /// Writes all of them, `step` bytes apart.
    ///
    /// # Safety
    ///
    /// As [`scatter`]'s.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(self, bytes: S::Bytes, to: *mut u8, step: usize) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Pieces::One => S::store(to, bytes),
                Pieces::Halves => {
                    S::store_half(to, bytes, 0);
                    S::store_half(to.add(step), bytes, 1);
                }
                Pieces::Quarters => {
                    S::store_quarter(to, bytes, 0);
                    S::store_quarter(to.add(step), bytes, 1);
                    S::store_quarter(to.add(2 * step), bytes, 2);
                    S::store_quarter(to.add(3 * step), bytes, 3);
                }
                Pieces::Eights => S::store_eights(to, bytes),
            }
        }
    }
}
