//! AveragePool2D of floats, a strip of channels at a time: plain loops that compilers turn into vectors, and sums in
//! [`Lanes`].
#![allow(unsafe_code)]

use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, Rows};
use crate::ops::average_pool_2d::AveragePool2d;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// Channels whose sums are kept at once.
const STRIP: usize = 64;

/// Each channel's values summed in order, then divided.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let window = &op.pool.window;
    let mut rows = Rows::new::<f32>(io, window, op.pool.height())?;
    while let Some(Row { y, first, input, output }) = rows.next_row::<f32>()? {
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let count = op.count([y, x], [height, width]) as f32;
            for (strip, slots) in pixel.chunks_mut(STRIP).enumerate() {
                let mut sums = [0f32; STRIP];
                for ky in 0..op.pool.height() {
                    let Some(iy) = window.tap(0, y, ky, height) else { continue };
                    for kx in 0..op.pool.width() {
                        let Some(ix) = window.tap(1, x, kx, width) else { continue };
                        let start = ((iy - first) * width + ix) * channels + strip * STRIP;
                        let values = input.get(start..start + slots.len()).ok_or(Error::Internal)?;
                        match values.first_chunk::<STRIP>() {
                            // As many as are known here, so that sums stay in vectors.
                            Some(values) => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v),
                            None => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v),
                        }
                    }
                }
                for (slot, sum) in slots.iter_mut().zip(sums) {
                    *slot = op.clamp.limit_f32(if count == 0.0 { 0.0 } else { sum / count });
                }
            }
        }
    }
    Ok(())
}

/// As [`f32`], four blocks of channels at a time.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn average_pool_2d<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = AveragePool2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let window = &op.pool.window;
    let mut rows = Rows::new::<f32>(io, window, op.pool.height())?;
    while let Some(Row { y, first, input, output }) = rows.next_row::<f32>()? {
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let count = op.count([y, x], [height, width]) as f32;
            for (strip, slots) in pixel.chunks_mut(STRIP).enumerate() {
                // SAFETY: the caller has the instructions; loads are of values that are there, stores to as many sums as
                // four blocks have.
                unsafe {
                    let mut sums = [L::splat(0.0); STRIP / LANES];
                    for ky in 0..op.pool.height() {
                        let Some(iy) = window.tap(0, y, ky, height) else { continue };
                        for kx in 0..op.pool.width() {
                            let Some(ix) = window.tap(1, x, kx, width) else { continue };
                            let start = ((iy - first) * width + ix) * channels + strip * STRIP;
                            let values = input.get(start..start + slots.len()).ok_or(Error::Internal)?;
                            if let Some(values) = values.first_chunk::<STRIP>() {
                                for (sum, values) in sums.iter_mut().zip(values.as_chunks::<LANES>().0) {
                                    *sum = sum.add(L::load(values.as_ptr()));
                                }
                            } else {
                                for (sum, values) in sums.iter_mut().zip(values.chunks(LANES)) {
                                    *sum = sum.add(L::load_first(values.as_ptr(), values.len()));
                                }
                            }
                        }
                    }
                    let mut all = [0f32; STRIP];
                    for (sum, slots) in sums.iter().zip(all.as_chunks_mut::<LANES>().0) {
                        sum.store(slots.as_mut_ptr());
                    }
                    for (slot, sum) in slots.iter_mut().zip(all) {
                        *slot = op.clamp.limit_f32(if count == 0.0 { 0.0 } else { sum / count });
                    }
                }
            }
        }
    }
    Ok(())
}
