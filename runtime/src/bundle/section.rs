//! The content's table of sections: a count, then 24-byte records: kind u16, family u16, zeros, offset u64, length u64.
//! Offsets ascend, and so do kinds and, within a kind, families; so no two records say the same.

use super::family::Family;
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
    /// A [`Family`]'s number where a bundle has several plans, with a section of weights and names for each; else 0.
    pub family: u16,
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
        wire::put(&mut out, 2, self.family.to_le_bytes());
        wire::put(&mut out, 8, self.offset.to_le_bytes());
        wire::put(&mut out, 16, self.len.to_le_bytes());
        out
    }

    /// Record `i` of the table at the content's start.
    fn parse(content: &[u8], i: usize) -> Result<Self> {
        let bytes = wire::chunk::<RECORD_LEN>(content, TABLE_HEADER_LEN + i * RECORD_LEN)?;
        wire::zero(wire::slice(bytes, 4, 4)?)?;
        Ok(Section {
            kind: wire::u16(bytes, 0)?,
            family: wire::u16(bytes, 2)?,
            offset: wire::u64(bytes, 8)?,
            len: wire::u64(bytes, 16)?,
        })
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
    family: Family,
}

impl<'a> Sections<'a> {
    /// Checks count, order, alignment, ranges, and that every byte outside the sections is zero. Where the bundle has
    /// several plans, [`Sections::get`] gives this family's.
    pub fn parse(content: &'a [u8], family: Family) -> Result<Self> {
        let count = wire::u32(content, 0)? as usize;
        wire::zero(wire::slice(content, 4, TABLE_HEADER_LEN - 4)?)?;
        if count > limits::MAX_SECTIONS {
            return Err(Error::Limit);
        }
        let mut end = TABLE_HEADER_LEN + count * RECORD_LEN;
        wire::slice(content, 0, end)?;
        let sections = Sections { content, count, family };
        let mut least = 0u32;
        for i in 0..count {
            let s = Section::parse(content, i)?;
            let offset = usize::try_from(s.offset).map_err(|_| Error::Section)?;
            let len = usize::try_from(s.len).map_err(|_| Error::Section)?;
            let stop = offset.checked_add(len).ok_or(Error::Section)?;
            if offset < end || offset & (SECTION_ALIGN - 1) != 0 || stop > content.len() {
                return Err(Error::Section);
            }
            let key = u32::from(s.kind) << 16 | u32::from(s.family);
            if key < least {
                return Err(Error::Section);
            }
            least = key.saturating_add(1);
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

    /// The bytes of the section of this kind: the family's own, else the first, which is any family's where there is one.
    pub fn get(&self, kind: Kind) -> Option<&'a [u8]> {
        let mut found = None;
        for s in self.iter().filter(|s| s.kind == kind as u16) {
            if found.is_none() || s.family == self.family as u16 {
                found = Some(s);
            }
        }
        let s = found?;
        wire::slice(self.content, s.offset as usize, s.len as usize).ok()
    }

    /// As [`Sections::get`], for a section that must be there.
    pub fn require(&self, kind: Kind) -> Result<&'a [u8]> {
        self.get(kind).ok_or(Error::Missing)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// A content whose sections of eight bytes each say which they are.
    fn content(records: &[(Kind, u16)]) -> Vec<u8> {
        let mut content = emit_table_header(records.len() as u32).to_vec();
        for (i, &(kind, family)) in records.iter().enumerate() {
            let (kind, offset) = (kind as u16, ((i + 3) * SECTION_ALIGN) as u64);
            content.extend(Section { kind, family, offset, len: 8 }.emit());
        }
        for i in 0..records.len() {
            content.resize((i + 3) * SECTION_ALIGN, 0);
            content.extend([i as u8 + 1; 8]);
        }
        content
    }

    #[test]
    fn a_family_gets_its_own_section_or_the_first() {
        let content = content(&[(Kind::Plan, 1), (Kind::Plan, 3), (Kind::Weights, 0), (Kind::Weights, 3)]);
        let first = |family, kind| Sections::parse(&content, family).unwrap().get(kind).map(|bytes| bytes[0]);
        assert_eq!(first(Family::Pairs, Kind::Plan), Some(2));
        assert_eq!(first(Family::Folded, Kind::Plan), Some(1));
        assert_eq!(first(Family::Pairs, Kind::Weights), Some(4));
        assert_eq!(first(Family::Dot, Kind::Weights), Some(3));
        assert_eq!(first(Family::Dot, Kind::Golden), None);
    }

    #[test]
    fn twice_the_same_kind_of_a_family_is_refused() {
        let same = content(&[(Kind::Plan, 3), (Kind::Plan, 3)]);
        let falling = content(&[(Kind::Plan, 3), (Kind::Plan, 1)]);
        for wrong in [same, falling] {
            assert_eq!(Sections::parse(&wrong, Family::Any).unwrap_err(), Error::Section);
        }
    }
}
