//! Pooling of int8 images, 64 channels at a time. Plain code: compiled for an instruction set with wide vectors, its loops
//! over channels become vectors. (No closures: those would be compiled apart, without the instruction set.)

use core::marker::PhantomData;

use crate::error::{Error, Result};
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::max_pool_2d::MaxPool2d;
use crate::ops::op::Op;
use crate::ops::pool::Pool;

/// Channels at a time.
const CHANNELS: usize = 64;

/// What pooling makes of the levels under a window.
trait Reduction {
    /// Sums or maxima of channels.
    type Acc: Copy;
    const START: Self::Acc;
    fn add(acc: &mut Self::Acc, level: i8);
    /// Of an output row and column; called once for all channels.
    fn count(&self, at: [usize; 2], image: [usize; 2]) -> i32;
    /// Of a channel whose window has so many taps inside the image; `inverse` is 1 / `count`.
    fn finish(&self, acc: Self::Acc, inside: i32, count: i32, inverse: f64) -> i8;
}

/// Sums of levels.
trait Sum: Copy + Into<i32> {
    const ZERO: Self;
    fn plus(self, level: i8) -> Self;
}

impl Sum for i32 {
    const ZERO: i32 = 0;

    #[inline(always)]
    fn plus(self, level: i8) -> i32 {
        self.wrapping_add(i32::from(level))
    }
}

/// Of at most [`SHORT`] levels.
impl Sum for i16 {
    const ZERO: i16 = 0;

    #[inline(always)]
    fn plus(self, level: i8) -> i16 {
        self.wrapping_add(i16::from(level))
    }
}

/// Levels that 16 bits hold the sum of.
const SHORT: usize = 256;

struct Mean<const HALF_UP: bool, S> {
    op: AveragePool2d,
    zero: i32,
    sums: PhantomData<S>,
}

impl<const HALF_UP: bool, S: Sum> Reduction for Mean<HALF_UP, S> {
    type Acc = S;
    const START: S = S::ZERO;

    #[inline(always)]
    fn add(acc: &mut S, level: i8) {
        *acc = acc.plus(level);
    }

    fn count(&self, at: [usize; 2], image: [usize; 2]) -> i32 {
        self.op.count(at, image)
    }

    /// Quotients by products: with a half added, a dividend is at least half of a divisor's part away from where the
    /// quotient's integer changes, and products of doubles are much nearer to it.
    #[inline(always)]
    fn finish(&self, acc: S, inside: i32, count: i32, inverse: f64) -> i8 {
        let sum = acc.into().wrapping_add(self.zero.wrapping_mul(count.wrapping_sub(inside)));
        let mean = if HALF_UP {
            let (twice, divisor) = (sum.wrapping_mul(2).wrapping_add(count), count.wrapping_mul(2));
            let quotient = towards_zero(twice, 0.5 * inverse);
            quotient.wrapping_sub(i32::from(quotient.wrapping_mul(divisor) > twice))
        } else {
            let half = count >> 1;
            towards_zero(if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) }, inverse)
        };
        self.op.clamp.limit_i32(if count == 0 { self.zero } else { mean }) as i8
    }
}

/// The quotient by a divisor from 1 on, whose inverse this is.
#[inline(always)]
fn towards_zero(dividend: i32, inverse: f64) -> i32 {
    let away = if dividend < 0 { -0.5 } else { 0.5 };
    ((f64::from(dividend) + away) * inverse) as i32
}

struct Max {
    op: MaxPool2d,
}

impl Reduction for Max {
    type Acc = i8;
    const START: i8 = i8::MIN;

    #[inline(always)]
    fn add(acc: &mut i8, level: i8) {
        *acc = if level > *acc { level } else { *acc };
    }

    fn count(&self, _at: [usize; 2], _image: [usize; 2]) -> i32 {
        0
    }

    #[inline(always)]
    fn finish(&self, acc: i8, _inside: i32, _count: i32, _inverse: f64) -> i8 {
        self.op.clamp.limit_i32(i32::from(acc)) as i8
    }
}

/// AveragePool2D with TFLite's or, with `HALF_UP`, single rounding.
#[inline(always)]
pub(crate) fn average_pool_2d<const HALF_UP: bool>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    let zero = io.input_desc(0)?.zero_point;
    if op.pool.height().saturating_mul(op.pool.width()) <= SHORT {
        walk(io, &op.pool, &Mean::<HALF_UP, i16> { op, zero, sums: PhantomData })
    } else {
        walk(io, &op.pool, &Mean::<HALF_UP, i32> { op, zero, sums: PhantomData })
    }
}

/// MaxPool2D.
#[inline(always)]
pub(crate) fn max_pool_2d(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = MaxPool2d::parse(attributes)?;
    walk(io, &op.pool, &Max { op })
}

/// As [`crate::kernels::reference::rows::by_rows`].
#[inline(always)]
fn walk<R: Reduction>(io: &mut Io<'_>, pool: &Pool, reduction: &R) -> Result<()> {
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let (input_row, output_row) = (width * channels, ow * channels);
    let along = usize::from(pool.window.dilation[1]) * channels;
    let mut pair = io.pair::<i8, i8>(0, 0)?;
    let descending = pair.descending();
    for n in 0..batch {
        for k in 0..oh {
            let y = if descending { oh - 1 - k } else { k };
            let under = pool.window.rows(y, pool.height(), height);
            let (first, base, out) = (under.start, n * height, (n * oh + y) * output_row);
            let (input, output) = pair.window::<i8, i8>(
                (base + under.start) * input_row..(base + under.end) * input_row,
                out..out + output_row,
            )?;
            for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
                let count = reduction.count([y, x], [height, width]);
                let inverse = 1.0 / f64::from(count);
                let taps = pool.window.taps(1, x, pool.width(), 0, width);
                let left = pool.window.tap(1, x, taps.start, width).unwrap_or(0);
                for (part, slots) in pixel.chunks_mut(CHANNELS).enumerate() {
                    let (mut acc, mut inside) = ([R::START; CHANNELS], 0i32);
                    for ky in 0..pool.height() {
                        let Some(iy) = pool.window.tap(0, y, ky, height) else { continue };
                        let mut i = ((iy - first) * width + left) * channels + part * CHANNELS;
                        for _ in taps.clone() {
                            let levels = input.get(i..i + slots.len()).ok_or(Error::Internal)?;
                            match levels.first_chunk::<CHANNELS>() {
                                // The count is known here, so that the sums stay in vectors.
                                Some(levels) => add::<R>(&mut acc, levels),
                                None => add::<R>(&mut acc, levels),
                            }
                            inside = inside.wrapping_add(1);
                            i += along;
                        }
                    }
                    for (slot, &acc) in slots.iter_mut().zip(&acc) {
                        *slot = reduction.finish(acc, inside, count, inverse);
                    }
                }
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn add<R: Reduction>(acc: &mut [R::Acc; CHANNELS], levels: &[i8]) {
    for (acc, &level) in acc.iter_mut().zip(levels) {
        R::add(acc, level);
    }
}
