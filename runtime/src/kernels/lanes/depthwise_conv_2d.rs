//! DepthwiseConv2D with one output per channel, weights as the operator documents them: lanes are channels, a few pixels
//! share each weight.
#![allow(unsafe_code)]

use super::conv_2d::Axis;
use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, Rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, WEIGHTS};
use crate::ops::op::Op;

/// Whether [`depthwise_conv_2d`] can: every channel has one output.
pub fn serves(io: &Io<'_>) -> Result<bool> {
    Ok(io.input_desc(0)?.shape.dims4()?[3] == io.output_desc(0)?.shape.dims4()?[3])
}

/// What all pixels of a run in one row have in common. Positions and distances are in floats.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    /// The first tap of the first pixel, in the input rows at hand.
    input: usize,
    /// From pixel to pixel there.
    from: usize,
    /// The first pixel in the output row.
    output: usize,
    /// Pixels.
    count: usize,
    /// Taps vertically and horizontally.
    taps: [usize; 2],
    /// From tap to tap in the input.
    next: [usize; 2],
    /// The first tap's weights.
    weight: usize,
    /// From tap to tap in the weights.
    weights: [usize; 2],
    channels: usize,
    bias: Option<&'a [f32]>,
    clamp: (f32, f32),
}

/// The whole operator, row by row, so that input and output may overlap by rows.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn depthwise_conv_2d<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let [_, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, _, columns, outputs] = io.output_desc(0)?.shape.dims4()?;
    let [_, kh, kw, stored] = io.input_desc(1)?.shape.dims4()?;
    if channels != outputs || stored != outputs {
        return Err(Error::NoKernel);
    }
    let (weights, bias) = (io.input::<f32>(WEIGHTS)?, io.optional::<f32>(BIAS)?);
    if bias.is_some_and(|b| b.len() != outputs) {
        return Err(Error::Internal);
    }
    let down = Axis { window: &op.window, axis: 0, taps: kh, input: height };
    let across = Axis { window: &op.window, axis: 1, taps: kw, input: width };
    let [dy, dx] = op.window.dilation.map(usize::from);
    // No closure: it would not have the caller's instructions.
    let mut rows = Rows::new::<f32>(io, &op.window, kh)?;
    while let Some(Row { y, first, input, output }) = rows.next::<f32>()? {
        let ky = down.inside(y);
        let mut x = 0;
        while x < columns {
            let (xs, kx) = across.alike(x, columns);
            x = xs.end;
            let inside = !ky.is_empty() && !kx.is_empty();
            let (top, left) = match inside {
                true => (down.first(y, ky.start)? - first, across.first(xs.start, kx.start)?),
                false => (0, 0),
            };
            let run = Run {
                input: (top * width + left) * channels,
                from: usize::from(op.window.stride[1]) * channels,
                output: xs.start * channels,
                count: xs.len(),
                taps: if inside { [ky.len(), kx.len()] } else { [0, 0] },
                next: [dy * width * channels, dx * channels],
                weight: (ky.start * kw + kx.start) * channels,
                weights: [kw * channels, channels],
                channels,
                bias,
                clamp: op.clamp.as_f32(),
            };
            // SAFETY: as for this function.
            unsafe { run.compute::<L>(input, weights, output)? };
        }
    }
    Ok(())
}

impl Run<'_> {
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn compute<L: Lanes>(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<()> {
        self.check(input.len(), weights.len(), output.len()).ok_or(Error::Internal)?;
        let mut channel = 0;
        while channel < self.channels {
            let lanes = (self.channels - channel).min(LANES);
            let mut pixel = 0;
            while pixel < self.count {
                // SAFETY: extents were checked, channels and pixels are counted up to theirs; the caller has the
                // instructions.
                unsafe {
                    let block = Block {
                        lanes,
                        input: input.as_ptr().add(channel),
                        weights: weights.as_ptr().add(channel),
                        bias: self.bias.map(|b| b.as_ptr().add(channel)),
                        output: output.as_mut_ptr().add(self.output + channel),
                    };
                    pixel += match (self.count - pixel, lanes == LANES, L::WIDE) {
                        (8.., true, true) => self.pixels::<L, 8, true>(pixel, &block),
                        (4.., true, _) => self.pixels::<L, 4, true>(pixel, &block),
                        (_, true, _) => self.pixels::<L, 1, true>(pixel, &block),
                        (8.., false, true) => self.pixels::<L, 8, false>(pixel, &block),
                        (4.., false, _) => self.pixels::<L, 4, false>(pixel, &block),
                        (_, false, _) => self.pixels::<L, 1, false>(pixel, &block),
                    };
                }
            }
            channel += LANES;
        }
        Ok(())
    }

    /// That everything lies inside.
    fn check(&self, input: usize, weights: usize, output: usize) -> Option<()> {
        let written = self.count.checked_mul(self.channels)?.checked_add(self.output)?;
        let bias = self.bias.is_none_or(|b| b.len() >= self.channels);
        let [Some(rows), Some(columns)] = self.taps.map(|t| t.checked_sub(1)) else {
            return (written <= output && bias).then_some(());
        };
        let reach = |steps: [usize; 2]| {
            rows.checked_mul(steps[0])?.checked_add(columns.checked_mul(steps[1])?)?.checked_add(self.channels)
        };
        let pixels = self.count.checked_sub(1)?.checked_mul(self.from)?;
        let read = self.input.checked_add(pixels)?.checked_add(reach(self.next)?)?;
        let used = self.weight.checked_add(reach(self.weights)?)?;
        (read <= input && used <= weights && written <= output && bias).then_some(())
    }

    /// `P` pixels from `pixel` on, of sixteen channels if `ALL`, else of as many as the block has; returns `P`.
    #[inline(always)]
    unsafe fn pixels<L: Lanes, const P: usize, const ALL: bool>(
        &self,
        pixel: usize,
        block: &Block,
    ) -> usize {
        // SAFETY: the caller vouches for extents and instructions.
        unsafe {
            let mut sums = [L::splat(0.0); P];
            let (input, weights) = (self.input + pixel * self.from, self.weight);
            for ky in 0..self.taps[0] {
                for kx in 0..self.taps[1] {
                    let at = weights + ky * self.weights[0] + kx * self.weights[1];
                    let w = load::<L, ALL>(block.weights.add(at), block.lanes);
                    let x = block.input.add(input + ky * self.next[0] + kx * self.next[1]);
                    for p in 0..P {
                        sums[p] = sums[p].fma_lanes(load::<L, ALL>(x.add(p * self.from), block.lanes), w);
                    }
                }
            }
            let output = block.output.add(pixel * self.channels);
            if let Some(bias) = block.bias {
                let bias = load::<L, ALL>(bias, block.lanes);
                for sum in &mut sums {
                    *sum = sum.add(bias);
                }
            }
            for p in 0..P {
                let (y, at) = (sums[p].limit(self.clamp.0, self.clamp.1), output.add(p * self.channels));
                if ALL { y.store(at) } else { y.store_first(at, block.lanes) }
            }
        }
        P
    }
}

/// Up to sixteen channels of all pixels.
#[derive(Clone, Copy, Debug)]
struct Block {
    lanes: usize,
    input: *const f32,
    weights: *const f32,
    bias: Option<*const f32>,
    output: *mut f32,
}

#[inline(always)]
unsafe fn load<L: Lanes, const ALL: bool>(at: *const f32, lanes: usize) -> L {
    // SAFETY: the caller vouches for sixteen floats, or for `lanes`.
    unsafe { if ALL { L::load(at) } else { L::load_first(at, lanes) } }
}
