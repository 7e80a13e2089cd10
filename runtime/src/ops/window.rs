//! Geometry shared by the operators that slide a window over NHWC images.

use core::ops::Range;

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::{Inferred, Inputs};
use crate::tensor::{Desc, Dtype, Shape};

/// Strides, dilations and explicit padding of a two-dimensional window, in elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Vertical, horizontal; at least 1.
    pub stride: [u16; 2],
    /// Vertical, horizontal; at least 1.
    pub dilation: [u16; 2],
    /// Top, left, bottom, right.
    pub pad: [u16; 4],
}

impl Window {
    /// Stride 1, no dilation, no padding.
    pub const UNIT: Window = Window { stride: [1, 1], dilation: [1, 1], pad: [0; 4] };

    /// Sixteen bytes of attributes.
    pub fn emit(&self, attr: Attr) -> Attr {
        let attr = attr.u16(self.stride[0]).u16(self.stride[1]).u16(self.dilation[0]).u16(self.dilation[1]);
        self.pad.iter().fold(attr, |a, &p| a.u16(p))
    }

    /// The counterpart of [`Window::emit`]; refuses zero strides and dilations.
    #[inline(always)]
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        let w = Window {
            stride: [r.u16()?, r.u16()?],
            dilation: [r.u16()?, r.u16()?],
            pad: [r.u16()?, r.u16()?, r.u16()?, r.u16()?],
        };
        let ([sy, sx], [dy, dx]) = (w.stride, w.dilation);
        if sy == 0 || sx == 0 || dy == 0 || dx == 0 { Err(Error::Attribute) } else { Ok(w) }
    }

    /// Output height and width for an input and a window of these heights and widths.
    pub fn output(&self, input: [usize; 2], window: [usize; 2]) -> Result<[usize; 2]> {
        let [sy, sx] = self.stride;
        let [dy, dx] = self.dilation;
        let [top, left, bottom, right] = self.pad;
        Ok([
            along(input[0], window[0], sy, dy, top, bottom)?,
            along(input[1], window[1], sx, dx, left, right)?,
        ])
    }

    /// What this window makes of images `x`: an output of this type, of `channels` channels.
    pub fn slide(&self, x: &Desc, window: [usize; 2], dtype: Dtype, channels: usize) -> Result<Inferred> {
        let [n, h, w, _] = x.shape.dims4()?;
        let [oh, ow] = self.output([h, w], window)?;
        Ok(Inferred::one(dtype, Shape::new(&[n as u32, oh as u32, ow as u32, channels as u32])?))
    }

    /// Input coordinate of window tap `tap` at output position `at` along `axis`, or `None` in the padding.
    #[inline(always)]
    pub fn tap(&self, axis: usize, at: usize, tap: usize, input: usize) -> Option<usize> {
        let (position, pad) = self.position(axis, at, tap);
        position.checked_sub(pad).filter(|&p| p < input)
    }

    /// Coordinate in the padded input, and the padding before it.
    #[inline(always)]
    fn position(&self, axis: usize, at: usize, tap: usize) -> (usize, usize) {
        let (stride, dilation, pad) = match axis {
            0 => (self.stride[0], self.dilation[0], self.pad[0]),
            _ => (self.stride[1], self.dilation[1], self.pad[1]),
        };
        let position = at.wrapping_mul(stride as usize).wrapping_add(tap.wrapping_mul(dilation as usize));
        (position, pad as usize)
    }

    /// Those of `taps` window taps that lie at `-before` or after and below `end` at output position `at` along `axis`;
    /// an empty range where none does.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn taps(&self, axis: usize, at: usize, taps: usize, before: usize, end: usize) -> Range<usize> {
        let (start, pad) = self.position(axis, at, 0);
        let dilation = self.dilation[usize::from(axis != 0)] as usize;
        // The first tap at this coordinate of the padded input or after.
        let from = |coordinate: usize| {
            let ahead = coordinate.saturating_sub(start).wrapping_add(dilation).wrapping_sub(1);
            let tap = ahead.checked_div(dilation).unwrap_or(taps);
            if tap < taps { tap } else { taps }
        };
        from(pad.saturating_sub(before))..from(pad.wrapping_add(end))
    }

    /// Input rows from the first to the last one that any of `taps` taps reads at output row `at`; an empty
    /// range where all taps lie in the padding.
    #[inline(always)]
    pub fn rows(&self, at: usize, taps: usize, height: usize) -> Range<usize> {
        let taps = self.taps(0, at, taps, 0, height);
        if taps.is_empty() {
            return height..height;
        }
        let row = |tap| {
            let (position, pad) = self.position(0, at, tap);
            position.wrapping_sub(pad)
        };
        row(taps.start)..row(taps.end.wrapping_sub(1)).wrapping_add(1)
    }

    /// As [`crate::ops::Op::overlap`], of single images.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let [rows, _, input_row, output_row] = images(inputs, outputs, i, o)?;
        self.distance(rows, input_row, output_row)
    }

    /// As [`crate::ops::Op::overlap_descending`], of single images, with `taps` rows of window taps.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn overlap_descending(
        &self,
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        i: usize,
        o: usize,
        taps: usize,
    ) -> Option<usize> {
        let [rows, input_rows, input_row, output_row] = images(inputs, outputs, i, o)?;
        self.distance_descending(rows, [input_rows, taps], input_row, output_row)
    }

    /// The least byte distance input − output at which rows may be computed in ascending order in shared
    /// memory: while row `r` is written, rows from `r * stride - pad` on are still read.
    pub fn distance(&self, rows: usize, input_row: usize, output_row: usize) -> Option<usize> {
        let (stride, pad) = (self.stride[0] as usize, self.pad[0] as usize);
        let at = |r: usize| -> Option<usize> {
            let written = r.checked_add(1)?.checked_mul(output_row)?;
            let still_read = r.checked_mul(stride)?.saturating_sub(pad).checked_mul(input_row)?;
            Some(written.saturating_sub(still_read))
        };
        // Piecewise linear in r, with one knee where the window leaves the padding.
        let last = rows.checked_sub(1)?;
        let knee = pad.checked_div(stride)?;
        greatest(&[knee, knee.saturating_add(1), last], last, at)
    }

    /// The least byte distance output − input at which rows may be computed in descending order in shared
    /// memory: while row `r` is written, rows up to the last one under its window are still read.
    pub fn distance_descending(
        &self,
        rows: usize,
        [input_rows, window_rows]: [usize; 2],
        input_row: usize,
        output_row: usize,
    ) -> Option<usize> {
        let (stride, pad) = (self.stride[0] as usize, self.pad[0] as usize);
        let reach = window_rows.checked_sub(1)?.checked_mul(self.dilation[0] as usize)?.checked_add(1)?;
        let at = |r: usize| -> Option<usize> {
            let end = r.checked_mul(stride)?.checked_add(reach)?.saturating_sub(pad);
            let still_read = if end < input_rows { end } else { input_rows }.checked_mul(input_row)?;
            Some(still_read.saturating_sub(r.checked_mul(output_row)?))
        };
        // Piecewise linear in r, with knees where the window enters the image and where it reaches its end.
        let last = rows.checked_sub(1)?;
        let enters = pad.saturating_sub(reach).checked_div(stride)?;
        let leaves = input_rows.saturating_add(pad).saturating_sub(reach).checked_div(stride)?;
        let rows = [0, last, enters, enters.saturating_add(1), leaves, leaves.saturating_add(1)];
        greatest(&rows, last, at)
    }
}

/// The greatest of `at`'s values for these rows, those beyond the last one taken as the last.
fn greatest(rows: &[usize], last: usize, at: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let mut most = 0;
    for &row in rows {
        most = at(row.min(last))?.max(most);
    }
    Some(most)
}

/// Output rows, input rows, bytes of an input row and of an output row; `None` for more than one image and for other
/// operands than the first.
fn images(inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<[usize; 4]> {
    let (x, y) = (inputs.optional(0)?, outputs.first()?);
    // Bounded by the shape's constructor.
    let row = |d: &Desc| d.shape.inner(1).wrapping_mul(d.dtype.size());
    let is_single = i == 0 && o == 0 && x.shape.dim(0) == 1;
    is_single.then(|| [y.shape.dim(1), x.shape.dim(1), row(x), row(y)])
}

fn along(input: usize, taps: usize, stride: u16, dilation: u16, before: u16, after: u16) -> Result<usize> {
    let reach = taps
        .checked_sub(1)
        .and_then(|w| w.checked_mul(dilation as usize))
        .and_then(|w| w.checked_add(1))
        .ok_or(Error::Shape)?;
    let padded = input.checked_add(before as usize + after as usize).ok_or(Error::Shape)?;
    let room = padded.checked_sub(reach).ok_or(Error::Shape)?;
    room.checked_div(stride as usize).and_then(|n| n.checked_add(1)).ok_or(Error::Attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_those_inside() {
        for (stride, dilation, pad) in [(1u16, 1u16, 0u16), (1, 1, 2), (2, 1, 1), (3, 2, 4), (1, 5, 7)] {
            let w = Window { stride: [1, stride], dilation: [1, dilation], pad: [0, pad, 0, pad] };
            for (input, taps, before, after) in
                [(5, 3, 0, 0), (1, 4, 0, 0), (6, 2, 1, 0), (4, 5, 2, 1), (9, 1, 0, 3)]
            {
                for at in 0..12 {
                    let position = |k| (at * stride as usize + k * dilation as usize) as isize - pad as isize;
                    let inside =
                        |&k: &usize| (-(before as isize)..(input + after) as isize).contains(&position(k));
                    let all: std::vec::Vec<usize> = (0..taps).filter(inside).collect();
                    let range = w.taps(1, at, taps, before, input + after);
                    assert!(
                        range.clone().eq(all.iter().copied()),
                        "{w:?} {input} {taps} at {at}: {range:?} {all:?}"
                    );
                    let known: std::vec::Vec<usize> =
                        (0..taps).filter_map(|k| w.tap(1, at, k, input)).collect();
                    assert_eq!(w.taps(1, at, taps, 0, input).len(), known.len());
                    let down = Window { stride: [stride, 1], dilation: [dilation, 1], pad: [pad, 0, pad, 0] };
                    let rows = known.first().map_or(input..input, |&first| first..known[known.len() - 1] + 1);
                    assert_eq!(down.rows(at, taps, input), rows);
                }
            }
        }
    }

    #[test]
    fn descending_distance_is_the_maximum_over_all_rows() {
        for stride in 1..4u16 {
            for pad in 0..9u16 {
                for (input, window, dilation) in [(9usize, 3usize, 1u16), (5, 1, 1), (12, 3, 2), (4, 4, 1)] {
                    let w = Window { stride: [stride, 1], pad: [pad, 0, pad, 0], dilation: [dilation, 1] };
                    let Ok([rows, _]) = w.output([input, 1], [window, 1]) else { continue };
                    for (irow, orow) in [(10, 10), (10, 25), (12, 5), (3, 40)] {
                        let reach = (window - 1) * dilation as usize + 1;
                        let brute = (0..rows).map(|r| {
                            let end = (r * stride as usize + reach).saturating_sub(pad as usize).min(input);
                            (end * irow).saturating_sub(r * orow)
                        });
                        assert_eq!(w.distance_descending(rows, [input, window], irow, orow), brute.max());
                    }
                }
            }
        }
    }

    #[test]
    fn distance_is_the_maximum_over_all_rows() {
        for stride in 1..4u16 {
            for pad in 0..5u16 {
                for (rows, irow, orow) in [(1, 3, 7), (9, 10, 10), (9, 10, 25), (20, 12, 5)] {
                    let w = Window { stride: [stride, 1], pad: [pad, 0, 0, 0], ..Window::UNIT };
                    let brute = (0..rows)
                        .map(|r: usize| {
                            let read = (r * stride as usize).saturating_sub(pad as usize) * irow;
                            ((r + 1) * orow).saturating_sub(read)
                        })
                        .max();
                    assert_eq!(w.distance(rows, irow, orow), brute);
                }
            }
        }
    }
}
