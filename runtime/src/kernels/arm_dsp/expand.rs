//! Bytes to halves of words, in the order in which `sxtb16` makes them: of four bytes first and third, second and
//! fourth.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::error::{Error, Result};

/// Writes two words for every four bytes of `bytes` to `words`, from the first on, `STRIDE` words apart: 1 or 4.
#[inline(never)]
pub(super) fn expand<const STRIDE: usize>(bytes: &[i8], words: &mut [u32]) -> Result<()> {
    let groups = bytes.len() / 4;
    let last = (2 * groups).saturating_sub(1) * STRIDE;
    if groups == 0 {
        return Ok(());
    }
    if last >= words.len() {
        return Err(Error::Internal);
    }
    // SAFETY: reads `4 * groups` bytes of `bytes`, in words that need no alignment, and writes words up to number `last`
    // of `words`.
    unsafe {
        asm!(
            "lsrs {count}, {count}, #1",
            "bcc 2f",
            "ldr {a}, [{from}], #4",
            "sxtb16 {b}, {a}",
            "sxtb16 {a}, {a}, ror #8",
            "str {b}, [{to}]",
            "str {a}, [{to}, #{second}]",
            "add {to}, {to}, #{third}",
            "2:",
            "cmp {count}, #0",
            "beq 4f",
            "3:",
            "ldr {a}, [{from}], #4",
            "ldr {c}, [{from}], #4",
            "sxtb16 {b}, {a}",
            "sxtb16 {a}, {a}, ror #8",
            "str {b}, [{to}]",
            "str {a}, [{to}, #{second}]",
            "sxtb16 {b}, {c}",
            "sxtb16 {c}, {c}, ror #8",
            "str {b}, [{to}, #{third}]",
            "str {c}, [{to}, #{fourth}]",
            "add {to}, {to}, #{fifth}",
            "subs {count}, {count}, #1",
            "bne 3b",
            "4:",
            second = const 4 * STRIDE,
            third = const 8 * STRIDE,
            fourth = const 12 * STRIDE,
            fifth = const 16 * STRIDE,
            count = inout(reg) groups => _,
            from = inout(reg) bytes.as_ptr() => _,
            to = inout(reg) words.as_mut_ptr() => _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            options(nostack),
        );
    }
    Ok(())
}
