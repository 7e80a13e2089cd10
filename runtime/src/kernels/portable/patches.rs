//! Windows laid out as the weights are: the pixels under each, tap after tap, in one run of bytes. What lies in the
//! padding is the zero point, so that sums need no case for it.

use core::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::reference::rows::Row;
use crate::ops::window::Window;

/// The windows of an image's pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patches {
    window: Window,
    taps: [usize; 2],
    /// Height, width, channels of the input.
    image: [usize; 3],
    zero: i8,
}

impl Patches {
    /// Windows of `taps` rows and columns on an image of these rows, columns and channels with this zero point.
    pub(crate) fn new(window: &Window, taps: [usize; 2], image: [usize; 3], zero: i32) -> Self {
        Patches { window: *window, taps, image, zero: zero as i8 }
    }

    /// Taps of one window.
    pub(crate) fn taps(&self) -> usize {
        self.taps[0].wrapping_mul(self.taps[1])
    }

    /// Bytes of one window.
    pub(crate) fn depth(&self) -> usize {
        self.taps().wrapping_mul(self.image[2])
    }

    /// All channels.
    pub(crate) fn channels(&self) -> Range<usize> {
        0..self.image[2]
    }

    /// Whether every window is one pixel of the image, so that none needs to be laid out.
    pub(crate) fn are_pixels(&self) -> bool {
        self.taps == [1, 1] && self.window.pad == [0; 4]
    }

    /// The pixel of the image that is the window of output pixel `x`, where [`Patches::are_pixels`].
    #[inline(always)]
    pub(crate) fn pixel<'a>(&self, row: &Row<'a, i8>, x: usize) -> Result<&'a [i8]> {
        let start = x.wrapping_mul(self.window.stride[1] as usize).wrapping_mul(self.image[2]);
        row.input.get(start..start.wrapping_add(self.image[2])).ok_or(Error::Internal)
    }

    /// Lays out these channels of the window of output pixel `x` of a row in `patch`, tap after tap.
    pub(crate) fn lay_out(
        &self,
        row: &Row<'_, i8>,
        x: usize,
        part: Range<usize>,
        patch: &mut [i8],
    ) -> Result<()> {
        let [height, width, channels] = self.image;
        let ([kh, kw], [dy, dx]) = (self.taps, self.window.dilation);
        let (ys, top) = self.inside(0, row.y, kh, height);
        let (xs, left) = self.inside(1, x, kw, width);
        if ys.len() < kh || xs.len() < kw {
            patch.fill(self.zero);
        }
        if xs.is_empty() {
            return Ok(());
        }
        // Taps that lie side by side in the image are one run.
        let n = part.len();
        let (runs, len) = if dx == 1 && n == channels {
            (xs.start..xs.start.wrapping_add(1), xs.len().wrapping_mul(n))
        } else {
            (xs, n)
        };
        for (i, ky) in ys.enumerate() {
            let y = top.wrapping_add(i.wrapping_mul(dy as usize)).wrapping_sub(row.first);
            for (j, kx) in runs.clone().enumerate() {
                let x = left.wrapping_add(j.wrapping_mul(dx as usize));
                let from =
                    y.wrapping_mul(width).wrapping_add(x).wrapping_mul(channels).wrapping_add(part.start);
                let to = ky.wrapping_mul(kw).wrapping_add(kx).wrapping_mul(n);
                let from = row.input.get(from..from.wrapping_add(len)).ok_or(Error::Internal)?;
                copy(patch.get_mut(to..to.wrapping_add(len)).ok_or(Error::Internal)?, from)?;
            }
        }
        Ok(())
    }

    /// Where in a row's input tap `[ky, kx]` of output pixel `x` is; `None` in the padding.
    #[inline(always)]
    pub(crate) fn tap(&self, row: &Row<'_, i8>, x: usize, [ky, kx]: [usize; 2]) -> Option<usize> {
        let [height, width, channels] = self.image;
        let y = self.window.tap(0, row.y, ky, height)?.wrapping_sub(row.first);
        let x = self.window.tap(1, x, kx, width)?;
        Some(y.wrapping_mul(width).wrapping_add(x).wrapping_mul(channels))
    }

    /// Where in a row's input the window of output pixel `x` starts, if all of it lies in the image.
    pub(crate) fn whole(&self, row: &Row<'_, i8>, x: usize) -> Option<usize> {
        let [height, width, channels] = self.image;
        let (ys, top) = self.inside(0, row.y, self.taps[0], height);
        let (xs, left) = self.inside(1, x, self.taps[1], width);
        let whole = ys.len() == self.taps[0] && xs.len() == self.taps[1];
        let y = top.wrapping_sub(row.first);
        whole.then(|| y.wrapping_mul(width).wrapping_add(left).wrapping_mul(channels))
    }

    /// The taps of output position `at` that lie in the image, and the place of the first one there.
    pub(crate) fn inside(&self, axis: usize, at: usize, taps: usize, input: usize) -> (Range<usize>, usize) {
        let w = &self.window;
        let (stride, dilation, pad) = match axis {
            0 => (w.stride[0], w.dilation[0], w.pad[0]),
            _ => (w.stride[1], w.dilation[1], w.pad[1]),
        };
        let (dilation, pad) = (dilation as usize, pad as usize);
        let origin = at.wrapping_mul(stride as usize);
        // Steps that lead over a distance; the usual dilation spares processors without a divider.
        let steps = |distance: usize| match dilation {
            1 => distance,
            d => distance.div_ceil(d.max(1)),
        };
        let before = steps(pad.saturating_sub(origin)).min(taps);
        let end = steps(input.wrapping_add(pad).saturating_sub(origin)).min(taps);
        let first = origin.wrapping_add(before.wrapping_mul(dilation)).wrapping_sub(pad);
        (before..end.max(before), first)
    }
}

/// `copy_from_slice` without its panic.
#[inline(always)]
fn copy(to: &mut [i8], from: &[i8]) -> Result<()> {
    if to.len() != from.len() {
        return Err(Error::Internal);
    }
    to.copy_from_slice(from);
    Ok(())
}
