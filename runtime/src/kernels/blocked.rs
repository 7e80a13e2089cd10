//! Float kernels that advance several outputs at once, for processors with a fused multiply-add of their own.
//!
//! Each output still adds its products in canonical order, then its bias, so the bits are the reference
//! kernels'; only the latency of one chain of additions is hidden behind the others. Weights that are not stored as
//! floats are decoded a few at a time, for several pixels. Everything is inlined into the callers, which enable the
//! instruction.

use crate::error::{Error, Result};
use crate::kernels::float::Fma;
use crate::kernels::reference::dot::End;
use crate::kernels::reference::rows::Row;
use crate::kernels::reference::weights::{Format, Weights};
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::window::Window;

/// Outputs computed together: enough independent chains for two fused units of four cycles' latency.
const BLOCK: usize = 8;
/// Channels computed together by depthwise convolution: two 256-bit vectors.
const LANES: usize = 16;
/// Weights of each output of a block that are decoded at a time.
const CHUNK: usize = 64;
/// Pixels that use decoded weights before others are decoded.
const STRIP: usize = 16;

/// What the kernels share besides the row at hand, with weights stored as `S`.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, S: Format> {
    weights: S::Weights<'a>,
    end: End<'a>,
}

impl<'a, S: Format> Layer<'a, S> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        Ok(Layer { weights: S::read(io)?, end: End::new(io, clamp)? })
    }

    /// Outputs `first..` from their sums of products.
    #[inline(always)]
    fn finish(&self, first: usize, sums: &[f32], slots: &mut [f32]) -> Result<()> {
        for ((o, slot), &sum) in (first..).zip(slots).zip(sums) {
            *slot = self.end.finish(sum, o)?;
        }
        Ok(())
    }

    /// The first `length` weights of each of `count` output channels from `channel` on. The first channel's start at
    /// `first`, the others' lie `stride` apart, decoded ones [`CHUNK`].
    #[inline(always)]
    fn decode(
        &self,
        [channel, count]: [usize; 2],
        [first, stride, length]: [usize; 3],
        decoded: &mut [f32; BLOCK * CHUNK],
    ) -> Result<()> {
        for (j, slots) in decoded.chunks_exact_mut(CHUNK).enumerate().take(count) {
            let row = self.weights.row(channel + j, first + j * stride, length)?;
            for (slot, w) in slots.iter_mut().zip(row) {
                *slot = w.into();
            }
        }
        Ok(())
    }
}

/// Geometry of a convolution's input and weights.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Strides, dilations and padding.
    pub window: Window,
    /// Input height, width and channels.
    pub input: [usize; 3],
    /// Window height and width in taps.
    pub taps: [usize; 2],
    /// Output channels.
    pub outputs: usize,
    /// Channel groups.
    pub groups: usize,
}

/// One output row of Conv2D.
#[inline(always)]
pub fn conv_2d_row<F: Fma, S: Format>(g: &Geometry, layer: &Layer<'_, S>, row: Row<'_, f32>) -> Result<()> {
    let per_output_group = g.outputs.checked_div(g.groups).ok_or(Error::Attribute)?.max(1);
    let Some(weights) = layer.weights.floats() else {
        return conv_2d_strips::<F, S>(g, layer, row, per_output_group);
    };
    for (x, pixel) in row.output.chunks_exact_mut(g.outputs.max(1)).enumerate() {
        for (group, slots) in pixel.chunks_exact_mut(per_output_group).enumerate() {
            let mut first = group * per_output_group;
            for block in slots.chunks_mut(BLOCK) {
                let (at, input, count) = ([row.y, x, group, first], (row.first, row.input), block.len());
                match count {
                    1 => layer.finish(first, &conv_2d_block::<F, 1>(g, weights, input, at, count)?, block)?,
                    _ => layer.finish(
                        first,
                        &conv_2d_block::<F, BLOCK>(g, weights, input, at, count)?,
                        block,
                    )?,
                }
                first += count;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn conv_2d_block<F: Fma, const N: usize>(
    g: &Geometry,
    weights: &[f32],
    (first_row, input): (usize, &[f32]),
    [y, x, group, first]: [usize; 4],
    count: usize,
) -> Result<[f32; N]> {
    let [height, width, channels] = g.input;
    let [kh, kw] = g.taps;
    let depth = channels.checked_div(g.groups).ok_or(Error::Attribute)?;
    let mut sums = [0.0; N];
    for ky in 0..kh {
        let Some(iy) = g.window.tap(0, y, ky, height) else { continue };
        for kx in 0..kw {
            let Some(ix) = g.window.tap(1, x, kx, width) else { continue };
            let i = ((iy - first_row) * width + ix) * channels + group * depth;
            let xs = input.get(i..i + depth).ok_or(Error::Internal)?;
            let k = ((first * kh + ky) * kw + kx) * depth;
            accumulate::<F, N>(&mut sums, count, xs, weights, k, kh * kw * depth)?;
        }
    }
    Ok(sums)
}

/// One output row of Conv2D, by strips of pixels that share decoded weights.
#[inline(always)]
fn conv_2d_strips<F: Fma, S: Format>(
    g: &Geometry,
    layer: &Layer<'_, S>,
    row: Row<'_, f32>,
    per_output_group: usize,
) -> Result<()> {
    let [height, width, channels] = g.input;
    let [kh, kw] = g.taps;
    let depth = channels.checked_div(g.groups).ok_or(Error::Attribute)?;
    let mut decoded = [0.0; BLOCK * CHUNK];
    for (strip, pixels) in row.output.chunks_mut(STRIP * g.outputs.max(1)).enumerate() {
        let mut first = 0;
        while first < g.outputs {
            let group = first.checked_div(per_output_group).ok_or(Error::Internal)?;
            let count = BLOCK.min((group + 1) * per_output_group - first);
            let mut sums = [[0.0; BLOCK]; STRIP];
            for tap in 0..kh * kw {
                let (ky, kx) = (tap.checked_div(kw).unwrap_or(0), tap.checked_rem(kw).unwrap_or(0));
                let Some(iy) = g.window.tap(0, row.y, ky, height) else { continue };
                for from in (0..depth).step_by(CHUNK) {
                    let length = CHUNK.min(depth - from);
                    let k = (first * kh * kw + tap) * depth + from;
                    layer.decode([first, count], [k, kh * kw * depth, length], &mut decoded)?;
                    let pixels = pixels.chunks_exact(g.outputs.max(1)).len();
                    for (x, sums) in (strip * STRIP..).zip(sums.iter_mut().take(pixels)) {
                        let Some(ix) = g.window.tap(1, x, kx, width) else { continue };
                        let i = ((iy - row.first) * width + ix) * channels + group * depth + from;
                        let xs = row.input.get(i..i + length).ok_or(Error::Internal)?;
                        accumulate::<F, BLOCK>(sums, count, xs, &decoded, 0, CHUNK)?;
                    }
                }
            }
            for (pixel, sums) in pixels.chunks_exact_mut(g.outputs.max(1)).zip(&sums) {
                layer.finish(first, sums, pixel.get_mut(first..first + count).ok_or(Error::Internal)?)?;
            }
            first += count;
        }
    }
    Ok(())
}

/// One row of FullyConnected: `xs` times the whole matrix.
#[inline(always)]
pub fn fully_connected_row<F: Fma, S: Format>(
    layer: &Layer<'_, S>,
    xs: &[f32],
    ys: &mut [f32],
) -> Result<()> {
    let mut decoded = [0.0; BLOCK * CHUNK];
    for (block, slots) in ys.chunks_mut(BLOCK).enumerate() {
        let (first, count) = (block * BLOCK, slots.len());
        let mut sums = [0.0; BLOCK];
        match layer.weights.floats() {
            Some(weights) => {
                accumulate::<F, BLOCK>(&mut sums, count, xs, weights, first * xs.len(), xs.len())?;
            }
            None => {
                for (chunk, part) in xs.chunks(CHUNK).enumerate() {
                    let k = first * xs.len() + chunk * CHUNK;
                    layer.decode([first, count], [k, xs.len(), part.len()], &mut decoded)?;
                    accumulate::<F, BLOCK>(&mut sums, count, part, &decoded, 0, CHUNK)?;
                }
            }
        }
        layer.finish(first, &sums, slots)?;
    }
    Ok(())
}

/// Adds `xs` times each of `count` weight rows, which start at `first` and lie `stride` apart, to the sums. Sums
/// beyond `count` repeat the last row.
#[inline(always)]
fn accumulate<F: Fma, const N: usize>(
    sums: &mut [f32; N],
    count: usize,
    xs: &[f32],
    weights: &[f32],
    first: usize,
    stride: usize,
) -> Result<()> {
    let mut rows: [&[f32]; N] = [&[]; N];
    for (j, row) in rows.iter_mut().enumerate() {
        let start = first + j.min(count.saturating_sub(1)) * stride;
        *row = weights.get(start..start + xs.len()).ok_or(Error::Internal)?;
    }
    for (k, &x) in xs.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            // Rows are as long as `xs`.
            *sum = F::fma(x, row.get(k).copied().unwrap_or(0.0), *sum);
        }
    }
    Ok(())
}

/// One output row of DepthwiseConv2D.
#[inline(always)]
pub fn depthwise_conv_2d_row<F: Fma, S: Format>(
    g: &Geometry,
    layer: &Layer<'_, S>,
    row: Row<'_, f32>,
) -> Result<()> {
    let [height, width, channels] = g.input;
    let [kh, kw] = g.taps;
    let multiplier = g.outputs.checked_div(channels).unwrap_or(1).max(1);
    let mut decoded = [0.0; LANES];
    for (x, pixel) in row.output.chunks_exact_mut(g.outputs.max(1)).enumerate() {
        for (block, slots) in pixel.chunks_mut(LANES).enumerate() {
            let first = block * LANES;
            let mut sums = [0.0; LANES];
            for ky in 0..kh {
                let Some(iy) = g.window.tap(0, row.y, ky, height) else { continue };
                for kx in 0..kw {
                    let Some(ix) = g.window.tap(1, x, kx, width) else { continue };
                    let i = ((iy - row.first) * width + ix) * channels;
                    let k = (ky * kw + kx) * g.outputs + first;
                    let xs = row.input.get(i..i + channels).ok_or(Error::Internal)?;
                    let ws = match layer.weights.floats() {
                        Some(weights) => weights.get(k..k + slots.len()),
                        None => {
                            for (j, slot) in decoded.iter_mut().enumerate().take(slots.len()) {
                                *slot = layer.weights.at(first + j, k + j)?.into();
                            }
                            decoded.get(..slots.len())
                        }
                    };
                    let ws = ws.ok_or(Error::Internal)?;
                    if multiplier == 1 {
                        let xs = xs.get(first..).ok_or(Error::Internal)?;
                        add_products::<F>(&mut sums, xs, ws);
                    } else {
                        for ((o, sum), &w) in (first..).zip(&mut sums).zip(ws) {
                            let c = o.checked_div(multiplier).unwrap_or(0);
                            *sum = F::fma(*xs.get(c).ok_or(Error::Internal)?, w, *sum);
                        }
                    }
                }
            }
            layer.finish(first, &sums, slots)?;
        }
    }
    Ok(())
}

#[inline(always)]
fn add_products<F: Fma>(sums: &mut [f32; LANES], xs: &[f32], ws: &[f32]) {
    match (xs.first_chunk::<LANES>(), ws.first_chunk::<LANES>()) {
        // The count is known here, so that the compiler keeps the sums in vectors.
        (Some(xs), Some(ws)) => {
            for ((sum, &x), &w) in sums.iter_mut().zip(xs).zip(ws) {
                *sum = F::fma(x, w, *sum);
            }
        }
        _ => {
            for ((sum, &x), &w) in sums.iter_mut().zip(xs).zip(ws) {
                *sum = F::fma(x, w, *sum);
            }
        }
    }
}
