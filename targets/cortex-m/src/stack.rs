//! How deep the stack has been: start-up painted it, whoever used it left something else.
#![allow(unsafe_code)]

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes between the start of the stack and the lowest word that was written.
pub(crate) fn high_water() -> usize {
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let mut word = bottom;
    // SAFETY: both symbols come from the linker script and bound the painted RAM; nothing but the stack lives
    // there, the words are only read, and volatile reads keep the compiler from reasoning about them.
    while word < top && unsafe { word.read_volatile() } == STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    top as usize - word as usize
}
