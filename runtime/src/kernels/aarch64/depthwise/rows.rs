//! Windows of three by three whose taps lie side by side: sums of a row of outputs, each input of which is loaded once
//! for all outputs that read it, then their levels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::mem::MaybeUninit;

use super::Walk;
use crate::error::{Error, Result};
use crate::kernels::aarch64::end::{Ends, constants};
use crate::kernels::aarch64::rescale::Rescale;
use crate::kernels::blocks::depthwise::Strip;
use crate::kernels::blocks::layer::{Block, STEP};
use crate::layout::BLOCK;

/// Most outputs of a row whose sums are held.
const MOST: usize = 48;

/// Sums of a row with the instructions of one processor.
pub trait Rows {
    /// The window as it wants it.
    type Window;

    /// From the weights of nine taps, row by row.
    fn window(taps: [int8x16_t; 9]) -> Self::Window;

    /// Writes `count` times sixteen sums, of columns of three inputs that begin at `rows` and are `step` bytes apart;
    /// outputs are `STRIDE` columns apart, 1 or 2.
    ///
    /// # Safety
    /// The processor has the instructions. There is at least one output; sixteen bytes of every column can be read; so many
    /// sums can be written.
    unsafe fn sums<const STRIDE: usize>(
        window: &Self::Window,
        bias: &[i32; BLOCK],
        rows: [*const i8; 3],
        step: usize,
        sums: *mut [i32; BLOCK],
        count: usize,
    );
}

/// A block of a strip whose window is three by three without gaps between columns, which are one or two apart.
///
/// # Safety
/// The processor has the instructions.
pub(super) unsafe fn block<E: Rows, S: Rescale>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let (channels, [oh, ow]) = (strip.channels, strip.output);
    let (mut taps, mut bias, mut scales) = (taps(block.weights)?, *block.bias, *block.scales);
    let (mut count, mut step, mut across, mut stride) = (block.count, channels, ow, walk.stride[1]);
    if stride == 1 && channels == BLOCK / 2 && ow.is_multiple_of(2) {
        // Two pixels side by side are sixteen channels whose windows lie two columns apart.
        // SAFETY: every 64-bit Arm has NEON.
        taps = taps.map(|t| unsafe { vcombine_s8(vget_low_s8(t), vget_low_s8(t)) });
        (bias, scales) = (core::array::from_fn(|i| bias[i % 8]), core::array::from_fn(|i| scales[i % 8]));
        (count, step, across, stride) = (BLOCK, BLOCK, ow / 2, 2);
    }
    if !matches!(stride, 1 | 2) || (oh * across).saturating_sub(1) * step + count > slots.len() {
        return Err(Error::Internal);
    }
    let (window, scales) = (E::window(taps), constants::<S>(&scales));
    let mut sums = [MaybeUninit::<[i32; BLOCK]>::uninit(); MOST];
    let held = sums.as_mut_ptr().cast::<[i32; BLOCK]>();
    for y in 0..oh {
        let mut from = strip.bytes.as_ptr().wrapping_add(y * walk.stride[0] * strip.row + b * BLOCK);
        let mut to = slots.as_mut_ptr().wrapping_add(y * across * step);
        for first in (0..across).step_by(MOST) {
            let n = MOST.min(across - first);
            let rows = [0, 1, 2].map(|k| from.wrapping_add(k * walk.apart[0]));
            // SAFETY: the processor has the instructions, as the caller promises. `Walk::new` has checked that the strip holds
            // every column of the window of every output; no more sums than fit are written, and only these are read; the
            // last output ends within the slots, as just checked.
            unsafe {
                if stride == 1 {
                    E::sums::<1>(&window, &bias, rows, channels, held, n);
                } else {
                    E::sums::<2>(&window, &bias, rows, channels, held, n);
                }
                to = if S::CAN_BE_SHORT && ends.is_short && count == BLOCK {
                    store::<S, true>(ends, &scales, held, n, to, step)
                } else if count == BLOCK {
                    store::<S, false>(ends, &scales, held, n, to, step)
                } else {
                    for k in 0..n {
                        let int32x4x4_t(a, b, c, d) = vld1q_s32_x4(held.add(k).cast());
                        ends.store(&[[a, b, c, d]], &scales, count, to.wrapping_add(k * step), 0);
                    }
                    to.wrapping_add(n * step)
                }
            }
            from = from.wrapping_add(n * stride * channels);
        }
    }
    Ok(())
}

/// Writes the levels of sixteen times `n` sums, every `step` bytes from `to`; returns where the next would be.
///
/// # Safety
/// There are so many sums, and sixteen bytes can be written wherever `to` and `step` say.
#[inline(always)]
unsafe fn store<S: Rescale, const SHORT: bool>(
    ends: &Ends<S>,
    scales: &[S::Scales; 4],
    sums: *const [i32; BLOCK],
    n: usize,
    mut to: *mut i8,
    step: usize,
) -> *mut i8 {
    for k in 0..n {
        // SAFETY: as the caller promises.
        unsafe {
            let int32x4x4_t(a, b, c, d) = vld1q_s32_x4(sums.add(k).cast());
            vst1q_s8(to, ends.levels::<SHORT>(&[a, b, c, d], scales));
        }
        to = to.wrapping_add(step);
    }
    to
}

/// The weights of nine taps, from three steps of four each.
fn taps(stored: &[i8]) -> Result<[int8x16_t; 9]> {
    let stored: &[i8; 3 * STEP] = stored.first_chunk().ok_or(Error::Internal)?;
    // SAFETY: three times 64 bytes are read from as many.
    unsafe {
        let int8x16x4_t(t0, t1, t2, t3) = vld4q_s8(stored.as_ptr());
        let int8x16x4_t(t4, t5, t6, t7) = vld4q_s8(stored.as_ptr().add(STEP));
        let int8x16x4_t(t8, ..) = vld4q_s8(stored.as_ptr().add(2 * STEP));
        Ok([t0, t1, t2, t3, t4, t5, t6, t7, t8])
    }
}
