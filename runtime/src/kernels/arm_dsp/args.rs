//! What the loops over pairs of channels read and advance.

use core::mem::offset_of;

/// For [`super::four`] and [`super::one`]. All pointers but `sums` and `output` are to words. What is loaded together
/// lies together.
#[repr(C)]
#[derive(Debug)]
pub struct Args {
    /// Sums begin as these.
    pub(super) zeros: [i32; 8],
    /// Bytes of unrolled code to skip at first, then the address behind them.
    pub(super) entry: usize,
    /// Two inputs per word: one pixel's, or word by word four pixels' in turn.
    pub(super) columns: *const u32,
    /// Two biases per pair of channels.
    pub(super) bias: *const i32,
    /// Two multipliers and shifts per pair of channels.
    pub(super) scales: *const [i32; 2],
    /// Of the first pixel.
    pub(super) output: *mut i8,
    /// As the rounding takes it, see [`super::scale::Scale::zero`].
    pub(super) zero: i32,
    /// Whether there are `sums`, or one pixel has an odd group: 0 or 1.
    pub(super) is_special: usize,
    /// Two words per four weights of a pair.
    pub(super) weights: *const u32,
    /// Bytes from one pair's constants to the next one's: 16, or 0 where all share them.
    pub(super) step: usize,
    /// Behind the last pair's biases.
    pub(super) last: *const i32,
    /// Bytes from one pixel's output to the next one's.
    pub(super) channels: usize,
    /// Where the columns end, but for an odd group of four inputs of one pixel.
    pub(super) end: *const u32,
    /// Where the sums of one pair go instead of the output, or null.
    pub(super) sums: *mut i32,
    /// Whether one pixel has an odd group: 0 or 1.
    pub(super) is_odd: usize,
}

/// What the loops' pointer to the arguments leads to: the first field that they keep up to date. Those before are loaded
/// with decreasing addresses.
pub(super) const BASE: usize = offset_of!(Args, bias);
