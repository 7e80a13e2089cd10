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

    /// From the wire's number; `None` where it is unknown.
    const fn from_wire(n: u16) -> Option<Self> {
        match n {
            2 => Some(Tag::Name),
            4 => Some(Tag::Task),
            6 => Some(Tag::Input),
            8 => Some(Tag::Output),
            10 => Some(Tag::Label),
            12 => Some(Tag::Contract),
            14 => Some(Tag::Target),
            _ => None,
        }
    }
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
            match Tag::from_wire(tag) {
                Some(Tag::Contract) if value.len() != 32 => return Err(Error::Manifest),
                Some(Tag::Contract) => {}
                Some(_) if !is_utf8(text(value)?) => return Err(Error::Manifest),
                Some(_) => {}
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
    core::str::from_utf8(text(value)?).map_err(|_| Error::Manifest)
}

/// The bytes of postcard's string: their number as a varint, then exactly these. [`MAX_VALUE`] keeps the number
/// within three bytes.
fn text(value: &[u8]) -> Result<&[u8]> {
    let (mut len, mut rest) = (0usize, value);
    let mut shift = 0;
    while shift < 3 * 7 {
        let (&byte, tail) = rest.split_first().ok_or(Error::Manifest)?;
        len |= usize::from(byte & 0x7f) << shift;
        rest = tail;
        if byte & 0x80 == 0 {
            return if len == rest.len() { Ok(rest) } else { Err(Error::Manifest) };
        }
        shift += 7;
    }
    Err(Error::Manifest)
}

/// Whether [`core::str::from_utf8`] takes the bytes, in a fifth of its code: it is made for long texts.
fn is_utf8(bytes: &[u8]) -> bool {
    let mut bytes = bytes.iter();
    while let Some(&lead) = bytes.next() {
        let (continuations, bits) = match lead {
            0..=0x7f => continue,
            0xc0..=0xdf => (1, lead & 0x1f),
            0xe0..=0xef => (2, lead & 0x0f),
            0xf0..=0xf7 => (3, lead & 0x07),
            _ => return false,
        };
        let mut code = u32::from(bits);
        for _ in 0..continuations {
            match bytes.next() {
                Some(&byte) if byte & 0xc0 == 0x80 => code = code << 6 | u32::from(byte & 0x3f),
                _ => return false,
            }
        }
        // Neither a surrogate nor beyond the last code point, and not longer than it needs to be.
        if char::from_u32(code).is_none_or(|c| c.len_utf8() != continuations + 1) {
            return false;
        }
    }
    true
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

    #[test]
    fn strings_are_those_that_postcard_reads() {
        let mut seen = [0u32; 2];
        for len in [0usize, 1, 5, 127, 128, 300, 16_383, 16_384, 65_000] {
            for stated in [len.wrapping_sub(1), len, len + 1, len + (1 << 14), len + (1 << 21)] {
                let mut value = std::vec![0u8; 10];
                let head = postcard::to_slice(&(stated as u32), &mut value).unwrap().len();
                value.truncate(head);
                value.resize(head + len, b'a');
                let expected = match postcard::take_from_bytes::<&str>(&value) {
                    Ok((s, [])) => Ok(s),
                    _ => Err(Error::Manifest),
                };
                assert_eq!(string(&value), expected);
                seen[usize::from(expected.is_ok())] += 1;
            }
        }
        assert_eq!(seen, [36, 9]);
        assert_eq!(text(&[0x80, 0x80, 0x80]), Err(Error::Manifest));
    }

    #[test]
    fn utf8_is_what_core_says_it_is() {
        let interesting =
            [0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1];
        let interesting: std::vec::Vec<u8> = interesting.into_iter().chain(0xec..=0xff).collect();
        let check = |bytes: &[u8]| {
            assert_eq!(is_utf8(bytes), core::str::from_utf8(bytes).is_ok(), "{bytes:x?}");
        };
        check(&[]);
        for a in 0..=255 {
            check(&[a]);
            for b in 0..=255 {
                check(&[a, b]);
                for &c in &interesting {
                    check(&[a, b, c]);
                    for &d in &interesting {
                        check(&[a, b, c, d]);
                    }
                }
            }
        }
    }
}
