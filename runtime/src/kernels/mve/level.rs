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
                pixel!($rounding, "[r1], #16", "r3"),
                pixel!($rounding, "[r1, #240]", "r4"),
                pixel!($rounding, "[r1, #496]", "r5")
            ),
            function!($one, $rounding, pixel!($rounding, "[r1], #16", "r3"))
        )
    };
}

const _: () =
    assert!(CHANNELS * size_of::<i32>() == 256, "the offsets above, less the 16 of the first pixel");

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
    /// The channels from `first` on of three pixels, or of one whose sums are those of `pixel`: as many as each output
    /// holds, at most [`CHANNELS`], or for one pixel as many as there are sums from its on.
    #[inline(always)]
    pub(crate) fn write<const N: usize>(
        &self,
        sums: &Sums,
        pixel: usize,
        first: usize,
        mut outputs: [&mut [i8]; N],
    ) -> Result<()> {
        let mut to = [core::ptr::null_mut::<i8>(); PIXELS];
        let n = outputs.first().map_or(0, |o| o.len());
        for (slot, output) in to.iter_mut().zip(&mut outputs) {
            if output.len() != n {
                return Err(Error::Internal);
            }
            *slot = output.as_mut_ptr();
        }
        let sums = sums.get(pixel.wrapping_mul(CHANNELS)..).ok_or(Error::Internal)?;
        // Vectors at the end read up to three sums more than they use.
        let room = if N == 1 { sums.len().wrapping_sub(4) } else { CHANNELS };
        if (N != 1 && (N != PIXELS || pixel != 0)) || n > room {
            return Err(Error::Internal);
        }
        let is_three = N == PIXELS;
        // SAFETY: there are sums for `n` channels of N pixels and room behind the last one; `to` points to N outputs of
        // `n` levels.
        unsafe { self.run(sums.as_ptr(), first, n, to, is_three) }
    }

    /// # Safety
    /// From `sums` on there must be `count` of each pixel, rows [`CHANNELS`] apart, and room to read four at a time;
    /// `outputs`, three or the first only, must have room for `count` levels.
    #[inline(never)]
    unsafe fn run(
        &self,
        sums: *const i32,
        first: usize,
        count: usize,
        outputs: [*mut i8; PIXELS],
        is_three: bool,
    ) -> Result<()> {
        let shared = self.scales.len() == 1;
        let scales = match shared {
            true => self.scales,
            false => self.scales.get(first..first.wrapping_add(count)).ok_or(Error::Internal)?,
        };
        let (lo, hi) = self.clamp.as_i32();
        let (fours, rest) = (count >> 2, count & 3);
        let (zero, step) = (self.zero, size_of::<R::Scale>().wrapping_mul(4));
        let mut job = Job { sums, scales: scales.as_ptr().cast(), outputs, step, fours, zero, lo, hi };
        let one = *scales.first().ok_or(Error::Internal)?;
        let same = [one; 4];
        if shared {
            (job.scales, job.step) = (same.as_ptr().cast(), 0);
        }
        // SAFETY: there are scales for `fours` times four channels, or four that serve all; the rest is the caller's.
        let run = |job: &Job| unsafe { if is_three { R::level_3(job) } else { R::level_1(job) } };
        if fours > 0 {
            run(&job);
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
            let [a, b, c] = &mut levels;
            job.outputs = [a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr()];
            (job.sums, job.scales, job.fours) = (sums.wrapping_add(done), last.as_ptr().cast(), 1);
            run(&job);
            let pixels = if is_three { PIXELS } else { 1 };
            for (to, row) in outputs.iter().zip(&levels).take(pixels) {
                // SAFETY: `done + rest` is `count`, which every output has room for; `rest` is below four.
                unsafe { to.wrapping_add(done).copy_from_nonoverlapping(row.as_ptr(), rest) }
            }
        }
        Ok(())
    }
}
