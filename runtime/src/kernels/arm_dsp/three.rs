//! One row of depthwise convolution with a window of 3 by 3, channel by channel.
//!
//! A column of three inputs, two of them packed into one register, is read once per output row and multiplied for the
//! outputs to its left and right while their sums stay in registers: nine products in six instructions.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::text::{constants_single, constants_tflite, level_single, level_tflite};

/// What the loop reads and advances. What is loaded together lies together.
#[repr(C)]
#[derive(Debug)]
pub struct Three {
    /// Twelve bytes per channel, nine of them weights, at a word.
    pub(super) weights: *const i8,
    /// One per channel.
    pub(super) bias: *const i32,
    /// Multiplier and shift per channel.
    pub(super) scales: *const [i32; 2],
    /// Bytes from one channel's constants to the next one's: 8, or 0 where all share them.
    pub(super) step: usize,
    /// As the rounding takes it, see [`super::scale::Scale::zero`].
    pub(super) zero: i32,
    /// The input under the window's upper row, at its first column in the image. Where that row lies in the padding,
    /// any row.
    pub(super) input: *const i8,
    /// Bytes from the upper row to the middle and the lower one.
    pub(super) rows: [usize; 2],
    /// Bytes from column to column, which the channels number too.
    pub(super) channels: usize,
    /// Of outputs next to each other the bytes from the input behind the last column that the first output ends in to
    /// that output, else that output's address.
    pub(super) output: usize,
    /// Bytes from `input` behind the last column of the image that an output ends in, and behind the columns of padding
    /// that follow.
    pub(super) end: [usize; 2],
    /// Whether outputs are two columns apart: 0 or 1.
    pub(super) by_twos: usize,
    /// Whether the first column lies in the padding: 0 or 1.
    pub(super) left: usize,
    /// The input's zero point, twice in a word.
    pub(super) fill: u32,
    /// Whether a row lies in the padding: 0 or 1.
    pub(super) is_masked: usize,
    /// The same where the upper and middle row lie in the padding, else 0; and where the lower one does.
    pub(super) masked: [u32; 2],
    /// The halves that `masked` has no zero point in.
    pub(super) kept: [u32; 2],
    /// Channels to do.
    pub(super) left_over: usize,
}

/// A column of the image to `r8` (upper and middle) and `r9` (lower); the pointer moves on.
macro_rules! column {
    () => {
        "ldrsb r8, [r10]
         ldrsb r9, [r10, r11]
         pkhbt r8, r8, r9, lsl #16
         ldrsb r9, [r10, r12]"
    };
}

/// Sum `r7` as the level takes it.
macro_rules! doubled_tflite {
    () => {
        "lsl r7, r7, #1"
    };
}

macro_rules! doubled_single {
    () => {
        ""
    };
}

/// Outputs next to each other: every column ends one, continues one and begins one. `r5` and `r6` hold the two that
/// go on; the output lies at a fixed distance from the input.
macro_rules! by_ones {
    ($doubled:ident, $level:ident) => {
        concat!(
            // The second column; the first one is in `r8` and `r9`.
            "ldr r6, [sp, #16]\n",
            "smlad r5, r8, r0, r6\n",
            "smlabb r5, r9, r3, r5\n",
            column!(),
            "\nadd r10, r10, lr\n",
            "smlad r6, r8, r0, r6\n",
            "smlabb r6, r9, r3, r6\n",
            "smlad r5, r8, r1, r5\n",
            "smlabt r5, r9, r3, r5\n",
            "b 5f\n",
            "3:\n",
            column!(),
            "\n4:\n",
            "add r10, r10, lr\n",
            "smlad r7, r8, r2, r5\n",
            "smlabt r7, r9, r4, r7\n",
            "smlad r5, r8, r1, r6\n",
            "smlabt r5, r9, r3, r5\n",
            "ldr r6, [sp, #16]\n",
            "smlad r6, r8, r0, r6\n",
            "smlabb r6, r9, r3, r6\n",
            $doubled!(),
            "\nldrd r8, r9, [sp]\n",
            $level!("r7", "r9", "r4", "r8"),
            "ldr r9, [sp, #20]\n",
            "strb r8, [r10, r9]\n",
            "5:\n",
            "ldr r8, [sp, #8]\n",
            "cmp r10, r8\n",
            "blo 3b\n",
            "ldr r8, [sp, #12]\n",
            "cmp r10, r8\n",
            "bhs 6f\n",
            "ldr r8, [sp, #24]\n",
            "mov r9, r8\n",
            "b 4b\n",
        )
    };
}

/// Every second output: one column continues an output, the next one ends it and begins another. `r5` holds the one that
/// goes on, `r6` its place.
macro_rules! by_twos {
    ($doubled:ident, $level:ident) => {
        concat!(
            "ldr r5, [sp, #16]\n",
            "ldr r6, [sp, #20]\n",
            "add r7, r6, #1\n",
            "str r7, [sp, #20]\n",
            "smlad r5, r8, r0, r5\n",
            "smlabb r5, r9, r3, r5\n",
            "b 25f\n",
            "23:\n",
            column!(),
            "\nadd r10, r10, lr\n",
            "smlad r5, r8, r1, r5\n",
            "smlabt r5, r9, r3, r5\n",
            column!(),
            "\n24:\n",
            "add r10, r10, lr\n",
            "smlad r7, r8, r2, r5\n",
            "smlabt r7, r9, r4, r7\n",
            "ldr r5, [sp, #16]\n",
            "smlad r5, r8, r0, r5\n",
            "smlabb r5, r9, r3, r5\n",
            $doubled!(),
            "\nldrd r8, r9, [sp]\n",
            $level!("r7", "r9", "r4", "r8"),
            "strb r8, [r6]\n",
            "add r6, r6, lr\n",
            "25:\n",
            "ldr r8, [sp, #8]\n",
            "cmp r10, r8\n",
            "blo 23b\n",
            "ldr r8, [sp, #12]\n",
            "cmp r10, r8\n",
            "bhs 6f\n",
            column!(),
            "\nadd r10, r10, lr\n",
            "smlad r5, r8, r1, r5\n",
            "smlabt r5, r9, r3, r5\n",
            "ldr r8, [sp, #24]\n",
            "mov r9, r8\n",
            "b 24b\n",
        )
    };
}

macro_rules! three {
    ($(#[$doc:meta])* $name:ident, $constants:ident, $doubled:ident, $level:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// For every channel the pointers of `args` lead to as much as the fields' descriptions say, `output` to as many
        /// pixels as there are columns up to the second `end` for, and nobody else writes there. There is a second column.
        #[inline(never)]
        pub(super) unsafe fn $name(args: &mut Three) {
            // SAFETY: reads and writes through `args` as the caller promises; saves and restores every register
            // beyond the declared ones, and the stack's pointer.
            unsafe {
                asm!(
                    "push {{r0, r4-r11, lr}}",
                    // Multiplier, what is added, both ends, bias, place of the output, zero points, arguments.
                    "sub sp, sp, #32",
                    "str r0, [sp, #28]",
                    "ldr r1, [r0, #{fill}]",
                    "str r1, [sp, #24]",
                    "ldr r1, [r0, #{output}]",
                    "str r1, [sp, #20]",
                    "mov r12, r0",
                    // Weights, bias, scales, step and zero point.
                    "2:",
                    "ldm r12, {{r5-r8, r10}}",
                    "ldm r5!, {{r0, r1, r4}}",
                    "ldr r11, [r6], #4",
                    "ldrd r2, r3, [r7]",
                    "add r7, r7, r8",
                    "stm r12, {{r5-r7}}",
                    $constants!("r3", "r10", "r10"),
                    "str r2, [sp]",
                    "str r10, [sp, #4]",
                    // One word per column of the upper and middle row; the lower row in halves, the last one of
                    // which shares its register with the shift.
                    "sxtb16 r2, r0",
                    "sxtb16 r3, r0, ror #8",
                    "sxtb16 r5, r1",
                    "sxtb16 r6, r1, ror #8",
                    "sxtb r4, r4",
                    "pkhbt r0, r2, r3",
                    "pkhbt r1, r3, r5, lsl #16",
                    "lsl r8, r6, #16",
                    "pkhtb r2, r8, r2, asr #16",
                    "pkhtb r3, r6, r5, asr #16",
                    "pkhbt r4, r9, r4, lsl #16",
                    "ldr r8, [r12, #{is_masked}]",
                    "cmp r8, #0",
                    "beq 7f",
                    "ldrd r8, r9, [r12, #{masked}]",
                    "smlad r11, r8, r0, r11",
                    "smlad r11, r8, r1, r11",
                    "smlad r11, r8, r2, r11",
                    "smlad r11, r9, r3, r11",
                    "smlabt r11, r9, r4, r11",
                    "ldrd r8, r9, [r12, #{kept}]",
                    "and r0, r0, r8",
                    "and r1, r1, r8",
                    "and r2, r2, r8",
                    "and r3, r3, r9",
                    "orr r9, r9, #255",
                    "and r4, r4, r9",
                    "7:",
                    "str r11, [sp, #16]",
                    "ldrd r6, r7, [r12, #{by_twos}]",
                    "ldrd r8, r9, [r12, #{end}]",
                    "ldr r10, [r12, #{input}]",
                    "add r5, r10, #1",
                    "str r5, [r12, #{input}]!",
                    "ldm r12, {{r5, r11, r12, lr}}",
                    "add r8, r8, r10",
                    "add r9, r9, r10",
                    "strd r8, r9, [sp, #8]",
                    "ldr r8, [sp, #24]",
                    "mov r9, r8",
                    "cmp r7, #0",
                    "bne 8f",
                    column!(),
                    "add r10, r10, lr",
                    "8:",
                    "cmp r6, #0",
                    "bne 9f",
                    by_ones!($doubled, $level),
                    "9:",
                    by_twos!($doubled, $level),
                    "6:",
                    "ldr r12, [sp, #28]",
                    "ldr r8, [r12, #{left_over}]",
                    "subs r8, r8, #1",
                    "str r8, [r12, #{left_over}]",
                    "bne 2b",
                    "add sp, sp, #32",
                    "pop {{r0, r4-r11, lr}}",
                    input = const offset_of!(Three, input),
                    output = const offset_of!(Three, output),
                    end = const offset_of!(Three, end),
                    by_twos = const offset_of!(Three, by_twos),
                    fill = const offset_of!(Three, fill),
                    is_masked = const offset_of!(Three, is_masked),
                    masked = const offset_of!(Three, masked),
                    kept = const offset_of!(Three, kept),
                    left_over = const offset_of!(Three, left_over),
                    inout("r0") args => _,
                    out("r1") _,
                    out("r2") _,
                    out("r3") _,
                    out("r12") _,
                );
            }
        }
    };
}

three! {
    /// TFLite rounding.
    tflite, constants_tflite, doubled_tflite, level_tflite
}
three! {
    /// Single rounding.
    single, constants_single, doubled_single, level_single
}
