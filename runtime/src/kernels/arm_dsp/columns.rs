//! The inputs under a window, one pixel's after the other's, widened to 16 bits.

use super::expand::expand;
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

    /// Rows and columns of outputs.
    pub(super) fn output(&self) -> Result<[usize; 2]> {
        let [height, width, _] = self.input;
        self.window.output([height, width], self.taps)
    }

    /// Gathers the pixel at row and column `at` of the output into `words`, `STRIDE` words apart, from the `image` under
    /// it; by way of `staging` where that is not empty.
    #[inline(never)]
    pub(super) fn gather<const STRIDE: usize>(
        &self,
        image: &[i8],
        [y, x]: [usize; 2],
        words: &mut [u32],
        staging: &mut [i8],
    ) -> Result<()> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        // Taps inside the image lie next to each other.
        let inside = |k: &usize| self.window.tap(1, x, *k, width).is_some();
        let before = (0..kw).position(|k| inside(&k)).unwrap_or(kw);
        let last = (before..kw).rposition(|k| inside(&k)).map_or(0, |k| k + 1);
        let dilation = usize::from(self.window.dilation[1]);
        // Where their pixels do too, they are one run.
        let (run, runs) = if dilation == 1 { (last * channels, 1) } else { (channels, last) };
        let is_empty = last == 0;
        let mut sink = Sink::<STRIDE> { words, staging, fill: self.zero, at: 0 };
        for ky in 0..kh {
            let row = self.window.tap(0, y, ky, height).filter(|_| !is_empty);
            let Some(iy) = row else {
                sink.fill(kw * channels)?;
                continue;
            };
            let first = self.window.tap(1, x, before, width).ok_or(Error::Internal)?;
            let mut from = (iy * width + first) * channels;
            sink.fill(before * channels)?;
            for _ in 0..runs {
                sink.take(image.get(from..from + run).ok_or(Error::Internal)?)?;
                from += dilation * channels;
            }
            sink.fill((kw - before - last) * channels)?;
        }
        sink.end()
    }
}

/// A column as it is filled.
struct Sink<'a, const STRIDE: usize> {
    words: &'a mut [u32],
    staging: &'a mut [i8],
    fill: i8,
    /// Bytes so far.
    at: usize,
}

impl<const STRIDE: usize> Sink<'_, STRIDE> {
    fn staged(&mut self, count: usize) -> Result<&mut [i8]> {
        self.staging.get_mut(self.at..self.at + count).ok_or(Error::Internal)
    }

    fn rest(&mut self) -> Result<&mut [u32]> {
        self.words.get_mut(self.at / 2 * STRIDE..).ok_or(Error::Internal)
    }

    fn take(&mut self, bytes: &[i8]) -> Result<()> {
        if self.staging.is_empty() {
            expand::<STRIDE>(bytes, self.rest()?)?;
        } else {
            for (slot, &byte) in self.staged(bytes.len())?.iter_mut().zip(bytes) {
                *slot = byte;
            }
        }
        self.at += bytes.len();
        Ok(())
    }

    fn fill(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let fill = self.fill;
        if self.staging.is_empty() {
            let half = fill as u16 as u32;
            for word in self.rest()?.iter_mut().step_by(STRIDE).take(count / 2) {
                *word = half << 16 | half;
            }
        } else {
            for slot in self.staged(count)? {
                *slot = fill;
            }
        }
        self.at += count;
        Ok(())
    }

    fn end(self) -> Result<()> {
        if self.staging.is_empty() { Ok(()) } else { expand::<STRIDE>(self.staging, self.words) }
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
