//! Sixteen lanes as two registers of AVX2, with FMA3.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_set1_ps,
    _mm256_storeu_ps,
};

use super::kernels;
use crate::error::{Error, Result};
use crate::kernels::lanes::{self, LANES, Lanes};
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa};

kernels! { Avx2, X86Fma, "avx2,fma" }

/// Lanes of a register.
const HALF: usize = LANES / 2;

/// Needs AVX2 and FMA3.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(__m256, __m256);

// SAFETY, for all: the caller has the instructions and valid pointers, as the trait asks. Parts go through a buffer
// of sixteen.
impl Lanes for Avx2 {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Avx2(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(HALF))) }
    }

    #[inline(always)]
    unsafe fn load_first(at: *const f32, n: usize) -> Self {
        let mut buffer = [0f32; LANES];
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            core::ptr::copy_nonoverlapping(at, buffer.as_mut_ptr(), n.min(LANES));
            Self::load(buffer.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            _mm256_storeu_ps(at, self.0);
            _mm256_storeu_ps(at.add(HALF), self.1);
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, at: *mut f32, n: usize) {
        let mut buffer = [0f32; LANES];
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            self.store(buffer.as_mut_ptr());
            core::ptr::copy_nonoverlapping(buffer.as_ptr(), at, n.min(LANES));
        }
    }

    #[inline(always)]
    unsafe fn fma(self, x: f32, w: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let x = _mm256_set1_ps(x);
            Avx2(_mm256_fmadd_ps(x, w.0, self.0), _mm256_fmadd_ps(x, w.1, self.1))
        }
    }

    #[inline(always)]
    unsafe fn fma_lanes(self, x: Self, w: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Avx2(_mm256_fmadd_ps(x.0, w.0, self.0), _mm256_fmadd_ps(x.1, w.1, self.1)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Avx2(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn limit(self, lo: f32, hi: f32) -> Self {
        // The second operand is the result where neither is greater: NaN and zeros of any sign pass.
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (lo, hi) = (_mm256_set1_ps(lo), _mm256_set1_ps(hi));
            Avx2(_mm256_min_ps(hi, _mm256_max_ps(lo, self.0)), _mm256_min_ps(hi, _mm256_max_ps(lo, self.1)))
        }
    }
}
