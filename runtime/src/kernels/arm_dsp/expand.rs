//! Bytes to halves of words, in the order in which `sxtb16` makes them: of four bytes first and third, second and
//! fourth. What comes from the image and what pads it is one stream: its pieces need not be groups of four.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use crate::error::{Error, Result};

/// What is under windows of the same form: padding, rows of the image between padding, padding.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Rows {
    /// Bytes of padding before and after the rows.
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) rows: usize,
    /// Bytes from row to row.
    stride: usize,
    /// Bytes of every row: padding, image, padding.
    pub(super) before: usize,
    pub(super) inside: usize,
    pub(super) after: usize,
    /// Padding, in each byte.
    fill: u32,
    /// Windows, and bytes from one to the next one in the image. Where there is one, it may be a part of a window that
    /// goes on.
    pub(super) pixels: usize,
    pixel: usize,
    /// Whether a window ends: 0 or 1.
    pub(super) is_end: usize,
    /// Bytes from a word to the next one's place.
    pub(super) step: usize,
    /// Bytes that are no group yet, and their bits.
    carry: [u32; 2],
}

impl Rows {
    /// One window that is one row of so many bytes, apart from what changes from window to window.
    pub(super) fn new(inside: usize, stride: usize, pixel: usize, fill: i8) -> Self {
        let fill = u32::from(fill as u8) * 0x0101_0101;
        let (top, bottom, before, after) = (0, 0, 0, 0);
        let (rows, pixels, is_end, step, carry) = (1, 1, 1, 4, [0; 2]);
        Rows { top, bottom, rows, stride, before, inside, after, fill, pixels, pixel, is_end, step, carry }
    }

    /// Bytes of a window, or of this part of it.
    fn bytes(&self) -> usize {
        self.top + self.rows * (self.before + self.inside + self.after) + self.bottom
    }

    /// Reads `image` and writes two words for every group of four bytes to `words`, one window's first word after the
    /// other's. Returns how many places that takes of one window.
    #[inline(never)]
    pub(super) fn expand(&mut self, image: &[i8], words: &mut [u32]) -> Result<usize> {
        let [_, bits] = self.carry;
        let groups = (bits as usize / 8 + self.bytes()).div_ceil(4);
        let written = (2 * groups).saturating_sub(1) * (self.step / 4) + self.pixels;
        // Without rows, one is taken to be there.
        let (rows, more) = (self.rows.saturating_sub(1), self.pixels.saturating_sub(1));
        let read = more * self.pixel + rows * self.stride + self.inside;
        if self.pixels == 0 || read > image.len() || written > words.len() {
            return Err(Error::Internal);
        }
        let start = words.as_mut_ptr();
        let end: *mut u32;
        // SAFETY: reads as many bytes and writes as many words as was asked for; bytes are read in words, which need no
        // alignment. Every register beyond the declared ones is restored, and the stack's pointer.
        unsafe {
            asm!(
                "push {{r4-r11, lr}}",
                "push {{r0, r1}}",
                "ldr r12, [r2, #{step}]",
                // A window, from the image at `[sp]` to the words at `[sp, #4]`.
                "2:",
                "ldr r7, [sp]",
                "ldr r3, [sp, #4]",
                "ldrd r4, r5, [r2, #{carry}]",
                "rsb r6, r5, #32",
                "ldr r9, [r2, #{top}]",
                "ldr r8, [r2, #{rows}]",
                "cmp r9, #0",
                "beq 3f",
                "bl 20f",
                "3:",
                "cmp r8, #0",
                "beq 7f",
                "4:",
                "ldr r9, [r2, #{before}]",
                "cmp r9, #0",
                "beq 5f",
                "bl 20f",
                "5:",
                "mov r10, r7",
                "ldr r9, [r2, #{inside}]",
                "bl 30f",
                "ldr r9, [r2, #{after}]",
                "cmp r9, #0",
                "beq 6f",
                "bl 20f",
                "6:",
                "ldr r0, [r2, #{stride}]",
                "add r7, r7, r0",
                "subs r8, r8, #1",
                "bne 4b",
                "7:",
                "ldr r9, [r2, #{bottom}]",
                "cmp r9, #0",
                "beq 8f",
                "bl 20f",
                "8:",
                "cmp r5, #0",
                "beq 9f",
                "ldr r0, [r2, #{is_end}]",
                "cmp r0, #0",
                "beq 9f",
                "bl 40f",
                "9:",
                "ldrd r0, r1, [r2, #{pixels}]",
                "subs r0, r0, #1",
                "str r0, [r2, #{pixels}]",
                "ldrd r10, r11, [sp]",
                "add r10, r10, r1",
                "add r11, r11, #4",
                "strd r10, r11, [sp]",
                "bne 2b",
                "strd r4, r5, [r2, #{carry}]",
                "b 50f",
                // Padding of r9 bytes: the same word over and over.
                "20:",
                "mov r11, #0",
                "add r10, r2, #{fill}",
                "b 32f",
                // r9 bytes from r10 on, in twos of groups where none is begun.
                "30:",
                "cmp r5, #0",
                "bne 31f",
                "add r11, r12, r12, lsl #1",
                "subs r9, r9, #8",
                "blo 29f",
                "28:",
                "ldr r0, [r10], #4",
                "sxtb16 r1, r0",
                "str r1, [r3]",
                "sxtb16 r0, r0, ror #8",
                "str r0, [r3, r12]",
                "ldr r0, [r10], #4",
                "sxtb16 r1, r0",
                "str r1, [r3, r12, lsl #1]",
                "sxtb16 r0, r0, ror #8",
                "str r0, [r3, r11]",
                "add r3, r3, r12, lsl #2",
                "subs r9, r9, #8",
                "bhs 28b",
                "29:",
                "adds r9, r9, #8",
                "beq 35f",
                "31:",
                "mov r11, #4",
                // r9 bytes from r10 on, which moves on by r11, behind the r5 bits in r4; r6 is what they lack of 32.
                "32:",
                "subs r9, r9, #4",
                "blo 34f",
                "33:",
                "ldr r0, [r10]",
                "add r10, r10, r11",
                "lsl r1, r0, r5",
                "orr r1, r1, r4",
                "lsr r4, r0, r6",
                "sxtb16 r0, r1",
                "str r0, [r3]",
                "sxtb16 r1, r1, ror #8",
                "str r1, [r3, r12]",
                "add r3, r3, r12, lsl #1",
                "subs r9, r9, #4",
                "bhs 33b",
                "34:",
                "adds r9, r9, #4",
                "bne 36f",
                "35:",
                "bx lr",
                // Byte by byte.
                "36:",
                "push {{lr}}",
                "37:",
                "ldrb r0, [r10]",
                "add r10, r10, r11, lsr #2",
                "lsl r0, r0, r5",
                "orr r4, r4, r0",
                "add r5, r5, #8",
                "subs r6, r6, #8",
                "bne 38f",
                "bl 40f",
                "38:",
                "subs r9, r9, #1",
                "bne 37b",
                "pop {{pc}}",
                // What there is of a group, with zeros.
                "40:",
                "sxtb16 r0, r4",
                "str r0, [r3]",
                "sxtb16 r1, r4, ror #8",
                "str r1, [r3, r12]",
                "add r3, r3, r12, lsl #1",
                "mov r4, #0",
                "mov r5, #0",
                "mov r6, #32",
                "bx lr",
                "50:",
                "pop {{r0, r1}}",
                "pop {{r4-r11, lr}}",
                top = const offset_of!(Rows, top),
                bottom = const offset_of!(Rows, bottom),
                rows = const offset_of!(Rows, rows),
                stride = const offset_of!(Rows, stride),
                before = const offset_of!(Rows, before),
                inside = const offset_of!(Rows, inside),
                after = const offset_of!(Rows, after),
                fill = const offset_of!(Rows, fill),
                pixels = const offset_of!(Rows, pixels),
                is_end = const offset_of!(Rows, is_end),
                step = const offset_of!(Rows, step),
                carry = const offset_of!(Rows, carry),
                inout("r0") image.as_ptr() => _,
                inout("r1") start => _,
                inout("r2") core::ptr::from_mut(self) => _,
                out("r3") end,
                out("r12") _,
            );
        }
        Ok((end as usize).wrapping_sub(start as usize) / 4)
    }
}
