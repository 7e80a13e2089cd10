//! Images with their padding around them, a strip of rows at a time.

use crate::error::{Error, Result};
use crate::ops::window::Window;

/// Bytes of scratch that a strip may take, if one row of outputs needs no more: what stays in a small first-level
/// cache.
const ROOM: usize = 24 << 10;
/// Bytes after the last row that vectors may read.
pub const SLACK: usize = 16;

/// How an image is cut into strips of output rows.
#[derive(Clone, Copy, Debug)]
pub struct Strips {
    window: Window,
    /// Input height and width, and bytes of a pixel.
    input: [usize; 3],
    /// Bytes of a pixel in the strip.
    pixel: usize,
    /// Output height and width.
    output: [usize; 2],
    /// Input rows under one row of outputs.
    reach: usize,
    /// Padded columns that the window meets.
    columns: usize,
    /// Output rows of a strip; the last may have fewer.
    pub rows: usize,
}

impl Strips {
    /// For a window of `taps` over an image of height, width and channels `input`, each pixel of which becomes `pixel`
    /// bytes.
    pub fn new(
        window: Window,
        taps: [usize; 2],
        input: [usize; 3],
        pixel: usize,
        output: [usize; 2],
    ) -> Result<Self> {
        let along = |axis: usize, outputs: usize| -> Option<usize> {
            let stride = *window.stride.get(axis)? as usize;
            let dilation = *window.dilation.get(axis)? as usize;
            let taps = taps.get(axis)?.checked_sub(1)?.checked_mul(dilation)?;
            outputs.checked_sub(1)?.checked_mul(stride)?.checked_add(taps)?.checked_add(1)
        };
        let reach = along(0, 1).ok_or(Error::Limit)?;
        let columns = along(1, output[1]).ok_or(Error::Limit)?;
        let row = columns.checked_mul(pixel).ok_or(Error::Limit)?;
        let more = (ROOM / row.max(1)).saturating_sub(reach).checked_div(window.stride[0] as usize);
        let rows = more.unwrap_or(0).saturating_add(1).min(output[0]);
        Ok(Strips { window, input, pixel, output, reach, columns, rows })
    }

    /// Bytes of a padded row.
    pub fn row(&self) -> usize {
        self.columns.wrapping_mul(self.pixel)
    }

    /// Bytes of scratch of a strip, [`SLACK`] included.
    pub fn bytes(&self) -> Result<usize> {
        let rows = (self.rows.wrapping_sub(1)).checked_mul(self.window.stride[0] as usize);
        let rows = rows.and_then(|r| r.checked_add(self.reach)).ok_or(Error::Limit)?;
        rows.checked_mul(self.row()).and_then(|b| b.checked_add(SLACK)).ok_or(Error::Limit)
    }

    /// Copies what output rows `first..first + count` read of `image` into `strip`, with `zero` in the padding.
    #[inline(always)]
    pub fn fill(
        &self,
        image: &[i8],
        zero: i8,
        [first, count]: [usize; 2],
        strip: &mut [i8],
        copy: impl Fn(&[i8], &mut [i8]) -> Result<()>,
    ) -> Result<()> {
        let [height, width, channels] = self.input;
        let row = self.row();
        let (stride, [top, left, ..]) = (self.window.stride[0] as usize, self.window.pad);
        let rows = (count.max(1) - 1) * stride + self.reach;
        let left = (left as usize).min(self.columns);
        let inside = width.min(self.columns - left);
        for (k, slots) in strip.chunks_exact_mut(row.max(1)).enumerate().take(rows) {
            let Some(y) = (first * stride + k).checked_sub(top as usize).filter(|&y| y < height) else {
                slots.fill(zero);
                continue;
            };
            let start = y * width * channels;
            let pixels = image.get(start..start + inside * channels).ok_or(Error::Internal)?;
            let (before, rest) = slots.split_at_mut_checked(left * self.pixel).ok_or(Error::Internal)?;
            let (middle, after) = rest.split_at_mut_checked(inside * self.pixel).ok_or(Error::Internal)?;
            if !before.is_empty() {
                before.fill(zero);
            }
            copy(pixels, middle)?;
            if !after.is_empty() {
                after.fill(zero);
            }
        }
        Ok(())
    }

    /// First rows and numbers of rows of the strips of one image.
    pub fn iter(&self) -> impl Iterator<Item = [usize; 2]> {
        let (rows, height) = (self.rows.max(1), self.output[0]);
        (0..height).step_by(rows).map(move |first| [first, rows.min(height - first)])
    }
}
