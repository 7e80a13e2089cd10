//! What load holds a step against.

use core::ops::Range;

use super::step::{Operands, Step, intersect};
use crate::error::{Error, Result};
use crate::ops::io::MAX_INPUTS;
use crate::ops::op::{About, Ask, Constants, Inputs, Rounding};
use crate::tensor::Place;

impl Step {
    /// Everything that must hold before the step may ever run; returns its multiply-accumulates.
    pub(super) fn check(
        &self,
        operands: &Operands,
        attributes: &[u8],
        weights: &[u8],
        numeric: Rounding,
    ) -> Result<u64> {
        if self.record.rounding != Rounding::None && self.record.rounding != numeric {
            return Err(Error::Attribute);
        }
        let about = About { attributes, inputs: Inputs(operands.inputs()), outputs: operands.outputs() };
        self.check_inferred(&about)?;
        self.check_constants(operands, &about, weights)?;
        if self.def.answer(&about, Ask::Scratch(self.record.kernel))? > operands.scratch.len() as u64 {
            return Err(Error::Totals);
        }
        self.check_overlaps(operands, &about)?;
        self.def.answer(&about, Ask::Macs)
    }

    /// Types and shapes of the outputs against inference. In a frame of its own, as [`Step::check_constants`]:
    /// what they need on the stack is never needed at once.
    #[inline(never)]
    fn check_inferred(&self, about: &About<'_>) -> Result<()> {
        let inferred = self.def.infer(about.attributes, &about.inputs);
        let inferred = inferred.as_ref().map_err(|&e| e)?;
        for planned in about.outputs {
            if inferred.shape != planned.shape {
                return Err(Error::Shape);
            }
            if inferred.dtype != planned.dtype {
                return Err(Error::Dtype);
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn check_constants(&self, operands: &Operands, about: &About<'_>, weights: &[u8]) -> Result<()> {
        let mut constants = [None; MAX_INPUTS];
        for (i, slot) in constants.iter_mut().enumerate() {
            match operands.input(i) {
                Some((desc, range)) if desc.place == Place::Weights => {
                    *slot = Some(weights.get(range.clone()).ok_or(Error::Tensor)?);
                }
                _ => {}
            }
        }
        let constants = Constants::new(constants, self.record.rounding);
        self.def.answer(about, Ask::Check(&constants)).map(|_| ())
    }

    /// Whoever is written shares no byte with anyone, but for one input with the output where the kernel and the
    /// operator tolerate it.
    fn check_overlaps(&self, operands: &Operands, about: &About<'_>) -> Result<()> {
        let Operands { output, span, scratch, .. } = operands;
        if intersect(span, scratch) {
            return Err(Error::Overlap);
        }
        let mut sharing = None;
        for (i, input) in operands.in_arena() {
            // The shared span is exclusive: one input may be in it, the one that overlaps the output.
            let second = intersect(input, span) && sharing.replace((i, input)).is_some();
            if second || intersect(input, scratch) {
                return Err(Error::Overlap);
            }
        }
        match sharing {
            None => Ok(()),
            Some((i, input)) if self.entry.overlap && self.tolerates(about, i, input, output)? => Ok(()),
            Some(_) => Err(Error::Overlap),
        }
    }

    /// Whether input `i` keeps the operator's distance from the output, in the direction that
    /// [`crate::ops::Pair::descending`] will choose.
    fn tolerates(
        &self,
        about: &About<'_>,
        i: usize,
        input: &Range<usize>,
        output: &Range<usize>,
    ) -> Result<bool> {
        let descending = output.start > input.start;
        // Of the only output; never is farther than any distance.
        let least = self.def.answer(about, Ask::Overlap { i, o: 0, descending })?;
        Ok(output.start.abs_diff(input.start) as u64 >= least)
    }
}
