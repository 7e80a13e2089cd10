//! Copies of the inputs of single pixels, where no vector could read them in place.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::blocks::patches::{CHUNK, Copied};

/// Copies the runs of each pixel, whose windows begin at `starts`, side by side to `patch`, in chunks that may go beyond
/// the last run: what follows is overwritten by the next pixel, or meets weights of zero.
#[inline(always)]
pub fn gather(strip: &[i8], starts: &[usize], copied: &Copied, patch: &mut [i8]) -> Result<()> {
    let Copied { down, across, length, pixel, .. } = *copied;
    let chunks = length.div_ceil(CHUNK);
    let last = (down.0.max(1) - 1) * down.1 + (across.0.max(1) - 1) * across.1 + chunks * CHUNK;
    let most = ((down.0 * across.0).max(1) - 1) * length + chunks * CHUNK;
    let farthest = starts.iter().fold(0, |a, &b| if a > b { a } else { b });
    if farthest + last > strip.len() || (starts.len().max(1) - 1) * pixel + most > patch.len() {
        return Err(Error::Internal);
    }
    for (k, &start) in starts.iter().enumerate() {
        // SAFETY: no run begins behind the last of the farthest pixel, nor is it copied behind the last of the last; the
        // chunks of those end within both slices, as just checked.
        unsafe {
            let mut row = strip.as_ptr().add(start);
            let mut slot = patch.as_mut_ptr().add(k * pixel);
            for _ in 0..down.0 {
                if across.0 == 1 && chunks == 1 {
                    copy(row, slot);
                    slot = slot.add(length);
                } else {
                    let mut run = row;
                    for _ in 0..across.0 {
                        (0..chunks).for_each(|chunk| copy(run.add(chunk * CHUNK), slot.add(chunk * CHUNK)));
                        slot = slot.add(length);
                        run = run.wrapping_add(across.1);
                    }
                }
                row = row.wrapping_add(down.1);
            }
        }
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
