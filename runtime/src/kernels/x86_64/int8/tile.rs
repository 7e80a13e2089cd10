//! The inner loops: sums of tiles of pixels by output channels, finished while they are in registers.
#![allow(unsafe_code)]

use core::arch::asm;

use super::channels::{Block, Channels};
use super::finish::scatter;
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

/// Runs of pixels, a number of each: every one is multiplied by the same channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    pub(super) count: usize,
    /// Bytes from one run's taps to the next one's.
    pub(super) step: usize,
    pub(super) pixels: usize,
}

/// A tile is two halves of as many pixels, so that few registers hold addresses: halves of one run, or pixels of two
/// neighbouring runs. The last tiles lie over pixels that are done already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// Pixels of a half.
    pub(super) half: usize,
    /// Whether the halves are of two runs.
    pub(super) is_across: bool,
}

/// What a tile costs beside its pixels, in pixels.
const COST: usize = 2;

impl Shape {
    /// The best for runs of pixels where halves have at most `most`; none where there are no pixels.
    pub(super) fn new(runs: &Runs, most: usize) -> Self {
        let most = most.max(1);
        let tiles = runs.pixels.div_ceil(2 * most).max(1);
        let along = Shape { half: runs.pixels.div_ceil(2 * tiles).max(1), is_across: false };
        if runs.count < 2 || along.half * tiles * 2 == runs.pixels {
            return along;
        }
        let tiles_across = runs.pixels.div_ceil(most).max(1);
        let across = Shape { half: runs.pixels.div_ceil(tiles_across).max(1), is_across: true };
        let cost = runs.count * tiles * (2 * along.half + COST);
        let cost_across = runs.count.div_ceil(2) * tiles_across * (2 * across.half + COST);
        if cost_across < cost { across } else { along }
    }
}

/// One or two blocks of channels of runs of pixels.
pub(super) struct Tiles<'a, S: Simd, R: Rescale> {
    pub(super) x: *const u8,
    pub(super) taps: Taps,
    /// The blocks' weights.
    pub(super) w: *const i8,
    pub(super) runs: Runs,
    pub(super) of: [Block<S>; 2],
    /// The first pixel's first channel, and bytes to the next pixel's.
    pub(super) to: *mut u8,
    pub(super) outputs: usize,
    /// So many channels are written.
    pub(super) count: usize,
    /// All channels, and the number of the first one here.
    pub(super) channels: &'a Channels<'a, R>,
    pub(super) first: usize,
    pub(super) end: &'a Finish,
}

/// Where bytes of a vector go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Places {
    /// All are neighbours.
    Together,
    /// Each pixel's channels, all of whole blocks.
    Pixels,
    /// Eight channels of each pixel, together.
    Eights,
    /// So many channels of each pixel as there are.
    Some,
}

/// All tiles of `blocks` blocks.
///
/// # Safety
///
/// As [`Simd`]'s; all pixels have their taps, blocks their weights and results their places.
#[inline(always)]
pub(super) unsafe fn tiles<S: Simd, R: Rescale, const RELU: bool>(t: &Tiles<'_, S, R>, blocks: usize) {
    let shape = Shape::new(&t.runs, S::HALVES[if blocks == 2 { 1 } else { 0 }]);
    macro_rules! halves {
        ($blocks:literal: $($half:literal)*) => {
            match shape.half {
                // SAFETY: the caller's.
                $($half if const { $half <= S::HALVES[$blocks - 1] } => unsafe {
                    S::tiles::<R, $blocks, $half, RELU>(t, shape.is_across)
                },)*
                _ => {}
            }
        };
    }
    match blocks {
        1 => halves!(1: 1 2 3 4 5 6 7 8),
        2 if const { S::BLOCKS >= 2 } => halves!(2: 1 2 3 4 5 6),
        _ => {}
    }
}

/// Both halves' sums.
struct Sums<S: Simd, const BLOCKS: usize, const HALF: usize>([[[S::I32; BLOCKS]; HALF]; 2]);

impl<S: Simd, const BLOCKS: usize, const HALF: usize> Sums<S, BLOCKS, HALF> {
    /// Vectors that are finished together.
    const GROUPS: usize = (2 * HALF * BLOCKS).div_ceil(4);

    /// A pixel's sums with a block; the last pixel's beyond it.
    #[inline(always)]
    fn of(&self, pixel: usize, block: usize) -> S::I32 {
        let pixel = if pixel < 2 * HALF { pixel } else { 2 * HALF - 1 };
        self.0[pixel / HALF][pixel % HALF][block]
    }

    /// Four vectors: blocks of pixels one after the other.
    #[inline(always)]
    fn group(&self, i: usize) -> [S::I32; 4] {
        let first = i * (4 / BLOCKS);
        match BLOCKS {
            1 => [self.of(first, 0), self.of(first + 1, 0), self.of(first + 2, 0), self.of(first + 3, 0)],
            _ => [
                self.of(first, 0),
                self.of(first, BLOCKS - 1),
                self.of(first + 1, 0),
                self.of(first + 1, BLOCKS - 1),
            ],
        }
    }
}

/// As [`tiles`], for numbers that are known here, so that the sums stay in registers. Loops count by hand: iterators of
/// vectors are not inlined for sure.
#[inline(always)]
pub(super) unsafe fn fixed<S: Simd, R: Rescale, const BLOCKS: usize, const HALF: usize, const RELU: bool>(
    t: &Tiles<'_, S, R>,
    is_across: bool,
) {
    // Copies that nothing points to stay in registers.
    let (runs, taps, end) = (t.runs, t.taps, *t.end);
    // Pixels of a run and runs that a tile covers.
    let [along, down] = if is_across { [HALF, 2] } else { [runs.pixels.min(2 * HALF), 1] };
    // From one half's taps to the other one's, and from results to results.
    let (x_half, to_half) = if is_across {
        (runs.step, runs.pixels * t.outputs)
    } else {
        ((along - HALF) * taps.step, (along - HALF) * t.outputs)
    };
    let is_row = !is_across && along == 2 * HALF;
    let places = match t.count {
        count if count != t.outputs || !is_row => {
            if count == BLOCKS * LANES {
                Places::Pixels
            } else {
                Places::Some
            }
        }
        8 if BLOCKS == 1 && HALF % 2 == 0 => Places::Eights,
        count if count == BLOCKS * LANES => Places::Together,
        _ => Places::Some,
    };
    let [a, b] = [t.of[0].constants, t.of[BLOCKS - 1].constants];
    let is_quick = a.is_quick && b.is_quick;
    let (block, per_group) = (taps.block(), 4 / BLOCKS);
    debug_assert!(2 * HALF * BLOCKS <= SUMS);
    let mut staged = [0u8; 64 * SUMS / 4];
    let mut y = 0;
    while y < runs.count {
        let run = y.min(runs.count.saturating_sub(down));
        let mut start = 0;
        while start < runs.pixels {
            let first = start.min(runs.pixels - along);
            // SAFETY: the caller's; a tile is within the runs.
            unsafe {
                let x = t.x.add(run * runs.step + first * taps.step);
                let sums = dots::<S, BLOCKS, HALF>([x, x.add(x_half)], &taps, t.w, block, &t.of);
                let to = t.to.add((run * runs.pixels + first) * t.outputs);
                let place = |pixel: usize| {
                    let half = if pixel < HALF { 0 } else { to_half };
                    to.add(half + pixel % HALF * t.outputs)
                };
                let mut doubtful = 0u32;
                // Nothing is called in this loop, so that sums and constants stay in registers.
                let mut i = 0;
                while i < Sums::<S, BLOCKS, HALF>::GROUPS {
                    let (bytes, is_doubtful) =
                        R::quick::<S, RELU, false>(sums.group(i), [&a, &b, &a, &b], &end);
                    doubtful |= u32::from(is_doubtful) << i;
                    let pixel = i * per_group;
                    let is_whole = pixel + per_group <= 2 * HALF;
                    match places {
                        Places::Together if is_whole => S::store(to.add(64 * i), bytes),
                        Places::Together => S::store_half(to.add(64 * i), bytes, 0),
                        Places::Eights => S::store_eights(to.add(32 * i), bytes),
                        Places::Pixels if BLOCKS == 2 => {
                            S::store_half(place(pixel), bytes, 0);
                            S::store_half(place(pixel + 1), bytes, 1);
                        }
                        Places::Pixels => {
                            S::store_quarter(place(pixel), bytes, 0);
                            S::store_quarter(place(pixel + 1), bytes, 1);
                            if is_whole {
                                S::store_quarter(place(pixel + 2), bytes, 2);
                                S::store_quarter(place(pixel + 3), bytes, 3);
                            }
                        }
                        Places::Some => S::store(staged.as_mut_ptr().add(64 * i), bytes),
                    }
                    i += 1;
                }
                if places == Places::Some {
                    let pixels = staged.chunks_exact(BLOCKS * LANES).enumerate().take(2 * HALF);
                    for (pixel, bytes) in pixels {
                        core::ptr::copy_nonoverlapping(bytes.as_ptr(), place(pixel), t.count);
                    }
                }
                if doubtful != 0 || !is_quick {
                    // Rare, so the sums are made again: kept for this they would have to be in memory.
                    let doubtful = if is_quick { doubtful } else { u32::MAX };
                    for pixel in (0..2 * HALF).filter(|pixel| doubtful >> (pixel / per_group) & 1 != 0) {
                        let x = x.add(if pixel < HALF { 0 } else { x_half } + pixel % HALF * taps.step);
                        S::again::<R>(t, BLOCKS, x, place(pixel));
                    }
                }
            }
            start += along;
        }
        y += down;
    }
}

/// Sums of a tile whose halves' taps start at `x`.
#[inline(always)]
unsafe fn dots<S: Simd, const BLOCKS: usize, const HALF: usize>(
    x: [*const u8; 2],
    taps: &Taps,
    mut w: *const i8,
    block: usize,
    of: &[Block<S>; 2],
) -> Sums<S, BLOCKS, HALF> {
    let (step, quads) = (taps.step, taps.quads);
    let mut acc = [[[of[0].bias; BLOCKS]; HALF]; 2];
    if BLOCKS == 2 {
        let mut j = 0;
        while j < HALF {
            acc[0][j][BLOCKS - 1] = of[1].bias;
            acc[1][j][BLOCKS - 1] = of[1].bias;
            j += 1;
        }
    }
    // SAFETY: the caller's; every offset is within what it promises.
    unsafe {
        let mut row = 0;
        while row < taps.rows {
            let mut x = [x[0].add(row * taps.row_step), x[1].add(row * taps.row_step)];
            let mut quad = 0;
            while quad < quads {
                let mut weights = [S::weights(w); BLOCKS];
                if BLOCKS == 2 {
                    weights[BLOCKS - 1] = S::weights(w.add(block));
                }
                // The compiler would keep an address of every pixel, more than there are registers.
                asm!("/* {0} {1} */", inout(reg) x[0], inout(reg) x[1], options(pure, nomem, nostack, preserves_flags));
                let mut j = 0;
                while j < HALF {
                    let both = [S::quad(x[0].add(j * step)), S::quad(x[1].add(j * step))];
                    let mut b = 0;
                    while b < BLOCKS {
                        acc[0][j][b] = S::dot(acc[0][j][b], both[0], weights[b]);
                        acc[1][j][b] = S::dot(acc[1][j][b], both[1], weights[b]);
                        b += 1;
                    }
                    j += 1;
                }
                x = [x[0].add(4), x[1].add(4)];
                w = w.add(4 * LANES);
                quad += 1;
            }
            row += 1;
        }
    }
    Sums(acc)
}

/// The results of one pixel with `blocks` blocks, step by step as defined.
#[inline(always)]
pub(super) unsafe fn again<S: Simd, R: Rescale>(
    t: &Tiles<'_, S, R>,
    blocks: usize,
    x: *const u8,
    to: *mut u8,
) {
    let scales = [t.channels.scales(t.first), t.channels.scales(t.first + LANES)];
    let ([a, b], bias) = (&scales, [t.of[0].bias, t.of[1].bias, t.of[0].bias, t.of[1].bias]);
    let mut sums = bias;
    // SAFETY: the caller's.
    unsafe {
        S::vector(x, &t.taps, t.w, &bias, blocks, &mut sums);
        let bytes = S::exact::<R, false>(&sums, [a, b, a, b], t.end);
        scatter::<S>(bytes, [4 * LANES, t.count, 1], to, 0);
    }
}
