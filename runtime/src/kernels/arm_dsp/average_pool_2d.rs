//! AveragePool2D of int8, four channels at a time, row by row, so that input and output may overlap by rows.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::error::{Error, Result};
use crate::kernels::reference::average_pool_2d as reference;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::kernels::sum::Sum;
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Most taps whose sum of bytes fits 16 bits.
const MOST_TAPS: usize = 255;

/// `sum / count` rounded half away from zero.
pub fn int8_tflite(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match fitting(attributes, io)? {
        Some(op) => walk(&op, io, Sum::mean_half_away),
        None => reference::int8_tflite(attributes, io, cx),
    }
}

/// `sum / count` rounded half up.
pub fn int8_single(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match fitting(attributes, io)? {
        Some(op) => walk(&op, io, Sum::mean_half_up),
        None => reference::int8_single(attributes, io, cx),
    }
}

/// The operator, where channels come in fours and windows are small and not dilated.
fn fitting(attributes: &[u8], io: &Io<'_>) -> Result<Option<AveragePool2d>> {
    let op = AveragePool2d::parse(attributes)?;
    let [_, _, _, channels] = io.input_desc(0)?.shape.dims4()?;
    let taps = op.pool.height() * op.pool.width();
    let fits = channels % 4 == 0 && op.pool.window.dilation == [1, 1] && taps <= MOST_TAPS;
    Ok(fits.then_some(op))
}

fn walk(op: &AveragePool2d, io: &mut Io<'_>, mean: impl Fn(i32, i32) -> Option<i32>) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let zero = io.input_desc(0)?.zero_point;
    let window = &op.pool.window;
    let kw = op.pool.width();
    by_rows::<i8>(io, window, op.pool.height(), |Row { y, input, output, .. }| {
        let rows = input.len().checked_div(width * channels).ok_or(Error::Internal)?;
        for (x, pixel) in output.chunks_exact_mut(channels).enumerate() {
            let count = op.count([y, x], [height, width]);
            let first = (0..kw).find_map(|k| window.tap(1, x, k, width));
            let last = (0..kw).rev().find_map(|k| window.tap(1, x, k, width));
            let (from, columns) = match (first, last) {
                (Some(first), Some(last)) => (first, last + 1 - first),
                _ => (0, 0),
            };
            let padding = count.wrapping_sub((rows * columns) as i32);
            for (four, slots) in pixel.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let sums =
                    sums(input, from * channels + 4 * four, [rows, columns], [width * channels, channels])?;
                for (slot, sum) in slots.iter_mut().zip(sums) {
                    let sum = i32::from(sum).plus(zero, padding);
                    *slot = op.clamp.limit_i32(mean(sum, count).unwrap_or(zero)) as i8;
                }
            }
        }
        Ok(())
    })
}

/// Sums of four channels from byte `start` on over rows and columns, whose strides in bytes follow. At most
/// [`MOST_TAPS`] of them.
fn sums(
    input: &[i8],
    start: usize,
    [rows, columns]: [usize; 2],
    [row, column]: [usize; 2],
) -> Result<[i16; 4]> {
    let (mut even, mut odd) = (0u32, 0u32);
    if columns > 0 {
        for y in 0..rows {
            let length = (columns - 1) * column + 4;
            let start = start + y * row;
            let taps = input.get(start..start + length).ok_or(Error::Internal)?;
            // SAFETY: reads `columns` words that lie in `taps` and need no alignment.
            unsafe {
                asm!(
                    "2:",
                    "ldr {word}, [{from}]",
                    "add {from}, {from}, {column}",
                    "sxtab16 {even}, {even}, {word}",
                    "sxtab16 {odd}, {odd}, {word}, ror #8",
                    "subs {count}, {count}, #1",
                    "bne 2b",
                    from = inout(reg) taps.as_ptr() => _,
                    count = inout(reg) columns => _,
                    column = in(reg) column,
                    even = inout(reg) even,
                    odd = inout(reg) odd,
                    word = out(reg) _,
                    options(nostack, readonly),
                );
            }
        }
    }
    let halves = |word: u32| [word as i16, (word >> 16) as i16];
    let ([first, third], [second, fourth]) = (halves(even), halves(odd));
    Ok([first, second, third, fourth])
}
