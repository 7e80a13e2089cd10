//! One step with its operands looked up: shared by load, which checks it, and run, which executes it.

use core::ops::Range;

use crate::bundle::Plan;
use crate::bundle::plan::StepRecord;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::io::{Io, MAX_INPUTS, MAX_OUTPUTS, Sink, Source};
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Choice, Constants, Context, Entry, Inputs, OpDef, Rounding};
use crate::tensor::{Desc, Dtype, Place, Shape};

const NOTHING: Range<usize> = 0..0;
/// Outputs and scratch.
const MAX_SPANS: usize = MAX_OUTPUTS + 1;

/// A step's operands. Apart from [`Step`], so that each is written once, in its caller's frame: together they
/// are most of the stack that load and run use.
#[derive(Debug)]
pub(crate) struct Operands {
    inputs: [Option<Desc>; MAX_INPUTS],
    input_ranges: [Range<usize>; MAX_INPUTS],
    outputs: [Desc; MAX_OUTPUTS],
    output_ranges: [Range<usize>; MAX_OUTPUTS],
    scratch: Range<usize>,
}

impl Operands {
    /// Room for any step's.
    pub(crate) const NONE: Operands = Operands {
        inputs: [None; MAX_INPUTS],
        input_ranges: [NOTHING; MAX_INPUTS],
        outputs: [Desc::new(Dtype::F32, Shape::SCALAR); MAX_OUTPUTS],
        output_ranges: [NOTHING; MAX_OUTPUTS],
        scratch: NOTHING,
    };

    /// Looks a step's operands up. Checks places only.
    fn fill(&mut self, plan: &Plan<'_>, record: &StepRecord) -> Result<()> {
        let mut at = record.operands as usize;
        let mut next = || {
            let operand = plan.operand(at);
            at = at.wrapping_add(1);
            operand
        };
        let inputs = record.inputs as usize;
        for (i, (desc, range)) in self.inputs.iter_mut().zip(&mut self.input_ranges).enumerate() {
            (*desc, *range) = (None, NOTHING);
            if i >= inputs {
                continue;
            }
            if let Some(id) = next()? {
                let tensor = plan.tensor(id)?;
                if i != WEIGHTS && tensor.desc.layout != Layout::Dense {
                    return Err(Error::Operand);
                }
                (*desc, *range) = (Some(tensor.desc), tensor.range());
            }
        }
        let outputs = self.outputs.iter_mut().zip(&mut self.output_ranges);
        for (desc, range) in outputs.take(record.outputs as usize) {
            let tensor = plan.tensor(next()?.ok_or(Error::Operand)?)?;
            if tensor.desc.place != Place::Arena {
                return Err(Error::Operand);
            }
            (*desc, *range) = (tensor.desc, tensor.range());
        }
        self.scratch = match next()? {
            Some(id) => {
                let tensor = plan.tensor(id)?;
                if tensor.desc.place != Place::Arena || tensor.offset & 15 != 0 {
                    return Err(Error::Operand);
                }
                tensor.range()
            }
            None => NOTHING,
        };
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Step<'a, 'o> {
    pub(crate) record: StepRecord,
    pub(crate) attributes: &'a [u8],
    pub(crate) def: &'static OpDef,
    pub(crate) entry: &'static Entry,
    operands: &'o Operands,
}

impl<'a, 'o> Step<'a, 'o> {
    /// Looks step `i` up: operands, operator, kernel. Checks counts and places only.
    pub(crate) fn resolve(
        plan: &Plan<'a>,
        i: usize,
        ops: &'static [OpDef],
        choice: Choice,
        operands: &'o mut Operands,
    ) -> Result<Self> {
        let record = plan.step(i)?;
        let (inputs, outputs) = (record.inputs as usize, record.outputs as usize);
        if inputs == 0 || inputs > MAX_INPUTS || outputs == 0 || outputs > MAX_OUTPUTS {
            return Err(Error::Operand);
        }
        let def = ops.iter().find(|d| d.code == record.op).ok_or(Error::UnknownOperator)?;
        operands.fill(plan, &record)?;
        let first = operands.inputs.first().and_then(Option::as_ref).ok_or(Error::Operand)?;
        let weights = operands.inputs.get(1).and_then(Option::as_ref).map(|d| (d.dtype, d.layout));
        let entry = def.select(record.kernel, first.dtype, weights, record.rounding, choice)?;
        Ok(Step { record, attributes: plan.attributes(&record)?, def, entry, operands })
    }

    fn inputs(&self) -> &[Option<Desc>] {
        self.operands.inputs.get(..self.record.inputs as usize).unwrap_or(&[])
    }

    fn outputs(&self) -> &[Desc] {
        self.operands.outputs.get(..self.record.outputs as usize).unwrap_or(&[])
    }

    /// Everything that must hold before the step may ever run; returns its multiply-accumulates.
    pub(crate) fn check(&self, weights: &[u8], numeric: Rounding) -> Result<u64> {
        if self.record.rounding != Rounding::None && self.record.rounding != numeric {
            return Err(Error::Attribute);
        }
        let inputs = Inputs(self.inputs());
        self.check_inferred(&inputs)?;
        self.check_constants(&inputs, weights)?;
        let scratch = self.def.scratch(self.attributes, &inputs, self.outputs(), self.record.kernel)?;
        if scratch > self.operands.scratch.len() {
            return Err(Error::Totals);
        }
        self.check_overlaps()?;
        self.def.macs(self.attributes, &inputs, self.outputs())
    }

    /// Types and shapes of the outputs against inference. In a frame of its own, as [`Step::check_constants`]:
    /// what they need on the stack is never needed at once.
    #[inline(never)]
    fn check_inferred(&self, inputs: &Inputs<'_>) -> Result<()> {
        let inferred = self.def.infer(self.attributes, inputs);
        let inferred = inferred.as_ref().map_err(|&e| e)?.outputs();
        if inferred.len() != self.outputs().len() {
            return Err(Error::Operand);
        }
        for (inferred, planned) in inferred.iter().zip(self.outputs()) {
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
    fn check_constants(&self, inputs: &Inputs<'_>, weights: &[u8]) -> Result<()> {
        let mut constants = [None; MAX_INPUTS];
        for ((slot, desc), range) in constants.iter_mut().zip(self.inputs()).zip(&self.operands.input_ranges)
        {
            if desc.is_some_and(|d| d.place == Place::Weights) {
                *slot = Some(weights.get(range.clone()).ok_or(Error::Tensor)?);
            }
        }
        let constants = Constants::new(constants, self.record.rounding);
        self.def.check(self.attributes, inputs, self.outputs(), &constants)
    }

    fn is_in_arena(&self, input: usize) -> bool {
        self.operands.inputs.get(input).and_then(Option::as_ref).is_some_and(|d| d.place == Place::Arena)
    }

    fn check_overlaps(&self) -> Result<()> {
        let outputs = self.outputs().len();
        let written = || {
            self.operands.output_ranges.iter().take(outputs).chain(core::iter::once(&self.operands.scratch))
        };
        for (k, a) in written().enumerate() {
            if written().take(k).any(|b| intersect(a, b)) {
                return Err(Error::Overlap);
            }
        }
        for (i, input) in self.operands.input_ranges.iter().enumerate().filter(|&(i, _)| self.is_in_arena(i))
        {
            if intersect(input, &self.operands.scratch) {
                return Err(Error::Overlap);
            }
            for (o, output) in self.operands.output_ranges.iter().enumerate().take(outputs) {
                if !intersect(input, output) {
                    continue;
                }
                if !self.entry.overlap || !self.tolerates(i, o, input.start, output.start)? {
                    return Err(Error::Overlap);
                }
                // The shared span is exclusive: nobody else may be in it.
                let span = union(input, output);
                let others = self
                    .operands
                    .input_ranges
                    .iter()
                    .enumerate()
                    .filter(|&(j, _)| j != i && self.is_in_arena(j));
                let crowded = others.map(|(_, r)| r).any(|r| intersect(r, &span));
                let written_twice = written().enumerate().any(|(k, r)| k != o && intersect(r, &span));
                if crowded || written_twice {
                    return Err(Error::Overlap);
                }
            }
        }
        Ok(())
    }

    /// Whether input `i` at `input` and output `o` at `output` keep the operator's distance, in the direction
    /// that [`crate::ops::Pair::descending`] will choose.
    fn tolerates(&self, i: usize, o: usize, input: usize, output: usize) -> Result<bool> {
        let inputs = Inputs(self.inputs());
        let (low, high, distance) = if output > input {
            (input, output, self.def.overlap_descending(self.attributes, &inputs, self.outputs(), i, o)?)
        } else {
            (output, input, self.def.overlap(self.attributes, &inputs, self.outputs(), i, o)?)
        };
        Ok(distance.and_then(|d| low.checked_add(d)).is_some_and(|least| high >= least))
    }

    /// Carves the arena and runs the kernel. Only for steps that [`Step::check`] has passed; anything else
    /// returns an error.
    pub(crate) fn run(&self, arena: &mut [u8], weights: &[u8]) -> Result<()> {
        let mut io = Io {
            inputs: self.inputs(),
            outputs: self.outputs(),
            sources: [Source::Absent; MAX_INPUTS],
            sinks: Default::default(),
            scratch: None,
        };
        self.carve(arena, weights, &mut io)?;
        (self.entry.run)(self.attributes, &mut io, &Context { rounding: self.record.rounding })
    }

    /// Splits the arena into exclusive spans and what lies between them. Its tables leave the stack before the
    /// kernel needs it.
    #[inline(never)]
    fn carve<'s>(&self, arena: &'s mut [u8], weights: &'s [u8], io: &mut Io<'s>) -> Result<()> {
        let outputs = self.outputs().len();
        // Exclusive spans, each with the output it belongs to; scratch is number MAX_OUTPUTS.
        let mut spans: [(Range<usize>, usize); MAX_SPANS] = [const { (NOTHING, usize::MAX) }; MAX_SPANS];
        let mut inside = [usize::MAX; MAX_INPUTS];
        let mut count = 0usize;
        for (o, output) in self.operands.output_ranges.iter().enumerate().take(outputs) {
            let mut span = output.clone();
            for (i, input) in
                self.operands.input_ranges.iter().enumerate().filter(|&(i, _)| self.is_in_arena(i))
            {
                if intersect(input, output) {
                    span = union(&span, input);
                    if let Some(slot) = inside.get_mut(i) {
                        *slot = o;
                    }
                }
            }
            insert(&mut spans, &mut count, (span, o));
        }
        if !self.operands.scratch.is_empty() {
            insert(&mut spans, &mut count, (self.operands.scratch.clone(), MAX_OUTPUTS));
        }

        let mut gaps: [(usize, &[u8]); MAX_SPANS + 1] = [(0, &[]); MAX_SPANS + 1];
        let mut starts = [0usize; MAX_OUTPUTS];
        let (mut rest, mut base) = (arena, 0usize);
        for ((span, owner), gap) in spans.iter().take(count).zip(&mut gaps) {
            let skip = span.start.checked_sub(base).ok_or(Error::Overlap)?;
            let (before, tail) = rest.split_at_mut_checked(skip).ok_or(Error::TooSmall)?;
            let (bytes, tail) = tail.split_at_mut_checked(span.len()).ok_or(Error::TooSmall)?;
            *gap = (base, before);
            if let (Some(sink), Some(range), Some(start)) =
                (io.sinks.get_mut(*owner), self.operands.output_ranges.get(*owner), starts.get_mut(*owner))
            {
                *start = span.start;
                let first = range.start.wrapping_sub(span.start);
                *sink = Sink { span: Some(bytes), start: first, end: first.wrapping_add(range.len()) };
            } else {
                io.scratch = Some(bytes);
            }
            (rest, base) = (tail, span.end);
        }
        if let Some(gap) = gaps.get_mut(count) {
            *gap = (base, rest);
        }

        for (((source, desc), range), &output) in
            io.sources.iter_mut().zip(self.inputs()).zip(&self.operands.input_ranges).zip(&inside)
        {
            *source = match (desc, starts.get(output)) {
                (None, _) => Source::Absent,
                (Some(d), _) if d.place == Place::Weights => {
                    Source::Shared(weights.get(range.clone()).ok_or(Error::Internal)?)
                }
                (Some(_), Some(&start)) => Source::Inside {
                    output,
                    start: range.start.wrapping_sub(start),
                    end: range.end.wrapping_sub(start),
                },
                (Some(_), None) => Source::Shared(find(&gaps, range).ok_or(Error::Internal)?),
            };
        }
        Ok(())
    }
}

fn find<'a>(gaps: &[(usize, &'a [u8])], range: &Range<usize>) -> Option<&'a [u8]> {
    gaps.iter().find_map(|&(base, bytes)| {
        let start = range.start.checked_sub(base)?;
        bytes.get(start..start.checked_add(range.len())?)
    })
}

/// Keeps `spans[..count]` in ascending order of start.
fn insert(spans: &mut [(Range<usize>, usize); MAX_SPANS], count: &mut usize, new: (Range<usize>, usize)) {
    let mut carried = new;
    for (k, slot) in spans.iter_mut().enumerate() {
        if k >= *count {
            *slot = carried;
            *count += 1;
            return;
        }
        if carried.0.start < slot.0.start {
            core::mem::swap(slot, &mut carried);
        }
    }
}

fn intersect(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end && !a.is_empty() && !b.is_empty()
}

fn union(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = if a.start < b.start { a.start } else { b.start };
    let end = if a.end > b.end { a.end } else { b.end };
    start..end
}
