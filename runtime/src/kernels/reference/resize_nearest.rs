//! ResizeNearest, one pixel's channels at a time.

use crate::error::Result;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::resize_nearest::ResizeNearest;

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let ResizeNearest { sampling, nearest } = ResizeNearest::parse(attributes)?;
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let pixel = channels * io.input_desc(0)?.dtype.size();
    let mut moves = io.moves(0)?;
    let mut to = 0usize;
    for n in 0..batch {
        for y in 0..oh {
            let row = n * height + nearest.index(sampling.nearest(0, y, height), height);
            for x in 0..ow {
                let column = nearest.index(sampling.nearest(1, x, width), width);
                moves.copy(0, (row * width + column) * pixel, to, pixel)?;
                to = to.wrapping_add(pixel);
            }
        }
    }
    Ok(())
}
