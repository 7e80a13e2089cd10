//! One pixel times a range of output channels, two channels at a time: fully connected layers, and what four pixels
//! leave over. Weights as in [`super::four`]; 14 instructions, eight words loaded, for 16 products.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::args::{Args, BASE};
use super::text::{
    bias_single, bias_tflite, constants_single, constants_tflite, even_single, even_tflite, level_single,
    level_tflite, odd_single, odd_tflite,
};

/// Twice four weights, so many times, that the loop's body holds.
const UNROLLED: usize = 2;
/// Bytes of code of twice four weights: 14 instructions of four.
const TWICE: usize = 56;

/// Bytes of unrolled code that a pair's first round skips, for a column of so many groups of four weights. All of it
/// where there are not two.
pub(super) const fn skip(groups: usize) -> usize {
    match groups / 2 {
        0 => UNROLLED * TWICE,
        twice => twice.wrapping_neg() % UNROLLED * TWICE,
    }
}

/// Four words of weights times one pixel. Every instruction takes four bytes in both instruction sets.
macro_rules! twice {
    () => {
        "ldm r12!, {{r2-r5}}
         ldm lr!, {{r6-r9}}
         sxtb16 r10, r6
         smlad r0, r2, r10, r0
         smlad r1, r2, r6, r1
         sxtb16 r10, r7
         smlad r0, r3, r10, r0
         smlad r1, r3, r7, r1
         sxtb16 r10, r8
         smlad r0, r4, r10, r0
         smlad r1, r4, r8, r1
         sxtb16 r10, r9
         smlad r0, r5, r10, r0
         smlad r1, r5, r9, r1"
    };
}

macro_rules! one {
    ($(#[$doc:meta])* $name:ident, $constants:ident, $bias:ident, $even:ident, $odd:ident, $level:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Up to the `last` biases the pointers of `args` lead to as much as the fields' descriptions say, the
        /// column to a multiple of two words, and nobody else writes there.
        #[inline(never)]
        pub(super) unsafe fn $name(args: &mut Args) {
            // SAFETY: reads and writes through `args` as the caller promises; saves and restores every register
            // beyond the declared ones, and the stack's pointer.
            unsafe {
                asm!(
                    "push {{r4-r11, lr}}",
                    "add r12, r0, #{base}",
                    "push {{r12}}",
                    "adr r1, 3f",
                    "ldr r2, [r12, #-8]",
                    "add r1, r1, r2",
                    "str r1, [r12, #-8]",
                    "ldr lr, [r12, #{weights}]",
                    "ldr r11, [r12, #{end}]",
                    // A pair: sums of 0, the address in the unrolled code, and the column.
                    "2:",
                    "ldmdb r12, {{r0, r1, r10, r12}}",
                    "mov pc, r10",
                    ".p2align 2",
                    "3:",
                    twice!(),
                    twice!(),
                    "cmp r12, r11",
                    "bne 3b",
                    "ldr r10, [sp]",
                    "ldm r10, {{r2-r6}}",
                    "cmp r6, #0",
                    "bne 4f",
                    // 256 times the odd channel's sum.
                    "6:",
                    "mov r12, r10",
                    "sub r1, r1, r0",
                    "ldm r2!, {{r6-r7}}",
                    "ldrd r8, r9, [r3]",
                    $constants!("r9", "r5", "r10"),
                    $bias!("r6"),
                    $even!("r0", "r6"),
                    $level!("r0", "r10", "r9", "r6"),
                    "strb r6, [r4], #1",
                    "ldrd r8, r9, [r3, #8]",
                    $constants!("r9", "r5", "r10"),
                    $bias!("r7"),
                    $odd!("r1", "r7"),
                    $level!("r1", "r10", "r9", "r6"),
                    "strb r6, [r4], #1",
                    "ldr r7, [r12, #{step}]",
                    "add r3, r3, r7",
                    "stm r12, {{r2-r4}}",
                    "ldr r7, [r12, #{last}]",
                    "cmp r2, r7",
                    "bne 2b",
                    "b 5f",
                    // An odd group, sums instead of levels, or both.
                    "4:",
                    "ldr r9, [r10, #{is_odd}]",
                    "cmp r9, #0",
                    "beq 7f",
                    "ldm r12, {{r6-r7}}",
                    "ldm lr!, {{r8-r9}}",
                    "sxtb16 r12, r8",
                    "smlad r0, r6, r12, r0",
                    "smlad r1, r6, r8, r1",
                    "sxtb16 r12, r9",
                    "smlad r0, r7, r12, r0",
                    "smlad r1, r7, r9, r1",
                    "7:",
                    "ldr r9, [r10, #{sums}]",
                    "cmp r9, #0",
                    "beq 6b",
                    "sub r1, r1, r0",
                    "stm r9, {{r0-r1}}",
                    "5:",
                    "pop {{r12}}",
                    "pop {{r4-r11, lr}}",
                    base = const BASE,
                    step = const offset_of!(Args, step) - BASE,
                    weights = const offset_of!(Args, weights) - BASE,
                    end = const offset_of!(Args, end) - BASE,
                    last = const offset_of!(Args, last) - BASE,
                    sums = const offset_of!(Args, sums) - BASE,
                    is_odd = const offset_of!(Args, is_odd) - BASE,
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

one! {
    /// Sums become levels with TFLite rounding.
    tflite, constants_tflite, bias_tflite, even_tflite, odd_tflite, level_tflite
}
one! {
    /// Sums become levels with single rounding.
    single, constants_single, bias_single, even_single, odd_single, level_single
}
