//! What average and maximum pooling share: the window, its size, and inference.

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::{Inferred, Inputs};
use crate::ops::window::Window;
use crate::tensor::{Desc, Dtype};

/// A pooling window over `[N,H,W,C]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Strides, dilations and padding; each side's padding is smaller than the window's reach along that axis.
    pub window: Window,
    /// Height and width of the window in taps; at least 1.
    pub size: [u16; 2],
}

impl Pool {
    /// Twenty bytes of attributes.
    pub fn emit(&self, attr: Attr) -> Attr {
        self.window.emit(attr).u16(self.size[0]).u16(self.size[1])
    }

    /// The counterpart of [`Pool::emit`]; refuses windows that could lie wholly in the padding.
    #[inline(always)]
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        let p = Pool { window: Window::parse(r)?, size: [r.u16()?, r.u16()?] };
        let ([dy, dx], [ky, kx]) = (p.window.dilation, p.size);
        let [top, left, bottom, right] = p.window.pad;
        // Where the last tap is, below 2^32; a window of no taps has none.
        let last =
            |size: u16, dilation: u16| u32::from(size).wrapping_sub(1).wrapping_mul(u32::from(dilation));
        let (y, x) = (last(ky, dy), last(kx, dx));
        let vertical = ky > 0 && u32::from(top) <= y && u32::from(bottom) <= y;
        let ok = vertical && kx > 0 && u32::from(left) <= x && u32::from(right) <= x;
        if ok { Ok(p) } else { Err(Error::Attribute) }
    }

    /// Window taps along the vertical axis.
    pub fn height(&self) -> usize {
        self.size[0] as usize
    }

    /// Window taps along the horizontal axis.
    pub fn width(&self) -> usize {
        self.size[1] as usize
    }

    /// Type and shape of the pooled image; int8, int16 and floats only.
    pub fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        if !matches!(x.dtype, Dtype::I8 | Dtype::I16 | Dtype::F32) {
            return Err(Error::Dtype);
        }
        self.window.slide(x, [self.height(), self.width()], x.dtype, x.shape.dim(3))
    }

    /// As [`crate::ops::Op::overlap`].
    pub fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        self.window.overlap(inputs, outputs, i, o)
    }

    /// As [`crate::ops::Op::overlap_descending`].
    pub fn overlap_descending(
        &self,
        inputs: &Inputs<'_>,
        outputs: &[Desc],
        i: usize,
        o: usize,
    ) -> Option<usize> {
        self.window.overlap_descending(inputs, outputs, i, o, self.height())
    }

    /// Taps read in one run, padding included.
    pub fn macs(&self, outputs: &[Desc]) -> u64 {
        let taps = u64::from(self.size[0]) * u64::from(self.size[1]);
        outputs.first().map_or(0, |y| (y.shape.elements() as u64).wrapping_mul(taps))
    }
}
