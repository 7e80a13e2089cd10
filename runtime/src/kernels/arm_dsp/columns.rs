//! The inputs under a window, one pixel's after the other's, widened to 16 bits.

use super::expand::Rows;
use crate::error::{Error, Result};
use crate::ops::window::Window;

/// Where a layer's inputs come from.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    window: &'a Window,
    /// Height, width and channels of an image.
    input: [usize; 3],
    /// Height and width of the window.
    taps: [usize; 2],
    /// Height and width of an output image.
    output: [usize; 2],
    /// Whether there is one row of pixels as they are.
    is_plain: bool,
    /// What is under the window at hand.
    rows: Rows,
}

impl<'a> Columns<'a> {
    /// Of windows over images, or of one row of pixels where `is_plain` says so; padding holds `zero`.
    #[inline(always)]
    pub(super) fn new(
        window: &'a Window,
        input: [usize; 3],
        taps: [usize; 2],
        output: [usize; 2],
        zero: i8,
        is_plain: bool,
    ) -> Self {
        let [_, width, channels] = input;
        let [down, right] = [usize::from(window.dilation[0]), usize::from(window.dilation[1])];
        // Without dilation the taps of a row are one run, between padding, else each is a row of its own.
        let (inside, stride) = match right {
            1 => (taps[1] * channels, down * width * channels),
            _ => (channels, right * channels),
        };
        let pixel = usize::from(window.stride[1]) * channels;
        Columns { window, input, taps, output, is_plain, rows: Rows::new(inside, stride, pixel, zero) }
    }

    /// Weights of one output channel.
    pub(super) fn depth(&self) -> usize {
        let [kh, kw] = self.taps;
        kh * kw * self.input[2]
    }

    /// Gathers `step` pixels of the output from number `first` on, each a word after the one before.
    #[inline(never)]
    pub(super) fn gather(&mut self, x: &[i8], first: usize, words: &mut [u32], step: usize) -> Result<()> {
        let ([height, width, channels], [oh, ow]) = (self.input, self.output);
        self.rows.step = 4 * step;
        if self.is_plain {
            self.rows.pixels = step;
            let from = x.get(first * channels..).ok_or(Error::Internal)?;
            return self.rows.expand(from, words).map(|_| ());
        }
        let mut slot = 0;
        while slot < step {
            let row = (first + slot).checked_div(ow).ok_or(Error::Shape)?;
            let n = row.checked_div(oh).ok_or(Error::Shape)?;
            let image = x.get(n * height * width * channels..).ok_or(Error::Internal)?;
            let words = words.get_mut(slot..).ok_or(Error::Internal)?;
            slot += self.window(image, [row - n * oh, first + slot - row * ow], words, step - slot)?;
        }
        Ok(())
    }

    /// Gathers the pixel at row and column `at` of the output and, where it has the same form, at most `most` of those
    /// beside it. Returns how many that are.
    #[inline(always)]
    fn window(&mut self, image: &[i8], at: [usize; 2], words: &mut [u32], most: usize) -> Result<usize> {
        let ([height, width, channels], [kh, kw]) = (self.input, self.taps);
        // Taps above the image and in it, to the left of it and in it.
        let (down, across) =
            (self.window.taps(0, at[0], kh, 0, height), self.window.taps(1, at[1], kw, 0, width));
        let ([above, before], [inner, inside]) = ([down.start, across.start], [down.len(), across.len()]);
        let first = (self.window.tap(0, at[0], above, height), self.window.tap(1, at[1], before, width));
        let from = if let (Some(y), Some(x)) = first { (y * width + x) * channels } else { 0 };
        let image = image.get(from..).ok_or(Error::Internal)?;
        let rows = &mut self.rows;
        if self.window.dilation[1] != 1 {
            let row = usize::from(self.window.dilation[0]) * width * channels;
            let mut place = 0;
            for ky in 0..kh {
                let line = if down.contains(&ky) { ky - above } else { 0 };
                let image = image.get(line * row..).ok_or(Error::Internal)?;
                rows.rows = if down.contains(&ky) { inside } else { 0 };
                (rows.top, rows.bottom) = (before * channels, (kw - before - rows.rows) * channels);
                (rows.pixels, rows.is_end) = (1, usize::from(ky + 1 == kh));
                place += rows.expand(image, words.get_mut(place..).ok_or(Error::Internal)?)?;
            }
            return Ok(1);
        }
        rows.rows = if inside == 0 { 0 } else { inner };
        let run = kw * channels;
        (rows.top, rows.bottom) = (above * run, (kh - above - rows.rows) * run);
        (rows.before, rows.inside) = (before * channels, inside * channels);
        rows.after = run - rows.before - rows.inside;
        rows.pixels = 1;
        if inside == kw {
            // So are the columns up to the last one whose window ends in the image.
            let room = (width + usize::from(self.window.pad[1])).saturating_sub(kw);
            let last = room.checked_div(usize::from(self.window.stride[1])).unwrap_or(0);
            rows.pixels = (last + 1).min(self.output[1]).saturating_sub(at[1]).min(most).max(1);
        }
        let count = rows.pixels;
        rows.expand(image, words)?;
        Ok(count)
    }
}
