//! One pixel times a range of output channels, two channels at a time: fully connected layers, and what four pixels
//! leave over. Weights as in [`super::four`]; 14 instructions, eight words loaded, for 16 products.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::offset_of;

use super::text::{constants_single, constants_tflite, level_single, level_tflite};

/// What the loop reads and advances. All pointers but `sums` and `output` are to words.
#[repr(C)]
#[derive(Debug)]
pub(super) struct One {
    /// Two biases per pair of channels.
    pub(super) bias: *const i32,
    /// Multiplier and shift per channel.
    pub(super) scales: *const [i32; 2],
    /// Bytes from one channel's constants to the next one's: 8, or 0 where all share them.
    pub(super) step: usize,
    /// Two words per four weights of a pair.
    pub(super) weights: *const u32,
    /// Two values per word.
    pub(super) column: *const u32,
    /// Where it ends.
    pub(super) end: *const u32,
    /// The pixel's.
    pub(super) output: *mut i8,
    /// As the rounding takes it, see [`super::scale::Scale::zero`].
    pub(super) zero: i32,
    /// Not 0.
    pub(super) pairs: usize,
    /// Where the two sums of one pair go instead of the output, or null.
    pub(super) sums: *mut i32,
    /// Bytes of unrolled code to skip at first, then the address behind them.
    pub(super) entry: usize,
}

/// Twice four weights that the loop's body holds.
const UNROLLED: usize = 4;
/// Bytes of code of twice four weights: 14 instructions of four.
const GROUPS: usize = 56;

/// Bytes of code that a pair's first round skips, for a column of so many groups of four: all of the unrolled code but
/// what is left over, and where their number is even the single group before it.
pub(super) const fn skip(groups: usize) -> usize {
    (groups / 2).wrapping_neg() % UNROLLED * GROUPS
}
