//! Conv2D without groups: an image is cut into rectangles of pixels whose windows hold the same taps.
#![allow(unsafe_code)]

use core::ops::Range;

use super::Lanes;
use super::rectangle::{Layer, Rectangle, together};
use super::tile::Taps;
use crate::error::{Error, Result};
use crate::kernels::reference::dot::End;
use crate::ops::conv_2d::Conv2d;
use crate::ops::io::Io;
use crate::ops::op::Op;
use crate::ops::window::Window;

/// The whole operator.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn conv_2d<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = Conv2d::parse(attributes)?;
    let input = io.input_desc(0)?.shape.dims4()?;
    let output = io.output_desc(0)?.shape.dims4()?;
    let [_, kh, kw, depth] = io.input_desc(1)?.shape.dims4()?;
    if op.groups != 1 || depth != input[3] {
        return Err(Error::NoKernel);
    }
    let images = Images { window: op.window, input, output, taps: [kh, kw] };
    let layer = Layer::new(io, op.clamp, output[3], kh * kw * depth)?;
    let end = End::new(io, op.clamp)?;
    let (xs, ys) = (io.input::<f32>(0)?, io.output::<f32>(0)?);
    let single = output[1] * output[2] == 1;
    let mut first = 0;
    while first < layer.blocks() {
        let count = together::<L>(layer.blocks() - first, single);
        // All rectangles for the same weights, which then stay near.
        let mut at = Position::default();
        while let Some(found) = images.next(&mut at)? {
            match found {
                // SAFETY: as for this function.
                Found::Taps(rectangle) => unsafe {
                    rectangle.compute::<L>(&layer, [first, count], xs, ys)?;
                },
                Found::Padding { .. } if first > 0 => {}
                Found::Padding { start, rows } => {
                    for row in 0..rows.0 {
                        let start = start + row * output[2] * output[3];
                        let pixels = ys.get_mut(start..start + rows.1).ok_or(Error::Internal)?;
                        for pixel in pixels.chunks_exact_mut(output[3].max(1)) {
                            for (o, slot) in pixel.iter_mut().enumerate() {
                                *slot = end.finish(0.0, o)?;
                            }
                        }
                    }
                }
            }
        }
        first += count;
    }
    Ok(())
}

/// Geometry of a convolution.
#[derive(Clone, Copy, Debug)]
struct Images {
    window: Window,
    /// Batch, height, width, channels.
    input: [usize; 4],
    output: [usize; 4],
    taps: [usize; 2],
}

/// Where the next rectangle begins.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    image: usize,
    row: usize,
    column: usize,
}

/// Pixels with the same taps inside the image.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// At least one.
    Taps(Rectangle),
    /// None: the outputs from `start` on, of so many rows with so many outputs each.
    Padding { start: usize, rows: (usize, usize) },
}

impl Images {
    /// The rectangle at a position, which moves to the next one.
    #[inline(always)]
    fn next(&self, at: &mut Position) -> Result<Option<Found>> {
        let [batch, height, width, channels] = self.input;
        let [_, rows, columns, outputs] = self.output;
        if at.image == batch || rows * columns == 0 {
            return Ok(None);
        }
        let down = Axis { window: &self.window, axis: 0, taps: self.taps[0], input: height };
        let across = Axis { window: &self.window, axis: 1, taps: self.taps[1], input: width };
        let (n, (ys, ky)) = (at.image, down.alike(at.row, rows));
        let (xs, kx) = across.alike(at.column, columns);
        *at = match (xs.end == columns, ys.end == rows) {
            (false, _) => Position { column: xs.end, ..*at },
            (true, false) => Position { row: ys.end, column: 0, ..*at },
            (true, true) => Position { image: n + 1, row: 0, column: 0 },
        };
        let start = ((n * rows + ys.start) * columns + xs.start) * outputs;
        if ky.is_empty() || kx.is_empty() {
            return Ok(Some(Found::Padding { start, rows: (ys.len(), xs.len() * outputs) }));
        }
        let [top, left] = [down.first(ys.start, ky.start)?, across.first(xs.start, kx.start)?];
        let [dy, dx] = self.window.dilation.map(usize::from);
        let [sy, sx] = self.window.stride.map(usize::from);
        // Neighbouring taps lie together in the input and are one run.
        let (runs, length) = if dx == 1 { (1, kx.len() * channels) } else { (kx.len(), channels) };
        Ok(Some(Found::Taps(Rectangle {
            pixels: [ys.len(), xs.len()],
            input: ((n * height + top) * width + left) * channels,
            from: [sy * width * channels, sx * channels],
            output: start,
            to: [columns * outputs, outputs],
            weight: (ky.start * self.taps[1] + kx.start) * channels,
            taps: Taps {
                runs: [ky.len(), runs],
                length,
                input: [dy * width * channels, dx * channels],
                weights: [self.taps[1] * channels, channels],
            },
        })))
    }
}

/// A window along one axis of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis<'a> {
    pub(super) window: &'a Window,
    pub(super) axis: usize,
    pub(super) taps: usize,
    pub(super) input: usize,
}

impl Axis<'_> {
    /// The taps inside the input at output position `at`: always neighbours.
    #[inline(always)]
    pub(super) fn inside(&self, at: usize) -> Range<usize> {
        let tap = |k: &usize| self.window.tap(self.axis, at, *k, self.input).is_some();
        let Some(first) = (0..self.taps).find(tap) else { return 0..0 };
        let last = (first..self.taps).rev().find(tap).unwrap_or(first);
        first..last + 1
    }

    /// Positions from `at` on, below `end`, with the same taps inside, and those taps.
    #[inline(always)]
    pub(super) fn alike(&self, at: usize, end: usize) -> (Range<usize>, Range<usize>) {
        let taps = self.inside(at);
        let mut last = at + 1;
        while last < end && self.inside(last) == taps {
            last += 1;
        }
        (at..last, taps)
    }

    /// Input coordinate of a tap inside.
    #[inline(always)]
    pub(super) fn first(&self, at: usize, tap: usize) -> Result<usize> {
        self.window.tap(self.axis, at, tap, self.input).ok_or(Error::Internal)
    }
}
