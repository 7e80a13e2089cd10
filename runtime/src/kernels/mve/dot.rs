//! Sums of products of rows of the input with rows of the weights.
//!
//! `vmladava.s8` adds sixteen products to a register. Two channels by three pixels keep six sums, the most for which
//! every pointer stays in a register: five loads and six multiplications for 96 products.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// Channels whose sums are computed before they become levels.
pub(crate) const CHANNELS: usize = 64;
/// Pixels that share a load of weights.
pub(crate) const PIXELS: usize = 3;

/// Sums of a chunk of channels, pixel by pixel, or of as many channels of one pixel. Functions write pairs and fours of
/// them, and read fours: that is what the room after the last is for.
pub(crate) type Sums = [i32; CHANNELS * PIXELS + 4];

/// Room for sums, none of them computed yet.
pub(crate) const NO_SUMS: Sums = [0; CHANNELS * PIXELS + 4];

/// What the functions read, in words.
#[repr(C)]
pub(super) struct Job {
    pub(super) x: [*const i8; PIXELS],
    pub(super) depth: usize,
    pub(super) bias: *const i32,
    pub(super) sums: *mut i32,
    /// Where sums of the first pixel end; not where they begin.
    pub(super) end: *mut i32,
    pub(super) weights: *const i8,
    /// Bytes from a row of weights to the next.
    pub(super) stride: usize,
}

// r0 is the job.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_dot_3,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_dot_3",
    ".type samara_mve_dot_3,%function",
    ".thumb_func",
    "samara_mve_dot_3:",
    "push {{r4-r11, lr}}",
    "sub sp, sp, #28",
    "ldm r0, {{r1-r7, r11, r12}}",
    "stm sp, {{r1-r7}}", // x0 x1 x2 depth bias sums end
    "2:",
    "ldr r9, [sp, #16]",
    "ldrd r0, r2, [r9], #8",
    "str r9, [sp, #16]",
    "mov r4, r0",
    "mov r6, r2",
    "mov r8, r0",
    "mov r10, r2",
    "ldrd r1, r3, [sp]",
    "ldrd r5, lr, [sp, #8]",
    "mov r7, r11",
    "add r9, r11, r12",
    "add r11, r9, r12",
    "dlstp.8 lr, lr",
    "3:",
    "vldrb.u8 q0, [r1], #16",
    "vldrb.u8 q3, [r7], #16",
    "vmladava.s8 r0, q0, q3",
    "vldrb.u8 q1, [r3], #16",
    "vmladava.s8 r4, q1, q3",
    "vldrb.u8 q2, [r5], #16",
    "vmladava.s8 r8, q2, q3",
    "vldrb.u8 q3, [r9], #16",
    "vmladava.s8 r2, q0, q3",
    "vmladava.s8 r6, q1, q3",
    "vmladava.s8 r10, q2, q3",
    "letp lr, 3b",
    "ldrd r1, r3, [sp, #20]",
    "strd r4, r6, [r1, #{row}]",
    "strd r8, r10, [r1, #2*{row}]",
    "strd r0, r2, [r1], #8",
    "str r1, [sp, #20]",
    "cmp r1, r3",
    "bne 2b",
    "add sp, sp, #28",
    "pop {{r4-r11, pc}}",
    ".size samara_mve_dot_3, . - samara_mve_dot_3",
    "",
    ".section .text.samara_mve_dot_1,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_dot_1",
    ".type samara_mve_dot_1,%function",
    ".thumb_func",
    "samara_mve_dot_1:",
    "push {{r4-r11, lr}}",
    "sub sp, sp, #12",
    "ldrd r12, r1, [r0]", // x
    "ldrd r10, r11, [r0, #12]", // depth, bias
    "ldrd r2, r3, [r0, #20]", // sums, end
    "ldrd r4, r8, [r0, #28]", // weights, stride
    "strd r2, r4, [sp]",
    "str r3, [sp, #8]",
    "2:",
    "ldr r1, [sp, #4]",
    "add r3, r1, r8",
    "add r5, r3, r8",
    "add r7, r5, r8",
    "add r9, r7, r8",
    "str r9, [sp, #4]",
    "mov r9, r12",
    "ldm r11!, {{r0, r2, r4, r6}}",
    "dlstp.8 lr, r10",
    "3:",
    "vldrb.u8 q0, [r9], #16",
    "vldrb.u8 q1, [r1], #16",
    "vmladava.s8 r0, q0, q1",
    "vldrb.u8 q2, [r3], #16",
    "vmladava.s8 r2, q0, q2",
    "vldrb.u8 q1, [r5], #16",
    "vmladava.s8 r4, q0, q1",
    "vldrb.u8 q2, [r7], #16",
    "vmladava.s8 r6, q0, q2",
    "letp lr, 3b",
    "ldr r9, [sp]",
    "ldr r1, [sp, #8]",
    "stm r9!, {{r0, r2, r4, r6}}",
    "str r9, [sp]",
    "cmp r9, r1",
    "bne 2b",
    "add sp, sp, #12",
    "pop {{r4-r11, pc}}",
    ".size samara_mve_dot_1, . - samara_mve_dot_1",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
    row = const CHANNELS * size_of::<i32>(),
);

unsafe extern "C" {
    /// Three pixels, channels in pairs: reads `depth` bytes of each `x` and of each row of weights, writes rows of
    /// `sums`, [`CHANNELS`] words apart.
    pub(super) fn samara_mve_dot_3(job: &Job);
    /// One pixel, channels in fours.
    pub(super) fn samara_mve_dot_1(job: &Job);
}
