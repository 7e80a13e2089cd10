//! Bytes copied and set, sixteen at a time.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::error::{Error, Result};
use crate::kernels::portable::patches::{Move, Runs};

// r0 destination, r1 source, r2 the runs: length, count, steps. None of length 0.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_copy,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_copy",
    ".type samara_mve_copy,%function",
    ".thumb_func",
    "samara_mve_copy:",
    "push {{r4-r8, lr}}",
    "ldm r2, {{r3-r6}}",
    "2:",
    "mov r7, r0",
    "mov r8, r1",
    "dlstp.8 lr, r3",
    "3:",
    "vldrb.u8 q0, [r8], #16",
    "vstrb.8 q0, [r7], #16",
    "letp lr, 3b",
    "add r0, r6",
    "add r1, r5",
    "subs r4, #1",
    "bne 2b",
    "pop {{r4-r8, pc}}",
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

unsafe extern "C" {
    fn samara_mve_copy(to: *mut i8, from: *const i8, runs: &[usize; 4]);
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
        let Runs { len, count, steps: [source, destination] } = *runs;
        let end = |step: usize| step.checked_mul(count.checked_sub(1)?)?.checked_add(len);
        match (end(source), end(destination)) {
            (Some(a), Some(b)) if a <= from.len() && b <= to.len() => {
                // SAFETY: the last run ends within both slices.
                unsafe { samara_mve_copy(to.as_mut_ptr(), from.as_ptr(), &[len, count, source, destination]) }
                Ok(())
            }
            _ => Err(Error::Internal),
        }
    }
}
