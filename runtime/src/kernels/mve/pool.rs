//! Sums of channels over the taps of a pooling window.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::kernels::portable::average_pool_2d::Add;

// r0 sums, r1 bytes, r2 how many.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_accumulate,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_accumulate",
    ".type samara_mve_accumulate,%function",
    ".thumb_func",
    "samara_mve_accumulate:",
    "push {{r7, lr}}",
    "dlstp.32 lr, r2",
    "2:",
    "vldrb.s32 q0, [r1], #4",
    "vldrw.u32 q1, [r0]",
    "vadd.i32 q0, q0, q1",
    "vstrw.32 q0, [r0], #16",
    "letp lr, 2b",
    "pop {{r7, pc}}",
    ".size samara_mve_accumulate, . - samara_mve_accumulate",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
);

// SAFETY: the functions are defined above, with these arguments; their callers say why pointers are good.
unsafe extern "C" {
    fn samara_mve_accumulate(sums: *mut i32, x: *const i8, count: usize);
}

/// With Helium.
#[derive(Clone, Copy, Debug)]
pub struct Vectors;

impl Add for Vectors {
    #[inline(always)]
    fn add(sums: &mut [i32], xs: &[i8]) {
        let count = sums.len().min(xs.len());
        if count > 0 {
            // SAFETY: both have `count` elements.
            unsafe { samara_mve_accumulate(sums.as_mut_ptr(), xs.as_ptr(), count) }
        }
    }
}
