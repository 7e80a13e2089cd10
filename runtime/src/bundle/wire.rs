//! Little-endian reads that cannot panic.
//!
//! Records are taken from their table as a [`chunk`] of known length first: reads at fixed offsets of it need no
//! checks, which is most of a small loader's code.

use crate::error::{Error, Result};

#[inline(always)]
pub(crate) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<&[u8; N]> {
    let tail = bytes.get(at..).ok_or(Error::Truncated)?;
    tail.first_chunk::<N>().ok_or(Error::Truncated)
}

#[inline(always)]
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    chunk(bytes, at).copied()
}

#[inline(always)]
pub(crate) fn u8(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or(Error::Truncated)
}

#[inline(always)]
pub(crate) fn u16(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

#[inline(always)]
pub(crate) fn u32(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

#[inline(always)]
pub(crate) fn i32(bytes: &[u8], at: usize) -> Result<i32> {
    array(bytes, at).map(i32::from_le_bytes)
}

#[inline(always)]
pub(crate) fn u64(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(crate) fn slice(bytes: &[u8], at: usize, len: usize) -> Result<&[u8]> {
    let end = at.checked_add(len).ok_or(Error::Truncated)?;
    bytes.get(at..end).ok_or(Error::Truncated)
}

pub(crate) fn zero(bytes: &[u8]) -> Result<()> {
    if bytes.iter().all(|&b| b == 0) { Ok(()) } else { Err(Error::Padding) }
}

/// Fills `out` from `at`; emitters write fixed layouts, so a mismatch is a bug that their round-trip tests show.
pub(crate) fn put<const N: usize>(out: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(slot) = out.get_mut(at..).and_then(|tail| tail.first_chunk_mut::<N>()) {
        *slot = value;
    }
}
