//! Sums of depthwise convolution: eight channels under one window at a time.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{CHANNELS, PIXELS, Sums};

/// What `samara_mve_taps` reads, in words.
#[repr(C)]
struct Job {
    weights: *const i8,
    /// Bytes from tap to tap, in the input and in the weights; from the end of a row of taps to the next in the input.
    steps: [usize; 3],
    columns: usize,
    rows: usize,
    bias: *const i32,
    sums: *mut i32,
    pixels: usize,
    x: *const *const i8,
    eights: usize,
}

// r1 x, r2 weights, r3 r4 r5 the steps, r6 columns, r7 rows left, r8 first weights, r9 bias, r10 sums, r11 pixels left,
// r12 byte of the channel, q0 q1 sums of even and odd channels.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_taps,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_taps",
    ".type samara_mve_taps,%function",
    ".thumb_func",
    "samara_mve_taps:",
    "push {{r4-r11, lr}}",
    "vpush {{d8-d9}}",
    "ldr r8, [r0]",
    "ldrd r3, r4, [r0, #4]",
    "ldrd r5, r6, [r0, #12]",
    "ldrd r9, r10, [r0, #24]",
    "ldr r1, [r0, #40]",
    "mov r12, #0",
    "sub sp, sp, #16",
    "str r1, [sp, #4]", // eights left
    "2:", // eight channels
    "ldr r11, [r0, #32]",
    "ldr r7, [r0, #36]",
    "strd r7, r10, [sp, #8]",
    "3:", // a pixel
    "ldr r7, [sp, #8]",
    "ldr r1, [r7], #4",
    "str r7, [sp, #8]",
    "add r1, r12",
    "add r2, r8, r12",
    "ldr r7, [r0, #20]",
    "vld20.32 {{q0, q1}}, [r9]",
    "vld21.32 {{q0, q1}}, [r9]",
    "cmp r6, #3",
    "beq 6f",
    "4:", // a row of taps
    "dls lr, r6",
    "5:",
    "vldrb.s16 q2, [r1]",
    "vldrb.s16 q3, [r2]",
    "add r1, r3",
    "vmullb.s16 q4, q2, q3",
    "add r2, r4",
    "vmullt.s16 q2, q2, q3",
    "vadd.i32 q0, q0, q4",
    "vadd.i32 q1, q1, q2",
    "le lr, 5b",
    "add r1, r5",
    "subs r7, #1",
    "bne 4b",
    "b 7f",
    "6:", // the same for three columns
    ".rept 3",
    "vldrb.s16 q2, [r1]",
    "vldrb.s16 q3, [r2]",
    "add r1, r3",
    "vmullb.s16 q4, q2, q3",
    "add r2, r4",
    "vmullt.s16 q2, q2, q3",
    "vadd.i32 q0, q0, q4",
    "vadd.i32 q1, q1, q2",
    ".endr",
    "add r1, r5",
    "subs r7, #1",
    "bne 6b",
    "7:",
    "vst20.32 {{q0, q1}}, [r10]",
    "vst21.32 {{q0, q1}}, [r10]",
    "add r10, r10, #{row}",
    "subs r11, #1",
    "bne 3b",
    "ldr r10, [sp, #12]",
    "ldr r7, [sp, #4]",
    "add r10, r10, #32",
    "add r9, r9, #32",
    "add r12, r12, #8",
    "subs r7, #1",
    "str r7, [sp, #4]",
    "bne 2b",
    "add sp, sp, #16",
    "vpop {{d8-d9}}",
    "pop {{r4-r11, pc}}",
    ".size samara_mve_taps, . - samara_mve_taps",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
    row = const CHANNELS * size_of::<i32>(),
);

unsafe extern "C" {
    fn samara_mve_taps(job: &Job);
}

/// Where the taps of a window lie in a slice of pixels, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// From a tap to the next in its row.
    pub(crate) column: usize,
    /// From a row of taps to the next.
    pub(crate) row: usize,
}

/// `sums[p * CHANNELS + c]` of as many channels as `bias` has: a multiple of eight up to [`CHANNELS`]. `x[p]` starts at
/// the first tap of pixel `p` of at most [`PIXELS`], of which channels from `from` on are read. Of the weights: all of them, tap after tap; how
/// many channels each tap has; the first to use.
pub(crate) fn taps(
    taps: &Taps,
    x: &[&[i8]],
    from: usize,
    (weights, channels, first): (&[i8], usize, usize),
    bias: &[i32],
    sums: &mut Sums,
) -> Result<()> {
    let Taps { rows, columns, column, row } = *taps;
    let n = bias.len();
    let reach = |step: usize, count: usize| step.checked_mul(count.checked_sub(1)?);
    let last = reach(row, rows).and_then(|y| y.checked_add(reach(column, columns)?));
    let end = last.and_then(|last| last.checked_add(n)?.checked_add(from)).ok_or(Error::Internal)?;
    let fits = n & 7 == 0 && 0 < n && n <= CHANNELS && x.len() <= PIXELS && !x.is_empty();
    let held = rows.checked_mul(columns).and_then(|t| t.checked_mul(channels)) == Some(weights.len())
        && first.checked_add(n).is_some_and(|end| end <= channels);
    if !fits || !held || x.iter().any(|x| x.len() < end) {
        return Err(Error::Internal);
    }
    let mut starts = [core::ptr::null::<i8>(); PIXELS];
    for (slot, x) in starts.iter_mut().zip(x) {
        *slot = x.as_ptr().wrapping_add(from);
    }
    let job = Job {
        weights: weights.as_ptr().wrapping_add(first),
        steps: [column, channels, row.wrapping_sub(columns.wrapping_mul(column))],
        columns,
        rows,
        bias: bias.as_ptr(),
        sums: sums.as_mut_ptr(),
        pixels: x.len(),
        x: starts.as_ptr(),
        eights: n >> 3,
    };
    // SAFETY: every `x` reaches to the last channel of its last tap; there are weights of all channels for every
    // tap, `n` words of bias, and room for CHANNELS sums of each pixel, which `n` does not exceed.
    unsafe { samara_mve_taps(&job) }
    Ok(())
}
