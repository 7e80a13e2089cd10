//! The first bytes of a bundle: identity, sizes, and the hash that everything else hangs on.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `SAMARA\r\n` |
//! | 8 | 2 | format, 1 |
//! | 10 | 1 | log2 of the chunk size, 12 to 20 |
//! | 11 | 1 | signature slots, 0 to 8 |
//! | 12 | 4 | zero |
//! | 16 | 8 | content length |
//! | 24 | 32 | SHA-256 of the chunk table |
//! | 56 | 32 | SHA-256 of the model's name |
//! | 88 | 12 | version: major, minor, patch |
//! | 100 | 4 | security counter |
//! | 104 | 32 | device class, ASCII padded with zeros |
//! | 136 | 24 | zero |

use super::limits;
use super::wire;
use crate::error::{Error, Result};

/// Bytes of the prefix.
pub const PREFIX_LEN: usize = 160;
/// Bytes of a signature slot: key id and signature.
pub const SLOT_LEN: usize = 96;
/// Bytes of one chunk's hash.
pub const HASH_LEN: usize = 32;
/// Content starts at a multiple of this, so that weights stay aligned in flash.
pub const CONTENT_ALIGN: usize = 64;

const MAGIC: [u8; 8] = *b"SAMARA\r\n";
const FORMAT: u16 = 1;

/// A model's version, compared in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Version {
    /// Incompatible change of the contract.
    pub major: u32,
    /// Compatible change.
    pub minor: u32,
    /// Correction.
    pub patch: u32,
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What is signed. On a microcontroller this is the whole manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// log2 of the chunk size.
    pub chunk_log2: u8,
    /// Signature slots that follow, used or not.
    pub slots: u8,
    /// Bytes of content after the chunk table and its padding.
    pub content_len: u64,
    /// SHA-256 of the chunk table.
    pub table_hash: [u8; HASH_LEN],
    /// SHA-256 of the model's name.
    pub name_hash: [u8; HASH_LEN],
    /// The model's version.
    pub version: Version,
    /// Raised when older versions must never run again.
    pub security_counter: u32,
    /// Device class that the bundle was packed for, ASCII padded with zeros; all zero for any.
    pub class: [u8; 32],
}

impl Prefix {
    /// Checks magic, format and limits; says nothing about authenticity.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = wire::chunk::<PREFIX_LEN>(bytes, 0)?;
        if wire::array::<8>(bytes, 0)? != MAGIC {
            return Err(Error::Magic);
        }
        if wire::u16(bytes, 8)? != FORMAT {
            return Err(Error::Format);
        }
        if wire::u32(bytes, 12)? != 0 {
            return Err(Error::Padding);
        }
        wire::zero(wire::slice(bytes, 136, 24)?)?;
        let prefix = Prefix {
            chunk_log2: wire::u8(bytes, 10)?,
            slots: wire::u8(bytes, 11)?,
            content_len: wire::u64(bytes, 16)?,
            table_hash: wire::array(bytes, 24)?,
            name_hash: wire::array(bytes, 56)?,
            version: Version {
                major: wire::u32(bytes, 88)?,
                minor: wire::u32(bytes, 92)?,
                patch: wire::u32(bytes, 96)?,
            },
            security_counter: wire::u32(bytes, 100)?,
            class: wire::array(bytes, 104)?,
        };
        let fits = limits::CHUNK_LOG2.contains(&prefix.chunk_log2)
            && prefix.slots as usize <= limits::MAX_SIGNATURES
            && (1..=limits::MAX_CONTENT).contains(&prefix.content_len);
        if fits { Ok(prefix) } else { Err(Error::Limit) }
    }

    /// The counterpart of [`Prefix::parse`].
    pub fn emit(&self) -> [u8; PREFIX_LEN] {
        let mut out = [0u8; PREFIX_LEN];
        wire::put(&mut out, 0, MAGIC);
        wire::put(&mut out, 8, FORMAT.to_le_bytes());
        wire::put(&mut out, 10, [self.chunk_log2, self.slots]);
        wire::put(&mut out, 16, self.content_len.to_le_bytes());
        wire::put(&mut out, 24, self.table_hash);
        wire::put(&mut out, 56, self.name_hash);
        wire::put(&mut out, 88, self.version.major.to_le_bytes());
        wire::put(&mut out, 92, self.version.minor.to_le_bytes());
        wire::put(&mut out, 96, self.version.patch.to_le_bytes());
        wire::put(&mut out, 100, self.security_counter.to_le_bytes());
        wire::put(&mut out, 104, self.class);
        out
    }

    /// Number of chunks of the content.
    pub fn chunks(&self) -> usize {
        (self.content_len as usize).div_ceil(1 << self.chunk_log2)
    }

    /// Where the signature slots start and end.
    pub fn slots_range(&self) -> core::ops::Range<usize> {
        PREFIX_LEN..PREFIX_LEN + self.slots as usize * SLOT_LEN
    }

    /// Where the chunk table starts and ends.
    pub fn table_range(&self) -> core::ops::Range<usize> {
        let start = self.slots_range().end;
        start..start + self.chunks() * HASH_LEN
    }

    /// Where the content starts: after the table, at a multiple of [`CONTENT_ALIGN`].
    pub fn content_start(&self) -> usize {
        self.table_range().end.next_multiple_of(CONTENT_ALIGN)
    }

    /// Length of the whole file.
    pub fn file_len(&self) -> usize {
        self.content_start() + self.content_len as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_limits() {
        let p = Prefix {
            chunk_log2: 12,
            slots: 4,
            content_len: 5000,
            table_hash: [1; 32],
            name_hash: [2; 32],
            version: Version { major: 1, minor: 2, patch: 3 },
            security_counter: 9,
            class: [b'a'; 32],
        };
        assert_eq!(Prefix::parse(&p.emit()), Ok(p));
        assert_eq!((p.chunks(), p.content_start() % 64), (2, 0));
        for (at, value, error) in [
            (0, b'X', Error::Magic),
            (8, 2, Error::Format),
            (10, 11, Error::Limit),
            (11, 9, Error::Limit),
            (12, 1, Error::Padding),
            (23, 1, Error::Limit),
            (159, 1, Error::Padding),
        ] {
            let mut bytes = p.emit();
            bytes[at] = value;
            assert_eq!(Prefix::parse(&bytes), Err(error), "byte {at}");
        }
        assert_eq!(Prefix::parse(&p.emit()[..159]), Err(Error::Truncated));
    }
}
