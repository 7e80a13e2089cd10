//! The inputs under a window, one pixel's after the other's, widened to 16 bits.

use super::expand::Rows;
use crate::error::{Error, Result};
use crate::ops::window::Window;

/// Where a layer's inputs come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    window: Window,
    /// Height, width and channels of an image.
    input: [usize; 3],
    /// Height and width of the window.
    taps: [usize; 2],
    /// Height and width of an output image.
    output: [usize; 2],
    /// What padding holds: the zero point.
    zero: i8,
}

impl Columns {
    /// Of windows over images.
    pub(super) fn new(
        window: Window,
        input: [usize; 3],
        taps: [usize; 2],
        output: [usize; 2],
        zero: i8,
    ) -> Self {
        Columns { window, input, taps, output, zero }
    }

    /// Of so many pixels as they are, in one row.
    pub(super) fn pixels(pixels: usize, channels: usize) -> Self {
        Columns::new(Window::UNIT, [1, pixels, channels], [1, 1], [1, pixels], 0)
    }

    /// Weights of one output channel.
    pub(super) fn depth(&self) -> usize {
        let [kh, kw] = self.taps;
        kh * kw * self.input[2]
    }

    /// Gathers `step` pixels of the output from number `first` on, each a word after the one before.
    #[inline(never)]
    pub(super) fn gather(&self, x: &[i8], first: usize, words: &mut [u32], step: usize) -> Result<()> {
        let ([height, width, channels], [kh, kw], [oh, ow]) = (self.input, self.taps, self.output);
        let [down, right] = self.window.dilation.map(usize::from);
        let row = width * channels;
        let half = u32::from(self.zero as u8);
        let mut rows = Rows {
            top: 0,
            bottom: 0,
            rows: 0,
            stride: 0,
            before: 0,
            inside: 0,
            after: 0,
            fill: half * 0x0101_0101,
            pixels: 1,
            pixel: usize::from(self.window.stride[1]) * channels,
            is_end: 1,
            step: 4 * step,
            carry: [0; 2],
        };
        let mut slot = 0;
        while slot < step {
            let line = (first + slot).checked_div(ow).ok_or(Error::Shape)?;
            let n = line.checked_div(oh).ok_or(Error::Shape)?;
            let at = first + slot - line * ow;
            let image = x.get(n * height * row..).ok_or(Error::Internal)?;
            let [above, inner, y] = self.taps(0, line - n * oh, height);
            let [before, inside, x] = self.taps(1, at, width);
            let after = kw - before - inside;
            let from = if inner * inside == 0 { 0 } else { y * row + x * channels };
            let from = image.get(from..).ok_or(Error::Internal)?;
            let words = words.get_mut(slot..).ok_or(Error::Internal)?;
            let count = if inside == kw && right == 1 { self.alike(at).min(step - slot) } else { 1 };
            rows.pixels = count;
            if right == 1 {
                // The taps of a row are one run, between padding.
                let run = kw * channels;
                rows.rows = if inside == 0 { 0 } else { inner };
                (rows.top, rows.bottom) = (above * run, (kh - above - rows.rows) * run);
                (rows.before, rows.inside, rows.after) =
                    (before * channels, inside * channels, after * channels);
                rows.stride = down * row;
                rows.expand(from, words)?;
            } else {
                // Each tap is a row of its own.
                let mut place = 0;
                for ky in 0..kh {
                    let is_inside = ky >= above && ky < above + inner;
                    rows.rows = if is_inside { inside } else { 0 };
                    (rows.top, rows.bottom) = (before * channels, (kw - before - rows.rows) * channels);
                    (rows.inside, rows.stride) = (channels, right * channels);
                    (rows.pixels, rows.is_end) = (count, usize::from(ky + 1 == kh));
                    let from = from.get(ky.saturating_sub(above) * down * row..).unwrap_or(&[]);
                    place += rows.expand(from, words.get_mut(place..).ok_or(Error::Internal)?)?;
                }
            }
            slot += count;
        }
        Ok(())
    }

    /// Along an axis at position `at` of the output: taps in the padding before the image, taps inside it, and where the
    /// first of these is.
    #[inline(never)]
    fn taps(&self, axis: usize, at: usize, size: usize) -> [usize; 3] {
        let Window { stride, dilation, pad } = self.window;
        let pick = |of: [u16; 2]| usize::from(if axis == 0 { of[0] } else { of[1] });
        let (start, pad, apart) = (at * pick(stride), pick([pad[0], pad[1]]), pick(dilation));
        let taps = if axis == 0 { self.taps[0] } else { self.taps[1] };
        // Taps before a place.
        let before = |place: usize| {
            (place.saturating_sub(start) + apart - 1).checked_div(apart).unwrap_or(0).min(taps)
        };
        let (first, end) = (before(pad), before(pad + size));
        [first, end.saturating_sub(first), (start + first * apart).saturating_sub(pad)]
    }

    /// Columns of the output from `at`, whose window's columns lie inside the image, to the last one of which that is so.
    fn alike(&self, at: usize) -> usize {
        let [_, width, _] = self.input;
        let reach = (self.taps[1] - 1) * usize::from(self.window.dilation[1]);
        let room = (width + usize::from(self.window.pad[1])).saturating_sub(reach + 1);
        let last = room.checked_div(usize::from(self.window.stride[1])).unwrap_or(0);
        (last + 1).min(self.output[1]).saturating_sub(at).max(1)
    }
}
