//! MaxPool2D, row by row, so that input and output may overlap by rows.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::level::Level;
use crate::kernels::reference::rows::{Row, by_rows};
use crate::ops::io::Io;
use crate::ops::max_pool_2d::MaxPool2d;
use crate::ops::op::{Context, Op};

/// Levels.
pub fn levels<T: Level + PartialOrd>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = MaxPool2d::parse(attributes)?;
    walk(&op, io, T::narrow(i32::MIN), |greatest| T::exact(op.clamp.limit_i32(greatest.widen())))
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = MaxPool2d::parse(attributes)?;
    walk(&op, io, f32::NEG_INFINITY, |greatest| op.clamp.limit_f32(greatest))
}

fn walk<T: Pod + PartialOrd>(
    op: &MaxPool2d,
    io: &mut Io<'_>,
    least: T,
    finish: impl Fn(T) -> T,
) -> Result<()> {
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let window = &op.pool.window;
    by_rows::<T>(io, window, op.pool.height(), |Row { y, first, input, output }| {
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            for (c, slot) in pixel.iter_mut().enumerate() {
                let mut greatest = least;
                for ky in 0..op.pool.height() {
                    let Some(iy) = window.tap(0, y, ky, height) else { continue };
                    for kx in 0..op.pool.width() {
                        let Some(ix) = window.tap(1, x, kx, width) else { continue };
                        let i = ((iy - first) * width + ix) * channels + c;
                        let x = *input.get(i).ok_or(Error::Internal)?;
                        greatest = if x > greatest { x } else { greatest };
                    }
                }
                *slot = finish(greatest);
            }
        }
        Ok(())
    })
}
