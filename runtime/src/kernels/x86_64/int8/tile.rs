//! The inner loops: sums of tiles of pixels by output channels, finished while they are in registers.
#![allow(unsafe_code)]

use core::arch::asm;

use super::channels::{Block, Channels};
use super::cover::{Cover, Runs, Shape};
use super::rescale::{Finish, Rescale, is_doubtful};
use super::simd::{LANES, Simd};
use super::slide::{COLUMNS, LEAST, slide};
use super::vector::dot;

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
    /// Columns of taps where a column lies as far from the next one as a pixel, and has whole groups of four; else 0.
    pub(super) columns: usize,
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
pub(super) unsafe fn tiles<S: Simd, R: Rescale, const RELU: bool>(
    t: &mut Tiles<'_, S, R>,
    blocks: usize,
    cover: &Cover,
) {
    // SAFETY: the caller's.
    unsafe {
        if cover.whole > 0 {
            let all = t.runs.pixels;
            t.runs.pixels = cover.whole;
            of_shape::<S, R, RELU>(t, blocks, cover.first);
            t.x = t.x.add(cover.whole * t.taps.step);
            t.to = t.to.add(cover.whole * t.outputs);
            t.runs.pixels = all - cover.whole;
        }
        of_shape::<S, R, RELU>(t, blocks, cover.last);
    }
}

/// Tiles of one shape.
#[inline(always)]
unsafe fn of_shape<S: Simd, R: Rescale, const RELU: bool>(t: &Tiles<'_, S, R>, blocks: usize, shape: Shape) {
    macro_rules! halves {
        ($blocks:literal: $($half:literal $is_odd:literal)*) => {
            match (shape.half, shape.is_odd) {
                // SAFETY: the caller's.
                $(($half, $is_odd) if const { $half <= S::HALVES[$blocks - 1] } => unsafe {
                    S::tiles::<R, $blocks, $half, $is_odd, RELU>(t, shape.is_across)
                },)*
                _ => {}
            }
        };
    }
    match blocks {
        1 => halves!(1: 1 false 2 false 3 false 4 false 4 true 5 false 5 true 6 false 7 false 8 false),
        2 if const { S::BLOCKS >= 2 } => {
            halves!(2: 1 false 2 false 3 false 4 false 4 true 5 false 5 true 6 false)
        }
        _ => {}
    }
}

/// Both halves' sums.
struct Sums<S: Simd, const BLOCKS: usize, const HALF: usize, const ODD: bool>([[[S::I32; BLOCKS]; HALF]; 2]);

impl<S: Simd, const BLOCKS: usize, const HALF: usize, const ODD: bool> Sums<S, BLOCKS, HALF, ODD> {
    const PIXELS: usize = 2 * HALF - ODD as usize;
    /// Vectors that are finished together.
    const GROUPS: usize = (Self::PIXELS * BLOCKS).div_ceil(4);

    /// Whether pixels of eight channels fill whole vectors, of eight of them.
    const HAS_EIGHTS: bool = BLOCKS == 1 && Self::PIXELS % 8 == 0;

    /// Four vectors of two pixels' first eight channels, of two groups.
    #[inline(always)]
    unsafe fn eights(&self, i: usize) -> [S::I32; 4] {
        let first = 4 * i;
        // SAFETY: the caller's.
        unsafe {
            [
                S::join(self.of(first, 0), self.of(first + 1, 0)),
                S::join(self.of(first + 2, 0), self.of(first + 3, 0)),
                S::join(self.of(first + 4, 0), self.of(first + 5, 0)),
                S::join(self.of(first + 6, 0), self.of(first + 7, 0)),
            ]
        }
    }

    /// A pixel's sums with a block; the last pixel's beyond it.
    #[inline(always)]
    fn of(&self, pixel: usize, block: usize) -> S::I32 {
        let pixel = if pixel < Self::PIXELS { pixel } else { Self::PIXELS - 1 };
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
pub(super) unsafe fn fixed<
    S: Simd,
    R: Rescale,
    const BLOCKS: usize,
    const HALF: usize,
    const ODD: bool,
    const RELU: bool,
>(
    t: &Tiles<'_, S, R>,
    is_across: bool,
) {
    const { assert!(Sums::<S, BLOCKS, HALF, ODD>::GROUPS <= 6) }
    // A loop over groups might keep their sums in memory.
    macro_rules! each_group {
        (|$i:ident| $body:block) => {
            each_group!($i $body 0 1 2 3 4 5)
        };
        ($i:ident $body:block $($number:literal)*) => {$(
            if $number < Sums::<S, BLOCKS, HALF, ODD>::GROUPS {
                let $i: usize = $number;
                $body
            }
        )*};
    }
    // Copies that nothing points to stay in registers.
    let (runs, taps, end) = (t.runs, t.taps, *t.end);
    // Pixels of a run and runs that a tile covers.
    let all = 2 * HALF - usize::from(ODD);
    let [along, down] = if is_across { [HALF, 2] } else { [runs.pixels.min(all), 1] };
    // From one half's taps to the other one's, and from results to results.
    let (x_half, to_half) = if is_across {
        (runs.step, runs.pixels * t.outputs)
    } else {
        let second = HALF - usize::from(ODD);
        ((along - second) * taps.step, (along - second) * t.outputs)
    };
    let is_row = !is_across && along == all;
    let places = match t.count {
        count if count == BLOCKS * LANES && (count != t.outputs || !is_row) => Places::Pixels,
        count if count == BLOCKS * LANES => Places::Together,
        8 if t.outputs == 8 && is_row && Sums::<S, BLOCKS, HALF, ODD>::HAS_EIGHTS => Places::Eights,
        _ => Places::Some,
    };
    let is_together = places == Places::Together;
    let is_in_parts = is_together || places == Places::Pixels;
    let [a, b] = [t.of[0].constants, t.of[BLOCKS - 1].constants];
    // SAFETY: the caller's.
    let twice = unsafe { a.twice() };
    let is_quick = a.is_quick && b.is_quick;
    let is_sliding = const { S::SLIDES && BLOCKS == 1 && HALF >= LEAST } && taps.columns == COLUMNS;
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
                let x = [x, x.add(x_half)];
                let sums = if is_sliding {
                    Sums::<S, BLOCKS, HALF, ODD>(slide::<S, BLOCKS, HALF, ODD>(x, &taps, t.w, t.of[0].bias))
                } else {
                    dots::<S, BLOCKS, HALF, ODD>(x, &taps, t.w, block, &t.of)
                };
                let to = t.to.add((run * runs.pixels + first) * t.outputs);
                let place = |pixel: usize| {
                    let half = if pixel < HALF { 0 } else { to_half };
                    to.add(half + pixel % HALF * t.outputs)
                };
                // What may be wrong is asked once for all of them.
                let mut fractions = [S::splat(-1); SUMS / 4];
                let mut all_fractions = S::splat(-1);
                let is_eights = Sums::<S, BLOCKS, HALF, ODD>::HAS_EIGHTS && places == Places::Eights;
                // Nothing is called in these, so that sums and constants stay in registers.
                if is_eights {
                    each_group!(|i| {
                        if i.is_multiple_of(2) {
                            let (bytes, own) = R::nearly::<S, RELU, false>(sums.eights(i), [&twice; 4], &end);
                            (fractions[i], fractions[i | 1]) = (own, own);
                            all_fractions = S::min_words(all_fractions, own);
                            S::store(to.add(32 * i), bytes);
                        }
                    });
                } else {
                    each_group!(|i| {
                        let (bytes, own) = R::nearly::<S, RELU, false>(sums.group(i), [&a, &b, &a, &b], &end);
                        fractions[i] = own;
                        all_fractions = S::min_words(all_fractions, own);
                        let pixel = i * per_group;
                        // One question after the other: a table of jumps takes longer.
                        if is_together && pixel + per_group <= all {
                            S::store(to.add(64 * i), bytes);
                        } else if is_in_parts {
                            let mut k = 0;
                            while k < per_group {
                                match pixel + k {
                                    pixel if pixel >= all => {}
                                    pixel if BLOCKS == 2 => S::store_half(place(pixel), bytes, k),
                                    pixel => S::store_quarter(place(pixel), bytes, k),
                                }
                                k += 1;
                            }
                        } else {
                            S::store(staged.as_mut_ptr().add(64 * i), bytes);
                        }
                    });
                }
                if places == Places::Some {
                    let pixels = staged.chunks_exact(BLOCKS * LANES).enumerate().take(all);
                    for (pixel, bytes) in pixels {
                        match t.count {
                            8 => copy::<8>(bytes.as_ptr(), place(pixel)),
                            24 => copy::<24>(bytes.as_ptr(), place(pixel)),
                            count => core::ptr::copy_nonoverlapping(bytes.as_ptr(), place(pixel), count),
                        }
                    }
                }
                if !is_quick || is_doubtful::<S>(all_fractions) {
                    // Rare, so the sums are made again: kept for this they would have to be in memory.
                    let mut doubtful = 0u32;
                    each_group!(|i| {
                        doubtful |= u32::from(!is_quick || is_doubtful::<S>(fractions[i])) << i;
                    });
                    while doubtful != 0 {
                        let (x, pixel) = (x[0], doubtful.trailing_zeros() as usize * per_group);
                        let places = Again { x, x_half, to, to_half, half: HALF, all, pixel, blocks: BLOCKS };
                        S::again::<R>(t, &places);
                        doubtful &= doubtful - 1;
                    }
                }
            }
            start += along;
        }
        y += down;
    }
}

/// Copies so many bytes, without a call.
#[inline(always)]
unsafe fn copy<const COUNT: usize>(from: *const u8, to: *mut u8) {
    // SAFETY: the caller's.
    unsafe { to.cast::<[u8; COUNT]>().write(from.cast::<[u8; COUNT]>().read()) };
}

/// Sums of a tile whose halves' taps start at `x`; there are rows and quads.
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the block is empty")]
#[inline(always)]
unsafe fn dots<S: Simd, const BLOCKS: usize, const HALF: usize, const ODD: bool>(
    x: [*const u8; 2],
    taps: &Taps,
    mut w: *const i8,
    block: usize,
    of: &[Block<S>; 2],
) -> Sums<S, BLOCKS, HALF, ODD> {
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
        loop {
            let mut x = [x[0].add(row * taps.row_step), x[1].add(row * taps.row_step)];
            let mut quad = 0;
            loop {
                let mut weights = [S::weights(w); BLOCKS];
                if BLOCKS == 2 {
                    weights[BLOCKS - 1] = S::weights(w.add(block));
                }
                // The compiler would keep an address of every pixel, more than there are registers.
                asm!("/* {0} {1} */", inout(reg) x[0], inout(reg) x[1], options(pure, nomem, nostack, preserves_flags));
                let mut j = 0;
                while j < HALF {
                    let one = S::quad(x[0].add(j * step));
                    // An odd tile's second half ends before the first one.
                    let other = if !ODD || j + 1 < HALF { S::quad(x[1].add(j * step)) } else { one };
                    let both = [one, other];
                    let mut b = 0;
                    while b < BLOCKS {
                        acc[0][j][b] = S::dot(acc[0][j][b], both[0], weights[b]);
                        if !ODD || j + 1 < HALF {
                            acc[1][j][b] = S::dot(acc[1][j][b], both[1], weights[b]);
                        }
                        b += 1;
                    }
                    j += 1;
                }
                x = [x[0].add(4), x[1].add(4)];
                w = w.add(4 * LANES);
                quad += 1;
                if quad >= quads {
                    break;
                }
            }
            row += 1;
            if row >= taps.rows {
                break;
            }
        }
    }
    Sums(acc)
}

/// Some pixels of a tile, and where it is.
pub(super) struct Again {
    x: *const u8,
    x_half: usize,
    to: *mut u8,
    to_half: usize,
    /// Pixels of the first half and of both.
    half: usize,
    all: usize,
    blocks: usize,
    /// The first one; with it four blocks are finished.
    pixel: usize,
}

/// The results of four blocks, step by step as defined.
#[inline(always)]
pub(super) unsafe fn again<S: Simd, R: Rescale>(t: &Tiles<'_, S, R>, at: &Again) {
    let (mut one, mut two) = ([R::NONE; LANES], [R::NONE; LANES]);
    let a = t.channels.scales(t.first, &mut one);
    let b = if at.blocks == 2 { t.channels.scales(t.first + LANES, &mut two) } else { a };
    let bias = [t.of[0].bias, t.of[1].bias, t.of[0].bias, t.of[1].bias];
    let (mut sums, per_group) = (bias, 4 / at.blocks);
    let last = (at.pixel + per_group).min(at.all);
    // SAFETY: the caller's.
    unsafe {
        for (k, pixel) in (at.pixel..last).enumerate() {
            let x = at.x.add(if pixel < at.half { 0 } else { at.x_half } + pixel % at.half * t.taps.step);
            let own = sums.iter_mut().skip(k * at.blocks).take(at.blocks);
            for ((block, slot), &bias) in own.enumerate().zip(&bias) {
                *slot = dot::<S>(x, &t.taps, t.w.add(block * t.taps.block()), bias);
            }
        }
        let bytes = S::exact::<R>(&sums, [a, b, a, b], t.end);
        let mut all = [0u8; 64];
        S::store(all.as_mut_ptr(), bytes);
        for (pixel, piece) in (at.pixel..last).zip(all.chunks_exact(LANES * at.blocks)) {
            let half = if pixel < at.half { 0 } else { at.to_half };
            let to = at.to.add(half + pixel % at.half * t.outputs);
            core::ptr::copy_nonoverlapping(piece.as_ptr(), to, t.count);
        }
    }
}
