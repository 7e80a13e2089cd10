//! Image resizing.

use super::super::context::Context;
use super::dims4;
use crate::error::{Error, Result};
use crate::ir::{NearestMode, Op, Sampling, TensorId};

type Cx<'c, 'm, 'f, 'a> = Context<'c, 'm, 'f, 'a>;

/// ResizeBilinearOptions: two deprecated fields, align_corners, half_pixel_centers.
pub fn bilinear(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y, size) = common(cx)?;
    let (align, half) = flags(cx, 2)?;
    let sampling = match (align, half) {
        (true, _) => Sampling::AlignCorners,
        (_, true) => Sampling::HalfPixel,
        _ => Sampling::Asymmetric,
    };
    cx.node(Op::ResizeBilinear { size, sampling }, &[Some(x)], y)
}

/// ResizeNearestNeighborOptions: align_corners, half_pixel_centers.
///
/// With half-pixel centres TFLite takes floor((i + 0.5) * scale), which is the half-pixel coordinate
/// (i + 0.5) * scale - 0.5 rounded half up.
pub fn nearest(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y, size) = common(cx)?;
    let (align, half) = flags(cx, 0)?;
    let (sampling, mode) = match (align, half) {
        (true, _) => (Sampling::AlignCorners, NearestMode::RoundPreferCeil),
        (_, true) => (Sampling::HalfPixel, NearestMode::RoundPreferCeil),
        _ => (Sampling::Asymmetric, NearestMode::Floor),
    };
    cx.node(Op::ResizeNearest { size, sampling, mode }, &[Some(x)], y)
}

fn flags(cx: &Cx<'_, '_, '_, '_>, slot: usize) -> Result<(bool, bool)> {
    let o = cx.options();
    match (o.flag(slot)?, o.flag(slot + 1)?) {
        (true, true) => Err(Error::invalid("it has both align_corners and half_pixel_centers")),
        flags => Ok(flags),
    }
}

fn common(cx: &mut Cx<'_, '_, '_, '_>) -> Result<(TensorId, TensorId, [usize; 2])> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let [n, _, _, c] = dims4(cx, x, "input")?;
    let size = cx.ints(1, "size")?;
    let size = match size[..] {
        [h, w] if h > 0 && w > 0 => [h as usize, w as usize],
        _ => return Err(Error::invalid(format!("its size {size:?} is no height and width"))),
    };
    cx.expect(y, &[n, size[0], size[1], c])?;
    cx.same_parameters(x, y)?;
    Ok((x, y, size))
}
