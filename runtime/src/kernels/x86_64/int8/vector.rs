//! One pixel by many channels: weights are read once and in order, one block after the other.
#![allow(unsafe_code)]

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::simd::{LANES, Simd};
use super::tile::Taps;

/// Quads whose sums are kept apart: one dot product need not wait for the last one.
const APART: usize = 4;
/// Bytes of the next blocks' weights that are asked for while sums are finished.
const AHEAD: usize = 2048;

/// Sums of one pixel with `blocks` blocks of channels, at most four.
///
/// # Safety
///
/// As [`Simd`]'s; `x` has [`Taps::reach`] bytes, `w` `blocks` times [`Taps::block`].
#[inline(always)]
pub(super) unsafe fn vector<S: Simd>(
    x: *const u8,
    taps: &Taps,
    mut w: *const i8,
    bias: &[S::I32; 4],
    blocks: usize,
    sums: &mut [S::I32; 4],
) {
    // SAFETY: the caller's.
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
            sums[block] = S::add(S::add(acc[0], acc[1]), S::add(acc[2], acc[3]));
            block += 1;
        }
    }
}

/// Asks for what is read next, while sums are finished: the processor looks ahead only as far as it reads.
#[inline(always)]
pub(super) fn ahead(w: *const i8) {
    for at in (0..AHEAD).step_by(64) {
        // SAFETY: reads nothing; every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(at)) };
    }
}
