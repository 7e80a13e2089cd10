//! Vectors from and to arrays.
#![allow(unsafe_code)]

use core::arch::wasm32::{v128, v128_load, v128_store};

/// Sixteen bytes.
#[inline(always)]
pub(super) fn bytes(from: &[i8; 16]) -> v128 {
    // SAFETY: sixteen bytes are read from sixteen; no alignment is asked.
    unsafe { v128_load(from.as_ptr().cast()) }
}

/// Four numbers.
#[inline(always)]
pub(super) fn words(from: &[i32; 4]) -> v128 {
    // SAFETY: four numbers are sixteen bytes; no alignment is asked.
    unsafe { v128_load(from.as_ptr().cast()) }
}

/// A vector's four numbers.
#[inline(always)]
pub(super) fn numbers(of: v128) -> [i32; 4] {
    let mut to = [0; 4];
    // SAFETY: four numbers are sixteen bytes; no alignment is asked.
    unsafe { v128_store(to.as_mut_ptr().cast(), of) };
    to
}
