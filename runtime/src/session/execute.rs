//! Running a step: the arena carved for one kernel.

use super::step::{Operands, Step, intersect};
use crate::error::{Error, Result};
use crate::ops::io::{Io, MAX_INPUTS, Sink, Source};
use crate::ops::op::Context;
use crate::tensor::Place;

/// A constant, so that it is cleared in place.
const ABSENT: [Source<'static>; MAX_INPUTS] = [Source::Absent; MAX_INPUTS];

impl Step {
    /// Carves the arena and runs the kernel. Only for steps that [`Step::check`] has passed; anything else
    /// returns an error.
    pub(super) fn run(
        &self,
        operands: &Operands,
        attributes: &[u8],
        arena: &mut [u8],
        weights: &[u8],
    ) -> Result<()> {
        let mut io = Io {
            inputs: operands.inputs(),
            outputs: operands.outputs(),
            sources: ABSENT,
            sinks: Default::default(),
            scratch: None,
        };
        carve(operands, arena, weights, &mut io)?;
        (self.entry.run)(attributes, &mut io, &Context { rounding: self.record.rounding })
    }
}

/// Splits the arena into exclusive spans, the output's and the scratch memory's, and what lies around them. What it
/// keeps on the stack is gone before the kernel needs it.
#[inline(never)]
fn carve<'s>(operands: &Operands, arena: &'s mut [u8], weights: &'s [u8], io: &mut Io<'s>) -> Result<()> {
    let Operands { output, span, scratch, .. } = operands;
    // Also where there is no scratch, which starts at 0.
    let scratch_first = scratch.start <= span.start;
    let (low, high) = if scratch_first { (scratch, span) } else { (span, scratch) };
    let split = |bytes: &'s mut [u8], at: usize| bytes.split_at_mut_checked(at).ok_or(Error::TooSmall);
    let (before, rest) = split(arena, low.start)?;
    let (first, rest) = split(rest, low.len())?;
    let (between, rest) = split(rest, high.start.checked_sub(low.end).ok_or(Error::Overlap)?)?;
    let (second, after) = split(rest, high.len())?;
    let (bytes, extra) = if scratch_first { (second, first) } else { (first, second) };
    let start = output.start.wrapping_sub(span.start);
    io.sinks = [Sink { span: Some(bytes), start, end: start.wrapping_add(output.len()) }];
    io.scratch = (!extra.is_empty()).then_some(extra);

    let (before, between, after): (&'s [u8], &'s [u8], &'s [u8]) = (before, between, after);
    for (i, source) in io.sources.iter_mut().enumerate().take(operands.inputs().len()) {
        let Some((desc, range)) = operands.input(i) else { continue };
        *source = if desc.place == Place::Weights {
            Source::Shared(weights.get(range.clone()).ok_or(Error::Internal)?)
        } else if intersect(range, output) {
            let (start, end) = (range.start.wrapping_sub(span.start), range.end.wrapping_sub(span.start));
            Source::Inside { output: 0, start, end }
        } else {
            let (base, bytes) = if range.start < low.start {
                (0, before)
            } else if range.start < high.start {
                (low.end, between)
            } else {
                (high.end, after)
            };
            let inside = range.start.wrapping_sub(base)..range.end.wrapping_sub(base);
            Source::Shared(bytes.get(inside).ok_or(Error::Internal)?)
        };
    }
    Ok(())
}
