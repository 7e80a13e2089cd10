//! Add of int8 tensors of one shape, four elements at a time.
//!
//! TFLite rounding: of the two inputs the one with the larger scale is scaled by one instruction, which adds the other
//! one's scaled number too.
#![allow(unsafe_code)]

use core::arch::asm;
use core::cell::Cell;

use crate::error::{Error, Result};
use crate::kernels::fixed::{Requant, Tflite};
use crate::kernels::reference::additive::{self as reference, zero_points};
use crate::ops::add::{Add, LEFT_SHIFT};
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::view::View;

/// The shifted number of the input with the smaller scale: zero, multiplier, half, mask and shift from `r8` on.
macro_rules! right {
    ($x:literal, $extract:literal) => {
        concat!(
            $extract,
            "\n",
            "rsb ",
            $x,
            ", r8, ",
            $x,
            ", lsl #21\n",
            "and r12, ",
            $x,
            ", r11\n",
            "smmlar ",
            $x,
            ", ",
            $x,
            ", r9, r10\n",
            "add ",
            $x,
            ", ",
            $x,
            ", r12, asr #31\n",
            "asr ",
            $x,
            ", ",
            $x,
            ", lr\n",
        )
    };
}

/// Adds the other input's number: zero and multiplier in `r8` and `r9`.
macro_rules! left {
    ($x:literal, $extract:literal) => {
        concat!($extract, "\n", "rsb r11, r8, r11, lsl #21\n", "smmlar ", $x, ", r11, r9, ", $x, "\n",)
    };
}

/// The level of a sum: multiplier, what is added and shift from `r8` on.
macro_rules! sum {
    ($x:literal) => {
        concat!(
            "lsl r11, ",
            $x,
            ", #1\n",
            "smmlar ",
            $x,
            ", r11, r8, r9\n",
            "add ",
            $x,
            ", ",
            $x,
            ", r11, asr #31\n",
            "asr ",
            $x,
            ", ",
            $x,
            ", r10\n",
            "ssat ",
            $x,
            ", #8, ",
            $x,
            "\n",
        )
    };
}

/// The level of a weighted sum: both weights, what is added, shift and zero point from `r8` on.
macro_rules! weighted {
    ($x:literal, $a:literal, $b:literal) => {
        concat!(
            $a,
            "\n",
            $b,
            "\n",
            "mla ",
            $x,
            ", ",
            $x,
            ", r8, r10\n",
            "mla ",
            $x,
            ", r6, r9, ",
            $x,
            "\n",
            "asr ",
            $x,
            ", ",
            $x,
            ", r11\n",
            "add ",
            $x,
            ", ",
            $x,
            ", lr\n",
            "ssat ",
            $x,
            ", #8, ",
            $x,
            "\n",
        )
    };
}

/// TFLite rounding.
pub fn int8_tflite(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = Add::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    let (order, (left, zl), (right, zr)) = match op.left {
        [_, 0] => ([0, 1], (op.left, za), (op.right, zb)),
        _ => ([1, 0], (op.right, zb), (op.left, za)),
    };
    // One of the scales has no shift; the output's half and zero point fit together.
    let ([ml, 0], [mr, -30..=0], [mo, -22..=-1], true) = (left, right, op.output, is_plain(io)?) else {
        return reference::tflite::<i8, LEFT_SHIFT, false>(attributes, io, cx);
    };
    let (shift, n) = (right[1].wrapping_neg(), op.output[1].wrapping_neg());
    let doubled = |zero: i32| zero.wrapping_shl(LEFT_SHIFT + 1);
    let half = 1i32.wrapping_shl(shift as u32) >> 1;
    let mask = if shift == 0 { 0 } else { -1 };
    let add = zo.wrapping_mul(2).wrapping_add(1).wrapping_shl(n as u32) >> 1;
    let constants = [doubled(zr), mr, half, mask, shift, doubled(zl), ml, mo, add, n];
    let rest = |a: i8, b: i8| {
        let scaled = |x: i8, zero: i32, scale| {
            Tflite::apply(i32::from(x).wrapping_sub(zero).wrapping_shl(LEFT_SHIFT), scale)
        };
        let sum = scaled(a, zl, left).wrapping_add(scaled(b, zr, right));
        Tflite::apply(sum, op.output).wrapping_add(zo)
    };
    each(io, order, op.clamp, rest, |[a, b], y, words| {
        // SAFETY: `words` words lie at `a`, `b` and `y`, the constants are copied to the stack, and every
        // register beyond the declared ones is restored.
        unsafe {
            asm!(
                "push {{r4-r11, lr}}",
                "sub sp, sp, #40",
                "ldm r12!, {{r4-r8}}",
                "stm sp, {{r4-r8}}",
                "ldm r12, {{r4-r8}}",
                "add r12, sp, #20",
                "stm r12, {{r4-r8}}",
                "2:",
                "ldr r7, [r1], #4",
                "ldm sp, {{r8-r11, lr}}",
                right!("r4", "sxtb r4, r7"),
                right!("r5", "sxtb r5, r7, ror #8"),
                right!("r6", "sxtb r6, r7, ror #16"),
                right!("r7", "sxtb r7, r7, ror #24"),
                "ldr r12, [r0], #4",
                "ldrd r8, r9, [sp, #20]",
                left!("r4", "sxtb r11, r12"),
                left!("r5", "sxtb r11, r12, ror #8"),
                left!("r6", "sxtb r11, r12, ror #16"),
                left!("r7", "sxtb r11, r12, ror #24"),
                "ldrd r8, r9, [sp, #28]",
                "ldr r10, [sp, #36]",
                sum!("r4"),
                sum!("r5"),
                "bfi r4, r5, #8, #8",
                sum!("r6"),
                "bfi r4, r6, #16, #8",
                sum!("r7"),
                "bfi r4, r7, #24, #8",
                "str r4, [r2], #4",
                "subs r3, r3, #1",
                "bne 2b",
                "add sp, sp, #40",
                "pop {{r4-r11, lr}}",
                inout("r0") a => _,
                inout("r1") b => _,
                inout("r2") y => _,
                inout("r3") words => _,
                inout("r12") constants.as_ptr() => _,
            );
        }
    })
}

/// Single rounding.
pub fn int8_single(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    if !is_plain(io)? {
        return reference::int8_single::<false>(attributes, io, cx);
    }
    let op = Add::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    let ([left, _], [right, _], [_, n]) = (op.left, op.right, op.output);
    let half = 1i32.wrapping_shl(n as u32) >> 1;
    let start = half.wrapping_sub(za.wrapping_mul(left)).wrapping_sub(zb.wrapping_mul(right));
    let constants = [left, right, start, n, zo];
    let rest = |a: i8, b: i8| {
        let sum = i32::from(a).wrapping_mul(left).wrapping_add(i32::from(b).wrapping_mul(right));
        sum.wrapping_add(start).wrapping_shr(n as u32).wrapping_add(zo)
    };
    each(io, [0, 1], op.clamp, rest, |[a, b], y, words| {
        // SAFETY: `words` words lie at `a`, `b` and `y`, and every register beyond the declared ones is restored.
        unsafe {
            asm!(
                "push {{r4-r11, lr}}",
                "ldm r12, {{r8-r11, lr}}",
                "2:",
                "ldr r12, [r0], #4",
                "ldr r7, [r1], #4",
                weighted!("r4", "sxtb r4, r12", "sxtb r6, r7"),
                weighted!("r5", "sxtb r5, r12, ror #8", "sxtb r6, r7, ror #8"),
                "bfi r4, r5, #8, #8",
                weighted!("r5", "sxtb r5, r12, ror #16", "sxtb r6, r7, ror #16"),
                "bfi r4, r5, #16, #8",
                weighted!("r5", "sxtb r5, r12, ror #24", "sxtb r6, r7, ror #24"),
                "bfi r4, r5, #24, #8",
                "str r4, [r2], #4",
                "subs r3, r3, #1",
                "bne 2b",
                "pop {{r4-r11, lr}}",
                inout("r0") a => _,
                inout("r1") b => _,
                inout("r2") y => _,
                inout("r3") words => _,
                inout("r12") constants.as_ptr() => _,
            );
        }
    })
}

/// Whether elements meet one to one.
fn is_plain(io: &Io<'_>) -> Result<bool> {
    let y = io.output_desc(0)?.shape;
    Ok(io.input_desc(0)?.shape == y && io.input_desc(1)?.shape == y)
}

/// Calls `run` for all whole words of inputs, in this order, and output, and `rest` for the elements behind them.
#[inline(always)]
fn each(
    io: &mut Io<'_>,
    order: [usize; 2],
    clamp: Clamp,
    rest: impl Fn(i8, i8) -> i32,
    run: impl Fn([*const i8; 2], *mut i8, usize),
) -> Result<()> {
    let (inputs, y) = io.views::<i8, 2>(order, 0)?;
    let words = y.len() / 4;
    let [a, b] = inputs.map(|view| match view {
        View::Shared(x) => (x.as_ptr(), x.len()),
        View::Inside(x) => (x.as_ptr().cast(), x.len()),
    });
    if a.1 != y.len() || b.1 != y.len() {
        return Err(Error::Internal);
    }
    if words > 0 {
        // Through cells, as the inputs may be: every word is read before it is written.
        run([a.0, b.0], y.as_ptr().cast::<i8>().cast_mut(), words);
    }
    let [a, b] = inputs;
    for (k, slot) in y.iter().enumerate().skip(4 * words) {
        let (Some(a), Some(b)) = (a.at(k), b.at(k)) else { return Err(Error::Internal) };
        slot.set(Clamp::i32(-128, 127).limit_i32(rest(a, b)) as i8);
    }
    if clamp != Clamp::i32(-128, 127) {
        let limit = |slot: &Cell<i8>| slot.set(clamp.limit_i32(i32::from(slot.get())) as i8);
        y.iter().for_each(limit);
    }
    Ok(())
}
