//! Float kernels by sixteen lanes, as four registers: [`crate::kernels::lanes`].
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use crate::error::Result;
use crate::kernels::lanes::{self, LANES, Lanes};
use crate::kernels::reference;
use crate::kernels::reference::weights::Plain;
use crate::ops::io::Io;
use crate::ops::op::Context;

/// Lanes of a register.
const QUARTER: usize = LANES / 4;

/// Conv2D without groups, weights in lanes.
pub fn conv_2d(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { lanes::conv_2d::conv_2d::<Neon>(attributes, io) }
}

/// FullyConnected, weights in lanes.
pub fn fully_connected(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { lanes::fully_connected::fully_connected::<Neon>(attributes, io) }
}

/// DepthwiseConv2D, dense weights.
pub fn depthwise_conv_2d(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    if lanes::depthwise_conv_2d::serves(io)? {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { lanes::depthwise_conv_2d::depthwise_conv_2d::<Neon>(attributes, io) }
    } else {
        reference::depthwise_conv_2d::f32::<Plain<f32>>(attributes, io, cx)
    }
}

/// Add.
pub fn add(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { lanes::add::add::<Neon>(attributes, io) }
}

/// BatchMatMul.
pub fn batch_matmul(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    if lanes::batch_matmul::serves(attributes)? {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { lanes::batch_matmul::batch_matmul::<Neon>(attributes, io) }
    } else {
        reference::batch_matmul::f32(attributes, io, cx)
    }
}

/// Four registers.
#[derive(Clone, Copy, Debug)]
pub struct Neon([float32x4_t; 4]);

impl Neon {
    /// Register by register.
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        let ([a, b, c, d], [p, q, r, s]) = (self.0, other.0);
        Neon([f(a, p), f(b, q), f(c, r), f(d, s)])
    }
}

// SAFETY, for all: every 64-bit Arm has NEON, and pointers are valid as the trait asks. Parts go through a buffer of
// sixteen.
impl Lanes for Neon {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { Neon([vdupq_n_f32(x); 4]) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Neon([0, 1, 2, 3].map(|i| vld1q_f32(at.add(i * QUARTER)))) }
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
        for (i, quarter) in self.0.into_iter().enumerate() {
            // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
            unsafe { vst1q_f32(at.add(i * QUARTER), quarter) };
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
        self.zip(w, |sum, w| unsafe { vfmaq_n_f32(sum, w, x) })
    }

    #[inline(always)]
    unsafe fn fma_lanes(self, x: Self, w: Self) -> Self {
        let ([a, b, c, d], [p, q, r, s], [u, v, y, z]) = (self.0, x.0, w.0);
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Neon([vfmaq_f32(a, p, u), vfmaq_f32(b, q, v), vfmaq_f32(c, r, y), vfmaq_f32(d, s, z)]) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }

    #[inline(always)]
    unsafe fn limit(self, lo: f32, hi: f32) -> Self {
        // Selected by comparison: NaN and zeros of any sign pass, which minima and maxima would change.
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (lo, hi) = (vdupq_n_f32(lo), vdupq_n_f32(hi));
            Neon(self.0.map(|x| {
                let low = vbslq_f32(vcltq_f32(x, lo), lo, x);
                vbslq_f32(vcgtq_f32(low, hi), hi, low)
            }))
        }
    }
}
