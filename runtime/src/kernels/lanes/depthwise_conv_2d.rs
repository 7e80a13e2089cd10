//! DepthwiseConv2D with one output per channel, weights as the operator documents them: lanes are channels, and pixels
//! or blocks of channels side by side hide the latency of a sum.
#![allow(unsafe_code)]

use super::images::{Images, Position, Rectangle};
use super::slide::{self, Slide};
use super::tile::Taps;
use super::{LANES, Lanes, load, store};
use crate::error::{Error, Result};
use crate::kernels::reference::rows::{Row, Rows};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, WEIGHTS};
use crate::ops::op::Op;

/// Pixels for which the weights of a block of channels are read before the next block's turn.
const BAND: usize = 32;
/// Most taps whose weights are repeated where a block holds several pixels.
const TAPS: usize = 25;

/// Whether [`depthwise_conv_2d`] can: every channel has one output.
pub fn serves(io: &Io<'_>) -> Result<bool> {
    Ok(io.input_desc(0)?.shape.dims4()?[3] == io.output_desc(0)?.shape.dims4()?[3])
}

/// The whole operator: rectangle by rectangle, or row by row where input and output overlap.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn depthwise_conv_2d<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = DepthwiseConv2d::parse(attributes)?;
    let input = io.input_desc(0)?.shape.dims4()?;
    let output = io.output_desc(0)?.shape.dims4()?;
    let [_, kh, kw, stored] = io.input_desc(1)?.shape.dims4()?;
    let [_, _, width, channels] = input;
    if channels != output[3] || stored != channels {
        return Err(Error::NoKernel);
    }
    let images = Images { window: op.window, input, output, taps: [kh, kw], joins: false };
    let (weights, bias) = (io.input::<f32>(WEIGHTS)?, io.optional::<f32>(BIAS)?);
    let layer = Layer { weights, bias, clamp: op.clamp.as_f32(), channels };
    let mut rows = Rows::new::<f32>(io, &op.window, kh)?;
    let columns = [width, output[2]];
    if slide::serves(&op.window, kw, columns, channels) {
        let slide = Slide {
            weights,
            bias,
            clamp: op.clamp.as_f32(),
            channels,
            columns,
            stride: usize::from(op.window.stride[1]),
            pad: usize::from(op.window.pad[1]),
            next: usize::from(op.window.dilation[0]) * width * channels,
        };
        // SAFETY: as for this function.
        return unsafe { slide.compute_all::<L>(&images, &mut rows) };
    }
    if let Some((input, output)) = rows.apart::<f32>()? {
        let mut at = Position::default();
        while let Some(rectangle) = images.next(&mut at)? {
            // SAFETY: as for this function.
            unsafe { layer.compute::<L>(&rectangle, input, output)? };
        }
        return Ok(());
    }
    // No closure for each row: it would not have the caller's instructions.
    while let Some(Row { y, first, input, output: row }) = rows.next_row::<f32>()? {
        let mut x = 0;
        while x < output[2] {
            let (next, mut rectangle) = images.in_row(y, x)?;
            // The slices begin at the first row under the window and at the row that is written.
            rectangle.input = rectangle.input.saturating_sub(first * width * channels);
            rectangle.output = x * channels;
            // SAFETY: as for this function.
            unsafe { layer.compute::<L>(&rectangle, input, row)? };
            x = next;
        }
    }
    Ok(())
}

/// What all rectangles have in common.
#[derive(Clone, Copy, Debug)]
struct Layer<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    clamp: (f32, f32),
    channels: usize,
}

/// Weights and bias of few channels, repeated to fill a block.
struct Repeated {
    weights: [f32; LANES * TAPS],
    bias: [f32; LANES],
}

/// Some channels of the pixels that the rectangle's `input` and `output` point to.
#[derive(Clone, Copy, Debug)]
struct Band<'a> {
    rectangle: &'a Rectangle,
    input: *const f32,
    output: *mut f32,
    weights: *const f32,
    bias: Option<*const f32>,
    clamp: (f32, f32),
    /// Rows and columns.
    pixels: [usize; 2],
    /// Channels, where they are not whole blocks.
    lanes: usize,
}

impl Layer<'_> {
    /// Computes all channels of all pixels of a rectangle.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn compute<L: Lanes>(
        &self,
        rectangle: &Rectangle,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<()> {
        let mut repeated = Repeated { weights: [0.0; LANES * TAPS], bias: [0.0; LANES] };
        let Some([wide, rest]) = self.widened(rectangle, &mut repeated) else {
            // SAFETY: as for this function.
            return unsafe { self.blocks::<L>(rectangle, input, output) };
        };
        let bias = self.bias.map(|_| repeated.bias.as_slice());
        let layer = Layer { weights: &repeated.weights, bias, clamp: self.clamp, channels: LANES };
        // SAFETY: as for this function.
        unsafe {
            layer.blocks::<L>(&wide, input, output)?;
            if rest.pixels[1] > 0 { self.blocks::<L>(&rest, input, output) } else { Ok(()) }
        }
    }

    /// Where the channels of several neighbours are one block: their rectangle, with the weights repeated, and that of
    /// the columns that are left.
    #[inline(always)]
    fn widened(&self, rectangle: &Rectangle, repeated: &mut Repeated) -> Option<[Rectangle; 2]> {
        let together = LANES.checked_div(self.channels).filter(|t| *t > 1 && t * self.channels == LANES)?;
        let Rectangle { pixels: [rows, columns], from, to, taps, .. } = *rectangle;
        let [kh, kw] = taps.runs;
        let fits = kh * kw <= TAPS && from[1] == self.channels && to[1] == self.channels;
        let wide = columns.checked_div(together).filter(|w| *w > 0 && fits)?;
        for (tap, slots) in repeated.weights.chunks_exact_mut(LANES).enumerate().take(kh * kw) {
            let (ky, kx) = (tap.checked_div(kw)?, tap.checked_rem(kw)?);
            let at = rectangle.weight + ky * taps.weights[0] + kx * taps.weights[1];
            let once = self.weights.get(at..at + self.channels)?;
            slots.chunks_exact_mut(self.channels).for_each(|slots| slots.copy_from_slice(once));
        }
        if let Some(bias) = self.bias {
            let slots = repeated.bias.chunks_exact_mut(self.channels);
            slots.for_each(|slots| slots.copy_from_slice(bias));
        }
        let done = wide * LANES;
        let wide = Rectangle {
            pixels: [rows, wide],
            from: [from[0], LANES],
            to: [to[0], LANES],
            weight: 0,
            taps: Taps { weights: [kw * LANES, LANES], ..taps },
            ..*rectangle
        };
        let rest = Rectangle {
            pixels: [rows, columns % together],
            input: rectangle.input + done,
            output: rectangle.output + done,
            ..*rectangle
        };
        Some([wide, rest])
    }

    /// Blocks of channels, bands of rows.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    unsafe fn blocks<L: Lanes>(
        &self,
        rectangle: &Rectangle,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<()> {
        self.check(rectangle, input.len(), output.len()).ok_or(Error::Internal)?;
        let [rows, columns] = rectangle.pixels;
        let most = BAND.div_ceil(columns.max(1));
        let mut row = 0;
        while row < rows {
            let height = (rows - row).min(most);
            let few = height * columns;
            let mut channel = 0;
            while channel < self.channels {
                let left = self.channels - channel;
                // SAFETY: `check` has compared all extents; rows and channels are counted up to theirs.
                channel += unsafe {
                    let band = Band {
                        rectangle,
                        // Where all taps lie in the padding, these point nowhere.
                        input: input
                            .as_ptr()
                            .wrapping_add(rectangle.input + row * rectangle.from[0] + channel),
                        output: output.as_mut_ptr().add(rectangle.output + row * rectangle.to[0] + channel),
                        weights: self.weights.as_ptr().wrapping_add(rectangle.weight + channel),
                        bias: self.bias.map(|b| b.as_ptr().add(channel)),
                        clamp: self.clamp,
                        pixels: [height, columns],
                        lanes: left,
                    };
                    match (L::WIDE, left / LANES, few) {
                        (true, 4.., ..=2) => band.compute::<L, 2, 4, LANES>(),
                        (true, 2.., ..=4) => band.compute::<L, 4, 2, LANES>(),
                        (true, 1.., _) => band.compute::<L, 8, 1, LANES>(),
                        (true, 0, _) => band.compute::<L, 8, 1, 0>(),
                        (false, 2.., ..=2) => band.compute::<L, 2, 2, LANES>(),
                        (false, 1.., _) => band.compute::<L, 4, 1, LANES>(),
                        (false, 0, _) => band.compute::<L, 4, 1, 0>(),
                    }
                };
            }
            row += height;
        }
        Ok(())
    }

    /// That everything lies inside.
    fn check(&self, at: &Rectangle, input: usize, output: usize) -> Option<()> {
        let reach = |counts: [usize; 2], steps: [usize; 2]| {
            let [rows, columns] = [counts[0].checked_sub(1)?, counts[1].checked_sub(1)?];
            rows.checked_mul(steps[0])?
                .checked_add(columns.checked_mul(steps[1])?)?
                .checked_add(self.channels)
        };
        let written = at.output.checked_add(reach(at.pixels, at.to)?)?;
        let outputs = written <= output && self.bias.is_none_or(|b| b.len() >= self.channels);
        if at.taps.runs == [0, 0] {
            return outputs.then_some(());
        }
        let window = reach(at.taps.runs, at.taps.input)?;
        let pixels = reach(at.pixels, at.from)?.checked_sub(self.channels)?;
        let read = at.input.checked_add(pixels)?.checked_add(window)?;
        let used = at.weight.checked_add(reach(at.taps.runs, at.taps.weights)?)?;
        (outputs && read <= input && used <= self.weights.len()).then_some(())
    }
}

impl Band<'_> {
    /// `P` pixels at a time of `V` blocks, or with `N` other than 16 of one block's first channels; returns how many
    /// channels that are.
    #[inline(always)]
    unsafe fn compute<L: Lanes, const P: usize, const V: usize, const N: usize>(&self) -> usize {
        let [rows, columns] = self.pixels;
        let (mut left, mut row, mut column) = (rows * columns, 0, 0);
        while left > 0 {
            let mut from = [0; P];
            let mut to = [0; P];
            // Where fewer are left, the last one is repeated.
            for p in 0..P {
                from[p] = row * self.rectangle.from[0] + column * self.rectangle.from[1];
                to[p] = row * self.rectangle.to[0] + column * self.rectangle.to[1];
                if left > 1 {
                    left -= 1;
                    column += 1;
                    if column == columns {
                        (row, column) = (row + 1, 0);
                    }
                } else {
                    left = 0;
                }
            }
            // SAFETY: as for this function.
            unsafe { self.tile::<L, P, V, N>(&from, &to) };
        }
        if N == LANES { V * LANES } else { self.lanes }
    }

    /// The sums of `P` pixels.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const P: usize, const V: usize, const N: usize>(
        &self,
        from: &[usize; P],
        to: &[usize; P],
    ) {
        let taps = &self.rectangle.taps;
        // SAFETY: the caller vouches for extents and instructions.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; P];
            let mut xs = [self.input; P];
            for p in 0..P {
                xs[p] = self.input.wrapping_add(from[p]);
            }
            for ky in 0..taps.runs[0] {
                for kx in 0..taps.runs[1] {
                    let ahead = ky * taps.input[0] + kx * taps.input[1];
                    let weights = self.weights.add(ky * taps.weights[0] + kx * taps.weights[1]);
                    for v in 0..V {
                        let w = load::<L, N>(weights.add(v * LANES), self.lanes);
                        for p in 0..P {
                            let x = load::<L, N>(xs[p].add(ahead + v * LANES), self.lanes);
                            sums[p][v] = sums[p][v].fma_lanes(x, w);
                        }
                    }
                }
            }
            if let Some(bias) = self.bias {
                for v in 0..V {
                    let b = load::<L, N>(bias.add(v * LANES), self.lanes);
                    for sum in &mut sums {
                        sum[v] = sum[v].add(b);
                    }
                }
            }
            for p in 0..P {
                for v in 0..V {
                    let y = sums[p][v].limit(self.clamp.0, self.clamp.1);
                    let at = self.output.add(to[p] + v * LANES);
                    store::<L, N>(y, at, self.lanes);
                }
            }
        }
    }
}
