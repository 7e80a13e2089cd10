//! The content's table of sections: a count, then 24-byte records in ascending order of offset.

use super::limits;
use super::wire;
use crate::error::{Error, Result};

/// Bytes before the first record.
pub const TABLE_HEADER_LEN: usize = 16;
/// Bytes of one record.
pub const RECORD_LEN: usize = 24;
/// Sections start at a multiple of this.
pub const SECTION_ALIGN: usize = 64;

/// What a section holds. The numbers are the wire's; unknown ones are carried and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// Name, version, inputs, outputs, labels: [`super::manifest`].
    Manifest = 1,
    /// Tensors and steps: [`super::plan`].
    Plan = 2,
    /// Constants, read in place.
    Weights = 3,
    /// Inputs with expected outputs: [`super::golden`].
    Golden = 4,
    /// Licence, lineage, report; JSON, never parsed by a device.
    Card = 5,
    /// Names of tensors and steps for people; never needed by a device.
    Names = 6,
    /// Histogram edges and reference counts of inputs and outputs.
    Baseline = 7,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 7] =
        [Kind::Manifest, Kind::Plan, Kind::Weights, Kind::Golden, Kind::Card, Kind::Names, Kind::Baseline];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Manifest => "manifest",
            Kind::Plan => "plan",
            Kind::Weights => "weights",
            Kind::Golden => "golden",
            Kind::Card => "card",
            Kind::Names => "names",
            Kind::Baseline => "baseline",
        }
    }
}

/// One record of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// A [`Kind`]'s number, or one that this library does not know.
    pub kind: u16,
    /// From the start of the content.
    pub offset: u64,
    /// Bytes, without padding.
    pub len: u64,
}

impl Section {
    /// The counterpart of the table's parser.
    pub fn emit(&self) -> [u8; RECORD_LEN] {
        let mut out = [0u8; RECORD_LEN];
        wire::put(&mut out, 0, self.kind.to_le_bytes());
        wire::put(&mut out, 8, self.offset.to_le_bytes());
        wire::put(&mut out, 16, self.len.to_le_bytes());
        out
    }

    /// Record `i` of the table at the content's start.
    fn parse(content: &[u8], i: usize) -> Result<Self> {
        let bytes = wire::chunk::<RECORD_LEN>(content, TABLE_HEADER_LEN + i * RECORD_LEN)?;
        wire::zero(wire::slice(bytes, 2, 6)?)?;
        Ok(Section { kind: wire::u16(bytes, 0)?, offset: wire::u64(bytes, 8)?, len: wire::u64(bytes, 16)? })
    }
}

/// The header before the records.
pub fn emit_table_header(count: u32) -> [u8; TABLE_HEADER_LEN] {
    let mut out = [0u8; TABLE_HEADER_LEN];
    wire::put(&mut out, 0, count.to_le_bytes());
    out
}

/// The validated table of a content.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'a> {
    content: &'a [u8],
    count: usize,
}

impl<'a> Sections<'a> {
    /// Checks count, order, alignment, ranges, at most one of each known kind, and that every byte outside
    /// the sections is zero.
    pub fn parse(content: &'a [u8]) -> Result<Self> {
        let count = wire::u32(content, 0)? as usize;
        wire::zero(wire::slice(content, 4, TABLE_HEADER_LEN - 4)?)?;
        if count > limits::MAX_SECTIONS {
            return Err(Error::Limit);
        }
        let mut end = TABLE_HEADER_LEN + count * RECORD_LEN;
        wire::slice(content, 0, end)?;
        let sections = Sections { content, count };
        let mut seen = 0u32;
        for i in 0..count {
            let s = Section::parse(content, i)?;
            let offset = usize::try_from(s.offset).map_err(|_| Error::Section)?;
            let len = usize::try_from(s.len).map_err(|_| Error::Section)?;
            let stop = offset.checked_add(len).ok_or(Error::Section)?;
            if offset < end || offset & (SECTION_ALIGN - 1) != 0 || stop > content.len() {
                return Err(Error::Section);
            }
            // All known kinds are below 32.
            let bit = 1u32.checked_shl(u32::from(s.kind)).unwrap_or(0);
            if seen & bit != 0 {
                return Err(Error::Section);
            }
            seen |= bit;
            wire::zero(wire::slice(content, end, offset - end)?)?;
            end = stop;
        }
        wire::zero(content.get(end..).ok_or(Error::Truncated)?)?;
        Ok(sections)
    }

    /// All records, in order of offset.
    pub fn iter(&self) -> impl Iterator<Item = Section> + use<'a> {
        let content = self.content;
        (0..self.count).filter_map(move |i| Section::parse(content, i).ok())
    }

    /// The bytes of the section of this kind.
    pub fn get(&self, kind: Kind) -> Option<&'a [u8]> {
        let s = self.iter().find(|s| s.kind == kind as u16)?;
        wire::slice(self.content, s.offset as usize, s.len as usize).ok()
    }

    /// As [`Sections::get`], for a section that must be there.
    pub fn require(&self, kind: Kind) -> Result<&'a [u8]> {
        self.get(kind).ok_or(Error::Missing)
    }
}
