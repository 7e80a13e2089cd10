//! Bytes at an address that every bundle and arena may have, for programs with an allocator.

use std::vec::Vec;

/// Suits the widest vector loads; no integer type promises it on every target (u128 has 8 on 32-bit Arm).
const ALIGN: usize = 64;

/// Owned bytes that start at a multiple of 64.
#[derive(Debug)]
pub struct AlignedBytes {
    /// With room to start later; never grown, so the start stays where it is.
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// A private copy.
    pub fn new(bytes: &[u8]) -> Self {
        let mut aligned = AlignedBytes::zeros(bytes.len());
        aligned.copy_from_slice(bytes);
        aligned
    }

    /// So many zeros: an arena.
    pub fn zeros(len: usize) -> Self {
        let room = std::vec![0; len + ALIGN - 1];
        let start = room.as_ptr().align_offset(ALIGN);
        AlignedBytes { room, start, len }
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        // The copy's allocation starts elsewhere.
        AlignedBytes::new(self)
    }
}

impl core::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..self.start + self.len]
    }
}

impl core::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_whatever_their_length_and_after_cloning() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
            for aligned in [AlignedBytes::new(&data), AlignedBytes::new(&data).clone()] {
                assert_eq!(aligned[..], data);
                assert_eq!(aligned.as_ptr().align_offset(ALIGN), 0);
            }
        }
    }
}
