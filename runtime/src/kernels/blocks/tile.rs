//! The inputs of a few output pixels.

use crate::error::{Error, Result};
use crate::layout::QUAD;

/// Most pixels of a tile.
pub const PIXELS: usize = 6;

/// Where the inputs of a few output pixels lie: each pixel's are runs of equal length at equal distances, and together
/// they meet the weights of one channel in stored order. Every run lies within the bytes; that is checked here, so that
/// vector code need not.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    bytes: &'a [i8],
    starts: [usize; PIXELS],
    runs: Runs,
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

impl<'a> Tile<'a> {
    /// Pixels whose first runs start at `starts`; those beyond the tile's pixels repeat one of them.
    #[inline(always)]
    pub fn new(bytes: &'a [i8], starts: [usize; PIXELS], runs: Runs) -> Result<Self> {
        let last = starts.iter().fold(0, |a, &b| if a > b { a } else { b });
        let reach =
            runs.count.saturating_sub(1).checked_mul(runs.stride).and_then(|r| r.checked_add(runs.length));
        let end = reach.and_then(|r| r.checked_add(last)).ok_or(Error::Internal)?;
        if end > bytes.len() || !runs.length.is_multiple_of(QUAD) {
            return Err(Error::Internal);
        }
        Ok(Tile { bytes, starts, runs })
    }

    /// The runs of each pixel.
    #[inline(always)]
    pub fn runs(&self) -> Runs {
        self.runs
    }

    /// Run `run` of each of the first `N` pixels, in fours; empty past the last run.
    #[inline(always)]
    pub fn quads<const N: usize>(&self, run: usize) -> [&'a [[i8; QUAD]]; N] {
        let mut all = [&[][..]; N];
        for (quads, &start) in all.iter_mut().zip(&self.starts) {
            let first = start.wrapping_add(run.wrapping_mul(self.runs.stride));
            let run = self.bytes.get(first..first.wrapping_add(self.runs.length));
            *quads = run.unwrap_or(&[]).as_chunks().0;
        }
        all
    }

    /// The start of run `run` of each of the first `N` pixels; [`Runs::length`] bytes from there on are within the
    /// tile's bytes while `run` is below [`Runs::count`].
    #[inline(always)]
    pub fn run<const N: usize>(&self, run: usize) -> [*const i8; N] {
        let at = self.bytes.as_ptr().wrapping_add(run.wrapping_mul(self.runs.stride));
        let mut pointers = [at; N];
        for (pointer, &start) in pointers.iter_mut().zip(&self.starts) {
            *pointer = at.wrapping_add(start);
        }
        pointers
    }
}

/// How many of `rest` pixels to take next, of at most `most` at a time: as even as they come, so that no small tile is
/// left over.
#[inline(always)]
pub fn next(rest: usize, most: usize) -> usize {
    if rest >= 2 * most || rest == most {
        most
    } else if rest > most {
        // Tiles that work on pairs of pixels waste nothing.
        rest.div_ceil(2).next_multiple_of(2).min(most)
    } else {
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_outside_their_bytes_are_refused() {
        let bytes = [0i8; 40];
        let runs = Runs { count: 3, stride: 10, length: 8 };
        assert!(Tile::new(&bytes, [0, 12, 0, 0, 0, 0], runs).is_ok());
        assert!(Tile::new(&bytes, [0, 13, 0, 0, 0, 0], runs).is_err());
        assert!(Tile::new(&bytes, [0; PIXELS], Runs { length: 7, ..runs }).is_err());
        assert!(Tile::new(&bytes, [0; PIXELS], Runs { stride: usize::MAX, ..runs }).is_err());
    }

    #[test]
    fn all_pixels_are_taken() {
        for most in 1..=PIXELS {
            for count in 0..100 {
                let mut rest = count;
                while rest > 0 {
                    let n = next(rest, most);
                    assert!((1..=most).contains(&n) && n <= rest, "{n} of {rest}");
                    rest -= n;
                }
            }
        }
    }
}
