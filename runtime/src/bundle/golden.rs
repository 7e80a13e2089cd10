//! Golden vectors: inputs and the outputs that every device must give.
//!
//! Header: vectors u32, outputs u32; then per output an absolute and a relative tolerance (f32, both 0 for
//! integers). Then per vector each input and each output, in graph order, each padded with zeros to 4 bytes.

use super::limits;
use super::plan::Plan;
use super::wire;
use crate::error::{Error, Result};
use crate::tensor::Desc;

/// Bytes before the tolerances.
pub const HEADER_LEN: usize = 8;

/// The header's bytes.
pub fn emit_header(vectors: u32, outputs: u32) -> [u8; HEADER_LEN] {
    let mut out = [0u8; HEADER_LEN];
    wire::put(&mut out, 0, vectors.to_le_bytes());
    wire::put(&mut out, 4, outputs.to_le_bytes());
    out
}

/// `|got - expected| <= absolute + relative * |expected|`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerance {
    /// In output units.
    pub absolute: f32,
    /// A factor.
    pub relative: f32,
}

impl Tolerance {
    /// The wire's bytes.
    pub fn emit(&self) -> [u8; 8] {
        let mut out = [0u8; 8];
        wire::put(&mut out, 0, self.absolute.to_bits().to_le_bytes());
        wire::put(&mut out, 4, self.relative.to_bits().to_le_bytes());
        out
    }
}

/// The section, its size checked against the plan's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    bytes: &'a [u8],
    plan: Plan<'a>,
    vectors: usize,
    stride: usize,
}

impl<'a> Golden<'a> {
    /// Checks counts, tolerances and the exact length.
    pub fn parse(bytes: &'a [u8], plan: Plan<'a>) -> Result<Self> {
        let vectors = wire::u32(bytes, 0)? as usize;
        if vectors > limits::MAX_GOLDEN || wire::u32(bytes, 4)? != u32::from(plan.header.outputs) {
            return Err(Error::Limit);
        }
        let (inputs, outputs) = (plan.header.inputs as usize, plan.header.outputs as usize);
        let mut stride = 0usize;
        for i in 0..inputs + outputs {
            stride = stride.checked_add(padded(&operand(&plan, i)?)).ok_or(Error::Length)?;
        }
        let golden = Golden { bytes, plan, vectors, stride };
        let size = stride.checked_mul(vectors).and_then(|n| n.checked_add(golden.start()));
        if size != Some(bytes.len()) {
            return Err(Error::Length);
        }
        for o in 0..outputs {
            let t = golden.tolerance(o)?;
            if !(t.absolute >= 0.0 && t.relative >= 0.0 && t.absolute.is_finite() && t.relative.is_finite()) {
                return Err(Error::Limit);
            }
        }
        Ok(golden)
    }

    /// How many vectors there are.
    pub fn vectors(&self) -> usize {
        self.vectors
    }

    /// Tolerance of output `o`.
    pub fn tolerance(&self, o: usize) -> Result<Tolerance> {
        let at = HEADER_LEN + 8 * o;
        Ok(Tolerance {
            absolute: f32::from_bits(wire::u32(self.bytes, at)?),
            relative: f32::from_bits(wire::u32(self.bytes, at + 4)?),
        })
    }

    /// Bytes of input `i` of vector `v`.
    pub fn input(&self, v: usize, i: usize) -> Result<&'a [u8]> {
        if i >= self.plan.header.inputs as usize {
            return Err(Error::Index);
        }
        self.part(v, i)
    }

    /// Expected bytes of output `o` of vector `v`.
    pub fn output(&self, v: usize, o: usize) -> Result<&'a [u8]> {
        if o >= self.plan.header.outputs as usize {
            return Err(Error::Index);
        }
        self.part(v, self.plan.header.inputs as usize + o)
    }

    fn start(&self) -> usize {
        HEADER_LEN + 8 * self.plan.header.outputs as usize
    }

    fn part(&self, v: usize, part: usize) -> Result<&'a [u8]> {
        if v >= self.vectors {
            return Err(Error::Index);
        }
        let mut at = self.start() + v * self.stride;
        for i in 0..part {
            at += padded(&operand(&self.plan, i)?);
        }
        wire::slice(self.bytes, at, operand(&self.plan, part)?.bytes())
    }
}

/// Bytes of a tensor's data in a vector.
pub fn padded(desc: &Desc) -> usize {
    desc.bytes().next_multiple_of(4)
}

fn operand(plan: &Plan<'_>, i: usize) -> Result<Desc> {
    let id = plan.operand(i)?.ok_or(Error::Operand)?;
    Ok(plan.tensor(id)?.desc)
}
