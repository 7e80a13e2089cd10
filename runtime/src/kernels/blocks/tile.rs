//! The inputs of a rectangle of output pixels, and how these are cut into tiles.

use crate::error::{Error, Result};
use crate::layout::QUAD;

/// Most pixels of a tile.
pub const PIXELS: usize = 6;

/// Where the inputs of a rectangle of output pixels lie: each pixel's are runs of equal length at equal distances, and
/// together they meet the weights of one channel in stored order. Every run lies within the bytes; that is checked here,
/// so that vector code need not.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    bytes: &'a [i8],
    grid: Grid,
    runs: Runs,
}

/// A rectangle of output pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    /// How many rows, of how many pixels.
    pub size: [usize; 2],
    /// Bytes from the inputs of a row to those of the next, and of a pixel to those of the next in its row.
    pub apart: [usize; 2],
}

impl Grid {
    /// So many pixels side by side.
    pub fn row(width: usize, step: usize) -> Self {
        Grid { size: [1, width], apart: [0, step] }
    }
}

/// The runs of one pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Runs {
    /// How many.
    pub count: usize,
    /// From the start of one to the start of the next.
    pub stride: usize,
    /// Bytes of each, a multiple of four.
    pub length: usize,
}

impl Runs {
    /// Groups of four weights that one pixel's runs meet.
    pub fn quads(&self) -> usize {
        self.count.wrapping_mul(self.length / QUAD)
    }
}

impl<'a> Field<'a> {
    /// Pixels whose first runs start at the beginning of `bytes` and wherever `grid` says.
    pub fn new(bytes: &'a [i8], grid: Grid, runs: Runs) -> Result<Self> {
        let along = |n: usize, apart: usize| n.checked_sub(1).and_then(|n| n.checked_mul(apart));
        let [(rows, down), (width, step)] = [0, 1].map(|axis| (grid.size[axis], grid.apart[axis]));
        let end = along(rows, down)
            .zip(along(width, step))
            .and_then(|(y, x)| y.checked_add(x))
            .zip(along(runs.count, runs.stride))
            .and_then(|(at, run)| at.checked_add(run)?.checked_add(runs.length));
        if end.is_none_or(|end| end > bytes.len()) || !runs.length.is_multiple_of(QUAD) {
            return Err(Error::Internal);
        }
        Ok(Field { bytes, grid, runs })
    }

    /// What the pixels' runs lie in, and perhaps more behind them.
    #[inline(always)]
    pub fn bytes(&self) -> &'a [i8] {
        self.bytes
    }

    /// The pixels.
    #[inline(always)]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The runs of each pixel, at least one.
    #[inline(always)]
    pub fn runs(&self) -> Runs {
        self.runs
    }

    /// Run `run` of pixel `pixel`, in fours; empty past the last of either.
    #[inline(always)]
    pub fn quads(&self, pixel: usize, run: usize) -> &'a [[i8; QUAD]] {
        let ([_, width], [down, step]) = (self.grid.size, self.grid.apart);
        let (y, x) = (pixel.checked_div(width).unwrap_or(0), pixel.checked_rem(width).unwrap_or(0));
        let first = y
            .wrapping_mul(down)
            .wrapping_add(x.wrapping_mul(step))
            .wrapping_add(run.wrapping_mul(self.runs.stride));
        let run = self.bytes.get(first..first.wrapping_add(self.runs.length));
        run.unwrap_or(&[]).as_chunks().0
    }

    /// The pixels from number `first` on, which the field has, `N` at a time.
    #[inline(always)]
    pub fn walk<const N: usize>(&self, first: usize) -> Walk<N> {
        let ([_, width], [down, step]) = (self.grid.size, self.grid.apart);
        let (y, x) = (first.checked_div(width).unwrap_or(0), first.checked_rem(width).unwrap_or(0));
        Walk {
            at: self.bytes.as_ptr().wrapping_add(y.wrapping_mul(down)).wrapping_add(x.wrapping_mul(step)),
            left: width - x,
            width,
            step,
            gap: down.wrapping_sub(width.wrapping_mul(step)),
        }
    }
}

/// Where the inputs of `N` pixels after the other are, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Walk<const N: usize> {
    at: *const i8,
    /// Pixels of the row from here on.
    left: usize,
    width: usize,
    step: usize,
    /// Bytes from the end of a row to the next row.
    gap: usize,
}

impl<const N: usize> Walk<N> {
    /// The first pixel's inputs, and how far from there those of each are, the first being 0; beyond the last it is the
    /// last. While the field has the pixels, [`Runs::length`] bytes are within it at every start of a run.
    #[inline(always)]
    pub fn take(&mut self) -> (*const i8, [usize; PIXELS]) {
        let first = self.at;
        if N < self.left {
            (self.left, self.at) = (self.left - N, first.wrapping_add(N * self.step));
            return (first, core::array::from_fn(|k| k.min(N - 1) * self.step));
        }
        if N <= self.width {
            // The row ends here, and the next does not.
            let apart = core::array::from_fn(|k| {
                let k = k.min(N - 1);
                (k * self.step).wrapping_add(if k < self.left { 0 } else { self.gap })
            });
            self.at = first.wrapping_add((N * self.step).wrapping_add(self.gap));
            self.left += self.width - N;
            return (first, apart);
        }
        let (mut apart, mut at, mut last) = ([0; PIXELS], 0usize, 0);
        for (k, slot) in apart.iter_mut().enumerate() {
            if k < N {
                (last, at, self.left) = (at, at.wrapping_add(self.step), self.left - 1);
                if self.left == 0 {
                    (at, self.left) = (at.wrapping_add(self.gap), self.width);
                }
            }
            *slot = last;
        }
        self.at = first.wrapping_add(at);
        (first, apart)
    }
}

/// How so many pixels are cut: pixels of a tile and how many such tiles follow, thrice. Tiles have at most `most`
/// pixels and are as even as they come, so that no small one is left over; all but the last are a multiple of `unit`,
/// which divides `most`.
pub fn cut(pixels: usize, most: usize, unit: usize) -> [[usize; 2]; 3] {
    let units = pixels.div_ceil(unit);
    let tiles = units.div_ceil(most / unit);
    if tiles == 0 {
        return [[0; 2]; 3];
    }
    let (each, more) = (units / tiles, units % tiles);
    let lacking = units * unit - pixels;
    [[(each + 1) * unit, more], [each * unit, tiles - more - 1], [each * unit - lacking, 1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_outside_their_bytes_are_refused() {
        let bytes = [0i8; 40];
        let runs = Runs { count: 3, stride: 10, length: 8 };
        let fits = |grid, runs| Field::new(&bytes, grid, runs).is_ok();
        assert!(fits(Grid::row(4, 4), runs));
        assert!(!fits(Grid::row(5, 4), runs));
        assert!(fits(Grid { size: [2, 3], apart: [8, 2] }, runs));
        assert!(!fits(Grid { size: [2, 3], apart: [9, 2] }, runs));
        assert!(!fits(Grid { size: [usize::MAX, 3], apart: [9, 2] }, runs));
        assert!(!fits(Grid::row(0, 4), runs));
        assert!(!fits(Grid::row(1, 4), Runs { length: 7, ..runs }));
        assert!(!fits(Grid::row(1, 4), Runs { count: 0, ..runs }));
        assert!(!fits(Grid::row(1, 4), Runs { stride: usize::MAX, ..runs }));
    }

    #[test]
    fn tiles_go_on_in_the_next_row() {
        let bytes = [0i8; 64];
        let runs = Runs { count: 1, stride: 0, length: 4 };
        let field = Field::new(&bytes, Grid { size: [4, 3], apart: [16, 4] }, runs).unwrap();
        let at = |pixel: usize| pixel / 3 * 16 + pixel % 3 * 4;
        fn check<const N: usize>(field: &Field<'_>, at: impl Fn(usize) -> usize) {
            for first in 0..12 {
                let mut walk = field.walk::<N>(first);
                for begin in (first..=12 - N).step_by(N) {
                    let (from, apart) = walk.take();
                    assert_eq!(from as usize, field.bytes.as_ptr() as usize + at(begin));
                    for (k, apart) in apart.into_iter().enumerate() {
                        assert_eq!(at(begin) + apart, at(begin + k.min(N - 1)));
                    }
                }
            }
        }
        check::<1>(&field, at);
        check::<2>(&field, at);
        check::<5>(&field, at);
        check::<6>(&field, at);
    }

    #[test]
    fn all_pixels_are_taken() {
        for (most, unit) in [(1, 1), (2, 1), (5, 1), (6, 2), (6, 3)] {
            for width in 0..100 {
                let tiles = cut(width, most, unit);
                assert_eq!(tiles.iter().map(|[n, tiles]| n * tiles).sum::<usize>(), width);
                assert!(tiles.iter().all(|&[n, tiles]| tiles == 0 || (1..=most).contains(&n)), "{width}");
            }
        }
    }
}
