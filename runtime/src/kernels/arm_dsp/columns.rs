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

    /// Rows and columns of outputs.
    pub(super) fn output(&self) -> Result<[usize; 2]> {
        let [height, width, _] = self.input;
        self.window.output([height, width], self.taps)
    }

    /// What a window wholly inside the image holds, where that is [`Columns::plain`].
    pub(super) fn interior(&self, step: usize) -> Rows {
        let ([_, width, channels], [kh, kw]) = (self.input, self.taps);
        let stride = width * channels * usize::from(self.window.dilation[0]);
        Rows::new((kh, stride), (0, kw * channels, 0), self.zero, step)
    }

    /// The first byte under the window of the pixel at row and column `at` of the output, where every tap lies inside
    /// the image, rows are one run each, and nothing is staged.
    #[inline(always)]
    pub(super) fn plain(&self, [y, x]: [usize; 2]) -> Option<usize> {
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
    /// it, tap by tap; by way of `staging` where that is not empty.
    #[inline(never)]
    pub(super) fn gather(
        &self,
        image: &[i8],
        [y, x]: [usize; 2],
        (words, step): (&mut [u32], usize),
        staging: &mut [i8],
    ) -> Result<()> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        let is_staging = !staging.is_empty();
        let mut at = 0;
        for ky in 0..kh {
            let iy = self.window.tap(0, y, ky, height);
            for kx in 0..kw {
                let pixel = match (iy, self.window.tap(1, x, kx, width)) {
                    (Some(iy), Some(ix)) => {
                        let from = (iy * width + ix) * channels;
                        image.get(from..from + channels).ok_or(Error::Internal)?
                    }
                    _ => &[],
                };
                if is_staging {
                    let slots = staging.get_mut(at..at + channels).ok_or(Error::Internal)?;
                    at += channels;
                    let mut pixel = pixel.iter();
                    slots.iter_mut().for_each(|slot| *slot = *pixel.next().unwrap_or(&self.zero));
                } else {
                    let sizes = if pixel.is_empty() { (channels, 0, 0) } else { (0, channels, 0) };
                    let words = words.get_mut(at..).ok_or(Error::Internal)?;
                    at += Rows::new((1, 0), sizes, self.zero, step).expand(pixel, words)?;
                }
            }
        }
        if is_staging {
            Rows::new((1, 0), (0, staging.len(), 0), 0, step).expand(staging, words)?;
        }
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
