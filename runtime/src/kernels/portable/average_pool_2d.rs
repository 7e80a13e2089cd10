//! AveragePool2D of int8, row by row: the taps of a window one after the other, each for many channels.

use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, by_rows};
use crate::kernels::sum::Sum;
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Channels whose sums are kept at once.
const CHANNELS: usize = 32;
/// Channels of a round of the loop.
const ROUND: usize = 4;

/// How sums are formed.
pub trait Add {
    /// `sums[c] += xs[c]`.
    fn add(sums: &mut [i32], xs: &[i8]);
}

/// A few at a time.
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
    let op = AveragePool2d::parse(attributes)?;
    let input = io.input_desc(0)?;
    let [_, height, width, channels] = input.shape.dims4()?;
    let (window, zero) = (op.pool.window, input.zero_point);
    by_rows::<i8>(io, &window, op.pool.height(), |Row { y, first, input, output }| {
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let count = op.count([y, x], [height, width]);
            for (k, part) in pixel.chunks_mut(CHANNELS).enumerate() {
                let (mut sums, mut inside) = ([0i32; CHANNELS], 0i32);
                let sums = sums.get_mut(..part.len()).ok_or(Error::Internal)?;
                for ky in 0..op.pool.height() {
                    let Some(iy) = window.tap(0, y, ky, height) else { continue };
                    for kx in 0..op.pool.width() {
                        let Some(ix) = window.tap(1, x, kx, width) else { continue };
                        let at = iy.wrapping_sub(first).wrapping_mul(width).wrapping_add(ix);
                        let at = at.wrapping_mul(channels).wrapping_add(k.wrapping_mul(CHANNELS));
                        A::add(sums, input.get(at..at.wrapping_add(part.len())).ok_or(Error::Internal)?);
                        inside = inside.wrapping_add(1);
                    }
                }
                // Counted padding holds real zeros.
                let padding = zero.wrapping_mul(count.wrapping_sub(inside));
                for (slot, &sum) in part.iter_mut().zip(sums.iter()) {
                    let level = mean(sum.wrapping_add(padding), count).unwrap_or(zero);
                    *slot = op.clamp.limit_i32(level) as i8;
                }
            }
        }
        Ok(())
    })
}

impl Add for Plain {
    #[inline(always)]
    fn add(sums: &mut [i32], xs: &[i8]) {
        let (sums, rest) = sums.as_chunks_mut::<ROUND>();
        let (xs, x_rest) = xs.as_chunks::<ROUND>();
        for (sums, x) in sums.iter_mut().zip(xs) {
            sums[0] = sums[0].wrapping_add(i32::from(x[0]));
            sums[1] = sums[1].wrapping_add(i32::from(x[1]));
            sums[2] = sums[2].wrapping_add(i32::from(x[2]));
            sums[3] = sums[3].wrapping_add(i32::from(x[3]));
        }
        for (sum, &x) in rest.iter_mut().zip(x_rest) {
            *sum = sum.wrapping_add(i32::from(x));
        }
    }
}
