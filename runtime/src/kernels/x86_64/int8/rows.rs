//! Copies of input rows as the inner loops read them: padded, every level plus 128.

use crate::error::{Error, Result};

/// What is added to every level, as kernel ids with an offset have it: a change of the upper bit.
pub(super) const OFFSET: u8 = 0x80;

/// Copies bytes, each with the offset.
#[inline(always)]
pub(super) fn offset(from: &[u8], to: &mut [u8]) {
    for (slot, &level) in to.iter_mut().zip(from) {
        *slot = level ^ OFFSET;
    }
}

/// The rows of an image under a strip of output rows: `first` is the padded row that comes first in `to`, `top` and
/// `left` are the paddings; pixels have `depth` bytes, rows of `to` are `row` bytes long. What lies in the padding is
/// `fill`.
#[inline(always)]
pub(super) fn padded(
    image: &[u8],
    [width, depth]: [usize; 2],
    [first, top, left]: [usize; 3],
    fill: u8,
    to: &mut [u8],
    row: usize,
) -> Result<()> {
    let input_row = width * depth;
    for (i, slots) in to.chunks_exact_mut(row.max(1)).enumerate() {
        let at = (first + i).checked_sub(top).and_then(|y| image.get(y * input_row..(y + 1) * input_row));
        let Some(levels) = at else {
            slots.fill(fill);
            continue;
        };
        let (before, rest) = slots.split_at_mut((left * depth).min(row));
        before.fill(fill);
        let (inside, after) = rest.split_at_mut(input_row.min(rest.len()));
        offset(levels, inside);
        after.fill(fill);
    }
    Ok(())
}

/// The same with columns sorted by their number modulo `phases`, `columns` of each, and every channel repeated
/// `multiplier` times.
#[inline(always)]
pub(super) fn sorted(
    image: &[u8],
    [width, depth, multiplier]: [usize; 3],
    [first, top, left]: [usize; 3],
    fill: u8,
    to: &mut [u8],
    [row, columns, phases, stride]: [usize; 4],
) -> Result<()> {
    let (input_row, pixel) = (width * depth, depth * multiplier);
    for (i, slots) in to.chunks_exact_mut(row.max(1)).enumerate() {
        let at = (first + i).checked_sub(top).and_then(|y| image.get(y * input_row..(y + 1) * input_row));
        let Some(levels) = at else {
            slots.fill(fill);
            continue;
        };
        for phase in 0..phases {
            let plane = slots.get_mut(phase * columns * pixel..).ok_or(Error::Internal)?;
            let plane = plane.get_mut(..columns * pixel).ok_or(Error::Internal)?;
            // Column `k` of the plane is column `k * stride + phase - left` of the image.
            let begin = left.saturating_sub(phase).div_ceil(stride).min(columns);
            let end = (width + left).saturating_sub(phase).div_ceil(stride).clamp(begin, columns);
            let (before, rest) = plane.split_at_mut(begin * pixel);
            let (inside, after) = rest.split_at_mut((end - begin) * pixel);
            before.fill(fill);
            after.fill(fill);
            if begin < end {
                let from = levels.get((begin * stride + phase - left) * depth..).ok_or(Error::Internal)?;
                pixels(from, inside, [stride, depth, multiplier]);
            }
        }
    }
    Ok(())
}

/// Every `stride`th pixel of `depth` bytes, each byte with the offset and repeated.
#[inline(always)]
fn pixels(from: &[u8], to: &mut [u8], [stride, depth, multiplier]: [usize; 3]) {
    let step = stride * depth;
    match (depth, multiplier) {
        (8, 1) => wide::<8>(from, to, step),
        (16, 1) => wide::<16>(from, to, step),
        (32, 1) => wide::<32>(from, to, step),
        (64, 1) => wide::<64>(from, to, step),
        (128, 1) => wide::<128>(from, to, step),
        _ => {
            let pixels = from.chunks(step.max(1)).zip(to.chunks_exact_mut((depth * multiplier).max(1)));
            for (levels, slots) in pixels {
                for (slots, &level) in slots.chunks_exact_mut(multiplier.max(1)).zip(levels) {
                    slots.fill(level ^ OFFSET);
                }
            }
        }
    }
}

/// Pixels of `DEPTH` bytes: the count is known here, so that a pixel is a few vectors.
#[inline(always)]
fn wide<const DEPTH: usize>(from: &[u8], to: &mut [u8], step: usize) {
    let (slots, _) = to.as_chunks_mut::<DEPTH>();
    for (slot, levels) in slots.iter_mut().zip(from.chunks(step.max(1))) {
        if let Some(levels) = levels.first_chunk::<DEPTH>() {
            for (slot, &level) in slot.iter_mut().zip(levels) {
                *slot = level ^ OFFSET;
            }
        }
    }
}
