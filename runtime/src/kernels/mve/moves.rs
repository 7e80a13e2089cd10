//! Bytes copied and set, sixteen at a time.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::error::{Error, Result};
use crate::kernels::portable::patches::{Move, Runs};

// r0 destination, r1 source, r2 the runs. None of length 0.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_copy,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_copy",
    ".type samara_mve_copy,%function",
    ".thumb_func",
    "samara_mve_copy:",
    "push {{r4-r10, lr}}",
    "ldm r2, {{r3-r7}}", // length, count, steps, leap
    "ldr r10, [r2, #20]",
    "2:",
    "ldr r4, [r2, #4]",
    "3:",
    "mov r8, r0",
    "mov r9, r1",
    "dlstp.8 lr, r3",
    "4:",
    "vldrb.u8 q0, [r9], #16",
    "vstrb.8 q0, [r8], #16",
    "letp lr, 4b",
    "subs r4, #1",
    "add r0, r6",
    "add r1, r5",
    "bne 3b",
    "subs r10, #1",
    "add r1, r7",
    "bne 2b",
    "pop {{r4-r10, pc}}",
    ".size samara_mve_copy, . - samara_mve_copy",
    "",
    // r0 destination, r1 value, r2 length.
    ".section .text.samara_mve_fill,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_fill",
    ".type samara_mve_fill,%function",
    ".thumb_func",
    "samara_mve_fill:",
    "push {{r7, lr}}",
    "vdup.8 q0, r1",
    "dlstp.8 lr, r2",
    "2:",
    "vstrb.8 q0, [r0], #16",
    "letp lr, 2b",
    "pop {{r7, pc}}",
    ".size samara_mve_fill, . - samara_mve_fill",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
);

// SAFETY: the functions are defined above, with these arguments; their callers say why pointers are good.
unsafe extern "C" {
    /// Reads the first six words of the runs.
    fn samara_mve_copy(to: *mut i8, from: *const i8, runs: &Runs);
    fn samara_mve_fill(to: *mut i8, value: i32, len: usize);
}

/// With Helium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vectors;

impl Move for Vectors {
    fn fill(to: &mut [i8], value: i8) {
        // SAFETY: exactly the bytes of `to` are set.
        unsafe { samara_mve_fill(to.as_mut_ptr(), value.into(), to.len()) }
    }

    fn copy(to: &mut [i8], from: &[i8], runs: &Runs) -> Result<()> {
        let [source, destination] = runs.ends();
        if source > from.len() || destination > to.len() {
            return Err(Error::Internal);
        }
        // SAFETY: the last run ends within both slices.
        unsafe { samara_mve_copy(to.as_mut_ptr(), from.as_ptr(), runs) }
        Ok(())
    }
}
