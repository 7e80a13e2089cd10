//! What a kernel gets: operand descriptions, shared inputs, exclusive outputs and scratch.
//!
//! Memory is carved so that no `unsafe` is needed: exclusive spans are split off the arena, inputs are shared
//! slices of the gaps between them. Where the plan lets an input overlap an output, both live in one
//! exclusive span and the kernel walks it through [`Pair`].

use core::ops::Range;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::tensor::Desc;

/// Most inputs of one step.
pub const MAX_INPUTS: usize = 8;
/// Most outputs of one step: no operator has more. Tables of this length are on the stack of load and run.
pub const MAX_OUTPUTS: usize = 1;

/// One input's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Source<'a> {
    /// An optional operand that is not there.
    #[default]
    Absent,
    /// Bytes that nobody writes during the step.
    Shared(&'a [u8]),
    /// Inside output `output`'s span, at this range of it.
    Inside { output: usize, start: usize, end: usize },
}

/// One output's bytes: its exclusive span, and where in it the output lies.
#[derive(Debug, Default)]
pub(crate) struct Sink<'a> {
    pub(crate) span: Option<&'a mut [u8]>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The operands of one step.
///
/// Inputs are handed out freely; outputs and scratch are taken once each.
#[derive(Debug)]
pub struct Io<'a> {
    pub(crate) inputs: &'a [Option<Desc>],
    pub(crate) outputs: &'a [Desc],
    pub(crate) sources: [Source<'a>; MAX_INPUTS],
    pub(crate) sinks: [Sink<'a>; MAX_OUTPUTS],
    pub(crate) scratch: Option<&'a mut [u8]>,
}

impl<'a> Io<'a> {
    /// Operands in separate memory: what hosts use to evaluate one operator without a plan.
    ///
    /// `sources[i]` holds input `i`'s bytes where `inputs[i]` is present; `sinks` yields one slice per output.
    pub fn apart(
        inputs: &'a [Option<Desc>],
        sources: &[Option<&'a [u8]>],
        outputs: &'a [Desc],
        sinks: impl IntoIterator<Item = &'a mut [u8]>,
        scratch: &'a mut [u8],
    ) -> Result<Self> {
        if inputs.len() > MAX_INPUTS || outputs.len() > MAX_OUTPUTS {
            return Err(Error::Limit);
        }
        let mut io = Io {
            inputs,
            outputs,
            sources: [Source::Absent; MAX_INPUTS],
            sinks: Default::default(),
            scratch: Some(scratch),
        };
        for ((slot, desc), bytes) in io.sources.iter_mut().zip(inputs).zip(sources) {
            match (desc, bytes) {
                (Some(d), Some(b)) if d.bytes() == b.len() => *slot = Source::Shared(b),
                (None, None) => {}
                _ => return Err(Error::Mismatch),
            }
        }
        for ((slot, desc), bytes) in io.sinks.iter_mut().zip(outputs).zip(sinks) {
            if desc.bytes() != bytes.len() {
                return Err(Error::Mismatch);
            }
            *slot = Sink { start: 0, end: bytes.len(), span: Some(bytes) };
        }
        Ok(io)
    }

    /// Description of input `i`, which must be present.
    pub fn input_desc(&self, i: usize) -> Result<&'a Desc> {
        self.inputs.get(i).and_then(Option::as_ref).ok_or(Error::Operand)
    }

    /// Description of output `o`.
    pub fn output_desc(&self, o: usize) -> Result<&'a Desc> {
        self.outputs.get(o).ok_or(Error::Operand)
    }

    /// How many input operands the step has, absent ones included.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Elements of input `i`, which must be present and outside every output.
    pub fn input<T: Pod>(&self, i: usize) -> Result<&'a [T]> {
        self.optional(i)?.ok_or(Error::Operand)
    }

    /// Elements of input `i`, or `None` where the operand is absent.
    pub fn optional<T: Pod>(&self, i: usize) -> Result<Option<&'a [T]>> {
        match self.sources.get(i) {
            Some(Source::Shared(bytes)) => cast(bytes).map(Some),
            Some(Source::Inside { .. }) => Err(Error::Overlap),
            Some(Source::Absent) | None => Ok(None),
        }
    }

    /// Takes output `o`, which no input overlaps.
    pub fn output<T: Pod>(&mut self, o: usize) -> Result<&'a mut [T]> {
        let sink = self.sinks.get_mut(o).ok_or(Error::Operand)?;
        let (start, end) = (sink.start, sink.end);
        let span = sink.span.take().ok_or(Error::Internal)?;
        cast_mut(span.get_mut(start..end).ok_or(Error::Internal)?)
    }

    /// Takes output `o` together with input `i`, overlapping or not.
    pub fn pair<I: Pod, O: Pod>(&mut self, i: usize, o: usize) -> Result<Pair<'a>> {
        self.bytes_of_pair(i, o)
    }

    fn bytes_of_pair(&mut self, i: usize, o: usize) -> Result<Pair<'a>> {
        let sink = self.sinks.get_mut(o).ok_or(Error::Operand)?;
        let output = sink.start..sink.end;
        match self.sources.get(i) {
            Some(&Source::Shared(input)) => {
                let span = sink.span.take().ok_or(Error::Internal)?;
                Ok(Pair::Apart { input, output: span.get_mut(output).ok_or(Error::Internal)? })
            }
            Some(&Source::Inside { output: inside, start, end }) if inside == o => {
                let bytes = sink.span.take().ok_or(Error::Internal)?;
                Ok(Pair::Together { bytes, input: start..end, output })
            }
            _ => Err(Error::Operand),
        }
    }

    /// Takes the scratch memory that `need` asked for; empty where it asked for none.
    pub fn scratch<T: Pod>(&mut self) -> Result<&'a mut [T]> {
        match self.scratch.take() {
            Some(bytes) => cast_mut(bytes),
            None => Ok(&mut []),
        }
    }
}

/// One input and one output, in separate memory or overlapping in one span.
#[derive(Debug)]
pub enum Pair<'a> {
    /// No byte is shared.
    Apart {
        /// The input's bytes.
        input: &'a [u8],
        /// The output's bytes.
        output: &'a mut [u8],
    },
    /// Both lie in `bytes`, at these ranges.
    Together {
        /// The union of both.
        bytes: &'a mut [u8],
        /// Where in it the input is.
        input: Range<usize>,
        /// Where in it the output is.
        output: Range<usize>,
    },
}

impl Pair<'_> {
    /// Whether the output must be produced from its end: it starts above an input that it overlaps.
    pub fn descending(&self) -> bool {
        match self {
            Pair::Apart { .. } => false,
            Pair::Together { input, output, .. } => output.start > input.start,
        }
    }

    /// The input's elements `input` to read while the output's elements `output` are written.
    ///
    /// In one span the two windows must not overlap; that is what the distance checked at load ensures for a
    /// kernel that keeps its declared order.
    pub fn window<I: Pod, O: Pod>(
        &mut self,
        input: Range<usize>,
        output: Range<usize>,
    ) -> Result<(&[I], &mut [O])> {
        let i = scaled::<I>(input)?;
        let o = scaled::<O>(output)?;
        match self {
            Pair::Apart { input, output } => Ok((
                cast(input.get(i).ok_or(Error::Internal)?)?,
                cast_mut(output.get_mut(o).ok_or(Error::Internal)?)?,
            )),
            Pair::Together { bytes, input, output } => {
                let i = within(i, input)?;
                let o = within(o, output)?;
                if i.start == i.end {
                    // A window that lies in the padding reads nothing, wherever its empty range falls.
                    return Ok((&[], cast_mut(bytes.get_mut(o).ok_or(Error::Internal)?)?));
                }
                if o.end <= i.start {
                    let (low, high) = bytes.split_at_mut_checked(i.start).ok_or(Error::Internal)?;
                    let read = high.get(..i.end.wrapping_sub(i.start)).ok_or(Error::Internal)?;
                    Ok((cast(read)?, cast_mut(low.get_mut(o).ok_or(Error::Internal)?)?))
                } else if i.end <= o.start {
                    let (low, high) = bytes.split_at_mut_checked(o.start).ok_or(Error::Internal)?;
                    let write = high.get_mut(..o.end.wrapping_sub(o.start)).ok_or(Error::Internal)?;
                    Ok((cast(low.get(i).ok_or(Error::Internal)?)?, cast_mut(write)?))
                } else {
                    Err(Error::Overlap)
                }
            }
        }
    }

    /// All of the input's elements, for a kernel that reads some of them and only then writes; where both lie in one
    /// span, those may differ from the input's that the output has taken the place of.
    pub fn input<I: Pod>(&self) -> Result<&[I]> {
        match self {
            Pair::Apart { input, .. } => cast(input),
            Pair::Together { bytes, input, .. } => cast(bytes.get(input.clone()).ok_or(Error::Internal)?),
        }
    }

    /// The output's elements `output` to write, after what [`Pair::input`] gave has been read.
    pub fn output<O: Pod>(&mut self, output: Range<usize>) -> Result<&mut [O]> {
        let o = scaled::<O>(output)?;
        match self {
            Pair::Apart { output, .. } => cast_mut(output.get_mut(o).ok_or(Error::Internal)?),
            Pair::Together { bytes, output, .. } => {
                cast_mut(bytes.get_mut(within(o, output)?).ok_or(Error::Internal)?)
            }
        }
    }

    /// Element `at` of the input.
    pub fn read<I: Pod>(&self, at: usize) -> Result<I> {
        let size = size_of::<I>();
        let start = at.checked_mul(size).ok_or(Error::Internal)?;
        let end = start.checked_add(size).ok_or(Error::Internal)?;
        let bytes = match self {
            Pair::Apart { input, .. } => input.get(start..end),
            Pair::Together { bytes, input, .. } => bytes.get(within(start..end, input)?),
        };
        bytes.and_then(|b| bytemuck::try_pod_read_unaligned(b).ok()).ok_or(Error::Internal)
    }

    /// Sets element `at` of the output.
    pub fn write<O: Pod>(&mut self, at: usize, value: O) -> Result<()> {
        let size = size_of::<O>();
        let start = at.checked_mul(size).ok_or(Error::Internal)?;
        let end = start.checked_add(size).ok_or(Error::Internal)?;
        let slot = match self {
            Pair::Apart { output, .. } => output.get_mut(start..end),
            Pair::Together { bytes, output, .. } => bytes.get_mut(within(start..end, output)?),
        };
        let value = bytemuck::bytes_of(&value);
        match slot {
            Some(slot) if slot.len() == value.len() => {
                slot.copy_from_slice(value);
                Ok(())
            }
            _ => Err(Error::Internal),
        }
    }

    /// `output[k] = f(input[k])` for `k` in `0..count`, ascending: sound in place when an output element is
    /// no larger than an input element and the input does not start below the output.
    pub fn map<I: Pod, O: Pod>(&mut self, count: usize, mut f: impl FnMut(I) -> O) -> Result<()> {
        if let Pair::Apart { input, output } = self {
            let (input, output) = (cast::<I>(input)?, cast_mut::<O>(output)?);
            for (o, &i) in output.iter_mut().zip(input).take(count) {
                *o = f(i);
            }
            return Ok(());
        }
        for k in 0..count {
            let value = f(self.read::<I>(k)?);
            self.write::<O>(k, value)?;
        }
        Ok(())
    }

    /// Moves the input to the output byte by byte; nothing happens where both already coincide.
    pub fn copy(&mut self) -> Result<()> {
        match self {
            Pair::Apart { input, output } => {
                if input.len() != output.len() {
                    return Err(Error::Internal);
                }
                output.copy_from_slice(input);
            }
            Pair::Together { bytes, input, output } => {
                let fits =
                    input.len() == output.len() && input.end <= bytes.len() && output.end <= bytes.len();
                if !fits {
                    return Err(Error::Internal);
                }
                if input.start != output.start {
                    for k in 0..input.len() {
                        let b = bytes.get(input.start.wrapping_add(k)).copied().ok_or(Error::Internal)?;
                        *bytes.get_mut(output.start.wrapping_add(k)).ok_or(Error::Internal)? = b;
                    }
                }
            }
        }
        Ok(())
    }
}

fn scaled<T>(r: Range<usize>) -> Result<Range<usize>> {
    let size = size_of::<T>();
    match (r.start.checked_mul(size), r.end.checked_mul(size)) {
        (Some(start), Some(end)) if start <= end => Ok(start..end),
        _ => Err(Error::Internal),
    }
}

fn within(inner: Range<usize>, outer: &Range<usize>) -> Result<Range<usize>> {
    match (outer.start.checked_add(inner.start), outer.start.checked_add(inner.end)) {
        (Some(start), Some(end)) if end <= outer.end => Ok(start..end),
        _ => Err(Error::Internal),
    }
}

fn cast<T: Pod>(bytes: &[u8]) -> Result<&[T]> {
    bytemuck::try_cast_slice(bytes).map_err(|_| Error::Alignment)
}

fn cast_mut<T: Pod>(bytes: &mut [u8]) -> Result<&mut [T]> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| Error::Alignment)
}
