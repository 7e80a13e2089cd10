//! How runs of pixels are covered with tiles.

use super::simd::Simd;

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
    /// Whether the second half has one pixel less.
    pub(super) is_odd: bool,
    /// Whether the halves are of two runs.
    pub(super) is_across: bool,
}

/// What a tile costs beside its pixels, in pixels.
const COST: usize = 2;
/// Halves that there are tiles of less one pixel of: rows that are small.
const ODD: [usize; 2] = [4, 5];

impl Shape {
    /// The best for runs of pixels where halves have at most `most`; none where there are no pixels.
    pub(super) fn new(runs: &Runs, most: usize) -> Self {
        let most = most.max(1);
        let tiles = runs.pixels.div_ceil(2 * most).max(1);
        let half = runs.pixels.div_ceil(2 * tiles).max(1);
        let is_odd = tiles == 1 && ODD.contains(&half) && runs.pixels == 2 * half - 1;
        let along = Shape { half, is_odd, is_across: false };
        if runs.count < 2 || is_odd || along.half * tiles * 2 == runs.pixels {
            return along;
        }
        let tiles_across = runs.pixels.div_ceil(most).max(1);
        let half = runs.pixels.div_ceil(tiles_across).max(1);
        let across = Shape { half, is_odd: false, is_across: true };
        let cost = runs.count * tiles * (2 * along.half + COST);
        let cost_across = runs.count.div_ceil(2) * tiles_across * (2 * across.half + COST);
        if cost_across < cost { across } else { along }
    }
}

/// How runs are covered: as many of the largest tiles as there are, then a smaller one, where there is one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cover {
    /// Pixels of the first tiles, or 0.
    pub(super) whole: usize,
    pub(super) first: Shape,
    pub(super) last: Shape,
}

impl Cover {
    /// Of tiles of `blocks` blocks.
    pub(super) fn new<S: Simd>(runs: &Runs, blocks: usize) -> Self {
        let most = S::HALVES[if blocks == 2 { 1 } else { 0 }].max(1);
        let rest = if runs.count == 1 { runs.pixels % (2 * most) } else { 0 };
        let first = Shape { half: most, is_odd: false, is_across: false };
        if rest == 0 || rest == runs.pixels {
            return Cover { whole: 0, first, last: Shape::new(runs, most) };
        }
        let last = Shape::new(&Runs { pixels: rest, ..*runs }, most);
        Cover { whole: runs.pixels - rest, first, last }
    }
}
