//! The inputs under a window, one pixel's after the other's, widened to 16 bits.

use super::expand::Rows;
use crate::error::{Error, Result};
use crate::ops::layer::scratch::is_staged;
use crate::ops::window::Window;

/// Where a layer's inputs come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub(super) window: Window,
    /// Height, width and channels of an image.
    pub(super) input: [usize; 3],
    /// Height and width of the window.
    pub(super) taps: [usize; 2],
    /// What padding holds: the zero point.
    pub(super) zero: i8,
}

impl Columns {
    /// Weights of one output channel.
    pub(super) fn depth(&self) -> usize {
        let [kh, kw] = self.taps;
        kh * kw * self.input[2]
    }

    /// Gathers `step` pixels of the output from number `first` on, each a word after the one before.
    #[inline(never)]
    pub(super) fn pixels(
        &self,
        x: &[i8],
        first: usize,
        (words, step): (&mut [u32], usize),
        staging: &mut [i8],
    ) -> Result<()> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        let [oh, ow] = self.window.output([height, width], self.taps)?;
        let image = height * width * channels;
        // What a window wholly inside the image holds.
        let stride = width * channels * usize::from(self.window.dilation[0]);
        let interior = Rows::new((kh, stride), (0, kw * channels, 0), self.zero, step);
        for slot in 0..step {
            let row = (first + slot).checked_div(ow).ok_or(Error::Shape)?;
            let n = row.checked_div(oh).ok_or(Error::Shape)?;
            let at = [row - n * oh, first + slot - row * ow];
            let image = x.get(n * image..(n + 1) * image).ok_or(Error::Internal)?;
            let words = words.get_mut(slot..).ok_or(Error::Internal)?;
            match self.plain(at) {
                Some(from) => {
                    interior.expand(image.get(from..).ok_or(Error::Internal)?, words)?;
                }
                None => self.gather(image, at, (words, step), staging)?,
            }
        }
        Ok(())
    }

    /// The first byte under the window of the pixel at row and column `at` of the output, where every tap lies inside
    /// the image, rows are one run each, and nothing is staged.
    #[inline(always)]
    fn plain(&self, [y, x]: [usize; 2]) -> Option<usize> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        let Window { stride, dilation, pad: [top, left, ..] } = self.window;
        let y = (y * usize::from(stride[0])).wrapping_sub(usize::from(top));
        let x = (x * usize::from(stride[1])).wrapping_sub(usize::from(left));
        // Where they start before the image, they wrap to beyond it.
        let bottom = y.wrapping_add((kh - 1) * usize::from(dilation[0]));
        let right = x.wrapping_add(kw - 1);
        let inside = y < height && bottom < height && x < width && right < width;
        let is_plain = inside && dilation[1] == 1 && !is_staged(channels);
        is_plain.then(|| (y * width + x) * channels)
    }

    /// Gathers the pixel at row and column `at` of the output into `words`, `step` words apart, from the `image` under
    /// it; by way of `staging` where that is not empty.
    #[inline(never)]
    fn gather(
        &self,
        image: &[i8],
        [y, x]: [usize; 2],
        (words, step): (&mut [u32], usize),
        staging: &mut [i8],
    ) -> Result<()> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        // Without dilation the taps of a row are one run, between padding; else each is a run of its own.
        let is_run = self.window.dilation[1] == 1;
        let start = x * usize::from(self.window.stride[1]);
        let left = usize::from(self.window.pad[1]);
        let before = left.saturating_sub(start).min(kw);
        let end = (width + left).saturating_sub(start).min(kw).max(before);
        let mut sink = Sink { words, step, staging, zero: self.zero, at: 0 };
        for ky in 0..kh {
            let iy = self.window.tap(0, y, ky, height);
            for kx in 0..if is_run { 1 } else { kw } {
                let (ix, sizes) = match (iy, is_run, self.window.tap(1, x, kx, width)) {
                    (Some(_), true, _) => (start + before, (before, end - before, kw - end)),
                    (Some(_), false, Some(ix)) => (ix + left, (0, 1, 0)),
                    (_, false, _) => (left, (1, 0, 0)),
                    (None, true, _) => (left, (kw, 0, 0)),
                };
                let from = (iy.unwrap_or(0) * width + ix).saturating_sub(left) * channels;
                let (before, inside, after) = (sizes.0 * channels, sizes.1 * channels, sizes.2 * channels);
                let bytes = if inside == 0 { Some(&[][..]) } else { image.get(from..from + inside) };
                sink.put(before, bytes.ok_or(Error::Internal)?, after)?;
            }
        }
        if !sink.staging.is_empty() {
            Rows::new((1, 0), (0, sink.staging.len(), 0), 0, step).expand(sink.staging, sink.words)?;
        }
        Ok(())
    }
}

/// A column as it is filled.
struct Sink<'a> {
    words: &'a mut [u32],
    step: usize,
    staging: &'a mut [i8],
    zero: i8,
    /// Bytes, or words and the gaps between them, so far.
    at: usize,
}

impl Sink<'_> {
    /// So many bytes of padding, bytes, and padding again.
    #[inline(always)]
    fn put(&mut self, before: usize, bytes: &[i8], after: usize) -> Result<()> {
        if self.staging.is_empty() {
            let words = self.words.get_mut(self.at..).ok_or(Error::Internal)?;
            let rows = Rows::new((1, 0), (before, bytes.len(), after), self.zero, self.step);
            self.at += rows.expand(bytes, words)?;
            return Ok(());
        }
        let end = self.at + before + bytes.len() + after;
        let slots = self.staging.get_mut(self.at..end).ok_or(Error::Internal)?;
        for slot in slots.iter_mut().take(before) {
            *slot = self.zero;
        }
        for (slot, &byte) in slots.iter_mut().skip(before).zip(bytes) {
            *slot = byte;
        }
        for slot in slots.iter_mut().rev().take(after) {
            *slot = self.zero;
        }
        self.at = end;
        Ok(())
    }
}

/// The two parts of scratch memory: words for columns, and bytes for one of them where it is staged.
pub(super) fn split(
    scratch: &mut [u8],
    words: usize,
    padded: usize,
    channels: usize,
) -> Result<(&mut [u32], &mut [i8])> {
    let (columns, staging) = scratch.split_at_mut_checked(4 * words).ok_or(Error::TooSmall)?;
    let staged = if is_staged(channels) { padded } else { 0 };
    let staging = staging.get_mut(..staged).ok_or(Error::TooSmall)?;
    let columns = bytemuck::try_cast_slice_mut(columns).map_err(|_| Error::Alignment)?;
    Ok((columns, bytemuck::cast_slice_mut(staging)))
}
