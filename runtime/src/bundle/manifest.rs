//! What a bundle says of itself: a list of `tag u16, length u32, value`, values in postcard.
//!
//! Tags are never reused. Unknown even tags are skipped, unknown odd ones refuse the load. Repeated tags are
//! lists in order. Growth is a new tag, never a field appended to a value.

use super::wire;
use crate::error::{Error, Result};

/// Most bytes of one value.
pub const MAX_VALUE: usize = 1 << 16;

/// Known tags. All are even: an older library may skip them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Tag {
    /// The model's name, a string.
    Name = 2,
    /// What it is for (`classification`, …), a string.
    Task = 4,
    /// Name of the next graph input, a string.
    Input = 6,
    /// Name of the next graph output, a string.
    Output = 8,
    /// The next class label of output 0, a string.
    Label = 10,
    /// SHA-256 over inputs, outputs, labels and preprocessing: what an application compiled against.
    Contract = 12,
    /// The target profile that it was packed for, a string.
    Target = 14,
}

impl Tag {
    /// All tags, in the order of their numbers.
    pub const ALL: [Tag; 7] =
        [Tag::Name, Tag::Task, Tag::Input, Tag::Output, Tag::Label, Tag::Contract, Tag::Target];
}

/// The validated section.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    bytes: &'a [u8],
}

impl<'a> Manifest<'a> {
    /// Checks framing, must-understand tags and every known value.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let manifest = Manifest { bytes };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, value, tail) = entry(rest)?;
            match Tag::ALL.into_iter().find(|&t| t as u16 == tag) {
                Some(Tag::Contract) if value.len() != 32 => return Err(Error::Manifest),
                Some(Tag::Contract) => {}
                Some(_) => {
                    string(value)?;
                }
                None if tag & 1 == 1 => return Err(Error::Manifest),
                None => {}
            }
            rest = tail;
        }
        Ok(manifest)
    }

    /// Values of a tag, in order; for strings.
    pub fn strings(&self, tag: Tag) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values(tag).filter_map(|v| string(v).ok())
    }

    /// The first string of a tag.
    pub fn string(&self, tag: Tag) -> Option<&'a str> {
        self.strings(tag).next()
    }

    /// The contract hash, where given.
    pub fn contract(&self) -> Option<[u8; 32]> {
        self.values(Tag::Contract).next().and_then(|v| v.first_chunk().copied())
    }

    fn values(&self, tag: Tag) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            loop {
                let (t, value, tail) = entry(rest).ok()?;
                rest = tail;
                if t == tag as u16 {
                    return Some(value);
                }
            }
        })
    }
}

/// The six bytes before a value.
pub fn emit_header(tag: Tag, len: u32) -> [u8; 6] {
    let mut out = [0u8; 6];
    wire::put(&mut out, 0, (tag as u16).to_le_bytes());
    wire::put(&mut out, 2, len.to_le_bytes());
    out
}

fn entry(bytes: &[u8]) -> Result<(u16, &[u8], &[u8])> {
    let tag = wire::u16(bytes, 0)?;
    let len = wire::u32(bytes, 2)? as usize;
    if len > MAX_VALUE {
        return Err(Error::Limit);
    }
    Ok((tag, wire::slice(bytes, 6, len)?, bytes.get(6 + len..).ok_or(Error::Truncated)?))
}

fn string(value: &[u8]) -> Result<&str> {
    match postcard::take_from_bytes::<&str>(value) {
        Ok((s, [])) => Ok(s),
        _ => Err(Error::Manifest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_tags_refuse_and_even_tags_are_skipped() {
        assert!(Manifest::parse(&[100, 0, 1, 0, 0, 0, 7]).is_ok());
        assert_eq!(Manifest::parse(&[101, 0, 0, 0, 0, 0]).unwrap_err(), Error::Manifest);
        assert_eq!(Manifest::parse(&[2, 0, 2, 0, 0, 0, 1, 0xff]).unwrap_err(), Error::Manifest);
        assert_eq!(Manifest::parse(&[2, 0, 9, 0, 0, 0, 1]).unwrap_err(), Error::Truncated);
        let m = Manifest::parse(&[6, 0, 2, 0, 0, 0, 1, b'a', 6, 0, 2, 0, 0, 0, 1, b'b']).unwrap();
        assert!(m.strings(Tag::Input).eq(["a", "b"]));
        assert_eq!(m.string(Tag::Name), None);
    }
}
