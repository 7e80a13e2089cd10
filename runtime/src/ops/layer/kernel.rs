//! Kernel ids of the layers with weights: what each expects of weights and bias, and what its sums are.
//!
//! | id | weights | integer sum of a channel, wrapping at 32 bits |
//! |---|---|---|
//! | [`DENSE`] | dense | `bias + sum (x - z) w`, z the input's zero point; padding contributes nothing |
//! | [`DOT`] | blocks | `folded + sum x w` with `x = z` in the padding; `folded = bias - z sum w` |
//! | [`DOT_OFFSET`] | blocks, or columns for depthwise convolution | `folded + sum (x + 128) w` with `x = z` in the padding; `folded = bias - (z + 128) sum w` |
//! | [`PAIRS`] | pairs, or planes for depthwise convolution | as [`DOT`]; in pairs, an odd channel's sum of products is first taken modulo 2^24, with sign |
//! | [`FOLDED`] | dense | as [`DOT`] |
//! | [`LANES`] | lanes, float | in canonical order, as [`DENSE`] |
//!
//! Ids other than [`DENSE`] are for int8 weights and activations (the last one for floats), and convolutions without
//! groups. An absent bias is zero.

use crate::layout::Layout;

/// What the operator documents.
pub const DENSE: u8 = 0;
/// Signed dot products of four.
pub const DOT: u8 = 1;
/// Dot products of four of unsigned activations and signed weights.
pub const DOT_OFFSET: u8 = 2;
/// Two 16-bit products at a time, two channels in one multiplication.
pub const PAIRS: u8 = 3;
/// Zero points folded into the bias.
pub const FOLDED: u8 = 4;
/// Vectors along the output channels.
pub const LANES: u8 = 5;

/// The layout of the weights that kernel `id` reads, of a depthwise convolution or another layer.
pub const fn layout(id: u8, is_depthwise: bool) -> Option<Layout> {
    match (id, is_depthwise) {
        (DENSE | FOLDED, _) => Some(Layout::Dense),
        (DOT | DOT_OFFSET, false) => Some(Layout::Blocks),
        (DOT, true) => Some(Layout::BlocksLast),
        #[cfg(feature = "std")]
        (DOT_OFFSET, true) => Some(Layout::Columns),
        (PAIRS, false) => Some(Layout::Pairs),
        (PAIRS, true) => Some(Layout::PlanesLast),
        (LANES, false) => Some(Layout::Lanes),
        _ => None,
    }
}

/// What kernel `id` adds to every activation before it multiplies.
pub const fn offset(id: u8) -> i32 {
    if id == DOT_OFFSET { 128 } else { 0 }
}

/// Whether the planner may let input and output of kernel `id` overlap: every entry of the id then keeps the order of
/// rows. Hosts have memory enough, and are faster without.
pub const fn overlaps(id: u8) -> bool {
    matches!(id, DENSE | PAIRS | FOLDED)
}
