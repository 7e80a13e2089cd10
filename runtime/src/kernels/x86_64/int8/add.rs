//! Add and Sub of two int8 tensors of one shape, 64 elements at a time. What is broadcast goes to the plain loops.
#![allow(unsafe_code)]

use super::rescale::{FRACTION, Finish, Rescale, least};
use super::simd::{LANES, Simd};
use crate::error::{Error, Result};
use crate::kernels::fixed::{Requant, Tflite};
use crate::kernels::reference::additive::{self as reference, zero_points};
use crate::ops::add::{Additive, LEFT_SHIFT};
use crate::ops::attr::Clamp;
use crate::ops::broadcast::Walk;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::view::View;

/// Elements of a step.
const STEP: usize = 4 * LANES;

/// What is done with elements. A trait rather than closures: those would not be inlined for sure.
trait Binary<S: Simd> {
    /// One element each.
    fn one(&self, a: i8, b: i8) -> i8;
    /// 64 elements each.
    unsafe fn many(&self, a: *const i8, b: *const i8) -> S::Bytes;
}

/// TFLite rounding.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn tflite<S: Simd, const SUB: bool>(
    attributes: &[u8],
    io: &mut Io<'_>,
    cx: &Context,
) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    if !is_plain(io)? {
        return reference::tflite::<i8, LEFT_SHIFT, SUB>(attributes, io, cx);
    }
    let zeros = zero_points(io)?;
    // SAFETY: the caller's.
    unsafe {
        #[allow(clippy::manual_map, reason = "closures of vectors are not inlined for sure")]
        let line = match Line::new(&op, zeros) {
            Some(line) => Some(line.vectors::<S>()),
            None => None,
        };
        let sum = TwoRoundings::<S, SUB> {
            zeros: [S::splat(zeros[0]), S::splat(zeros[1]), S::splat(zeros[2])],
            line,
            end: Finish::new(io, op.clamp)?,
            own: zeros,
            op,
        };
        walk::<S>(io, &sum)
    }
}

struct TwoRoundings<S: Simd, const SUB: bool> {
    op: Additive<SUB>,
    own: [i32; 3],
    zeros: [S::I32; 3],
    line: Option<[S::I32; 3]>,
    end: Finish,
}

impl<S: Simd, const SUB: bool> TwoRoundings<S, SUB> {
    /// Step by step as defined.
    #[inline(always)]
    unsafe fn exact(&self, a: *const i8, b: *const i8) -> S::Bytes {
        let scales = [self.op.left, self.op.right, self.op.output].map(|scale| [scale; LANES]);
        // SAFETY: the caller's.
        unsafe {
            let shift = S::splat(LEFT_SHIFT as i32);
            let mut sums = [self.zeros[0]; 4];
            let mut i = 0;
            while i < 4 {
                let a = S::sll(S::sub(S::widen(a.add(i * LANES)), self.zeros[0]), shift);
                let b = S::sll(S::sub(S::widen(b.add(i * LANES)), self.zeros[1]), shift);
                let (a, b) = (Tflite::exact::<S>(a, &scales[0]), Tflite::exact::<S>(b, &scales[1]));
                let sum = if SUB { S::sub(a, b) } else { S::add(a, b) };
                sums[i] = S::add(Tflite::exact::<S>(sum, &scales[2]), self.zeros[2]);
                i += 1;
            }
            S::limit(S::narrow::<false>(sums, 0), self.end.low, self.end.high)
        }
    }
}

impl<S: Simd, const SUB: bool> Binary<S> for TwoRoundings<S, SUB> {
    fn one(&self, a: i8, b: i8) -> i8 {
        let [za, zb, zo] = self.own;
        let a = Tflite::apply(i32::from(a).wrapping_sub(za).wrapping_shl(LEFT_SHIFT), self.op.left);
        let b = Tflite::apply(i32::from(b).wrapping_sub(zb).wrapping_shl(LEFT_SHIFT), self.op.right);
        let sum = if SUB { a.wrapping_sub(b) } else { a.wrapping_add(b) };
        self.op.clamp.limit_i32(Tflite::apply(sum, self.op.output).wrapping_add(zo)) as i8
    }

    #[inline(always)]
    unsafe fn many(&self, a: *const i8, b: *const i8) -> S::Bytes {
        // SAFETY: the caller's.
        unsafe {
            if let Some([left, right, rest]) = self.line {
                let mut q = [rest; 4];
                let mut i = 0;
                while i < 4 {
                    let b = S::mul_add(S::to_float(S::widen(b.add(i * LANES))), right, rest);
                    q[i] = S::nearest(S::mul_add(S::to_float(S::widen(a.add(i * LANES))), left, b));
                    i += 1;
                }
                if !S::any_low_word_below(2 * GUARD, least::<S>(q)) {
                    return S::limit(S::narrow_upper::<false>(q), self.end.low, self.end.high);
                }
            }
            self.exact(a, b)
        }
    }
}

/// Units of the last place that [`Line`] may be off by.
const GUARD: i32 = 16;

/// The result as a linear function of both levels, with [`FRACTION`] bits of fraction, as [`Rescale::quick`] has it.
struct Line {
    left: f32,
    right: f32,
    rest: f32,
}

impl Line {
    /// Where it is near enough to what three roundings give.
    #[inline(always)]
    fn new<const SUB: bool>(op: &Additive<SUB>, zeros: [i32; 3]) -> Option<Self> {
        let is_plain = |&[multiplier, shift]: &[i32; 2]| multiplier >= 0 && (-31..=0).contains(&shift);
        if ![op.left, op.right, op.output].iter().all(is_plain)
            || zeros.iter().any(|&z| i8::try_from(z).is_err())
        {
            return None;
        }
        // Multiplier / 2^31 * 2^shift, exact.
        let real = |[multiplier, shift]: [i32; 2]| {
            f64::from(multiplier) * f64::from_bits(((1023 - 31 + shift) as u64) << 52)
        };
        let unit = f64::from(1 << FRACTION);
        let output = real(op.output) * unit;
        let shifted = f64::from(1 << LEFT_SHIFT) * output;
        let (left, right) = (real(op.left) * shifted, real(op.right) * shifted);
        let right = if SUB { -right } else { right };
        let [za, zb, zo] = zeros.map(f64::from);
        let rest = zo * unit + unit / 2.0 + f64::from(GUARD) - za * left - zb * right;
        // Both terms are rounded twice to integers, each by at most a half; so is the result, whose first rounding is
        // by half a unit of what it then scales. What floats hold is off by 2^-24 of itself: the three factors, products
        // and sums.
        let largest = 128.0 * (left + right.abs()) + rest.abs();
        let error = 3.0 * output + 2.0 + 4.0 * largest / f64::from(1 << 24);
        let [_, shift] = op.output;
        let first = unit / 2.0 * f64::from_bits(((1023 + shift) as u64) << 52);
        (error + first < f64::from(GUARD)).then_some(Line {
            left: left as f32,
            right: right as f32,
            rest: rest as f32,
        })
    }

    #[inline(always)]
    unsafe fn vectors<S: Simd>(self) -> [S::I32; 3] {
        let bits = |x: f32| x.to_bits() as i32;
        // SAFETY: the caller's.
        unsafe { [S::splat(bits(self.left)), S::splat(bits(self.right)), S::splat(bits(self.rest))] }
    }
}

/// One rounding of the exact weighted sum.
#[inline(always)]
pub(super) unsafe fn single<S: Simd, const SUB: bool>(
    attributes: &[u8],
    io: &mut Io<'_>,
    cx: &Context,
) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    if !is_plain(io)? {
        return reference::int8_single::<SUB>(attributes, io, cx);
    }
    let [za, zb, zero_point] = zero_points(io)?;
    let ([left, _], [right, _], [_, shift]) = (op.left, op.right, op.output);
    let right = if SUB { right.wrapping_neg() } else { right };
    let half = 1i32.wrapping_shl(shift as u32) >> 1;
    let rest = half.wrapping_sub(za.wrapping_mul(left)).wrapping_sub(zb.wrapping_mul(right));
    // SAFETY: the caller's.
    unsafe {
        walk::<S>(io, &OneRounding { left, right, rest, shift: shift & 31, zero_point, clamp: op.clamp })
    }
}

struct OneRounding {
    left: i32,
    right: i32,
    /// What does not depend on the elements, all in one number.
    rest: i32,
    shift: i32,
    zero_point: i32,
    clamp: Clamp,
}

impl<S: Simd> Binary<S> for OneRounding {
    fn one(&self, a: i8, b: i8) -> i8 {
        let (a, b) = (i32::from(a).wrapping_mul(self.left), i32::from(b).wrapping_mul(self.right));
        let sum = a.wrapping_add(b).wrapping_add(self.rest).wrapping_shr(self.shift as u32);
        self.clamp.limit_i32(sum.wrapping_add(self.zero_point)) as i8
    }

    #[inline(always)]
    unsafe fn many(&self, a: *const i8, b: *const i8) -> S::Bytes {
        // SAFETY: the caller's.
        unsafe {
            let (left, right) = (S::splat(self.left), S::splat(self.right));
            let (shift, zero) = (S::splat(self.shift), S::splat(self.zero_point));
            let (low, high) = self.clamp.as_i32();
            let mut sums = [S::splat(self.rest); 4];
            let mut i = 0;
            while i < 4 {
                let a = S::mul(S::widen(a.add(i * LANES)), left);
                let b = S::mul(S::widen(b.add(i * LANES)), right);
                sums[i] = S::add(S::sra(S::add(S::add(a, b), sums[i]), shift), zero);
                i += 1;
            }
            S::limit(S::narrow::<false>(sums, 0), low as i8, high as i8)
        }
    }
}

/// Whether both operands have the output's shape.
fn is_plain(io: &Io<'_>) -> Result<bool> {
    let (a, b, y) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape, io.output_desc(0)?.shape);
    Ok(Walk::new(&a, &b, &y).run() == (y.elements(), 1, 1))
}

/// Calls `many` with 64 elements of each operand at a time, `one` with what remains. Operands that share memory with the
/// output do not start below it, so elements are read before they are overwritten.
#[inline(always)]
unsafe fn walk<S: Simd>(io: &mut Io<'_>, f: &impl Binary<S>) -> Result<()> {
    let ([a, b], y) = io.views::<i8, 2>([0, 1], 0)?;
    let count = y.len();
    let (Some(from_a), Some(from_b)) = (start(&a, count), start(&b, count)) else {
        return Err(Error::Internal);
    };
    let vectors = count / STEP * STEP;
    for at in (0..vectors).step_by(STEP) {
        // SAFETY: 64 elements from `at` on are within both operands and the output, whose cells may be written through
        // a shared reference; everything is read before it is written.
        unsafe {
            let bytes = f.many(from_a.add(at), from_b.add(at));
            S::store(y.as_ptr().cast::<u8>().cast_mut().add(at), bytes);
        }
    }
    for (at, slot) in y.iter().enumerate().skip(vectors) {
        let (Some(a), Some(b)) = (a.at(at), b.at(at)) else { return Err(Error::Internal) };
        slot.set(f.one(a, b));
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
