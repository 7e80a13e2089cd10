//! Rectangles of pixels whose windows hold the same taps, so that padding is handled outside the innermost loops.

use core::ops::Range;

use super::tile::Taps;
use crate::error::{Error, Result};
use crate::ops::window::Window;

/// Pixels whose windows hold the same taps. Positions and distances are in elements.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle {
    /// Rows and columns.
    pub pixels: [usize; 2],
    /// The first tap of the first pixel in the input.
    pub input: usize,
    /// From row to row and from pixel to pixel there.
    pub from: [usize; 2],
    /// The first output of the first pixel in the output.
    pub output: usize,
    /// From row to row and from pixel to pixel there.
    pub to: [usize; 2],
    /// Number of the first tap's first weight among those of one output.
    pub weight: usize,
    /// The taps; none where all lie in the padding.
    pub taps: Taps,
}

impl Rectangle {
    /// The same, with rows that follow each other in input and output taken as one.
    #[inline(always)]
    pub fn in_one_row(&self) -> Rectangle {
        let ([rows, columns], [from, to]) = (self.pixels, [self.from, self.to]);
        match from[0] == columns * from[1] && to[0] == columns * to[1] {
            true => Rectangle { pixels: [1, rows * columns], ..*self },
            false => *self,
        }
    }
}

/// Geometry of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Images {
    /// Strides, dilations and padding.
    pub window: Window,
    /// Batch, height, width, channels.
    pub input: [usize; 4],
    /// Batch, height, width, channels.
    pub output: [usize; 4],
    /// Height and width of the window in taps.
    pub taps: [usize; 2],
    /// Whether neighbouring taps that lie together in the input are one run.
    pub joins: bool,
}

/// Where the next rectangle begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    image: usize,
    row: usize,
    column: usize,
}

impl Images {
    /// The rectangle at a position, which moves to the next one; `None` after the last one.
    #[inline(always)]
    pub fn next(&self, at: &mut Position) -> Result<Option<Rectangle>> {
        let [batch, _, _, _] = self.input;
        let [_, rows, columns, _] = self.output;
        if at.image == batch || rows * columns == 0 {
            return Ok(None);
        }
        let (ys, ky) = self.down().alike(at.row, rows);
        let (n, start) = (at.image, at.column);
        let (xs, found) = self.across(n, ys.clone(), ky, start)?;
        *at = match (xs.end == columns, ys.end == rows) {
            (false, _) => Position { column: xs.end, ..*at },
            (true, false) => Position { row: ys.end, column: 0, ..*at },
            (true, true) => Position { image: n + 1, row: 0, column: 0 },
        };
        Ok(Some(found))
    }

    /// The rectangle in row `y` alone from column `x` on, and where the next one begins.
    #[inline(always)]
    pub fn in_row(&self, y: usize, x: usize) -> Result<(usize, Rectangle)> {
        let (xs, found) = self.across(0, y..y + 1, self.down().inside(y), x)?;
        Ok((xs.end, found))
    }

    /// Tap rows inside the image at output row `y`.
    #[inline(always)]
    pub fn taps_down(&self, y: usize) -> Range<usize> {
        self.down().inside(y)
    }

    #[inline(always)]
    fn down(&self) -> Axis<'_> {
        Axis { window: &self.window, axis: 0, taps: self.taps[0], input: self.input[1] }
    }

    #[inline(always)]
    fn across(
        &self,
        n: usize,
        ys: Range<usize>,
        ky: Range<usize>,
        x: usize,
    ) -> Result<(Range<usize>, Rectangle)> {
        let [_, height, width, channels] = self.input;
        let [_, rows, columns, outputs] = self.output;
        let down = self.down();
        let across = Axis { window: &self.window, axis: 1, taps: self.taps[1], input: width };
        let (xs, kx) = across.alike(x, columns);
        let none = ky.is_empty() || kx.is_empty();
        let [top, left] = match none {
            true => [0, 0],
            false => [down.first(ys.start, ky.start)?, across.first(xs.start, kx.start)?],
        };
        let [dy, dx] = self.window.dilation.map(usize::from);
        let [sy, sx] = self.window.stride.map(usize::from);
        let (runs, length) = match self.joins && dx == 1 {
            true => (1, kx.len() * channels),
            false => (kx.len(), channels),
        };
        let rectangle = Rectangle {
            pixels: [ys.len(), xs.len()],
            input: ((n * height + top) * width + left) * channels,
            from: [sy * width * channels, sx * channels],
            output: ((n * rows + ys.start) * columns + xs.start) * outputs,
            to: [columns * outputs, outputs],
            weight: (ky.start * self.taps[1] + kx.start) * channels,
            taps: Taps {
                runs: if none { [0, 0] } else { [ky.len(), runs] },
                length,
                input: [dy * width * channels, dx * channels],
                weights: [self.taps[1] * channels, channels],
            },
        };
        Ok((xs, rectangle))
    }
}

/// A window along one axis of an image.
#[derive(Clone, Copy, Debug)]
struct Axis<'a> {
    window: &'a Window,
    axis: usize,
    taps: usize,
    input: usize,
}

impl Axis<'_> {
    /// The taps inside the input at output position `at`: always neighbours.
    #[inline(always)]
    fn inside(&self, at: usize) -> Range<usize> {
        let tap = |k: &usize| self.window.tap(self.axis, at, *k, self.input).is_some();
        let Some(first) = (0..self.taps).find(tap) else { return 0..0 };
        let last = (first..self.taps).rev().find(tap).unwrap_or(first);
        first..last + 1
    }

    /// Positions from `at` on, below `end`, with the same taps inside, and those taps.
    #[inline(always)]
    fn alike(&self, at: usize, end: usize) -> (Range<usize>, Range<usize>) {
        let taps = self.inside(at);
        if let Some(whole) = self.whole().filter(|_| taps == (0..self.taps)) {
            return (at..whole.min(end), taps);
        }
        let mut last = at + 1;
        while last < end && self.inside(last) == taps {
            last += 1;
        }
        (at..last, taps)
    }

    /// The end of the positions whose taps are not beyond the input.
    #[inline(always)]
    fn whole(&self) -> Option<usize> {
        let [stride, dilation, pad] =
            [self.window.stride, self.window.dilation, [self.window.pad[0], self.window.pad[1]]]
                .map(|both| usize::from(both[usize::from(self.axis != 0)]));
        let last = (self.input + pad).checked_sub(self.taps.checked_sub(1)? * dilation + 1)?;
        Some(last.checked_div(stride)? + 1)
    }

    /// Input coordinate of a tap inside.
    #[inline(always)]
    fn first(&self, at: usize, tap: usize) -> Result<usize> {
        self.window.tap(self.axis, at, tap, self.input).ok_or(Error::Internal)
    }
}
