//! Add of int8, four elements at a time.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::cell::Cell;

use crate::error::{Error, Result};
use crate::kernels::portable::additive as portable;
use crate::kernels::reference::additive as reference;
use crate::ops::add::{Add, LEFT_SHIFT};
use crate::ops::broadcast::Walk;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::view::View;

/// What the functions read, in words.
#[repr(C)]
struct Job {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    zeros: [i32; 3],
    multipliers: [i32; 3],
    count: usize,
    shifts: [i32; 3],
    lo: i32,
    hi: i32,
}

// q6 and q7 are the clamp. Negative numbers are made less by one before a shift, for halves to go away from zero; where
// the shift is by nothing its vector's sign keeps that from happening.
global_asm!(
    ".cpu cortex-m55",
    ".section .text.samara_mve_add_tflite,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_add_tflite",
    ".type samara_mve_add_tflite,%function",
    ".thumb_func",
    "samara_mve_add_tflite:",
    "push {{r4-r9, lr}}",
    "vpush {{d8-d15}}",
    "ldrd r1, r2, [r0, #40]",
    "vdup.32 q3, r1",
    "vdup.32 q4, r2",
    "ldrd r1, r2, [r0, #48]",
    "vdup.32 q5, r1",
    "vdup.32 q6, r2",
    "ldr r1, [r0, #56]",
    "vdup.32 q7, r1",
    "ldr lr, [r0, #36]",
    "ldm r0, {{r1-r9}}",
    "dlstp.32 lr, lr",
    "2:",
    "vldrb.s32 q0, [r1], #4",
    "vldrb.s32 q1, [r2], #4",
    "vsub.i32 q0, q0, r4",
    "vsub.i32 q1, q1, r5",
    "vshl.i32 q0, q0, #{shift}",
    "vshl.i32 q1, q1, #{shift}",
    "vqrdmulh.s32 q0, q0, r7",
    "vqrdmulh.s32 q1, q1, r8",
    "vand q2, q0, q3",
    "vshr.s32 q2, q2, #31",
    "vqadd.s32 q0, q0, q2",
    "vrshl.s32 q0, q0, q3",
    "vand q2, q1, q4",
    "vshr.s32 q2, q2, #31",
    "vqadd.s32 q1, q1, q2",
    "vrshl.s32 q1, q1, q4",
    "vadd.i32 q0, q0, q1",
    "vqrdmulh.s32 q0, q0, r9",
    "vand q2, q0, q5",
    "vshr.s32 q2, q2, #31",
    "vqadd.s32 q0, q0, q2",
    "vrshl.s32 q0, q0, q5",
    "vadd.i32 q0, q0, r6",
    "vmax.s32 q0, q0, q6",
    "vmin.s32 q0, q0, q7",
    "vstrb.32 q0, [r3], #4",
    "letp lr, 2b",
    "vpop {{d8-d15}}",
    "pop {{r4-r9, pc}}",
    ".size samara_mve_add_tflite, . - samara_mve_add_tflite",
    "",
    // Multipliers of a and b, and the shift in the place of the third one.
    ".section .text.samara_mve_add_single,\"ax\",%progbits",
    ".p2align 2",
    ".global samara_mve_add_single",
    ".type samara_mve_add_single,%function",
    ".thumb_func",
    "samara_mve_add_single:",
    "push {{r4-r9, lr}}",
    "vpush {{d8-d15}}",
    "ldrd r1, r2, [r0, #52]",
    "vdup.32 q6, r1",
    "vdup.32 q7, r2",
    "ldr lr, [r0, #36]",
    "ldm r0, {{r1-r9}}",
    "dlstp.32 lr, lr",
    "2:",
    "vldrb.s32 q0, [r1], #4",
    "vldrb.s32 q1, [r2], #4",
    "vsub.i32 q0, q0, r4",
    "vsub.i32 q1, q1, r5",
    "vmul.i32 q0, q0, r7",
    "vmla.s32 q0, q1, r8",
    "vrshl.s32 q0, r9",
    "vadd.i32 q0, q0, r6",
    "vmax.s32 q0, q0, q6",
    "vmin.s32 q0, q0, q7",
    "vstrb.32 q0, [r3], #4",
    "letp lr, 2b",
    "vpop {{d8-d15}}",
    "pop {{r4-r9, pc}}",
    ".size samara_mve_add_single, . - samara_mve_add_single",
    ".text",
    ".arch armv8-m.main",
    ".fpu fpv5-sp-d16",
    shift = const LEFT_SHIFT,
);

unsafe extern "C" {
    fn samara_mve_add_tflite(job: &Job);
    fn samara_mve_add_single(job: &Job);
}

/// TFLite's rounding.
pub fn int8_tflite(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = Add::parse(attributes)?;
    let multipliers = [op.left[0], op.right[0], op.output[0]];
    let shifts = [op.left[1], op.right[1], op.output[1]];
    match runs(&op, io, multipliers, shifts, samara_mve_add_tflite)? {
        true => Ok(()),
        false => portable::int8_tflite::<false>(attributes, io, cx),
    }
}

/// One rounding.
pub fn int8_single(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = Add::parse(attributes)?;
    let multipliers = [op.left[0], op.right[0], op.output[1].wrapping_neg()];
    match runs(&op, io, multipliers, [0; 3], samara_mve_add_single)? {
        true => Ok(()),
        false => reference::int8_single::<false>(attributes, io, cx),
    }
}

/// Calls `add` for every run of elements; `false`, and nothing happens, where an operand has one element for all.
fn runs(
    op: &Add,
    io: &mut Io<'_>,
    multipliers: [i32; 3],
    shifts: [i32; 3],
    add: unsafe extern "C" fn(&Job),
) -> Result<bool> {
    let (a, b, y) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape, io.output_desc(0)?.shape);
    let walk = Walk::new(&a, &b, &y);
    let (count, 1, 1) = walk.run() else { return Ok(false) };
    let zeros = reference::zero_points(io)?;
    let (lo, hi) = op.clamp.as_i32();
    let ([a, b], y) = io.views::<i8, 2>([0, 1], 0)?;
    walk.each(|at_a, at_b, at_y| {
        let y = y.get(at_y..at_y.wrapping_add(count)).ok_or(Error::Internal)?;
        let (a, b) = (start(&a, at_a, count)?, start(&b, at_b, count)?);
        let job = Job { a, b, y: y.as_ptr().cast_mut().cast(), zeros, multipliers, count, shifts, lo, hi };
        // SAFETY: all three have `count` elements. Those of the output are cells, of which an input may be some; four
        // elements of both inputs are read before the same four of the output are written, and the loader lets no
        // input start below the output.
        unsafe { add(&job) }
        Ok(())
    })?;
    Ok(true)
}

/// Where `count` elements of an operand begin.
fn start(view: &View<'_, i8>, at: usize, count: usize) -> Result<*const i8> {
    Ok(match view.row(at, count)? {
        View::Shared(x) => x.as_ptr(),
        View::Inside(x) => x.as_ptr().cast::<i8>(),
    })
}

const _: () = assert!(size_of::<Cell<i8>>() == 1);
