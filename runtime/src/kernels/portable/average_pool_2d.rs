//! AveragePool2D of int8, row by row: the taps of a window one after the other, each for many channels.

use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, by_rows};
use crate::kernels::sum::Sum;
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Channels whose sums are kept at once.
const CHANNELS: usize = 32;

/// How sums are formed.
pub trait Add {
    /// `sums[c] += xs[c]`.
    fn add(sums: &mut [i32], xs: &[i8]);
}

/// One after the other.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// `sum / count` rounded half away from zero.
pub fn int8_tflite<A: Add>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<A>(attributes, io, Sum::mean_half_away)
}

/// `sum / count` rounded half up.
pub fn int8_single<A: Add>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    levels::<A>(attributes, io, Sum::mean_half_up)
}

fn levels<A: Add>(attributes: &[u8], io: &mut Io<'_>, mean: fn(i32, i32) -> Option<i32>) -> Result<()> {
    let op = AveragePool2d::parse(attributes);
    let op = op.as_ref().map_err(|&e| e)?;
    let input = io.input_desc(0)?;
    let [_, height, width, channels] = input.shape.dims4()?;
    let (window, zero) = (&op.pool.window, input.zero_point);
    let [down, right] = window.dilation;
    let steps =
        [(down as usize).wrapping_mul(width).wrapping_mul(channels), (right as usize).wrapping_mul(channels)];
    by_rows::<i8>(io, window, op.pool.height(), |Row { y, first: _, input, output }| {
        let rows = window.taps(0, y, op.pool.height(), 0, height).len();
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.taps(1, x, op.pool.width(), 0, width);
            let count = op.count([y, x], [height, width]);
            // Counted padding holds real zeros.
            let padding = zero.wrapping_mul(count.wrapping_sub(rows.wrapping_mul(columns.len()) as i32));
            // The first row under the window is the row's first input.
            let mut at = window.tap(1, x, columns.start, width).unwrap_or(0).wrapping_mul(channels);
            for part in pixel.chunks_mut(CHANNELS) {
                let mut sums = [padding; CHANNELS];
                let sums = sums.get_mut(..part.len()).ok_or(Error::Internal)?;
                add::<A>(sums, input, at, [rows, columns.len()], steps)?;
                for (slot, &sum) in part.iter_mut().zip(sums.iter()) {
                    *slot = op.clamp.limit_i32(mean(sum, count).unwrap_or(zero)) as i8;
                }
                at = at.wrapping_add(CHANNELS);
            }
        }
        Ok(())
    })
}

/// Adds the levels from `first` on under a window of so many taps, these steps apart.
#[inline(never)]
fn add<A: Add>(
    sums: &mut [i32],
    levels: &[i8],
    first: usize,
    [rows, columns]: [usize; 2],
    [down, right]: [usize; 2],
) -> Result<()> {
    for row in 0..rows {
        for column in 0..columns {
            let at = first.wrapping_add(row.wrapping_mul(down)).wrapping_add(column.wrapping_mul(right));
            A::add(sums, levels.get(at..at.wrapping_add(sums.len())).ok_or(Error::Internal)?);
        }
    }
    Ok(())
}

impl Add for Plain {
    #[inline(always)]
    fn add(sums: &mut [i32], xs: &[i8]) {
        for (sum, &x) in sums.iter_mut().zip(xs) {
            *sum = sum.wrapping_add(i32::from(x));
        }
    }
}
