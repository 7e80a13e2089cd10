//! Args pixel times a range of output channels, two channels at a time: fully connected layers, and what four pixels
//! leave over. Weights as in [`super::four`]; 14 instructions, eight words loaded, for 16 products.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::args::Args;
use super::text::{constants_single, constants_tflite, level_single, level_tflite};

/// Twice four weights, so many times, that the loop's body holds.
const UNROLLED: usize = 4;
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
    ($(#[$doc:meta])* $name:ident, $constants:ident, $level:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// For `pairs` pairs of channels the pointers of `args` lead to as much as the fields' descriptions say, the
        /// column to a multiple of two words, and nobody else writes there.
        #[inline(never)]
        pub(super) unsafe fn $name(args: &mut Args) {
            // SAFETY: reads and writes through `args` as the caller promises; saves and restores every register
            // beyond the declared ones, and the stack's pointer.
            unsafe {
                asm!(
                    "push {{r0, r4-r11, lr}}",
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
                    "ldr r11, [r12, #{end}]",
                    "ldr r10, [r12, #{entry}]",
                    "ldr r12, [r12, #{columns}]",
                    "mov pc, r10",
                    ".p2align 2",
                    "3:",
                    twice!(),
                    twice!(),
                    twice!(),
                    twice!(),
                    "cmp r12, r11",
                    "bne 3b",
                    "ldr r11, [sp]",
                    "ldr r10, [r11, #{is_odd}]",
                    "cmp r10, #0",
                    "beq 6f",
                    "ldm r12, {{r2-r3}}",
                    "ldm lr!, {{r6-r7}}",
                    "sxtb16 r10, r6",
                    "smlad r0, r2, r10, r0",
                    "smlad r1, r2, r6, r1",
                    "sxtb16 r10, r7",
                    "smlad r0, r3, r10, r0",
                    "smlad r1, r3, r7, r1",
                    // 256 times the odd channel's sum.
                    "6:",
                    "mov r12, r11",
                    "sub r1, r1, r0",
                    "ldr r10, [r12, #{sums}]",
                    "cmp r10, #0",
                    "bne 4f",
                    "ldrd r2, r3, [r12, #{bias}]",
                    "ldr r6, [r12, #{step}]",
                    "ldr r7, [r12, #{output}]",
                    "ldrd r8, r9, [r3]",
                    "ldr r10, [r12, #{zero}]",
                    $constants!(),
                    $level!("r0", "r7"),
                    "ldr r4, [r2, #4]",
                    "add r2, r2, #8",
                    "add r3, r3, r6",
                    "ldrd r8, r9, [r3]",
                    "add r3, r3, r6",
                    "strd r2, r3, [r12, #{bias}]",
                    "ldr r10, [r12, #{zero}]",
                    $constants!(),
                    "add r1, r4, r1, asr #8",
                    $level!("r1", "r7, #1"),
                    "add r7, r7, #2",
                    "str r7, [r12, #{output}]",
                    "ldr r1, [r12, #{pairs}]",
                    "subs r1, r1, #1",
                    "str r1, [r12, #{pairs}]",
                    "bne 2b",
                    "b 5f",
                    "4:",
                    "stm r10, {{r0-r1}}",
                    "5:",
                    "pop {{r0, r4-r11, lr}}",
                    bias = const offset_of!(Args, bias),
                    step = const offset_of!(Args, step),
                    weights = const offset_of!(Args, weights),
                    columns = const offset_of!(Args, columns),
                    end = const offset_of!(Args, end),
                    output = const offset_of!(Args, output),
                    zero = const offset_of!(Args, zero),
                    pairs = const offset_of!(Args, pairs),
                    sums = const offset_of!(Args, sums),
                    is_odd = const offset_of!(Args, is_odd),
                    entry = const offset_of!(Args, entry),
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
    tflite, constants_tflite, level_tflite
}
one! {
    /// Sums become levels with single rounding.
    single, constants_single, level_single
}
