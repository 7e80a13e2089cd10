//! What the loops over pairs of channels read and advance.

/// For [`super::four`] and [`super::one`]. All pointers but `sums` and `output` are to words.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Args {
    /// Two biases per pair of channels.
    pub(super) bias: *const i32,
    /// Multiplier and shift per channel.
    pub(super) scales: *const [i32; 2],
    /// Bytes from one channel's constants to the next one's: 8, or 0 where all share them.
    pub(super) step: usize,
    /// Two words per four weights of a pair.
    pub(super) weights: *const u32,
    /// Two inputs per word: one pixel's, or word by word four pixels' in turn.
    pub(super) columns: *const u32,
    /// Where they end, but for an odd group of four inputs of one pixel.
    pub(super) end: *const u32,
    /// Of the first pixel.
    pub(super) output: *mut i8,
    /// Bytes from one pixel's output to the next one's.
    pub(super) channels: usize,
    /// As the rounding takes it, see [`super::scale::Scale::zero`].
    pub(super) zero: i32,
    /// Not 0.
    pub(super) pairs: usize,
    /// Where the sums of one pair go instead of the output, or null.
    pub(super) sums: *mut i32,
    /// Whether one pixel has an odd group: 0 or 1.
    pub(super) is_odd: usize,
    /// Bytes of unrolled code to skip at first, then the address behind them.
    pub(super) entry: usize,
}
