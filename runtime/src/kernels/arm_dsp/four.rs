//! Args pixels times a range of output channels, two channels at a time.
//!
//! Eight sums stay in registers. A word of weights holds two weights of both channels, `even + 256 * odd`: one
//! extraction makes the even channel's, the word as it is serves the odd one, whose sum is freed of the even one's at
//! the end. That makes 12 instructions, five words loaded, for 16 products.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::args::Args;
use super::text::{constants_single, constants_tflite, level_single, level_tflite};

/// Groups of four weights that the loop's body holds.
const UNROLLED: usize = 4;
/// Bytes of code of a group: 24 instructions of four.
const GROUP: usize = 96;

/// Bytes of unrolled code that a pair's first round skips, for columns of so many groups.
pub(super) const fn skip(groups: usize) -> usize {
    groups.wrapping_neg() % UNROLLED * GROUP
}

/// Two words of weights times four pixels. Every instruction takes four bytes in both instruction sets.
macro_rules! group {
    () => {
        "ldr r11, [lr], #4
         sxtb16 r10, r11
         ldrd r8, r9, [r12], #8
         smlad r0, r8, r10, r0
         smlad r1, r8, r11, r1
         smlad r2, r9, r10, r2
         smlad r3, r9, r11, r3
         ldrd r8, r9, [r12], #8
         smlad r4, r8, r10, r4
         smlad r5, r8, r11, r5
         smlad r6, r9, r10, r6
         smlad r7, r9, r11, r7
         ldr r11, [lr], #4
         sxtb16 r10, r11
         ldrd r8, r9, [r12], #8
         smlad r0, r8, r10, r0
         smlad r1, r8, r11, r1
         smlad r2, r9, r10, r2
         smlad r3, r9, r11, r3
         ldrd r8, r9, [r12], #8
         smlad r4, r8, r10, r4
         smlad r5, r8, r11, r5
         smlad r6, r9, r10, r6
         smlad r7, r9, r11, r7"
    };
}

macro_rules! four {
    ($(#[$doc:meta])* $name:ident, $constants:ident, $level:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// For `pairs` pairs of channels the pointers of `args` lead to as much as the fields' descriptions say, the
        /// columns to a multiple of eight words, and nobody else writes there.
        #[inline(never)]
        pub(super) unsafe fn $name(args: &mut Args) {
            // SAFETY: reads and writes through `args` as the caller promises; saves and restores every register
            // beyond the declared ones, and the stack's pointer.
            unsafe {
                asm!(
                    "push {{r0, r4-r11, lr}}",
                    "ldr r1, [r0, #{end}]",
                    "push {{r1}}",
                    "adr r1, 3f",
                    "ldr r2, [r0, #{entry}]",
                    "add r1, r1, r2",
                    "str r1, [r0, #{entry}]",
                    "ldr lr, [r0, #{weights}]",
                    "mov r12, r0",
                    // A pair: both of its sums start at the even channel's bias, which their difference loses.
                    "2:",
                    "ldr r0, [r12, #{bias}]",
                    "ldr r0, [r0]",
                    "mov r1, r0",
                    "mov r2, r0",
                    "mov r3, r0",
                    "mov r4, r0",
                    "mov r5, r0",
                    "mov r6, r0",
                    "mov r7, r0",
                    "ldr r10, [r12, #{entry}]",
                    "ldr r12, [r12, #{columns}]",
                    "mov pc, r10",
                    ".p2align 2",
                    "3:",
                    group!(),
                    group!(),
                    group!(),
                    group!(),
                    "ldr r10, [sp]",
                    "cmp r12, r10",
                    "bne 3b",
                    // 256 times the odd channel's sums.
                    "ldr r12, [sp, #4]",
                    "sub r1, r1, r0",
                    "sub r3, r3, r2",
                    "sub r5, r5, r4",
                    "sub r7, r7, r6",
                    "ldr r10, [r12, #{sums}]",
                    "cmp r10, #0",
                    "bne 4f",
                    "ldr r9, [r12, #{scales}]",
                    "ldr r10, [r12, #{zero}]",
                    "ldrd r8, r9, [r9]",
                    $constants!(),
                    "str lr, [r12, #{weights}]",
                    "ldr lr, [r12, #{channels}]",
                    "ldr r12, [r12, #{output}]",
                    $level!("r0", "r12"),
                    $level!("r2", "r12, lr"),
                    $level!("r4", "r12, lr, lsl #1"),
                    "add r12, r12, lr",
                    $level!("r6", "r12, lr, lsl #1"),
                    "sub r12, r12, lr",
                    "add r12, r12, #1",
                    "ldr r0, [sp, #4]",
                    "ldrd r8, r9, [r0, #{bias}]",
                    "ldr r4, [r0, #{step}]",
                    "ldr r2, [r8, #4]",
                    "add r8, r8, #8",
                    "add r6, r9, r4",
                    "add r9, r6, r4",
                    "strd r8, r9, [r0, #{bias}]",
                    "ldr r10, [r0, #{zero}]",
                    "ldrd r8, r9, [r6]",
                    $constants!(),
                    "add r1, r2, r1, asr #8",
                    $level!("r1", "r12"),
                    "add r3, r2, r3, asr #8",
                    $level!("r3", "r12, lr"),
                    "add r5, r2, r5, asr #8",
                    $level!("r5", "r12, lr, lsl #1"),
                    "add r12, r12, lr",
                    "add r7, r2, r7, asr #8",
                    $level!("r7", "r12, lr, lsl #1"),
                    "sub r12, r12, lr",
                    "add r12, r12, #1",
                    "str r12, [r0, #{output}]",
                    "ldr lr, [r0, #{weights}]",
                    "mov r12, r0",
                    "ldr r1, [r0, #{pairs}]",
                    "subs r1, r1, #1",
                    "str r1, [r0, #{pairs}]",
                    "bne 2b",
                    "b 5f",
                    "4:",
                    "stm r10, {{r0-r7}}",
                    "5:",
                    "pop {{r1}}",
                    "pop {{r0, r4-r11, lr}}",
                    end = const offset_of!(Args, end),
                    entry = const offset_of!(Args, entry),
                    weights = const offset_of!(Args, weights),
                    bias = const offset_of!(Args, bias),
                    columns = const offset_of!(Args, columns),
                    sums = const offset_of!(Args, sums),
                    scales = const offset_of!(Args, scales),
                    step = const offset_of!(Args, step),
                    zero = const offset_of!(Args, zero),
                    channels = const offset_of!(Args, channels),
                    output = const offset_of!(Args, output),
                    pairs = const offset_of!(Args, pairs),
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

four! {
    /// Sums become levels with TFLite rounding.
    tflite, constants_tflite, level_tflite
}
four! {
    /// Sums become levels with single rounding.
    single, constants_single, level_single
}
