//! Sixteen lanes as one register of AVX-512.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m512, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_ps, _mm256_storeu_ps, _mm512_add_ps,
    _mm512_castps512_ps256, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps, _mm512_storeu_ps, _mm512_zextps256_ps512,
};

use super::kernels;
use crate::error::{Error, Result};
use crate::kernels::lanes::{self, Lanes};
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa};

kernels! { Avx512, X86Avx512, "avx512f,avx2,fma" }

/// Needs AVX-512F.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(__m512);

/// The first `n` lanes.
#[inline(always)]
fn mask(n: usize) -> u16 {
    (1u32 << (n & 31)).wrapping_sub(1) as u16
}

// SAFETY, for all: the caller has the instructions and valid pointers, as the trait asks.
impl Lanes for Avx512 {
    const WIDE: bool = true;
    const FETCHES: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Avx512(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        Avx512(unsafe { _mm512_loadu_ps(at) })
    }

    #[inline(always)]
    unsafe fn load_first(at: *const f32, n: usize) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            match n {
                8 => Avx512(_mm512_zextps256_ps512(_mm256_loadu_ps(at))),
                _ => Avx512(_mm512_maskz_loadu_ps(mask(n), at)),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_storeu_ps(at, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, at: *mut f32, n: usize) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            match n {
                8 => _mm256_storeu_ps(at, _mm512_castps512_ps256(self.0)),
                _ => _mm512_mask_storeu_ps(at, mask(n), self.0),
            }
        }
    }

    #[inline(always)]
    unsafe fn fma(self, x: f32, w: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        Avx512(unsafe { _mm512_fmadd_ps(_mm512_set1_ps(x), w.0, self.0) })
    }

    #[inline(always)]
    unsafe fn fma_lanes(self, x: Self, w: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        Avx512(unsafe { _mm512_fmadd_ps(x.0, w.0, self.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn fetch<const SOON: bool>(at: *const f32) {
        // SAFETY: a hint, whatever the address.
        unsafe {
            match SOON {
                true => _mm_prefetch::<_MM_HINT_T0>(at.cast()),
                false => _mm_prefetch::<_MM_HINT_T1>(at.cast()),
            }
        }
    }

    #[inline(always)]
    unsafe fn limit(self, lo: f32, hi: f32) -> Self {
        // The second operand is the result where neither is greater: NaN and zeros of any sign pass.
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        Avx512(unsafe { _mm512_min_ps(_mm512_set1_ps(hi), _mm512_max_ps(_mm512_set1_ps(lo), self.0)) })
    }
}
