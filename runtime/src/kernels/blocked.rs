//! Float kernels that advance several outputs at once, for processors with a fused multiply-add of their own.
//!
//! Each output still adds its products in canonical order, then its bias, so the bits are the reference
//! kernels'; only the latency of one chain of additions is hidden behind the others. Everything is inlined into
//! the callers, which enable the instruction.

use crate::error::{Error, Result};
use crate::kernels::float::Fma;
use crate::kernels::reference::rows::Row;
use crate::ops::attr::Clamp;
use crate::ops::window::Window;

/// Outputs computed together: enough independent chains for two fused units of four cycles' latency.
const BLOCK: usize = 8;
/// Channels computed together by depthwise convolution: two 256-bit vectors.
const LANES: usize = 16;

/// What the kernels share besides the row at hand.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// In the reference layout.
    pub weights: &'a [f32],
    /// One per output channel, or none.
    pub bias: Option<&'a [f32]>,
    /// The fused activation.
    pub clamp: Clamp,
}

impl Layer<'_> {
    /// Outputs `first..` from their sums of products.
    #[inline(always)]
    fn finish(&self, first: usize, sums: &[f32], slots: &mut [f32]) {
        for ((o, slot), &sum) in (first..).zip(slots).zip(sums) {
            let bias = self.bias.and_then(|b| b.get(o));
            *slot = self.clamp.limit_f32(bias.map_or(sum, |b| sum + b));
        }
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
pub fn conv_2d_row<F: Fma>(g: &Geometry, layer: &Layer<'_>, row: Row<'_, f32>) -> Result<()> {
    let per_output_group = g.outputs.checked_div(g.groups).ok_or(Error::Attribute)?.max(1);
    for (x, pixel) in row.output.chunks_exact_mut(g.outputs.max(1)).enumerate() {
        for (group, slots) in pixel.chunks_exact_mut(per_output_group).enumerate() {
            let mut first = group * per_output_group;
            for block in slots.chunks_mut(BLOCK) {
                let at = [row.y, x, group, first];
                match block.len() {
                    1 => conv_2d_block::<F, 1>(g, layer, row.input, row.first, at, block)?,
                    _ => conv_2d_block::<F, BLOCK>(g, layer, row.input, row.first, at, block)?,
                }
                first += block.len();
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn conv_2d_block<F: Fma, const N: usize>(
    g: &Geometry,
    layer: &Layer<'_>,
    input: &[f32],
    first_row: usize,
    [y, x, group, first]: [usize; 4],
    slots: &mut [f32],
) -> Result<()> {
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
            accumulate::<F, N>(&mut sums, slots.len(), xs, layer.weights, k, kh * kw * depth)?;
        }
    }
    layer.finish(first, &sums, slots);
    Ok(())
}

/// One row of FullyConnected: `xs` times the whole matrix.
#[inline(always)]
pub fn fully_connected_row<F: Fma>(layer: &Layer<'_>, xs: &[f32], ys: &mut [f32]) -> Result<()> {
    for (block, slots) in ys.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        let mut sums = [0.0; BLOCK];
        accumulate::<F, BLOCK>(&mut sums, slots.len(), xs, layer.weights, first * xs.len(), xs.len())?;
        layer.finish(first, &sums, slots);
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
pub fn depthwise_conv_2d_row<F: Fma>(g: &Geometry, layer: &Layer<'_>, row: Row<'_, f32>) -> Result<()> {
    let [height, width, channels] = g.input;
    let [kh, kw] = g.taps;
    let multiplier = g.outputs.checked_div(channels).unwrap_or(1).max(1);
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
                    let ws = layer.weights.get(k..k + slots.len()).ok_or(Error::Internal)?;
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
            layer.finish(first, &sums, slots);
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
