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
            for (k, slot) in plane.chunks_exact_mut(pixel.max(1)).take(columns).enumerate() {
                let x = (k * stride + phase).checked_sub(left).filter(|&x| x < width);
                match x.and_then(|x| levels.get(x * depth..(x + 1) * depth)) {
                    Some(levels) if multiplier == 1 => copy(levels, slot),
                    Some(levels) => {
                        for (slots, &level) in slot.chunks_exact_mut(multiplier).zip(levels) {
                            slots.fill(level ^ OFFSET);
                        }
                    }
                    None => slot.fill(fill),
                }
            }
        }
    }
    Ok(())
}

/// As [`offset`], for the few bytes of a pixel.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    const MASK: u64 = u64::MAX / 255 * OFFSET as u64;
    let (eights, rest) = from.as_chunks::<8>();
    let (slots, rest_slots) = to.as_chunks_mut::<8>();
    for (slot, &levels) in slots.iter_mut().zip(eights) {
        *slot = (u64::from_ne_bytes(levels) ^ MASK).to_ne_bytes();
    }
    offset(rest, rest_slots);
}
