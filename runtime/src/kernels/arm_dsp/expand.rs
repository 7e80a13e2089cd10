//! Bytes to halves of words, in the order in which `sxtb16` makes them: of four bytes first and third, second and
//! fourth.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::error::{Error, Result};

/// Rows of bytes with padding on both sides, all in groups of four, and where their words go.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Rows {
    /// Bytes from row to row.
    stride: usize,
    /// Not 0.
    rows: usize,
    /// Groups of padding before every row, of bytes, and of padding after.
    before: usize,
    inside: usize,
    after: usize,
    /// A word of padding.
    fill: u32,
    /// Bytes from a word to the next one's place.
    step: usize,
    /// Bytes from the first one read to behind the last one.
    read: usize,
    /// Words from the first one written to behind the last one and the gap after it.
    written: usize,
}

impl Rows {
    /// `rows` rows of so many bytes of padding, of the image, and of padding, whose words go `step` words apart.
    pub(super) fn new(
        (rows, stride): (usize, usize),
        (before, inside, after): (usize, usize, usize),
        fill: i8,
        step: usize,
    ) -> Self {
        let half = u32::from(fill as u16);
        let last = rows.saturating_sub(1).wrapping_mul(stride);
        Rows {
            stride,
            rows,
            before: before / 4,
            inside: inside / 4,
            after: after / 4,
            fill: half << 16 | half,
            step: 4 * step,
            read: if inside > 0 { last + inside } else { 0 },
            written: rows * (before + inside + after) / 2 * step,
        }
    }

    /// Reads `bytes` and writes two words for every group to `words`. Returns how many words that takes.
    #[inline(never)]
    pub(super) fn expand(&self, bytes: &[i8], words: &mut [u32]) -> Result<usize> {
        // The gap after the last word may lie outside.
        if self.rows == 0 || self.written > words.len() + self.step / 4 - 1 || self.read > bytes.len() {
            return Err(Error::Internal);
        }
        // SAFETY: reads as many bytes and writes as many words as was asked for; bytes are read in words, which need no
        // alignment. Every register beyond the declared ones is restored.
        unsafe {
            asm!(
                "push {{r4-r11, lr}}",
                "mov r8, r1",
                "mov r1, r2",
                "ldr r12, [r0, #24]",
                "ldm r0, {{r2-r7}}",
                "add r11, r12, r12, lsl #1",
                "2:",
                "movs r9, r4",
                "beq 4f",
                "3:",
                "str r7, [r8]",
                "str r7, [r8, r12]",
                "add r8, r8, r12, lsl #1",
                "subs r9, r9, #1",
                "bne 3b",
                "4:",
                "mov r10, r1",
                "lsrs r9, r5, #1",
                "bcc 5f",
                "ldr r0, [r10], #4",
                "sxtb16 lr, r0",
                "str lr, [r8]",
                "sxtb16 r0, r0, ror #8",
                "str r0, [r8, r12]",
                "add r8, r8, r12, lsl #1",
                "5:",
                "cmp r9, #0",
                "beq 7f",
                "6:",
                "ldr r0, [r10], #4",
                "sxtb16 lr, r0",
                "str lr, [r8]",
                "sxtb16 r0, r0, ror #8",
                "str r0, [r8, r12]",
                "ldr r0, [r10], #4",
                "sxtb16 lr, r0",
                "str lr, [r8, r12, lsl #1]",
                "sxtb16 r0, r0, ror #8",
                "str r0, [r8, r11]",
                "add r8, r8, r12, lsl #2",
                "subs r9, r9, #1",
                "bne 6b",
                "7:",
                "movs r9, r6",
                "beq 9f",
                "8:",
                "str r7, [r8]",
                "str r7, [r8, r12]",
                "add r8, r8, r12, lsl #1",
                "subs r9, r9, #1",
                "bne 8b",
                "9:",
                "add r1, r1, r2",
                "subs r3, r3, #1",
                "bne 2b",
                "pop {{r4-r11, lr}}",
                inout("r0") self => _,
                inout("r1") words.as_mut_ptr() => _,
                inout("r2") bytes.as_ptr() => _,
                out("r3") _,
                out("r12") _,
            );
        }
        Ok(self.written)
    }
}
