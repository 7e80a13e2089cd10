//! Sums of one block of channels where neighbouring pixels have taps in common: four bytes are broadcast once for the
//! three columns of taps that meet them, each of another pixel. Else broadcasts take longer than multiplications.
#![allow(unsafe_code)]

use core::arch::asm;

use super::simd::{LANES, Simd};
use super::tile::Taps;

/// Columns of taps that this is for.
pub(super) const COLUMNS: usize = 3;
/// Pixels of a half from which on it is worth it.
pub(super) const LEAST: usize = 4;
/// Most pixels of a half.
const MOST: usize = 8;

/// Adds what `v` and `w` give to a pixel's sum where there is such a pixel.
#[inline(always)]
unsafe fn meet<S: Simd, const BLOCKS: usize, const HALF: usize>(
    sums: &mut [[S::I32; BLOCKS]; HALF],
    pixel: usize,
    pixels: usize,
    v: S::Quad,
    w: S::Weights,
) {
    if pixel < pixels && pixel < HALF {
        // SAFETY: the caller's.
        sums[pixel][0] = unsafe { S::dot(sums[pixel][0], v, w) };
    }
}

/// Sums of a tile whose halves' taps start at `x`, in the first of `BLOCKS` blocks; the second half has one pixel less
/// where `ODD`.
///
/// # Safety
///
/// As [`Simd`]'s; all pixels have their taps, of [`COLUMNS`] columns a pixel apart, and `w` has [`Taps::block`] bytes.
/// There are rows and quads.
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the block is empty")]
#[inline(always)]
pub(super) unsafe fn slide<S: Simd, const BLOCKS: usize, const HALF: usize, const ODD: bool>(
    x: [*const u8; 2],
    taps: &Taps,
    mut w: *const i8,
    bias: S::I32,
) -> [[[S::I32; BLOCKS]; HALF]; 2] {
    const { assert!(HALF <= MOST) };
    let step = taps.step;
    let quads = taps.quads / COLUMNS;
    let column = quads * 4 * LANES;
    let [mut one, mut two] = [[[bias; BLOCKS]; HALF]; 2];
    let second = HALF - if ODD { 1 } else { 0 };
    // SAFETY: the caller's; every offset is within what it promises.
    unsafe {
        let mut row = 0;
        loop {
            let mut x = [x[0].add(row * taps.row_step), x[1].add(row * taps.row_step)];
            let mut quad = 0;
            loop {
                let [a, b, c] = [S::weights(w), S::weights(w.add(column)), S::weights(w.add(2 * column))];
                // The compiler would keep an address of every pixel, more than there are registers.
                asm!("/* {0} {1} */", inout(reg) x[0], inout(reg) x[1], options(pure, nomem, nostack, preserves_flags));
                macro_rules! at {
                    ($($j:literal)*) => {$(
                        if $j < HALF + COLUMNS - 1 {
                            let v = S::quad(x[0].add($j * step));
                            meet::<S, BLOCKS, HALF>(&mut one, $j, HALF, v, a);
                            meet::<S, BLOCKS, HALF>(&mut one, usize::wrapping_sub($j, 1), HALF, v, b);
                            meet::<S, BLOCKS, HALF>(&mut one, usize::wrapping_sub($j, 2), HALF, v, c);
                        }
                        if $j < second + COLUMNS - 1 {
                            let v = S::quad(x[1].add($j * step));
                            meet::<S, BLOCKS, HALF>(&mut two, $j, second, v, a);
                            meet::<S, BLOCKS, HALF>(&mut two, usize::wrapping_sub($j, 1), second, v, b);
                            meet::<S, BLOCKS, HALF>(&mut two, usize::wrapping_sub($j, 2), second, v, c);
                        }
                    )*};
                }
                // Up to the last column of the last one of MOST pixels.
                at!(0 1 2 3 4 5 6 7 8 9);
                x = [x[0].add(4), x[1].add(4)];
                w = w.add(4 * LANES);
                quad += 1;
                if quad >= quads {
                    break;
                }
            }
            w = w.add((COLUMNS - 1) * column);
            row += 1;
            if row >= taps.rows {
                break;
            }
        }
    }
    [one, two]
}
