//! From sums to levels, four channels at a time: scaled in one of the three ways, zero point, clamp.
//!
//! `vqrdmulh` is the saturating rounding doubling high multiply; `vrshl` rounds halves up, so that negative numbers are
//! first made less by one for halves to go away from zero; `vrmulh` is single rounding's product.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::kernels::mve::dot::{CHANNELS, PIXELS, Sums};
use crate::ops::Clamp;

/// What the functions read, in words.
#[repr(C)]
struct Job {
    sums: *const i32,
    scales: *const u8,
    outputs: [*mut i8; PIXELS],
    /// Bytes from the scales of four channels to the next four's.
    step: usize,
    fours: usize,
    zero: i32,
    lo: i32,
    hi: i32,
}

/// Loads the scales of four channels.
macro_rules! scales {
    (onnx) => {
        "vldrw.u32 q0, [r2]\n add r2, r6\n"
    };
    (single) => {
        "vld20.32 {{q0, q1}}, [r2]\n vld21.32 {{q0, q1}}, [r2]\n add r2, r6\n"
    };
    (tflite) => {
        concat!(scales!(single), "vmin.s32 q2, q1, q7\n vmax.s32 q1, q1, q7\n")
    };
}

/// Scales q3.
macro_rules! scale {
    (onnx) => {
        "vcvt.f32.s32 q3, q3\n vmul.f32 q3, q3, q0\n vcvtn.s32.f32 q3, q3\n"
    };
    (single) => {
        "vqshl.s32 q3, q3, q1\n vrmulh.s32 q3, q3, q0\n"
    };
    (tflite) => {
        "vshl.s32 q3, q3, q1\n vqrdmulh.s32 q3, q3, q0\n vand q4, q3, q2\n vshr.s32 q4, q4, #31\n \
         vqadd.s32 q3, q3, q4\n vrshl.s32 q3, q3, q2\n"
    };
}

/// Four sums to four levels.
macro_rules! pixel {
    ($rounding:ident, $from:literal, $to:literal) => {
        concat!(
            "vldrw.u32 q3, ",
            $from,
            "\n",
            scale!($rounding),
            "vadd.i32 q3, q3, r7\n vmax.s32 q3, q3, q5\n vmin.s32 q3, q3, q6\n vstrb.32 q3, [",
            $to,
            "], #4\n"
        )
    };
}

macro_rules! function {
    ($name:literal, $rounding:ident, $($pixel:expr),*) => {
        concat!(
            ".section .text.", $name, ",\"ax\",%progbits\n .p2align 2\n .global ", $name, "\n",
            ".type ", $name, ",%function\n .thumb_func\n", $name, ":\n",
            "push {{r4-r7, lr}}\n vpush {{d8-d15}}\n",
            "ldrd r6, r7, [r0, #32]\n vdup.32 q5, r6\n vdup.32 q6, r7\n vmov.i32 q7, #0\n",
            "ldr lr, [r0, #24]\n",
            "ldr r7, [r0, #28]\n",
            "ldm r0, {{r1-r6}}\n",
            "dls lr, lr\n",
            "2:\n",
            scales!($rounding),
            $($pixel,)*
            "le lr, 2b\n",
            "vpop {{d8-d15}}\n pop {{r4-r7, pc}}\n",
            ".size ", $name, ", . - ", $name, "\n",
        )
    };
}

/// For three pixels and for one.
macro_rules! both {
    ($three:literal, $one:literal, $rounding:ident) => {
        concat!(
            function!(
                $three,
                $rounding,
                pixel!($rounding, "[r1, #128]", "r4"),
                pixel!($rounding, "[r1, #256]", "r5"),
                pixel!($rounding, "[r1], #16", "r3")
            ),
            function!($one, $rounding, pixel!($rounding, "[r1], #16", "r3"))
        )
    };
}

const _: () = assert!(CHANNELS * size_of::<i32>() == 128, "the offsets above");

global_asm!(concat!(
    ".cpu cortex-m55\n",
    both!("samara_mve_level_3_tflite", "samara_mve_level_1_tflite", tflite),
    both!("samara_mve_level_3_single", "samara_mve_level_1_single", single),
    both!("samara_mve_level_3_onnx", "samara_mve_level_1_onnx", onnx),
    ".text\n .arch armv8-m.main\n .fpu fpv5-sp-d16\n",
));

unsafe extern "C" {
    fn samara_mve_level_3_tflite(job: &Job);
    fn samara_mve_level_1_tflite(job: &Job);
    fn samara_mve_level_3_single(job: &Job);
    fn samara_mve_level_1_single(job: &Job);
    fn samara_mve_level_3_onnx(job: &Job);
    fn samara_mve_level_1_onnx(job: &Job);
}

/// A rounding with functions that scale four channels at once.
pub trait Vector: Requant {
    /// For [`PIXELS`] pixels.
    ///
    /// # Safety
    /// Every pointer of the job must be valid for `fours` times four channels.
    #[allow(private_interfaces)]
    unsafe fn level_3(job: &Job);
    /// For one pixel.
    ///
    /// # Safety
    /// As above.
    #[allow(private_interfaces)]
    unsafe fn level_1(job: &Job);
}

macro_rules! vector {
    ($rounding:ty, $three:ident, $one:ident) => {
        #[allow(private_interfaces)]
        impl Vector for $rounding {
            unsafe fn level_3(job: &Job) {
                // SAFETY: the caller's.
                unsafe { $three(job) }
            }

            unsafe fn level_1(job: &Job) {
                // SAFETY: the caller's.
                unsafe { $one(job) }
            }
        }
    };
}

vector!(Tflite, samara_mve_level_3_tflite, samara_mve_level_1_tflite);
vector!(Single, samara_mve_level_3_single, samara_mve_level_1_single);
vector!(Onnx, samara_mve_level_3_onnx, samara_mve_level_1_onnx);

/// What turns a layer's sums into levels.
pub(crate) struct Levels<'a, R: Requant> {
    /// One per channel, or one for all.
    pub(crate) scales: &'a [R::Scale],
    pub(crate) zero: i32,
    pub(crate) clamp: Clamp,
}

impl<R: Vector> Levels<'_, R> {
    /// Levels of the channels from `first` on of [`PIXELS`] pixels, or of as many as one pixel's sums have room for;
    /// as many as each output holds.
    pub(crate) fn write<const N: usize>(
        &self,
        sums: &Sums,
        first: usize,
        mut outputs: [&mut [i8]; N],
    ) -> Result<()> {
        let n = outputs.first().map_or(0, |o| o.len());
        let room = if N == 1 { CHANNELS * PIXELS } else { CHANNELS };
        if (N != 1 && N != PIXELS) || n > room || outputs.iter().any(|o| o.len() != n) {
            return Err(Error::Internal);
        }
        let mut to = [core::ptr::null_mut::<i8>(); PIXELS];
        for (slot, output) in to.iter_mut().zip(&mut outputs) {
            *slot = output.as_mut_ptr();
        }
        let (lo, hi) = self.clamp.as_i32();
        let (fours, rest) = (n >> 2, n & 3);
        let size = size_of::<R::Scale>();
        let shared = self.scales.len() == 1;
        let one = self.scales.first().copied().ok_or(Error::Internal)?;
        let same = [one; 4];
        let scales = match shared {
            true => &same[..],
            false => self.scales.get(first..first.wrapping_add(n)).ok_or(Error::Internal)?,
        };
        let job = Job {
            sums: sums.as_ptr(),
            scales: scales.as_ptr().cast(),
            outputs: to,
            step: if shared { 0 } else { size.wrapping_mul(4) },
            fours,
            zero: self.zero,
            lo,
            hi,
        };
        if fours > 0 {
            // SAFETY: there are sums for `n` channels of N pixels, room for as many levels in each output, and scales
            // for as many unless four serve all.
            unsafe { if N == 1 { R::level_1(&job) } else { R::level_3(&job) } }
        }
        if rest > 0 {
            let done = fours << 2;
            let mut last = same;
            if !shared {
                for (slot, scale) in last.iter_mut().zip(scales.iter().skip(done)) {
                    *slot = *scale;
                }
            }
            let mut levels = [[0i8; 4]; PIXELS];
            let mut rows = [core::ptr::null_mut::<i8>(); PIXELS];
            for (slot, row) in rows.iter_mut().zip(&mut levels) {
                *slot = row.as_mut_ptr();
            }
            let sums = job.sums.wrapping_add(done);
            let job = Job { sums, scales: last.as_ptr().cast(), outputs: rows, step: 0, fours: 1, ..job };
            // SAFETY: sums have room for four channels after a multiple of four below `n`; scales and levels are four
            // each.
            unsafe { if N == 1 { R::level_1(&job) } else { R::level_3(&job) } }
            for (output, row) in outputs.iter_mut().zip(&levels) {
                for (slot, &level) in output.iter_mut().skip(done).zip(row) {
                    *slot = level;
                }
            }
        }
        Ok(())
    }
}
