//! Softmax, row by row. Each row is read twice: for its maximum and sum, then element by element as it is
//! overwritten.

use core::cell::Cell;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::rounding_divide_by_pot;
use crate::kernels::gemmlowp::{exp_on_negative_values, mul, reciprocal};
use crate::kernels::level::{Affine, Level};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};
use crate::ops::softmax::{self, FINE, Softmax, TABLE};
use crate::ops::view::View;

/// Exponentials of a row that are computed once; none where stack counts.
const KEPT: usize = if cfg!(feature = "std") { 64 } else { 0 };

/// TFLite Micro's int8 kernel. A row whose exponentials sum to 512 or more, where TFLite Micro aborts, is all
/// zero probability here.
pub fn int8_tflite(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    /// Integer bits of the sum.
    const SUM: i32 = 12;
    let op = Softmax::parse(attributes)?;
    rows::<i8>(io, |x, y| {
        let max = greatest(x);
        let exp = |level: i8| tflite_exponential(&op, level.widen().wrapping_sub(max));
        let (mut kept, mut sum) = ([0i32; KEPT], 0i32);
        for (k, level) in values(x).enumerate() {
            let e = exp(level);
            if let Some(slot) = kept.get_mut(k) {
                *slot = e;
            }
            sum = sum.wrapping_add(rounding_divide_by_pot(e, SUM));
        }
        let (scale, bits) = reciprocal(sum, SUM);
        let exponent = bits.wrapping_add(31 - 8);
        for (k, slot) in y.iter().enumerate() {
            // Nothing times 0 is 0: differences that do not count need no case.
            let e = match kept.get(k) {
                Some(&e) => e,
                None => exp(x.at(k).ok_or(Error::Internal)?),
            };
            let product = mul(scale, e);
            let level = if exponent <= 31 { rounding_divide_by_pot(product, exponent) } else { 0 };
            slot.set(i8::narrow(level.wrapping_add(i8::MIN as i32)));
        }
        Ok(())
    })
}

/// `exp(beta * scale * difference)` as Q0.31; 0 where the difference to the row's maximum is too great to count.
#[cfg_attr(target_os = "none", inline(never))]
fn tflite_exponential(op: &Softmax, difference: i32) -> i32 {
    /// Integer bits of the scaled difference.
    const DIFFERENCE: u32 = 5;
    if difference < op.diff_min {
        return 0;
    }
    let [multiplier, shift] = op.multiplier;
    let shifted = difference.wrapping_mul(1i32.wrapping_shl(shift as u32));
    exp_on_negative_values(mul(shifted, multiplier), DIFFERENCE)
}

/// `round(256 * table[max - x] / sum) - 128` with ties upwards.
pub fn int8_single(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let table: &[i32; TABLE] = io.input::<i32>(1)?.first_chunk().ok_or(Error::Internal)?;
    rows::<i8>(io, |x, y| {
        let max = greatest(x);
        // The difference of two int8 levels fits a byte, and a byte any of the 256 entries.
        let exp = |level: i8| table[usize::from(max.wrapping_sub(level.widen()) as u8)] as u32;
        let sum = values(x).fold(0u32, |sum, level| sum.wrapping_add(exp(level)));
        for (k, slot) in y.iter().enumerate() {
            let e = exp(x.at(k).ok_or(Error::Internal)?);
            let quotient = e.wrapping_shl(8).wrapping_add(sum >> 1).checked_div(sum).unwrap_or(0);
            slot.set(i8::narrow((quotient as i32).wrapping_add(i8::MIN as i32)));
        }
        Ok(())
    })
}

/// `round(32768 * e / sum)` with ties upwards, where `e` is the product of the two tables' entries for the upper
/// and the lower byte of the distance to the row's maximum.
pub fn int16(_attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let [coarse, fine] = io.input::<[i32; TABLE]>(1)?.first_chunk().ok_or(Error::Internal)?;
    rows::<i16>(io, |x, y| {
        let max = greatest(x);
        // The distance of two int16 levels fits 16 bits. Entries are at most 2^FINE, and so is the product.
        let exp = |level: i16| {
            let distance = max.wrapping_sub(level.widen()) as u16;
            let (c, f) = (coarse[usize::from(distance >> 8)], fine[usize::from(distance as u8)]);
            ((c as i64).wrapping_mul(f as i64).wrapping_add(1 << (FINE - 1)) >> FINE) as u64
        };
        let sum = values(x).fold(0u64, |sum, level| sum.wrapping_add(exp(level)));
        // 1 / sum = inverse * 2^(zeros - 95): one division for the row. The sum is at least 2^FINE, so that the
        // inverse, at most 2^32, times an exponential is below 2^63.
        let zeros = sum.leading_zeros();
        let inverse = (1u64 << 63).checked_div(sum.wrapping_shl(zeros) >> 32).unwrap_or(0);
        let shift = 80u32.wrapping_sub(zeros);
        let half = 1u64.checked_shl(shift.wrapping_sub(1)).unwrap_or(0);
        for (k, slot) in y.iter().enumerate() {
            let e = exp(x.at(k).ok_or(Error::Internal)?);
            let product = e.wrapping_mul(inverse).wrapping_add(half);
            let level = product.checked_shr(shift).unwrap_or(0);
            slot.set(i16::narrow(if level > 32767 { 32767 } else { level as i32 }));
        }
        Ok(())
    })
}

/// What dequantize, softmax, quantize give.
pub fn onnx<T: Level + PartialOrd>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let beta = Softmax::parse(attributes)?.beta;
    let (px, py) = (Affine::of(io.input_desc(0)?), Affine::of(io.output_desc(0)?));
    rows::<T>(io, |x, y| {
        let max = px.real(greatest(x));
        let exp = |level: T| libm::expf((px.real(level.widen()) - max) * beta);
        let sum = values(x).fold(0f32, |sum, level| sum + exp(level));
        for (k, slot) in y.iter().enumerate() {
            let e = exp(x.at(k).ok_or(Error::Internal)?);
            slot.set(T::narrow(py.level(e / sum)));
        }
        Ok(())
    })
}

/// Floats, summed in order.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let beta = Softmax::parse(attributes)?.beta;
    rows::<f32>(io, |x, y| {
        let max = values(x).fold(f32::NEG_INFINITY, |m, v| if v > m { v } else { m });
        let mut sum = 0f32;
        for (k, slot) in y.iter().enumerate() {
            let e = libm::expf((x.at(k).ok_or(Error::Internal)? - max) * beta);
            sum += e;
            slot.set(e);
        }
        for slot in y {
            slot.set(slot.get() / sum);
        }
        Ok(())
    })
}

/// Calls `f` with each row of the input and of the output.
#[inline(always)]
fn rows<T: Pod>(io: &mut Io<'_>, f: impl Fn(&View<'_, T>, &[Cell<T>]) -> Result<()>) -> Result<()> {
    let len = softmax::row(io.input_desc(0)?);
    let ([x], y) = io.views::<T, 1>([0], 0)?;
    y.chunks_exact(len.max(1)).enumerate().try_for_each(|(r, y)| f(&x.row(r.wrapping_mul(len), len)?, y))
}

fn values<T: Copy>(x: &View<'_, T>) -> impl Iterator<Item = T> {
    (0..).map_while(|k| x.at(k))
}

fn greatest<T: Level + PartialOrd>(x: &View<'_, T>) -> i32 {
    values(x).fold(T::narrow(i32::MIN), |m, v| if v > m { v } else { m }).widen()
}
