//! Four pixels times a range of output channels, two channels at a time.
//!
//! Eight sums stay in registers. A word of weights holds two weights of both channels, `even + 256 * odd`: one
//! extraction makes the even channel's, the word as it is serves the odd one, whose sum is freed of the even one's at
//! the end. That makes 12 instructions, five words loaded, for 16 products.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::args::{Args, BASE};
use super::text::{
    bias_single, bias_tflite, constants_single, constants_tflite, even_single, even_tflite, level_single,
    level_tflite, odd_single, odd_tflite,
};

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

/// The level of pixel `$sum` of the channel at hand, stored.
macro_rules! store {
    ($level:ident, $sum:literal, $at:literal) => {
        concat!($level!($sum, "r11", "r9", "lr"), "strb lr, ", $at, "\n")
    };
}

macro_rules! four {
    ($(#[$doc:meta])* $name:ident, $constants:ident, $bias:ident, $even:ident, $odd:ident, $level:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Up to the `last` biases the pointers of `args` lead to as much as the fields' descriptions say, the
        /// columns to a multiple of eight words, and nobody else writes there.
        #[inline(never)]
        pub(super) unsafe fn $name(args: &mut Args) {
            // SAFETY: reads and writes through `args` as the caller promises; saves and restores every register
            // beyond the declared ones, and the stack's pointer.
            unsafe {
                asm!(
                    "push {{r4-r11, lr}}",
                    "add r0, r0, #{base}",
                    "ldr r1, [r0, #{end}]",
                    "push {{r0, r1}}",
                    "adr r1, 3f",
                    "ldr r2, [r0, #-8]",
                    "add r1, r1, r2",
                    "str r1, [r0, #-8]",
                    "ldr lr, [r0, #{weights}]",
                    // A pair: sums of 0, the address in the unrolled code, and the columns.
                    "2:",
                    "ldmdb r0, {{r0-r7, r10, r12}}",
                    "mov pc, r10",
                    ".p2align 2",
                    "3:",
                    group!(),
                    group!(),
                    group!(),
                    group!(),
                    "ldr r10, [sp, #4]",
                    "cmp r12, r10",
                    "bne 3b",
                    // 256 times the odd channel's sums.
                    "ldr r12, [sp]",
                    "sub r1, r1, r0",
                    "sub r3, r3, r2",
                    "sub r5, r5, r4",
                    "sub r7, r7, r6",
                    "str lr, [r12, #{weights}]",
                    "ldm r12, {{r8-r11, lr}}",
                    "cmp lr, #0",
                    "bne 4f",
                    // The even channel, with the output in `r10`.
                    "ldr lr, [r8]",
                    "ldrd r8, r9, [r9]",
                    $constants!("r9", "r11", "r11"),
                    $bias!("lr"),
                    $even!("r0", "lr"),
                    $even!("r2", "lr"),
                    $even!("r4", "lr"),
                    $even!("r6", "lr"),
                    "ldr r12, [r12, #{channels}]",
                    store!($level, "r0", "[r10]"),
                    store!($level, "r2", "[r10, r12]"),
                    store!($level, "r4", "[r10, r12, lsl #1]"),
                    "add r10, r10, r12",
                    store!($level, "r6", "[r10, r12, lsl #1]"),
                    // The odd channel, from the second pixel on, then the first one.
                    "ldr r0, [sp]",
                    "ldm r0, {{r2, r4, r6, r11}}",
                    "ldr lr, [r2, #4]!",
                    "ldrd r8, r9, [r4, #8]",
                    $constants!("r9", "r11", "r11"),
                    $bias!("lr"),
                    $odd!("r1", "lr"),
                    $odd!("r3", "lr"),
                    $odd!("r5", "lr"),
                    $odd!("r7", "lr"),
                    store!($level, "r3", "[r10, #1]!"),
                    store!($level, "r5", "[r10, r12]"),
                    store!($level, "r7", "[r10, r12, lsl #1]"),
                    "sub r10, r10, r12",
                    store!($level, "r1", "[r10], #1"),
                    "ldr r6, [r0, #{step}]",
                    "add r2, r2, #4",
                    "add r4, r4, r6",
                    "stm r0, {{r2, r4, r10}}",
                    "ldr lr, [r0, #{weights}]",
                    "ldr r4, [r0, #{last}]",
                    "cmp r2, r4",
                    "bne 2b",
                    "b 5f",
                    "4:",
                    "ldr r12, [r12, #{sums}]",
                    "stm r12, {{r0-r7}}",
                    "5:",
                    "pop {{r0, r1}}",
                    "pop {{r4-r11, lr}}",
                    base = const BASE,
                    end = const offset_of!(Args, end) - BASE,
                    weights = const offset_of!(Args, weights) - BASE,
                    sums = const offset_of!(Args, sums) - BASE,
                    step = const offset_of!(Args, step) - BASE,
                    last = const offset_of!(Args, last) - BASE,
                    channels = const offset_of!(Args, channels) - BASE,
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
    tflite, constants_tflite, bias_tflite, even_tflite, odd_tflite, level_tflite
}
four! {
    /// Sums become levels with single rounding.
    single, constants_single, bias_single, even_single, odd_single, level_single
}
