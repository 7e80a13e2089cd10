//! Copies of input rows as the inner loops read them: padded, every level plus 128.
#![allow(unsafe_code)]

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

/// Fills a short slice; unlike [`slice::fill`] without a call.
#[inline(always)]
fn border(to: &mut [u8], level: u8) {
    const PIECE: usize = 16;
    if let Some(last) = to.last_chunk_mut::<PIECE>() {
        *last = [level; PIECE];
        to.as_chunks_mut::<PIECE>().0.iter_mut().for_each(|piece| *piece = [level; PIECE]);
    } else {
        to.iter_mut().for_each(|slot| *slot = level);
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
        border(before, fill);
        let (inside, after) = rest.split_at_mut(input_row.min(rest.len()));
        offset(levels, inside);
        border(after, fill);
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
    for phase in 0..phases {
        // Column `k` of the plane is column `k * stride + phase - left` of the image.
        let begin = left.saturating_sub(phase).div_ceil(stride.max(1)).min(columns);
        let end = (width + left).saturating_sub(phase).div_ceil(stride.max(1)).clamp(begin, columns);
        for (i, slots) in to.chunks_exact_mut(row.max(1)).enumerate() {
            let plane = slots.get_mut(phase * columns * pixel..).ok_or(Error::Internal)?;
            let plane = plane.get_mut(..columns * pixel).ok_or(Error::Internal)?;
            let at = (first + i).checked_sub(top).and_then(|y| image.get(y * input_row..(y + 1) * input_row));
            let Some(levels) = at else {
                plane.fill(fill);
                continue;
            };
            let (before, rest) = plane.split_at_mut(begin * pixel);
            let (inside, after) = rest.split_at_mut((end - begin) * pixel);
            border(before, fill);
            border(after, fill);
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
    let (step, pixel) = (stride * depth, depth * multiplier);
    let whole = to.len().checked_div(pixel).unwrap_or(0);
    let fits = whole > 0 && from.len() >= (whole - 1) * step + depth;
    if !fits || multiplier != 1 || depth < 8 {
        for (levels, slots) in from.chunks(step.max(1)).zip(to.chunks_exact_mut(pixel.max(1))) {
            for (slots, &level) in slots.chunks_exact_mut(multiplier.max(1)).zip(levels) {
                slots.fill(level ^ OFFSET);
            }
        }
        return;
    }
    // SAFETY: pixels that start every `step` bytes are within `from`, those that start every `depth` bytes within `to`,
    // as just seen; pieces are within pixels, of at least eight bytes.
    unsafe {
        let (mut from, mut to) = (from.as_ptr(), to.as_mut_ptr());
        for _ in 0..whole {
            match depth {
                8 => copy::<8>(from, to, 8),
                16 => copy::<16>(from, to, 16),
                32 => copy::<32>(from, to, 32),
                17.. => copy::<16>(from, to, depth),
                _ => copy::<8>(from, to, depth),
            }
            (from, to) = (from.wrapping_add(step), to.wrapping_add(depth));
        }
    }
}

/// `depth` bytes, at least `PIECE`, with the offset; the last piece may go over bytes that are done.
#[inline(always)]
unsafe fn copy<const PIECE: usize>(from: *const u8, to: *mut u8, depth: usize) {
    let mut at = 0;
    while at < depth {
        let start = if at + PIECE <= depth { at } else { depth - PIECE };
        // SAFETY: the caller's.
        unsafe {
            let mut levels = from.add(start).cast::<[u8; PIECE]>().read();
            let mut i = 0;
            while i < PIECE {
                levels[i] ^= OFFSET;
                i += 1;
            }
            to.add(start).cast::<[u8; PIECE]>().write(levels);
        }
        at += PIECE;
    }
}
