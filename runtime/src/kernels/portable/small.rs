//! The inner loop for processors with eight registers, Cortex-M0: all of them at work, where compilers keep sums in
//! memory.
#![allow(unsafe_code)]

use core::arch::asm;

/// Bytes per round of the loop.
const ROUND: usize = 4;

/// One byte of the input and of both rows of weights.
macro_rules! tap {
    () => {
        "ldrsb r6, [r0, r5]
         ldrsb r7, [r1, r5]
         muls r7, r6, r7
         adds r3, r3, r7
         ldrsb r7, [r2, r5]
         muls r7, r6, r7
         adds r4, r4, r7
         adds r5, r5, #1"
    };
}

/// Adds the products of whole rounds to both sums; returns how many bytes of each that were.
#[inline(always)]
pub(crate) fn rounds(x: &[i8], [wa, wb]: [&[i8]; 2], [a, b]: &mut [i32; 2]) -> usize {
    let len = x.len().min(wa.len()).min(wb.len()) / ROUND * ROUND;
    if len > 0 {
        // SAFETY: reads the first `len` bytes of all three; registers that cannot be declared are restored.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "2:",
                tap!(),
                tap!(),
                tap!(),
                tap!(),
                "bne 2b",
                "pop {{r6, r7}}",
                in("r0") x.as_ptr().add(len),
                in("r1") wa.as_ptr().add(len),
                in("r2") wb.as_ptr().add(len),
                inout("r3") *a,
                inout("r4") *b,
                // From minus the length to 0.
                inout("r5") len.wrapping_neg() => _,
            );
        }
    }
    len
}
