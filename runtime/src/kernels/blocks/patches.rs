//! How the inputs of a convolution's output pixels are found: in place, in a padded strip, or copied together.

use crate::error::{Error, Result};
use crate::kernels::blocks::strip::Strips;
use crate::kernels::blocks::tile::{PIXELS, Runs};
use crate::layout::QUAD;
use crate::ops::window::Window;

/// Bytes that copying moves at a time.
pub const CHUNK: usize = 16;
/// Bytes that the patches of many pixels may take; those of a tile's may take more.
const ROOM: usize = 3072;

/// Where a convolution finds its inputs.
#[derive(Clone, Copy, Debug)]
pub enum Patches {
    /// A window of one tap without padding: in the image itself.
    Direct(Runs),
    /// Rows of the window are runs of a padded strip.
    Strip(Strips, Runs),
    /// Runs of a padded strip, too short or odd in length, are copied side by side.
    Copied(Strips, Copied),
}

/// How the runs of one pixel are copied together.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// Runs below each other: how many, and their distance.
    pub down: (usize, usize),
    /// Runs beside each other: how many, and their distance.
    pub across: (usize, usize),
    /// Bytes of a run.
    pub length: usize,
    /// All bytes of a pixel, rounded up to a multiple of four.
    pub depth: usize,
    /// Distance of pixels in the copy: [`Copied::depth`] rounded up to [`CHUNK`].
    pub pixel: usize,
    /// How many pixels are copied at a time.
    pub pixels: usize,
}

impl Copied {
    /// One run of `depth` bytes.
    pub fn row(depth: usize) -> Result<Self> {
        let room = depth.checked_next_multiple_of(CHUNK).ok_or(Error::Limit)?;
        Ok(Copied { pixels: 1, ..Copied::new((1, room), (1, 0), depth)? })
    }

    fn new(down: (usize, usize), across: (usize, usize), length: usize) -> Result<Self> {
        let depth = down.0.checked_mul(across.0).and_then(|n| n.checked_mul(length)).ok_or(Error::Limit)?;
        let pixel = depth.checked_next_multiple_of(CHUNK).ok_or(Error::Limit)?;
        let pixels = (ROOM / pixel.max(1)).max(PIXELS);
        Ok(Copied { down, across, length, depth: depth.next_multiple_of(QUAD), pixel, pixels })
    }

    /// Bytes of the patches, with what [`CHUNK`] writes beyond the last.
    fn bytes(&self) -> Result<usize> {
        self.pixel.checked_mul(self.pixels).and_then(|b| b.checked_add(CHUNK)).ok_or(Error::Limit)
    }
}

impl Patches {
    /// For a window of `taps` over an image of height, width and channels `input`.
    pub fn new(window: Window, taps: [usize; 2], input: [usize; 3], output: [usize; 2]) -> Result<Self> {
        let ([kh, kw], [_, _, channels]) = (taps, input);
        if taps == [1, 1] && window.pad == [0; 4] && channels % QUAD == 0 {
            return Ok(Patches::Direct(Runs { count: 1, stride: 0, length: channels }));
        }
        let strips = Strips::new(window, taps, input, channels, output)?;
        let down = (kh, strips.row().checked_mul(window.dilation[0] as usize).ok_or(Error::Limit)?);
        if window.dilation[1] != 1 && kw != 1 {
            let apart = channels.checked_mul(window.dilation[1] as usize).ok_or(Error::Limit)?;
            return Ok(Patches::Copied(strips, Copied::new(down, (kw, apart), channels)?));
        }
        let length = kw.checked_mul(channels).ok_or(Error::Limit)?;
        if length % QUAD == 0 && (length >= CHUNK || kh == 1) {
            return Ok(Patches::Strip(strips, Runs { count: kh, stride: down.1, length }));
        }
        Ok(Patches::Copied(strips, Copied::new(down, (1, 0), length)?))
    }

    /// Bytes of scratch.
    pub fn bytes(&self) -> Result<usize> {
        match self {
            Patches::Direct(_) => Ok(0),
            Patches::Strip(strips, _) => strips.bytes(),
            Patches::Copied(strips, copied) => {
                strips.bytes()?.checked_add(copied.bytes()?).ok_or(Error::Limit)
            }
        }
    }
}

/// Bytes of scratch of a fully connected layer of `depth` weights a channel: rows that are no multiple of four are
/// copied, first to where whole chunks can be read.
pub fn matrix(depth: usize) -> Result<usize> {
    if depth.is_multiple_of(QUAD) {
        return Ok(0);
    }
    let copied = Copied::row(depth)?;
    copied.pixel.checked_add(copied.bytes()?).ok_or(Error::Limit)
}
