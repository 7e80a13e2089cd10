//! Sums of depthwise convolution: eight or sixteen channels under one window at a time.
//!
//! There is no instruction that multiplies bytes and adds to wider lanes. Eight channels are widened to 16 bits when they
//! are loaded and their products are whole. Of sixteen channels the products are 16 bits wide, and two of them are added
//! before they are widened: that holds unless two weights of -128 meet.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::kernels::mve::dot::CHANNELS;

/// What the functions read, in words.
#[repr(C)]
pub(super) struct Job {
    pub(super) weights: *const i8,
    /// Bytes from tap to tap, in the input and in the weights; from the end of a row of taps to the next in the input.
    pub(super) steps: [usize; 3],
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) bias: *const i32,
    pub(super) sums: *mut i32,
    /// At least 1; as many `x`.
    pub(super) pixels: usize,
    pub(super) x: *const *const i8,
    /// How many eights or sixteens of channels; at least 1.
    pub(super) blocks: usize,
    /// The first channel, in the pixels that `x` point to and in the rows of weights.
    pub(super) first: usize,
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
    "ldr r12, [r0, #44]",
    "sub sp, sp, #16",
    "str r1, [sp, #4]", // blocks left
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

/// The first tap of two: products of even channels in q2, of odd ones in q3.
macro_rules! first {
    ($step:literal) => {
        concat!(
            "vldrb.u8 q0, [r1]\n vldrb.u8 q1, [r2]\n add r1, ",
            $step,
            "\n add r2, r4\n",
            "vmullb.s8 q2, q0, q1\n vmullt.s8 q3, q0, q1\n"
        )
    };
}

/// The second one, added to the first. There is no register for another product, so the input is loaded twice.
macro_rules! second {
    ($step:literal) => {
        concat!(
            "vldrb.u8 q0, [r1]\n vldrb.u8 q1, [r2]\n vmullb.s8 q0, q0, q1\n vadd.i16 q2, q2, q0\n",
            "vldrb.u8 q0, [r1]\n add r1, ",
            $step,
            "\n vmullt.s8 q0, q0, q1\n add r2, r4\n",
            "vadd.i16 q3, q3, q0\n"
        )
    };
}

/// Products to sums: channels 0 4 8 12 in q4, 1 5 9 13 in q5 and so on, as loads and stores of four have them.
macro_rules! widen {
    () => {
        "vmovlb.s16 q0, q2\n vmovlt.s16 q1, q2\n vadd.i32 q4, q4, q0\n vmovlb.s16 q0, q3\n vadd.i32 q6, q6, q1\n \
         vmovlt.s16 q1, q3\n vadd.i32 q5, q5, q0\n vadd.i32 q7, q7, q1\n"
    };
}

// As above for three rows of three columns; r6 leads from the last tap of a row to the next row.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_taps_3x3,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_taps_3x3",
    ".type samara_mve_taps_3x3,%function",
    ".thumb_func",
    "samara_mve_taps_3x3:",
    "push {{r4-r11, lr}}",
    "vpush {{d8-d15}}",
    "ldr r8, [r0]",
    "ldrd r3, r4, [r0, #4]",
    "ldr r6, [r0, #12]",
    "add r6, r3",
    "ldrd r9, r10, [r0, #24]",
    "ldr r5, [r0, #40]",
    "ldr r12, [r0, #44]",
    "2:", // sixteen channels
    "ldrd r11, r7, [r0, #32]",
    "mov lr, r10",
    "3:", // a pixel
    "ldr r1, [r7], #4",
    "vld40.32 {{q4, q5, q6, q7}}, [r9]",
    "vld41.32 {{q4, q5, q6, q7}}, [r9]",
    "add r1, r12",
    "vld42.32 {{q4, q5, q6, q7}}, [r9]",
    "add r2, r8, r12",
    "vld43.32 {{q4, q5, q6, q7}}, [r9]",
    concat!(
        first!("r3"), second!("r3"), widen!(),
        first!("r6"), second!("r3"), widen!(),
        first!("r3"), second!("r6"), widen!(),
        first!("r3"), second!("r3"), widen!(),
        first!("r3"), widen!(),
    ),
    "vst40.32 {{q4, q5, q6, q7}}, [r10]",
    "vst41.32 {{q4, q5, q6, q7}}, [r10]",
    "subs r11, #1",
    "vst42.32 {{q4, q5, q6, q7}}, [r10]",
    "vst43.32 {{q4, q5, q6, q7}}, [r10]",
    "add r10, r10, #{row}",
    "bne 3b",
    "add r10, lr, #64",
    "add r9, r9, #64",
    "add r12, r12, #16",
    "subs r5, #1",
    "bne 2b",
    "vpop {{d8-d15}}",
    "pop {{r4-r11, pc}}",
    ".size samara_mve_taps_3x3, . - samara_mve_taps_3x3",
    "",
    // r0 bytes, r1 how many; the least of them.
    ".section .text.samara_mve_least,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_least",
    ".type samara_mve_least,%function",
    ".thumb_func",
    "samara_mve_least:",
    "push {{r7, lr}}",
    "mov r2, #127",
    "dlstp.8 lr, r1",
    "2:",
    "vldrb.u8 q0, [r0], #16",
    "vminv.s8 r2, q0",
    "letp lr, 2b",
    "mov r0, r2",
    "pop {{r7, pc}}",
    ".size samara_mve_least, . - samara_mve_least",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
    row = const CHANNELS * size_of::<i32>(),
);

// SAFETY: the functions are defined above, with these arguments; their callers say why pointers are good.
unsafe extern "C" {
    /// Eights of channels, any window.
    pub(super) fn samara_mve_taps(job: &Job);
    /// Sixteens of channels, windows of three by three; at most one weight of -128 in two taps of a channel.
    pub(super) fn samara_mve_taps_3x3(job: &Job);
    /// The least of `len` numbers, at least one.
    pub(super) fn samara_mve_least(x: *const i8, len: usize) -> i32;
}
