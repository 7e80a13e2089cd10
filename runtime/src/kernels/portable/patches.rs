//! Windows laid out as the weights are: the pixels under each, tap after tap, in one run of bytes. What lies in the
//! padding is the zero point, so that sums need no case for it.

use core::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::reference::rows::Row;
use crate::ops::layer::scratch::WINDOWS;
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

/// What the windows of an output row have in common.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    /// The first row of taps in the image, and how many there are.
    first: usize,
    rows: usize,
    /// Where in the row's input the first one's image row starts.
    at: usize,
    /// Output pixels whose windows lie in the image, where there are none of its rows outside.
    whole: Range<usize>,
    /// All channels of such a window, and of [`WINDOWS`] side by side, where taps lie side by side.
    runs: Option<[Runs; 2]>,
}

/// Runs of bytes to be copied: all of some windows.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Runs {
    /// Bytes of one; at least 1.
    len: usize,
    /// Of a window; at least 1.
    count: usize,
    /// From one to the next, at the source and at the destination.
    steps: [usize; 2],
    /// From where the run after a window's last would start to where the next window starts, at the source. Windows
    /// follow each other at the destination.
    leap: usize,
    /// At least 1.
    windows: usize,
    ends: [usize; 2],
}

impl Runs {
    /// Of windows that start `stride` bytes apart. Where ends overflow, no slice is long enough.
    fn new(len: usize, count: usize, steps: [usize; 2], windows: usize, stride: usize) -> Self {
        let leap = stride.wrapping_sub(count.wrapping_mul(steps[0]));
        let last = count.saturating_sub(1);
        let source = windows.saturating_sub(1).saturating_mul(stride);
        let source = source.saturating_add(last.saturating_mul(steps[0])).saturating_add(len);
        let before = count.saturating_mul(windows).saturating_sub(1);
        let ends = [source, before.saturating_mul(steps[1]).saturating_add(len)];
        Runs { len, count, steps, leap, windows, ends }
    }

    /// Bytes to the end of the last run, at the source and at the destination.
    #[cfg(all(feature = "mve", target_arch = "arm"))]
    pub(crate) fn ends(&self) -> [usize; 2] {
        self.ends
    }
}

/// How bytes are moved.
pub(crate) trait Move {
    /// Sets all of `to`.
    fn fill(to: &mut [i8], value: i8);
    /// Copies runs from the start of `from` to the start of `to`.
    fn copy(to: &mut [i8], from: &[i8], runs: &Runs) -> Result<()>;
}

/// Slice by slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

impl Move for Plain {
    fn fill(to: &mut [i8], value: i8) {
        to.fill(value);
    }

    fn copy(to: &mut [i8], from: &[i8], runs: &Runs) -> Result<()> {
        if runs.ends[0] > from.len() || runs.ends[1] > to.len() {
            return Err(Error::Internal);
        }
        let (mut source, mut destination) = (0usize, 0usize);
        let mut left = runs.count;
        for _ in 0..runs.count.wrapping_mul(runs.windows) {
            let from = from.get(source..source.wrapping_add(runs.len)).ok_or(Error::Internal)?;
            let to = to.get_mut(destination..destination.wrapping_add(runs.len)).ok_or(Error::Internal)?;
            if to.len() != from.len() {
                return Err(Error::Internal);
            }
            to.copy_from_slice(from);
            source = source.wrapping_add(runs.steps[0]);
            destination = destination.wrapping_add(runs.steps[1]);
            left = left.wrapping_sub(1);
            if left == 0 {
                left = runs.count;
                source = source.wrapping_add(runs.leap);
            }
        }
        Ok(())
    }
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

    /// Whether every window is one pixel of the image, so that none needs to be laid out.
    pub(crate) fn are_pixels(&self) -> bool {
        self.taps == [1, 1] && self.window.pad == [0; 4]
    }

    /// Whether input and output pixels correspond one to one.
    #[cfg(all(feature = "mve", target_arch = "arm"))]
    pub(crate) fn are_all_pixels(&self) -> bool {
        self.are_pixels() && self.window.stride == [1, 1]
    }

    /// The pixel of the image that is the window of output pixel `x`, where [`Patches::are_pixels`].
    #[inline(always)]
    pub(crate) fn pixel<'a>(&self, row: &Row<'a, i8>, x: usize) -> Result<&'a [i8]> {
        let start = x.wrapping_mul(self.window.stride[1] as usize).wrapping_mul(self.image[2]);
        row.input.get(start..start.wrapping_add(self.image[2])).ok_or(Error::Internal)
    }

    /// Of an output row.
    pub(crate) fn band(&self, row: &Row<'_, i8>) -> Band {
        let [height, width, channels] = self.image;
        let [kh, kw] = self.taps;
        let (ys, top) = self.inside(0, row.y, kh, height);
        let at = top.wrapping_sub(row.first).wrapping_mul(width).wrapping_mul(channels);
        let (stride, pad) = (self.window.stride[1] as usize, self.window.pad[1] as usize);
        let reach = kw.wrapping_sub(1).wrapping_mul(self.window.dilation[1] as usize);
        // The last one starts that many columns after the first column of padding.
        let end = match width.wrapping_add(pad).checked_sub(reach.wrapping_add(1)) {
            Some(last) if ys.len() == kh => last.checked_div(stride).unwrap_or(0).wrapping_add(1),
            _ => 0,
        };
        let (len, steps) = (kw.wrapping_mul(channels), self.steps(channels));
        let runs = [1, WINDOWS].map(|n| Runs::new(len, kh, steps, n, stride.wrapping_mul(channels)));
        Band {
            first: ys.start,
            rows: ys.len(),
            at,
            whole: pad.div_ceil(stride.max(1))..end,
            runs: (self.window.dilation[1] == 1).then_some(runs),
        }
    }

    /// From a row of taps to the next: in the image, and where `n` channels are laid out.
    fn steps(&self, n: usize) -> [usize; 2] {
        let [_, width, channels] = self.image;
        let row = width.wrapping_mul(channels).wrapping_mul(self.window.dilation[0] as usize);
        [row, self.taps[1].wrapping_mul(n)]
    }

    /// Where in a row's input the window of output pixel `x` starts, if all of it lies in the image.
    #[inline(always)]
    pub(crate) fn whole(&self, band: &Band, x: usize) -> Option<usize> {
        let left = x.wrapping_mul(self.window.stride[1] as usize).wrapping_sub(self.window.pad[1] as usize);
        band.whole.contains(&x).then(|| left.wrapping_mul(self.image[2]).wrapping_add(band.at))
    }

    /// Lays out the windows of output pixels from `x` on in `patches`, as many as it holds.
    #[inline(always)]
    pub(crate) fn lay_out<M: Move>(
        &self,
        band: &Band,
        input: &[i8],
        mut x: usize,
        patches: &mut [i8],
    ) -> Result<()> {
        let depth = self.depth().max(1);
        if let (Some([_, runs]), Some(from), Some(_)) =
            (&band.runs, self.whole(band, x), self.whole(band, x.wrapping_add(WINDOWS - 1)))
            && patches.len() == depth.wrapping_mul(WINDOWS)
        {
            return M::copy(patches, input.get(from..).ok_or(Error::Internal)?, runs);
        }
        for patch in patches.chunks_exact_mut(depth) {
            match (&band.runs, self.whole(band, x)) {
                (Some([runs, _]), Some(from)) => {
                    M::copy(patch, input.get(from..).ok_or(Error::Internal)?, runs)?
                }
                _ => self.lay_out_part::<M>(band, input, x, 0..self.image[2], patch)?,
            }
            x = x.wrapping_add(1);
        }
        Ok(())
    }

    /// As [`Patches::lay_out`] some channels of one window.
    #[inline(never)]
    pub(crate) fn lay_out_part<M: Move>(
        &self,
        band: &Band,
        input: &[i8],
        x: usize,
        part: Range<usize>,
        patch: &mut [i8],
    ) -> Result<()> {
        let [_, width, channels] = self.image;
        let ([kh, kw], [_, dx]) = (self.taps, self.window.dilation);
        let (xs, left) = self.inside(1, x, kw, width);
        if band.rows < kh || xs.len() < kw {
            M::fill(patch, self.zero);
        }
        if band.rows == 0 || xs.is_empty() {
            return Ok(());
        }
        let n = part.len();
        let steps = self.steps(n);
        // Taps that lie side by side in the image are one run.
        let (columns, len) = match dx {
            1 if n == channels => (1, xs.len().wrapping_mul(n)),
            _ => (xs.len(), n),
        };
        let runs = Runs::new(len, band.rows, steps, 1, 0);
        let mut to = band.first.wrapping_mul(kw).wrapping_add(xs.start).wrapping_mul(n);
        let mut from = left.wrapping_mul(channels).wrapping_add(band.at).wrapping_add(part.start);
        for _ in 0..columns {
            let (source, destination) = (input.get(from..), patch.get_mut(to..));
            M::copy(destination.ok_or(Error::Internal)?, source.ok_or(Error::Internal)?, &runs)?;
            to = to.wrapping_add(n);
            from = from.wrapping_add(channels.wrapping_mul(dx as usize));
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

    /// The taps of output position `at` that lie in the image, and the place of the first one there.
    fn inside(&self, axis: usize, at: usize, taps: usize, input: usize) -> (Range<usize>, usize) {
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
        (before..end.max(before), origin.wrapping_add(before.wrapping_mul(dilation)).wrapping_sub(pad))
    }
}
