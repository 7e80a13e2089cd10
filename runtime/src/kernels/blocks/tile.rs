//! The inputs of output pixels that lie at equal distances, and how these are cut into tiles.

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

    /// The inputs of the first pixel of row `y`. Where this is below the rows of the grid, [`Runs::length`] bytes are
    /// within the field's at every start of a run of the row's pixels.
    #[inline(always)]
    pub fn at(&self, y: usize) -> *const i8 {
        self.bytes.as_ptr().wrapping_add(y.wrapping_mul(self.grid.apart[0]))
    }
}

/// How a row of `width` pixels is cut: pixels of a tile and how many such tiles follow, thrice. Tiles have at most `most`
/// pixels and are as even as they come, so that no small one is left over; all but the last are a multiple of `unit`,
/// which divides `most`.
pub fn cut(width: usize, most: usize, unit: usize) -> [[usize; 2]; 3] {
    let units = width.div_ceil(unit);
    let tiles = units.div_ceil(most / unit);
    if tiles == 0 {
        return [[0; 2]; 3];
    }
    let (each, more) = (units / tiles, units % tiles);
    let lacking = units * unit - width;
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
