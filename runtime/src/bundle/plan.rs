//! The plan: what runs, in which order, on which bytes.
//!
//! Header (64 bytes), tensor records (48 each), step records (16 each), operands (2 each, padded to 4),
//! attributes (each step's 4-aligned). Operands start with the graph's inputs and outputs; a step's are its
//! inputs, its outputs, then its scratch tensor or [`NO_TENSOR`].

use super::limits;
use super::wire;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::op::Rounding;
use crate::tensor::{Desc, Dtype, MAX_RANK, Place, Shape};

/// Bytes of the header.
pub const HEADER_LEN: usize = 64;
/// Bytes of a tensor record.
pub const TENSOR_LEN: usize = 48;
/// Bytes of a step record.
pub const STEP_LEN: usize = 16;
/// An absent operand.
pub const NO_TENSOR: u16 = u16::MAX;
/// Arena and weights need base addresses at a multiple of this.
pub const BASE_ALIGN: usize = 16;

/// Counts and totals.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | tensors |
/// | 4 | 4 | steps |
/// | 8 | 4 | operands |
/// | 12 | 4 | attribute bytes |
/// | 16 | 2 | graph inputs |
/// | 18 | 2 | graph outputs |
/// | 20 | 4 | arena bytes |
/// | 24 | 8 | multiply-accumulates of one run |
/// | 32 | 1 | rounding of integer steps, as a summary |
/// | 33 | 31 | zero |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Tensor records.
    pub tensors: u32,
    /// Step records.
    pub steps: u32,
    /// Operands.
    pub operands: u32,
    /// Attribute bytes.
    pub attributes: u32,
    /// Graph inputs.
    pub inputs: u16,
    /// Graph outputs.
    pub outputs: u16,
    /// Everything the caller provides: activations and scratch.
    pub arena: u32,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// The one rounding that integer steps use, or `None` where there are none.
    pub numeric: Rounding,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = wire::chunk::<HEADER_LEN>(bytes, 0)?;
        let h = Header {
            tensors: wire::u32(bytes, 0)?,
            steps: wire::u32(bytes, 4)?,
            operands: wire::u32(bytes, 8)?,
            attributes: wire::u32(bytes, 12)?,
            inputs: wire::u16(bytes, 16)?,
            outputs: wire::u16(bytes, 18)?,
            arena: wire::u32(bytes, 20)?,
            macs: wire::u64(bytes, 24)?,
            numeric: Rounding::from_wire(wire::u8(bytes, 32)?)?,
        };
        wire::zero(wire::slice(bytes, 33, HEADER_LEN - 33)?)?;
        let fits = h.tensors as usize <= limits::MAX_TENSORS
            && h.steps as usize <= limits::MAX_STEPS
            && h.operands as usize <= limits::MAX_OPERANDS
            && h.attributes as usize <= limits::MAX_ATTRIBUTES
            && h.inputs as usize <= limits::MAX_IO
            && h.outputs as usize <= limits::MAX_IO
            && h.macs <= limits::MAX_MACS
            && h.arena <= 1 << 30;
        if fits { Ok(h) } else { Err(Error::Limit) }
    }

    /// The counterpart of the parser.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        wire::put(&mut out, 0, self.tensors.to_le_bytes());
        wire::put(&mut out, 4, self.steps.to_le_bytes());
        wire::put(&mut out, 8, self.operands.to_le_bytes());
        wire::put(&mut out, 12, self.attributes.to_le_bytes());
        wire::put(&mut out, 16, self.inputs.to_le_bytes());
        wire::put(&mut out, 18, self.outputs.to_le_bytes());
        wire::put(&mut out, 20, self.arena.to_le_bytes());
        wire::put(&mut out, 24, self.macs.to_le_bytes());
        wire::put(&mut out, 32, [self.numeric as u8]);
        out
    }
}

/// A tensor's description and place.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | element type |
/// | 1 | 1 | rank |
/// | 2 | 1 | place |
/// | 3 | 1 | layout, 0 in the arena |
/// | 4 | 4 | offset in the arena or the weights |
/// | 8 | 4 | zero point |
/// | 12 | 4 | scale |
/// | 16 | 24 | dimensions, unused ones 1 |
/// | 40 | 8 | zero |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TensorRecord {
    /// Type, shape, quantization, place.
    pub desc: Desc,
    /// From the start of the arena or of the weights.
    pub offset: u32,
}

impl TensorRecord {
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn parse(bytes: &[u8; TENSOR_LEN]) -> Result<Self> {
        let dtype = Dtype::from_wire(wire::u8(bytes, 0)?)?;
        let place = match wire::u8(bytes, 2)? {
            0 => Place::Arena,
            1 => Place::Weights,
            _ => return Err(Error::Tensor),
        };
        if place == Place::Arena && dtype.is_constant_only() {
            return Err(Error::Dtype);
        }
        let layout = Layout::from_wire(wire::u8(bytes, 3)?)?;
        if layout != Layout::Dense && (place == Place::Arena || layout.dtype() != Some(dtype)) {
            return Err(Error::Dtype);
        }
        if wire::u64(bytes, 40)? != 0 {
            return Err(Error::Padding);
        }
        let scale = wire::u32(bytes, 12)?;
        // Negative ones have the sign bit; no float arithmetic, which is a library on some processors.
        if scale >= f32::INFINITY.to_bits() {
            return Err(Error::Quantization);
        }
        let scale = f32::from_bits(scale);
        let zero_point = wire::i32(bytes, 8)?;
        let offset = wire::u32(bytes, 4)?;
        // Kernels read other layouts in words.
        let align = if layout == Layout::Dense { dtype.size() } else { BASE_ALIGN };
        if offset & (align as u32 - 1) != 0 {
            return Err(Error::Alignment);
        }
        // They are there; 0 is no dimension.
        let dims = core::array::from_fn(|axis| wire::u32(bytes, 16 + 4 * axis).unwrap_or(0));
        let shape = Shape::padded(wire::u8(bytes, 1)? as usize, dims)?;
        Ok(TensorRecord { desc: Desc { dtype, shape, zero_point, scale, place, layout }, offset })
    }

    /// The counterpart of the parser.
    pub fn emit(&self) -> [u8; TENSOR_LEN] {
        let d = &self.desc;
        let mut out = [0u8; TENSOR_LEN];
        wire::put(&mut out, 0, [d.dtype as u8, d.shape.rank() as u8, d.place as u8, d.layout as u8]);
        wire::put(&mut out, 4, self.offset.to_le_bytes());
        wire::put(&mut out, 8, d.zero_point.to_le_bytes());
        wire::put(&mut out, 12, d.scale.to_bits().to_le_bytes());
        for axis in 0..MAX_RANK {
            wire::put(&mut out, 16 + 4 * axis, (d.shape.dim(axis) as u32).to_le_bytes());
        }
        out
    }

    /// Where its bytes start and end in the arena or the weights.
    pub fn range(&self) -> core::ops::Range<usize> {
        let start = self.offset as usize;
        start..start.saturating_add(self.desc.bytes())
    }
}

/// One step.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | operator |
/// | 2 | 1 | kernel |
/// | 3 | 1 | rounding |
/// | 4 | 4 | index of its first operand |
/// | 8 | 1 | inputs |
/// | 9 | 1 | outputs |
/// | 10 | 2 | attribute bytes |
/// | 12 | 4 | offset of its attributes |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepRecord {
    /// Operator code.
    pub op: u16,
    /// Kernel id.
    pub kernel: u8,
    /// How it rounds.
    pub rounding: Rounding,
    /// Index of its first operand.
    pub operands: u32,
    /// Input operands, absent ones included.
    pub inputs: u8,
    /// Output operands.
    pub outputs: u8,
    /// Attribute bytes.
    pub attribute_len: u16,
    /// Where in the plan's attributes they start.
    pub attributes: u32,
}

impl StepRecord {
    fn parse(bytes: &[u8; STEP_LEN]) -> Result<Self> {
        Ok(StepRecord {
            op: wire::u16(bytes, 0)?,
            kernel: wire::u8(bytes, 2)?,
            rounding: Rounding::from_wire(wire::u8(bytes, 3)?)?,
            operands: wire::u32(bytes, 4)?,
            inputs: wire::u8(bytes, 8)?,
            outputs: wire::u8(bytes, 9)?,
            attribute_len: wire::u16(bytes, 10)?,
            attributes: wire::u32(bytes, 12)?,
        })
    }

    /// The counterpart of the parser.
    pub fn emit(&self) -> [u8; STEP_LEN] {
        let mut out = [0u8; STEP_LEN];
        wire::put(&mut out, 0, self.op.to_le_bytes());
        wire::put(&mut out, 2, [self.kernel, self.rounding as u8]);
        wire::put(&mut out, 4, self.operands.to_le_bytes());
        wire::put(&mut out, 8, [self.inputs, self.outputs]);
        wire::put(&mut out, 10, self.attribute_len.to_le_bytes());
        wire::put(&mut out, 12, self.attributes.to_le_bytes());
        out
    }
}

/// A plan's bytes, sliced by their header. Records are validated when read; [`crate::Session::load`] reads all.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Counts and totals.
    pub header: Header,
    tensors: &'a [u8],
    steps: &'a [u8],
    operands: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Plan<'a> {
    /// Checks the header and that the four tables fill the section.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let header = Header::parse(bytes)?;
        let mut rest = bytes.get(HEADER_LEN..).ok_or(Error::Truncated)?;
        let plan = Plan {
            header,
            tensors: table(&mut rest, header.tensors, TENSOR_LEN)?,
            steps: table(&mut rest, header.steps, STEP_LEN)?,
            operands: table(&mut rest, header.operands, 2)?,
            attributes: table(&mut rest, header.attributes, 1)?,
        };
        if rest.is_empty() { Ok(plan) } else { Err(Error::Length) }
    }

    /// Tensor `id`.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn tensor(&self, id: u16) -> Result<TensorRecord> {
        let at = id as usize * TENSOR_LEN;
        TensorRecord::parse(wire::chunk(self.tensors, at).map_err(|_| Error::Operand)?)
    }

    /// Step `i`.
    pub fn step(&self, i: usize) -> Result<StepRecord> {
        StepRecord::parse(wire::chunk(self.steps, i.wrapping_mul(STEP_LEN)).map_err(|_| Error::Index)?)
    }

    /// Operand `i` of the whole list, `None` where it is absent.
    pub fn operand(&self, i: usize) -> Result<Option<u16>> {
        let id =
            wire::u16(self.operands, i.checked_mul(2).ok_or(Error::Operand)?).map_err(|_| Error::Operand)?;
        Ok(if id == NO_TENSOR { None } else { Some(id) })
    }

    /// `count` operands from `first` on, as the wire has them.
    pub(crate) fn operands(&self, first: u32, count: usize) -> Result<&'a [[u8; 2]]> {
        let (operands, _) = self.operands.as_chunks::<2>();
        let rest = operands.get(first as usize..).ok_or(Error::Operand)?;
        rest.get(..count).ok_or(Error::Operand)
    }

    /// Tensor id of graph input `i`.
    pub fn input(&self, i: usize) -> Result<u16> {
        if i >= self.header.inputs as usize {
            return Err(Error::Index);
        }
        self.operand(i)?.ok_or(Error::Operand)
    }

    /// Tensor id of graph output `i`.
    pub fn output(&self, i: usize) -> Result<u16> {
        if i >= self.header.outputs as usize {
            return Err(Error::Index);
        }
        self.operand(self.header.inputs as usize + i)?.ok_or(Error::Operand)
    }

    /// Graph inputs and outputs.
    pub fn publics(&self) -> usize {
        self.header.inputs as usize + self.header.outputs as usize
    }

    /// Graph input or output `i`, inputs first, which lies in the arena.
    pub fn public(&self, i: usize) -> Result<TensorRecord> {
        self.computed(self.operand(i)?.ok_or(Error::Operand)?)
    }

    /// Tensor `id`, which lies in the arena.
    pub fn computed(&self, id: u16) -> Result<TensorRecord> {
        let tensor = self.tensor(id);
        match &tensor {
            Ok(t) if t.desc.place != Place::Arena => Err(Error::Operand),
            _ => tensor,
        }
    }

    /// A step's attributes.
    pub fn attributes(&self, step: &StepRecord) -> Result<&'a [u8]> {
        wire::slice(self.attributes, step.attributes as usize, step.attribute_len as usize)
            .map_err(|_| Error::Attribute)
    }
}

/// Takes a table of `count` records of `size` bytes and the zeros after it, up to a multiple of 4 bytes or the end.
fn table<'a>(rest: &mut &'a [u8], count: u32, size: usize) -> Result<&'a [u8]> {
    let len = count as usize * size;
    let (table, tail) = rest.split_at_checked(len).ok_or(Error::Truncated)?;
    let (padding, tail) = tail.split_at_checked(len.wrapping_neg() & 3).unwrap_or((tail, &[]));
    wire::zero(padding)?;
    *rest = tail;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_only_types_in_the_arena() {
        for dtype in Dtype::ALL {
            let desc = Desc::new(dtype, Shape::new(&[3, 5]).unwrap());
            let read = |place| {
                let record = TensorRecord { desc: Desc { place, ..desc }, offset: 16 };
                TensorRecord::parse(&record.emit()).map(|r| (r, record))
            };
            let (parsed, record) = read(Place::Weights).unwrap();
            assert_eq!(parsed, record);
            assert_eq!(parsed.range(), 16..16 + desc.bytes());
            assert_eq!(read(Place::Arena).err(), dtype.is_constant_only().then_some(Error::Dtype));
        }
    }

    #[test]
    fn weights_that_kernels_read_in_words_start_at_sixteen_bytes() {
        let desc = Desc { place: Place::Weights, ..Desc::new(Dtype::I8, Shape::new(&[4, 4]).unwrap()) };
        for (layout, offset, error) in [
            (Layout::Dense, 8, None),
            (Layout::Pairs, 8, Some(Error::Alignment)),
            (Layout::PlanesLast, 1, Some(Error::Alignment)),
            (Layout::Pairs, 32, None),
        ] {
            let record = TensorRecord { desc: Desc { layout, ..desc }, offset };
            assert_eq!(TensorRecord::parse(&record.emit()).err(), error, "{layout:?} {offset}");
        }
    }
}
