//! Golden vectors: inputs and the outputs that every device must give.
//!
//! Header: vectors u32, outputs u32; then per output an absolute and a relative tolerance (f32, both 0 for
//! integers). Then per vector each input and each output, in graph order, each padded with zeros to 4 bytes.

use super::limits;
use super::plan::Plan;
use super::wire;
use crate::error::{Error, Result};

/// Bytes before the tolerances.
pub const HEADER_LEN: usize = 8;
/// Bytes of one tolerance.
const TOLERANCE_LEN: usize = 8;

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
    pub fn emit(&self) -> [u8; TOLERANCE_LEN] {
        let mut out = [0u8; TOLERANCE_LEN];
        wire::put(&mut out, 0, self.absolute.to_bits().to_le_bytes());
        wire::put(&mut out, 4, self.relative.to_bits().to_le_bytes());
        out
    }
}

/// The section, its size checked against the plan's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    tolerances: &'a [u8],
    data: &'a [u8],
    vectors: usize,
    stride: usize,
}

impl<'a> Golden<'a> {
    /// Checks counts, tolerances and the exact length.
    pub fn parse(bytes: &'a [u8], plan: &Plan<'_>) -> Result<Self> {
        let vectors = wire::u32(bytes, 0)? as usize;
        let outputs = plan.header.outputs as usize;
        if vectors > limits::MAX_GOLDEN || wire::u32(bytes, 4)? as usize != outputs {
            return Err(Error::Limit);
        }
        let mut stride = 0usize;
        for i in 0..plan.publics() {
            let tensor = plan.public(i);
            let bytes = tensor.as_ref().map_err(|&e| e)?.desc.bytes();
            stride = stride.checked_add(padded(bytes)).ok_or(Error::Length)?;
        }
        let tolerances = wire::slice(bytes, HEADER_LEN, TOLERANCE_LEN * outputs)?;
        let data = bytes.get(HEADER_LEN + tolerances.len()..).unwrap_or(&[]);
        if stride.checked_mul(vectors) != Some(data.len()) {
            return Err(Error::Length);
        }
        let golden = Golden { tolerances, data, vectors, stride };
        for o in 0..outputs {
            let t = golden.tolerance(o)?;
            // Finite, without the sign bit; no float arithmetic, which is a library on some processors.
            let infinite = f32::INFINITY.to_bits();
            if t.absolute.to_bits() >= infinite || t.relative.to_bits() >= infinite {
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
        let bytes = wire::chunk::<TOLERANCE_LEN>(self.tolerances, TOLERANCE_LEN.wrapping_mul(o))?;
        Ok(Tolerance {
            absolute: f32::from_bits(wire::u32(bytes, 0)?),
            relative: f32::from_bits(wire::u32(bytes, 4)?),
        })
    }

    /// Vector `v`: its inputs, then its expected outputs, in graph order.
    pub fn vector(&self, v: usize) -> Result<Vector<'a>> {
        if v >= self.vectors {
            return Err(Error::Index);
        }
        wire::slice(self.data, v * self.stride, self.stride).map(Vector)
    }
}

/// What is left of a vector.
#[derive(Clone, Debug)]
pub struct Vector<'a>(&'a [u8]);

impl<'a> Vector<'a> {
    /// Bytes of the next input or output, of the size that its tensor has.
    pub fn next(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(padded(bytes)).ok_or(Error::Index)?;
        self.0 = rest;
        part.get(..bytes).ok_or(Error::Index)
    }
}

/// Bytes of a tensor's data in a vector.
pub fn padded(bytes: usize) -> usize {
    bytes.wrapping_add(3) & !3
}
