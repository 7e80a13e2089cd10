//! Copies of the inputs of single pixels, where no vector could read them in place.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernels::blocks::patches::{CHUNK, Copied};

/// Copies the runs of the pixel whose window begins at `from` side by side to `to`, in chunks that may go beyond the
/// last run: what follows is overwritten by the next pixel, or meets weights of zero.
#[inline(always)]
pub fn gather(strip: &[i8], from: usize, copied: &Copied, patch: &mut [i8], to: usize) -> Result<()> {
    let Copied { down, across, length, .. } = *copied;
    let chunks = length.div_ceil(CHUNK).max(1);
    let last = (down.0.max(1) - 1) * down.1 + (across.0.max(1) - 1) * across.1 + chunks * CHUNK;
    let most = (down.0 * across.0).max(1) - 1;
    if from + last > strip.len() || to + most * length + chunks * CHUNK > patch.len() {
        return Err(Error::Internal);
    }
    // SAFETY: no run starts behind the last, and the chunks of that one end within both slices, as just checked.
    unsafe {
        let mut row = strip.as_ptr().add(from);
        let mut slot = patch.as_mut_ptr().add(to);
        for _ in 0..down.0 {
            let mut run = row;
            for _ in 0..across.0 {
                for chunk in 0..chunks {
                    let bytes = run.add(chunk * CHUNK).cast::<[i8; CHUNK]>().read_unaligned();
                    slot.add(chunk * CHUNK).cast::<[i8; CHUNK]>().write_unaligned(bytes);
                }
                slot = slot.add(length);
                run = run.wrapping_add(across.1);
            }
            row = row.wrapping_add(down.1);
        }
    }
    Ok(())
}
