//! Copies of the inputs of single pixels, where no vector could read them in place.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::blocks::patches::{CHUNK, Copied};

/// Copies the runs of `count` pixels, whose windows begin at `start` and every `step` bytes from there, side by side to
/// `patch`, in chunks that may go beyond the last run: what follows is overwritten by the next pixel, or meets weights of
/// zero.
pub fn gather(
    strip: &[i8],
    start: usize,
    [count, step]: [usize; 2],
    copied: &Copied,
    patch: &mut [i8],
) -> Result<()> {
    let Copied { down, across, length, pixel, .. } = *copied;
    let chunks = length.div_ceil(CHUNK);
    let last = (down.0.max(1) - 1) * down.1 + (across.0.max(1) - 1) * across.1 + chunks * CHUNK;
    let most = ((down.0 * across.0).max(1) - 1) * length + chunks * CHUNK;
    let pixels = count.max(1) - 1;
    if start + pixels * step + last > strip.len() || pixels * pixel + most > patch.len() {
        return Err(Error::Internal);
    }
    let mut from = strip.as_ptr().wrapping_add(start);
    let mut to = patch.as_mut_ptr();
    for _ in 0..count {
        // SAFETY: no run begins behind the last of the last pixel, nor is it copied behind the last of the last; the
        // chunks of those end within both slices, as just checked.
        unsafe {
            if across.0 == 1 && chunks == 1 && down.0 == 3 {
                // What first layers are: three rows of three channels.
                for k in 0..3 {
                    copy(from.add(k * down.1), to.add(k * length));
                }
            } else if across.0 == 1 && chunks == 1 {
                let (mut row, mut slot) = (from, to);
                for _ in 0..down.0 {
                    copy(row, slot);
                    (row, slot) = (row.wrapping_add(down.1), slot.wrapping_add(length));
                }
            } else {
                let (mut row, mut slot) = (from, to);
                for _ in 0..down.0 {
                    let mut run = row;
                    for _ in 0..across.0 {
                        (0..chunks).for_each(|chunk| copy(run.add(chunk * CHUNK), slot.add(chunk * CHUNK)));
                        slot = slot.add(length);
                        run = run.wrapping_add(across.1);
                    }
                    row = row.wrapping_add(down.1);
                }
            }
        }
        (from, to) = (from.wrapping_add(step), to.wrapping_add(pixel));
    }
    Ok(())
}

/// # Safety
/// A chunk can be read at `from` and written at `to`.
#[inline(always)]
unsafe fn copy(from: *const i8, to: *mut i8) {
    // SAFETY: as the caller promises.
    unsafe { to.cast::<[i8; CHUNK]>().write_unaligned(from.cast::<[i8; CHUNK]>().read_unaligned()) };
}
