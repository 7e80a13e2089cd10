//! ResizeBilinear: integer weights of 10 bits for levels, plain float products otherwise.

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::kernels::level::{Affine, Level};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op, Rounding};
use crate::ops::resize_bilinear::ResizeBilinear;
use crate::ops::sampling::Sampling;

/// Two neighbours along one axis, and the second one's weight as the axis' unit counts it.
struct Tap<W> {
    low: usize,
    high: usize,
    weight: W,
}

/// Levels in integers; `R` only says how the final shift rounds.
pub fn levels<T: Level, R: Requant>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    const ONE: i64 = 1 << 10;
    let tap = |sampling: &Sampling, axis: usize, at: usize, input: usize| {
        let position = sampling.fixed(axis, at, input);
        let last = (input as i64).wrapping_sub(1);
        // A rounded-up step can lead past the last element when it is repeated often enough.
        let low = (position / ONE).max(0).min(last);
        let high = ((position + ONE - 1) / ONE).max(0).min(last);
        Tap { low: low as usize, high: high as usize, weight: position - ONE * low }
    };
    walk::<T, i64>(attributes, io, tap, |[a, b, c, d], v, h| {
        let part = |x: T, vertical: i64, horizontal: i64| {
            (x.widen() as i64).wrapping_mul(vertical).wrapping_mul(horizontal)
        };
        let sum = part(a, ONE - v, ONE - h)
            .wrapping_add(part(c, v, ONE - h))
            .wrapping_add(part(b, ONE - v, h))
            .wrapping_add(part(d, v, h));
        const HALF: i64 = 1 << 19;
        // A mixture of levels is between them.
        T::exact(match R::ROUNDING {
            Rounding::Tflite if sum <= 0 => (sum.wrapping_sub(HALF) / (1 << 20)) as i32,
            Rounding::Tflite => (sum.wrapping_add(HALF) / (1 << 20)) as i32,
            _ => (sum.wrapping_add(HALF) >> 20) as i32,
        })
    })
}

/// Levels dequantized, mixed in floats and quantized again.
pub fn onnx<T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let (x, y) = (Affine::of(io.input_desc(0)?), Affine::of(io.output_desc(0)?));
    walk::<T, f32>(attributes, io, float_tap, |corners, v, h| {
        T::narrow(y.level(mix(corners.map(|level| x.real(level.widen())), v, h)))
    })
}

/// Floats.
pub fn f32(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    walk::<f32, f32>(attributes, io, float_tap, mix)
}

fn float_tap(sampling: &Sampling, axis: usize, at: usize, input: usize) -> Tap<f32> {
    let position = sampling.coordinate(axis, at, input);
    let last = input.saturating_sub(1);
    // The casts saturate: below 0 becomes 0.
    let low = (libm::floorf(position) as usize).min(last);
    let high = (libm::ceilf(position) as usize).min(last);
    Tap { low, high, weight: position - low as f32 }
}

/// `[top left, top right, bottom left, bottom right]` by the weights of bottom and right.
fn mix([a, b, c, d]: [f32; 4], v: f32, h: f32) -> f32 {
    a * (1.0 - v) * (1.0 - h) + c * v * (1.0 - h) + b * (1.0 - v) * h + d * v * h
}

fn walk<T: Pod, W: Copy>(
    attributes: &[u8],
    io: &mut Io<'_>,
    tap: impl Fn(&Sampling, usize, usize, usize) -> Tap<W>,
    mix: impl Fn([T; 4], W, W) -> T,
) -> Result<()> {
    let sampling = ResizeBilinear::parse(attributes)?.sampling;
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, oh, ow, _] = io.output_desc(0)?.shape.dims4()?;
    let input = io.input::<T>(0)?;
    let output = io.output::<T>(0)?;
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for n in 0..batch {
        for y in 0..oh {
            let v = tap(&sampling, 0, y, height);
            let (top, bottom) = ((n * height + v.low) * width, (n * height + v.high) * width);
            for x in 0..ow {
                let h = tap(&sampling, 1, x, width);
                let pixel = |at: usize| {
                    let start = at * channels;
                    input.get(start..start + channels).ok_or(Error::Internal)
                };
                let (a, b) = (pixel(top + h.low)?, pixel(top + h.high)?);
                let (c, d) = (pixel(bottom + h.low)?, pixel(bottom + h.high)?);
                let out = pixels.next().ok_or(Error::Internal)?;
                for ((((slot, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *slot = mix([a, b, c, d], v.weight, h.weight);
                }
            }
        }
    }
    Ok(())
}
