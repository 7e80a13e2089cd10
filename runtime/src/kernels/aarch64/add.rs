//! Add and Sub of two int8 tensors of one shape, sixteen elements side by side. What is broadcast goes to the plain loops.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::error::{Error, Result};
use crate::kernels::aarch64::end::{Ends, Sums};
use crate::kernels::aarch64::entry::Form;
use crate::kernels::aarch64::rescale::{Both, Full, Positive, Rescale, Right};
use crate::kernels::fixed::{Requant, Tflite};
use crate::kernels::reference::additive::{self as reference, zero_points};
use crate::layout::BLOCK;
use crate::ops::add::{Additive, LEFT_SHIFT};
use crate::ops::broadcast::Walk;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::view::View;

/// Sixteen levels less their zero point.
type Levels = [int16x8_t; 2];

/// TFLite rounding.
pub fn tflite<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    if !is_plain(io)? {
        return reference::tflite::<i8, LEFT_SHIFT, SUB>(attributes, io, cx);
    }
    let is_half = |[multiplier, shift]: [i32; 2]| multiplier == 1 << 30 && shift == 0;
    let is_right = |[_, shift]: [i32; 2]| shift < 0;
    // Operands are at most 255 * 2^19 each, so their sum, shifted by 14, fits 16 bits.
    let is_short = |[_, shift]: [i32; 2]| shift <= -14;
    let [za, zb, _] = zero_points(io)?;
    // No level is below the least zero point, and ties of what is not negative go up.
    let is_positive = |zero: i32| zero == i32::from(i8::MIN);
    if is_short(op.output) && is_half(op.left) && is_right(op.right) {
        return match is_positive(zb) {
            true => formed::<Half, Scaled<Positive<Right>>, SUB>(io, op),
            false => formed::<Half, Scaled<Right>, SUB>(io, op),
        };
    }
    if is_short(op.output) && is_right(op.left) && is_half(op.right) {
        return match is_positive(za) {
            true => formed::<Scaled<Positive<Right>>, Half, SUB>(io, op),
            false => formed::<Scaled<Right>, Half, SUB>(io, op),
        };
    }
    two_roundings::<Scaled<Both>, Scaled<Both>, Both, SUB, false>(io, op)
}

/// [`two_roundings`] where the output's shift makes sums short.
fn formed<L: Term, R: Term, const SUB: bool>(io: &mut Io<'_>, op: Additive<SUB>) -> Result<()> {
    match Form::of_outputs(io.output_desc(0)?.zero_point, op.clamp) {
        Form::Positive => two_roundings::<L, R, Positive<Right>, SUB, true>(io, op),
        Form::Full => two_roundings::<L, R, Full<Right>, SUB, true>(io, op),
        Form::Usual | Form::Any => two_roundings::<L, R, Right, SUB, true>(io, op),
    }
}

/// One rounding of the exact weighted sum.
pub fn single<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    if !is_plain(io)? {
        return reference::int8_single::<SUB>(attributes, io, cx);
    }
    let [za, zb, zo] = zero_points(io)?;
    let ([left, _], [right, _], [_, shift]) = (op.left, op.right, op.output);
    let (right, shift) = (if SUB { right.wrapping_neg() } else { right }, shift & 31);
    // What does not depend on the elements.
    let rest = (1i32.wrapping_shl(shift as u32) >> 1)
        .wrapping_sub(za.wrapping_mul(left))
        .wrapping_sub(zb.wrapping_mul(right));
    let ends = Ends::<Both>::of(zo, op.clamp);
    walk(
        io,
        |a, b| {
            let (a, b) = (i32::from(a).wrapping_mul(left), i32::from(b).wrapping_mul(right));
            let sum = a.wrapping_add(b).wrapping_add(rest).wrapping_shr(shift as u32);
            op.clamp.limit_i32(sum.wrapping_add(zo)) as i8
        },
        |a, b| {
            // SAFETY: every 64-bit Arm has NEON.
            let none = unsafe { vdupq_n_s8(0) };
            let (a, b) = (quarters(minus(a, none)), quarters(minus(b, none)));
            // SAFETY: every 64-bit Arm has NEON.
            let sums = core::array::from_fn(|i| unsafe {
                let sum = vmlal_n(vmlal_n(vdupq_n_s32(rest), a[i], left), b[i], right);
                vshlq_s32(sum, vdupq_n_s32(-shift))
            });
            ends.narrow::<false>(&sums)
        },
    )
}

/// `sum + x * w`.
#[inline(always)]
fn vmlal_n(sum: int32x4_t, x: int16x4_t, w: i32) -> int32x4_t {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { vmlaq_n_s32(sum, vmovl_s16(x), w) }
}

/// An operand on the common scale.
trait Term {
    /// Whether it takes no rounding.
    const IS_EXACT: bool;

    fn new(scale: [i32; 2]) -> Self;

    /// Sixteen levels.
    fn scaled(&self, levels: Levels) -> Sums;

    /// Adds sixteen levels to sums, or with `SUB` takes them off.
    #[inline(always)]
    fn plus<const SUB: bool>(&self, sums: Sums, levels: Levels) -> Sums {
        let scaled = self.scaled(levels);
        // SAFETY: every 64-bit Arm has NEON.
        core::array::from_fn(|i| unsafe {
            if SUB { vsubq_s32(sums[i], scaled[i]) } else { vaddq_s32(sums[i], scaled[i]) }
        })
    }
}

/// Times a half: the operand with the greater scale has that, and it is exact.
struct Half {
    /// A factor in every element.
    factor: int16x8_t,
}

/// Any constant that `S` takes.
struct Scaled<S: Rescale>(S::Scales);

impl Term for Half {
    const IS_EXACT: bool = true;

    fn new(_: [i32; 2]) -> Self {
        // SAFETY: every 64-bit Arm has NEON.
        Half { factor: hidden(unsafe { vdupq_n_s16(1 << 14) }) }
    }

    #[inline(always)]
    fn scaled(&self, levels: Levels) -> Sums {
        shifted::<{ LEFT_SHIFT as i32 - 16 }>(levels)
    }

    #[inline(always)]
    fn plus<const SUB: bool>(&self, sums: Sums, levels: Levels) -> Sums {
        // 19 bits in two steps of which neither overflows: 2^5 here, 2^14 as a factor.
        // SAFETY: every 64-bit Arm has NEON.
        unsafe {
            let ([a, b, c, d], k) = (sums, self.factor);
            let [low, high] = levels.map(|l| vshlq_n_s16::<5>(l));
            let (first, second, k_low) = (vget_low_s16(low), vget_low_s16(high), vget_low_s16(k));
            if SUB {
                let [a, c] = [vmlsl_s16(a, first, k_low), vmlsl_s16(c, second, k_low)];
                [a, times_high::<true>(b, low, k), c, times_high::<true>(d, high, k)]
            } else {
                let [a, c] = [vmlal_s16(a, first, k_low), vmlal_s16(c, second, k_low)];
                [a, times_high::<false>(b, low, k), c, times_high::<false>(d, high, k)]
            }
        }
    }
}

impl<S: Rescale<Requant = Tflite>> Term for Scaled<S> {
    const IS_EXACT: bool = false;

    fn new(scale: [i32; 2]) -> Self {
        Scaled(S::scales(&[scale; 4]))
    }

    #[inline(always)]
    fn scaled(&self, levels: Levels) -> Sums {
        shifted::<{ LEFT_SHIFT as i32 - 15 }>(levels).map(|level| S::apply(level, self.0))
    }
}

/// Both operands on a common scale, then their sum on the output's, rescaled to 16 bits if it is `SHORT`.
fn two_roundings<L: Term, R: Term, S: Rescale<Requant = Tflite>, const SUB: bool, const SHORT: bool>(
    io: &mut Io<'_>,
    op: Additive<SUB>,
) -> Result<()> {
    let [za, zb, zo] = zero_points(io)?;
    let (left, right, scales) = (L::new(op.left), R::new(op.right), S::scales(&[op.output; 4]));
    let ends = Ends::<S>::of(zo, op.clamp);
    // SAFETY: every 64-bit Arm has NEON.
    let [all_a, all_b] = [za, zb]
        .map(|zero| unsafe { vreinterpretq_s8_s16(hidden(vreinterpretq_s16_s8(vdupq_n_s8(zero as i8)))) });
    walk(
        io,
        |a, b| {
            let a = Tflite::apply(i32::from(a).wrapping_sub(za).wrapping_shl(LEFT_SHIFT), op.left);
            let b = Tflite::apply(i32::from(b).wrapping_sub(zb).wrapping_shl(LEFT_SHIFT), op.right);
            let sum = if SUB { a.wrapping_sub(b) } else { a.wrapping_add(b) };
            op.clamp.limit_i32(Tflite::apply(sum, op.output).wrapping_add(zo)) as i8
        },
        |a, b| {
            let (a, b) = (minus(a, all_a), minus(b, all_b));
            let sums = if L::IS_EXACT && !SUB {
                left.plus::<false>(right.scaled(b), a)
            } else {
                right.plus::<SUB>(left.scaled(a), b)
            };
            ends.narrow::<SHORT>(&sums.map(|sum| S::apply(sum, scales)))
        },
    )
}

/// `sum + x * k`, or with `SUB` less that, of the upper four. The compiler would move them down first where all of `k` is
/// one number.
#[inline(always)]
fn times_high<const SUB: bool>(mut sum: int32x4_t, x: int16x8_t, k: int16x8_t) -> int32x4_t {
    // SAFETY: every 64-bit Arm has NEON; registers only.
    unsafe {
        if SUB {
            asm!("smlsl2 {0:v}.4s, {1:v}.8h, {2:v}.8h", inout(vreg) sum, in(vreg) x, in(vreg) k, options(pure, nomem, nostack));
        } else {
            asm!("smlal2 {0:v}.4s, {1:v}.8h, {2:v}.8h", inout(vreg) sum, in(vreg) x, in(vreg) k, options(pure, nomem, nostack));
        }
    }
    sum
}

/// Levels less their zero point, which every element of `zero` is.
#[inline(always)]
fn minus(levels: int8x16_t, zero: int8x16_t) -> Levels {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { [vsubl_s8(vget_low_s8(levels), vget_low_s8(zero)), vsubl_high_s8(levels, zero)] }
}

/// The same numbers, of which the compiler does not see that they are constant: it would take instructions on both
/// halves apart, and write multiplications as more shifts.
#[inline(always)]
fn hidden(mut numbers: int16x8_t) -> int16x8_t {
    // SAFETY: no instruction.
    unsafe { asm!("/* {0:v} */", inout(vreg) numbers, options(pure, nomem, nostack, preserves_flags)) };
    numbers
}

#[inline(always)]
fn quarters([low, high]: Levels) -> [int16x4_t; 4] {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { [vget_low_s16(low), vget_high_s16(low), vget_low_s16(high), vget_high_s16(high)] }
}

/// Times `2^(BITS + 15)`: levels have nine bits, so nothing is lost while `BITS` is at most 7.
#[inline(always)]
fn shifted<const BITS: i32>(levels: Levels) -> Sums {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        let [low, high] = levels.map(|l| vshlq_n_s16::<BITS>(l));
        [
            vshll_n_s16::<15>(vget_low_s16(low)),
            vshll_high_n_s16::<15>(low),
            vshll_n_s16::<15>(vget_low_s16(high)),
            vshll_high_n_s16::<15>(high),
        ]
    }
}

/// Whether both operands have the output's shape.
fn is_plain(io: &Io<'_>) -> Result<bool> {
    let (a, b, y) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape, io.output_desc(0)?.shape);
    Ok(Walk::new(&a, &b, &y).run() == (y.elements(), 1, 1))
}

/// Calls `many` with sixteen elements of each operand at a time, `one` with what remains. Operands that share memory
/// with the output do not start below it, so elements are read before they are overwritten.
#[inline(always)]
fn walk(
    io: &mut Io<'_>,
    one: impl Fn(i8, i8) -> i8,
    many: impl Fn(int8x16_t, int8x16_t) -> int8x16_t,
) -> Result<()> {
    let ([a, b], y) = io.views::<i8, 2>([0, 1], 0)?;
    let count = y.len();
    let (Some(from_a), Some(from_b)) = (start(&a, count), start(&b, count)) else {
        return Err(Error::Internal);
    };
    let (vectors, to) = (count / BLOCK * BLOCK, y.as_ptr().cast::<i8>().cast_mut());
    let pairs = vectors / (2 * BLOCK) * (2 * BLOCK);
    for at in (0..pairs).step_by(2 * BLOCK) {
        // SAFETY: 32 elements from `at` on are within both operands and the output, whose cells may be written through a shared
        // reference; everything is read before it is written.
        unsafe {
            let (a, b) = (vld1q_s8_x2(from_a.add(at)), vld1q_s8_x2(from_b.add(at)));
            vst1q_s8_x2(to.add(at), int8x16x2_t(many(a.0, b.0), many(a.1, b.1)));
        }
    }
    for at in (pairs..vectors).step_by(BLOCK) {
        // SAFETY: sixteen elements from `at` on are within both operands and the output, whose cells may be written
        // through a shared reference; everything is read before it is written.
        unsafe {
            let levels = many(vld1q_s8(from_a.add(at)), vld1q_s8(from_b.add(at)));
            vst1q_s8(to.add(at), levels);
        }
    }
    for (at, slot) in y.iter().enumerate().skip(vectors) {
        let (Some(a), Some(b)) = (a.at(at), b.at(at)) else { return Err(Error::Internal) };
        slot.set(one(a, b));
    }
    Ok(())
}

/// The first of `count` elements; `None` where there are fewer.
fn start(view: &View<'_, i8>, count: usize) -> Option<*const i8> {
    let (at, len) = match view {
        View::Shared(x) => (x.as_ptr(), x.len()),
        View::Inside(x) => (x.as_ptr().cast::<i8>(), x.len()),
    };
    (len >= count).then_some(at)
}
