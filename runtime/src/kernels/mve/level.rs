//! From sums to levels, four channels at a time: scaled in one of the three ways, zero point, clamp.
//!
//! `vqrdmulh` is the saturating rounding doubling high multiply; `vrshl` rounds halves up, so that negative numbers are
//! first made less by one for halves to go away from zero; `vrmulh` is single rounding's product.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::error::{Error, Result};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::kernels::mve::dot::{CHANNELS, PIXELS};
use crate::ops::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::CONSTANTS;

/// What the functions read, in words.
#[derive(Debug)]
#[repr(C)]
pub struct Job {
    sums: *const i32,
    scales: *const u8,
    /// Null where there is but one pixel.
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
    /// For [`PIXELS`] pixels and for one.
    #[doc(hidden)]
    const FUNCTIONS: [Function; 2];
}

/// Every pointer of the job must be valid for `fours` times four channels.
#[derive(Clone, Copy, Debug)]
pub struct Function(unsafe extern "C" fn(&Job));

impl Vector for Tflite {
    const FUNCTIONS: [Function; 2] =
        [Function(samara_mve_level_3_tflite), Function(samara_mve_level_1_tflite)];
}
impl Vector for Single {
    const FUNCTIONS: [Function; 2] =
        [Function(samara_mve_level_3_single), Function(samara_mve_level_1_single)];
}
impl Vector for Onnx {
    const FUNCTIONS: [Function; 2] = [Function(samara_mve_level_3_onnx), Function(samara_mve_level_1_onnx)];
}

/// What turns a layer's sums into levels.
pub(super) struct Levels<'a, R: Requant> {
    /// One per channel, or one for all.
    scales: &'a [R::Scale],
    zero: i32,
    range: (i32, i32),
}

impl<'a, R: Vector> Levels<'a, R> {
    /// Of `channels` channels, from a step's operands.
    pub(super) fn new(io: &Io<'a>, clamp: Clamp, channels: usize) -> Result<Self> {
        let scales: &[R::Scale] = io.input(CONSTANTS)?;
        if scales.len() != channels && scales.len() != 1 {
            return Err(Error::Internal);
        }
        Ok(Levels { scales, zero: io.output_desc(0)?.zero_point, range: clamp.as_i32() })
    }

    /// `count` channels from `first` on of three pixels, or of one.
    ///
    /// # Safety
    /// The layer has channels up to `first + count`. From `sums` on there are as many of each pixel, rows [`CHANNELS`]
    /// apart, and room to read four at a time; each output, or for one pixel the first, has room for `count` levels.
    #[inline(always)]
    pub(super) unsafe fn run(
        &self,
        sums: *const i32,
        first: usize,
        count: usize,
        outputs: [*mut i8; PIXELS],
        is_three: bool,
    ) {
        let [three, one] = R::FUNCTIONS;
        let function = if is_three { three } else { one };
        let (scales, step) = match self.scales {
            [_] => (self.scales.as_ptr(), 0),
            all => (all.as_ptr().wrapping_add(first), size_of::<R::Scale>().wrapping_mul(4)),
        };
        let ((lo, hi), zero) = (self.range, self.zero);
        let job = Job { sums, scales: scales.cast(), outputs, step, fours: count >> 2, zero, lo, hi };
        if step == 0 || count & 3 != 0 {
            // SAFETY: as the caller's.
            unsafe { self.uneven(job, count, function) }
        } else if count > 0 {
            // SAFETY: there are scales for `count` channels, a multiple of four; the rest is the caller's.
            unsafe { function.0(&job) }
        }
    }

    /// Channels that are no multiple of four, or share a scale.
    ///
    /// # Safety
    /// As [`Levels::run`].
    #[cold]
    #[inline(never)]
    unsafe fn uneven(&self, mut job: Job, count: usize, function: Function) {
        let Some(&one) = self.scales.first() else { return };
        let (done, rest) = (count & !3, count & 3);
        let mut scales = [one; 4];
        let all: *const R::Scale = job.scales.cast();
        if job.step == 0 {
            job.scales = scales.as_ptr().cast();
        }
        if done > 0 {
            // SAFETY: there are scales for `done` channels, or four that serve all.
            unsafe { function.0(&job) }
        }
        if job.step != 0 {
            for (k, slot) in scales.iter_mut().enumerate().take(rest) {
                // SAFETY: there are `count` scales, and `done + rest` is that many.
                *slot = unsafe { *all.wrapping_add(done).wrapping_add(k) };
            }
        }
        let mut levels = [[0i8; 4]; PIXELS];
        let [a, b, c] = &mut levels;
        let outputs = core::mem::replace(&mut job.outputs, [a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr()]);
        (job.sums, job.scales, job.fours) = (job.sums.wrapping_add(done), scales.as_ptr().cast(), 1);
        if rest > 0 {
            // SAFETY: four scales, room for four levels of each pixel, sums to read four at a time.
            unsafe { function.0(&job) }
        }
        for (to, row) in outputs.iter().zip(&levels).filter(|(to, _)| !to.is_null()) {
            // SAFETY: every output that is there has room for `count` levels; `rest` is below four.
            unsafe { to.wrapping_add(done).copy_from_nonoverlapping(row.as_ptr(), rest) }
        }
    }
}
