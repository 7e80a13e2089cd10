//! One step with its operands looked up: shared by load, which checks it, and run, which executes it.

use core::ops::Range;

use crate::bundle::Plan;
use crate::bundle::plan::{NO_TENSOR, StepRecord};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::io::{MAX_INPUTS, MAX_OUTPUTS};
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Choice, Entry, OpDef};
use crate::tensor::{Desc, Place};

const NOTHING: Range<usize> = 0..0;
// A second output would need a second span.
const _: () = assert!(MAX_OUTPUTS == 1);

/// A step's operands. Apart from [`Step`], so that each is written once, in its caller's frame: together they
/// are most of the stack that load and run use.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    inputs: [Option<Desc>; MAX_INPUTS],
    input_ranges: [Range<usize>; MAX_INPUTS],
    count: usize,
    /// Of the output.
    described: Option<Desc>,
    /// Of the output, in the arena.
    pub(super) output: Range<usize>,
    /// The output with the inputs that overlap it.
    pub(super) span: Range<usize>,
    /// In the arena; `0..0` where there is none.
    pub(super) scratch: Range<usize>,
}

impl Operands {
    /// Room for any step's: zeros.
    pub(super) const NONE: Operands = Operands {
        inputs: [None; MAX_INPUTS],
        input_ranges: [NOTHING; MAX_INPUTS],
        count: 0,
        described: None,
        output: NOTHING,
        span: NOTHING,
        scratch: NOTHING,
    };

    /// Looks a step's operands up. Checks counts and places only.
    fn fill(&mut self, plan: &Plan<'_>, record: &StepRecord) -> Result<()> {
        self.count = record.inputs as usize;
        if self.count == 0 || self.count > MAX_INPUTS || record.outputs as usize != MAX_OUTPUTS {
            return Err(Error::Operand);
        }
        self.scratch = NOTHING;
        // Inputs, the output, scratch.
        for (i, &id) in plan.operands(record.operands, self.count + 2)?.iter().enumerate() {
            let id = u16::from_le_bytes(id);
            if id == NO_TENSOR {
                match self.inputs.get_mut(i) {
                    Some(desc) if i < self.count => *desc = None,
                    _ if i > self.count => {}
                    _ => return Err(Error::Operand),
                }
                continue;
            }
            // By reference: `?` would move what is going to be copied anyway.
            let tensor = plan.tensor(id);
            let tensor = tensor.as_ref().map_err(|&e| e)?;
            let (range, is_dense) = (tensor.range(), tensor.desc.layout == Layout::Dense);
            let in_arena = tensor.desc.place == Place::Arena;
            let fits = match (self.inputs.get_mut(i), self.input_ranges.get_mut(i)) {
                (Some(desc), Some(slot)) if i < self.count => {
                    (*desc, *slot) = (Some(tensor.desc), range);
                    is_dense || i == WEIGHTS
                }
                _ if i == self.count => {
                    (self.described, self.output) = (Some(tensor.desc), range);
                    in_arena
                }
                _ => {
                    self.scratch = range;
                    in_arena && tensor.offset & 15 == 0
                }
            };
            if !fits {
                return Err(Error::Operand);
            }
        }
        self.span = self.together();
        Ok(())
    }

    fn together(&self) -> Range<usize> {
        let mut span = self.output.clone();
        for (_, range) in self.in_arena().filter(|(_, range)| intersect(range, &self.output)) {
            span = union(&span, range);
        }
        span
    }

    /// Descriptions of the inputs.
    pub(super) fn inputs(&self) -> &[Option<Desc>] {
        self.inputs.get(..self.count).unwrap_or(&[])
    }

    /// Description and range of input `i`, where it is there.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn input(&self, i: usize) -> Option<(&Desc, &Range<usize>)> {
        let desc = self.inputs().get(i)?.as_ref()?;
        Some((desc, self.input_ranges.get(i)?))
    }

    /// Number and range of each input in the arena.
    pub(super) fn in_arena(&self) -> impl Iterator<Item = (usize, &Range<usize>)> {
        (0..self.count).filter_map(|i| {
            let (desc, range) = self.input(i)?;
            (desc.place == Place::Arena).then_some((i, range))
        })
    }

    /// The output's description.
    pub(super) fn outputs(&self) -> &[Desc] {
        self.described.as_slice()
    }
}

/// A step's operator and kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) record: StepRecord,
    pub(super) def: &'static OpDef,
    pub(super) entry: &'static Entry,
}

impl Step {
    /// Looks step `i` up: operands, operator, kernel. Checks counts and places only.
    pub(super) fn resolve(
        plan: &Plan<'_>,
        i: usize,
        ops: &'static [OpDef],
        choice: Choice,
        operands: &mut Operands,
    ) -> Result<Self> {
        let record = plan.step(i)?;
        let def = ops.iter().find(|d| d.code == record.op).ok_or(Error::UnknownOperator)?;
        operands.fill(plan, &record)?;
        let mut inputs = operands.inputs().iter();
        let first = inputs.next().and_then(Option::as_ref).ok_or(Error::Operand)?;
        let weights = inputs.next().and_then(Option::as_ref).map(|d| (d.dtype, d.layout));
        let entry = def.select(record.kernel, first.dtype, weights, record.rounding, choice)?;
        Ok(Step { record, def, entry })
    }
}

/// Whether two ranges share a byte; an empty one starts at 0.
pub(super) fn intersect(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The range from the first to the last byte of both.
pub(super) fn union(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = if a.start < b.start { a.start } else { b.start };
    let end = if a.end > b.end { a.end } else { b.end };
    start..end
}
