//! Layers with weights in lanes, rectangle by rectangle: how many blocks of outputs go together, and sums so long that
//! they are taken in parts.
#![allow(unsafe_code)]

use super::images::Rectangle;
use super::tile::{End, Panel, Taps, panel};
use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, WEIGHTS};

/// Products of a chunk, where a sum has more than twice as many: weights of four blocks then stay near while
/// all pixels use them.
const CHUNK: usize = 256;

/// Outputs that are more than caches beside a processor hold with all else.
const FAR: usize = 1 << 17;

/// A layer with weights in [`crate::tensor::Layout::Lanes`].
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    clamp: Clamp,
    /// Output channels.
    outputs: usize,
    /// Weights of each.
    depth: usize,
}

impl<'a> Layer<'a> {
    /// Blocks of outputs.
    pub fn blocks(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// From a step's operands; refuses weights or a bias of another length.
    pub fn new(io: &Io<'a>, clamp: Clamp, outputs: usize, depth: usize) -> Result<Self> {
        let layer = Layer { weights: io.input(WEIGHTS)?, bias: io.optional(BIAS)?, clamp, outputs, depth };
        let stored = outputs.div_ceil(LANES).checked_mul(LANES).and_then(|n| n.checked_mul(depth));
        let fits = stored == Some(layer.weights.len()) && layer.bias.is_none_or(|b| b.len() == outputs);
        if fits { Ok(layer) } else { Err(Error::Internal) }
    }
}

impl Layer<'_> {
    /// Computes the outputs of blocks `first..first + count` of all pixels of a rectangle.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `L`.
    #[inline(always)]
    pub unsafe fn compute<L: Lanes>(
        &self,
        rectangle: &Rectangle,
        [first, count]: [usize; 2],
        input: &[f32],
        output: &mut [f32],
    ) -> Result<()> {
        let outputs = self.check(rectangle, [first, count], input.len(), output.len());
        let outputs = outputs.ok_or(Error::Internal)?;
        let Rectangle { pixels, from, to, taps, .. } = rectangle.in_one_row();
        let block = self.depth * LANES;
        let bias = self.bias.and_then(|b| b.get(first * LANES..first * LANES + outputs));
        let end = End { bias, clamp: self.clamp.as_f32() };
        // SAFETY: `check` has compared all extents.
        let whole = unsafe {
            Panel {
                input: input.as_ptr().add(rectangle.input),
                output: output.as_mut_ptr().add(rectangle.output + first * LANES),
                weights: self.weights.as_ptr().add(first * block + rectangle.weight * LANES),
                block,
                tail: outputs - (count - 1) * LANES,
                pixels,
                from,
                to,
                taps,
                begins: true,
                end: Some(end),
                ahead: 0,
                is_far: pixels[0] * pixels[1] * self.outputs >= FAR,
            }
        };
        // The blocks after these, which are next for all pixels or for the next rectangle's.
        let next = if (first + count) * LANES < self.outputs { (count * block) as isize } else { 0 };
        let [rows, columns] = taps.runs;
        // Few pixels use each weight once or twice wherever it is.
        let few = pixels[0] * pixels[1] <= 12;
        if few || rows * columns * taps.length <= 2 * CHUNK {
            // SAFETY: the extents were checked; the caller has the instructions.
            unsafe { panels::<L>(&Panel { ahead: next, ..whole }, count) };
            return Ok(());
        }
        let parts = taps.length.div_ceil(CHUNK).max(1);
        let chunks = rows * columns * parts;
        let at = |chunk: usize| {
            let (run, start) = (chunk / parts, chunk % parts * CHUNK);
            let (row, column) = (run / columns.max(1), run % columns.max(1));
            (row, column, start, row * taps.weights[0] + column * taps.weights[1] + start)
        };
        for chunk in 0..chunks {
            let (row, column, start, weight) = at(chunk);
            let ahead = match chunk + 1 == chunks {
                false => ((at(chunk + 1).3 - weight) * LANES) as isize,
                true if next != 0 => next.wrapping_sub_unsigned(weight * LANES),
                true => 0,
            };
            // SAFETY: a part of what was checked; the caller has the instructions.
            unsafe {
                let part = Panel {
                    input: whole.input.add(row * taps.input[0] + column * taps.input[1] + start),
                    weights: whole.weights.add(weight * LANES),
                    taps: Taps { runs: [1, 1], length: CHUNK.min(taps.length - start), ..taps },
                    begins: chunk == 0,
                    end: (chunk + 1 == chunks).then_some(end),
                    ahead,
                    ..whole
                };
                panels::<L>(&part, count);
            }
        }
        Ok(())
    }

    /// How many outputs the blocks have, where everything lies inside and there is something.
    fn check(
        &self,
        at: &Rectangle,
        [first, count]: [usize; 2],
        input: usize,
        output: usize,
    ) -> Option<usize> {
        let reach = |counts: [usize; 2], steps: [usize; 2]| {
            let [rows, columns] = [counts[0].checked_sub(1)?, counts[1].checked_sub(1)?];
            rows.checked_mul(steps[0])?.checked_add(columns.checked_mul(steps[1])?)
        };
        let taps = &at.taps;
        let window = reach(taps.runs, taps.input)?.checked_add(taps.length)?;
        let read = at.input.checked_add(reach(at.pixels, at.from)?)?.checked_add(window)?;
        let written = at.output.checked_add(reach(at.pixels, at.to)?)?.checked_add(self.outputs)?;
        let used = at.weight.checked_add(reach(taps.runs, taps.weights)?)?.checked_add(taps.length)?;
        let outputs = self.outputs.checked_sub(first.checked_mul(LANES)?)?.min(count.checked_mul(LANES)?);
        let blocks = outputs.div_ceil(LANES) == count && count > 0;
        (read <= input && written <= output && used <= self.depth && blocks).then_some(outputs)
    }
}

/// How many of the `left` blocks to compute together, for one pixel or for many.
#[inline(always)]
pub fn together<L: Lanes>(left: usize, single: bool) -> usize {
    match (L::WIDE, single, left) {
        (true, true, 8..) => 8,
        (_, true, 4..) | (true, false, 4 | 6..) => 4,
        (true, false, 3 | 5) => 3,
        (true, _, 2) => 2,
        _ => 1,
    }
}

/// Computes `count` blocks of all pixels of a panel.
///
/// # Safety
///
/// As [`panel`] says.
#[inline(always)]
pub unsafe fn panels<L: Lanes>(job: &Panel<'_>, count: usize) {
    // SAFETY: as for this function.
    unsafe {
        match (L::WIDE, count) {
            (true, 8) => panel::<L, 1, 1, 8>(job),
            (true, 4) => panel::<L, 6, 2, 4>(job),
            (true, 3) => panel::<L, 8, 2, 3>(job),
            (true, 2) => panel::<L, 12, 4, 2>(job),
            (true, _) => panel::<L, 12, 4, 1>(job),
            (false, 4) if job.pixels == [1, 1] => panel::<L, 1, 1, 4>(job),
            (false, _) => {
                for block in 0..count {
                    let last = block + 1 == count;
                    panel::<L, 6, 2, 1>(&job.of_block(block, last));
                }
            }
        }
    }
}
