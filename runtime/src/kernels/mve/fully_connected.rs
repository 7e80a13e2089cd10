//! FullyConnected, one input row after the other.

use crate::error::{Error, Result};
use crate::kernels::mve::dot::{CHANNELS, NO_SUMS, PIXELS, dot_1};
use crate::kernels::mve::level::{Levels, Vector};
use crate::kernels::reference::fully_connected::by_matrix_rows;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`.
pub fn int8<R: Vector>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = FullyConnected::parse(attributes)?.clamp;
    let (weights, bias) = (io.input::<i8>(WEIGHTS)?, io.input::<i32>(BIAS)?);
    let zero = io.output_desc(0)?.zero_point;
    let levels = Levels::<R> { scales: io.input(CONSTANTS)?, zero, clamp };
    let mut sums = NO_SUMS;
    by_matrix_rows::<i8>(io, |xs, ys| {
        for (k, part) in ys.chunks_mut(CHANNELS * PIXELS).enumerate() {
            let first = k.wrapping_mul(CHANNELS * PIXELS);
            let end = first.wrapping_add(part.len());
            let weights = weights.get(first.wrapping_mul(xs.len())..end.wrapping_mul(xs.len()));
            let bias = bias.get(first..end).ok_or(Error::Internal)?;
            dot_1(xs, weights.ok_or(Error::Internal)?, bias, &mut sums)?;
            levels.write(&sums, 0, first, [part])?;
        }
        Ok(())
    })
}
