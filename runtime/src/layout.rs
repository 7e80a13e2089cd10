//! Orders of stored weights: laid out ahead of time so that a kernel's inner loop loads and multiplies and does
//! nothing else.
//!
//! A tensor's shape is the logical one whatever its layout; every layout has an index function, so that any of them can
//! be read by plain loops.

use crate::bundle::wire;
use crate::error::{Error, Result};
use crate::tensor::{Dtype, Shape};

/// Output channels that lie side by side in [`Layout::Blocks`] and [`Layout::Lanes`].
pub const BLOCK: usize = 16;
/// Weights of one channel that lie side by side in [`Layout::Blocks`], and what [`Layout::Pairs`] and
/// [`Layout::PlanesLast`] round up to.
pub const QUAD: usize = 4;

/// Order of a constant's elements: N output channels of K weights each, `k` in the order of [`Layout::Dense`]. What is
/// padded is zero. The numbers are the wire's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Layout {
    /// As the operator documents its weights, row-major; everything that is not weights.
    #[default]
    Dense = 0,
    /// int8 `[ceil(N/16)][ceil(K/4)][16][4]`, channels along dimension 0: dot products of four.
    Blocks = 1,
    /// As [`Layout::Blocks`], channels along the last dimension, as depthwise convolution has them.
    BlocksLast = 2,
    /// int8 `[ceil(N/2)][ceil(K/4)][8]`, channels along dimension 0. A group of eight bytes is four little-endian numbers
    /// of 16 bits, `256 * w[2j+1][k] + w[2j][k]` for k, k + 2, k + 1, k + 3: the halves that `sxtb16` makes of four
    /// activations meet those of its two words. No odd channel has a weight of -128.
    Pairs = 3,
    /// int8 `[N][K up to a multiple of 4]`, channels along the last dimension.
    PlanesLast = 4,
    /// f32 `[ceil(N/16)][K][16]`, channels along dimension 0.
    Lanes = 5,
    /// int8 `[ceil(H/4)][W][ceil(N/16)][16][4]` of a window of H rows and W columns, channels along the last dimension:
    /// columns of four taps. Only hosts read it.
    #[cfg(feature = "std")]
    Columns = 6,
}

impl Layout {
    /// All layouts, in the order of their numbers.
    pub const ALL: &[Layout] = &[
        Layout::Dense,
        Layout::Blocks,
        Layout::BlocksLast,
        Layout::Pairs,
        Layout::PlanesLast,
        Layout::Lanes,
        #[cfg(feature = "std")]
        Layout::Columns,
    ];

    /// From the wire's number.
    pub const fn from_wire(n: u8) -> Result<Self> {
        match n {
            0 => Ok(Layout::Dense),
            1 => Ok(Layout::Blocks),
            2 => Ok(Layout::BlocksLast),
            3 => Ok(Layout::Pairs),
            4 => Ok(Layout::PlanesLast),
            5 => Ok(Layout::Lanes),
            #[cfg(feature = "std")]
            6 => Ok(Layout::Columns),
            _ => Err(Error::Tensor),
        }
    }

    /// The element type it stores; `None` where any.
    pub const fn dtype(self) -> Option<Dtype> {
        match self {
            Layout::Dense => None,
            Layout::Lanes => Some(Dtype::F32),
            Layout::Blocks | Layout::BlocksLast | Layout::Pairs | Layout::PlanesLast => Some(Dtype::I8),
            #[cfg(feature = "std")]
            Layout::Columns => Some(Dtype::I8),
        }
    }

    /// Whether output channels are the last dimension; otherwise they are the first.
    pub const fn is_channels_last(self) -> bool {
        match self {
            Layout::BlocksLast | Layout::PlanesLast => true,
            #[cfg(feature = "std")]
            Layout::Columns => true,
            Layout::Dense | Layout::Blocks | Layout::Pairs | Layout::Lanes => false,
        }
    }

    /// Output channels, and weights of each.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn channels(self, shape: &Shape) -> [usize; 2] {
        let axis = if self.is_channels_last() { shape.rank().saturating_sub(1) } else { 0 };
        let n = shape.dim(axis);
        [n, shape.elements().checked_div(n).unwrap_or(0)]
    }

    /// log2 of the channels that lie side by side, and of the weights of one that do; N and K are rounded up to them, or
    /// in [`Layout::Columns`] N and H.
    const fn blocks(self) -> [u32; 2] {
        match self {
            Layout::Dense => [0, 0],
            Layout::Blocks | Layout::BlocksLast => [BLOCK.ilog2(), QUAD.ilog2()],
            Layout::Pairs => [1, QUAD.ilog2()],
            Layout::PlanesLast => [0, QUAD.ilog2()],
            Layout::Lanes => [BLOCK.ilog2(), 0],
            #[cfg(feature = "std")]
            Layout::Columns => [BLOCK.ilog2(), QUAD.ilog2()],
        }
    }

    /// Stored elements, those that pad included; `None` where they overflow.
    pub fn elements(self, shape: &Shape) -> Option<usize> {
        if self == Layout::Dense {
            return Some(shape.elements());
        }
        let ([n, k], [channels, taps]) = (self.channels(shape), self.blocks());
        #[cfg(feature = "std")]
        if self == Layout::Columns {
            let [rows, columns, _] = window(shape);
            return up(n, channels).checked_mul(up(rows, taps))?.checked_mul(columns);
        }
        up(n, channels).checked_mul(up(k, taps))
    }

    /// Where, among the stored elements of a tensor of `shape`, weight `k` of channel `n` is. In [`Layout::Pairs`] the
    /// element of an odd channel is short of 1 where its even neighbour's weight is negative.
    pub fn index(self, shape: &Shape, n: usize, k: usize) -> usize {
        let [_, depth] = self.channels(shape);
        let quads = depth.div_ceil(QUAD);
        match self {
            Layout::Dense => n * depth + k,
            Layout::Blocks | Layout::BlocksLast => {
                ((n / BLOCK * quads + k / QUAD) * BLOCK + n % BLOCK) * QUAD + k % QUAD
            }
            Layout::Pairs => {
                // 0, 2, 1, 3
                let half = k % 2 * 2 + k % QUAD / 2;
                (n / 2 * quads + k / QUAD) * 2 * QUAD + half * 2 + n % 2
            }
            Layout::PlanesLast => n * quads * QUAD + k,
            Layout::Lanes => (n / BLOCK * depth + k) * BLOCK + n % BLOCK,
            #[cfg(feature = "std")]
            Layout::Columns => {
                let [_, columns, channels] = window(shape);
                let (row, column) = (k / columns.max(1), k % columns.max(1));
                let word = (row / QUAD * columns + column) * up(channels, BLOCK.ilog2()) + n;
                word * QUAD + row % QUAD
            }
        }
    }

    /// Whether the bytes that pad a tensor of `shape` are zero, as kernels rely on.
    pub fn is_padded_with_zeros(self, shape: &Shape, bytes: &[u8]) -> bool {
        if self == Layout::Dense {
            return true;
        }
        #[cfg(feature = "std")]
        if self == Layout::Columns {
            return are_columns_padded(shape, bytes);
        }
        let ([n, k], [log2_channels, log2_taps]) = (self.channels(shape), self.blocks());
        // Every layout is made of words of four bytes: four weights of a channel, one float, two weights of two.
        let (channels, quads) = (1usize << log2_channels, up(k, log2_taps) >> log2_taps);
        let mut block = 0usize;
        let mut left = n;
        while left > 0 {
            // All blocks may lack weights in their last quad, the last one may lack channels in all.
            let first = if left < channels { 0 } else { quads.wrapping_sub(1) };
            for q in first..quads {
                for c in 0..channels {
                    let at = block.wrapping_add(q).wrapping_mul(channels).wrapping_add(c).wrapping_mul(4);
                    let Ok(word) = wire::u32(bytes, at) else { return false };
                    if word & self.padding(c, left, k.wrapping_sub(q << log2_taps)) != 0 {
                        return false;
                    }
                }
            }
            block = block.wrapping_add(quads);
            left = left.saturating_sub(channels);
        }
        true
    }

    /// The bits that pad word `at` of a quad with `channels` channels of `taps` weights, or more.
    fn padding(self, at: usize, channels: usize, taps: usize) -> u32 {
        match self {
            Layout::Pairs => {
                // Halves for weights at and at + 2. An odd channel that is not there holds what its even neighbour
                // borrows; nothing is made of it.
                let half = |tap: usize| if tap < taps { 0 } else { 0xffff };
                half(at) | half(at.wrapping_add(2)) << 16
            }
            _ if at >= channels => u32::MAX,
            _ if taps >= 4 || self == Layout::Lanes => 0,
            // From the first byte that pads.
            _ => u32::MAX << (8 * taps),
        }
    }
}

/// Rows and columns of a depthwise convolution's window, and its channels.
#[cfg(feature = "std")]
fn window(shape: &Shape) -> [usize; 3] {
    let from_end = |i: usize| shape.dim(shape.rank().wrapping_sub(i));
    [from_end(3), from_end(2), from_end(1)]
}

/// [`Layout::is_padded_with_zeros`] of [`Layout::Columns`].
#[cfg(feature = "std")]
fn are_columns_padded(shape: &Shape, bytes: &[u8]) -> bool {
    let [rows, columns, channels] = window(shape);
    let each = QUAD * up(channels, BLOCK.ilog2());
    let groups = (0..rows).step_by(QUAD).flat_map(|row| core::iter::repeat_n(row, columns));
    // All words at once: loading is measured, and without branches this takes vectors.
    let padded = bytes.chunks_exact(each.max(1)).zip(groups).map(|(words, row)| {
        let (own, beyond) = words.split_at_checked(QUAD * channels)?;
        let any =
            |words: &[u8]| words.as_chunks::<QUAD>().0.iter().fold(0, |any, &w| any | u32::from_le_bytes(w));
        Some(any(own) & Layout::Columns.padding(0, 1, rows.wrapping_sub(row)) | any(beyond))
    });
    let whole = up(rows, QUAD.ilog2()) / QUAD * columns;
    padded.take_while(|&word| word == Some(0)).count() == whole
}

fn up(n: usize, log2: u32) -> usize {
    let below = (1usize << log2) - 1;
    n.wrapping_add(below) & !below
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// Every shape of `n` channels of `k` weights: depthwise windows of any height that divides these.
    fn shapes(layout: Layout, n: usize, k: usize) -> Vec<Shape> {
        let of = |dims: [usize; 4]| Shape::new(&dims.map(|d| d as u32)).unwrap();
        if layout.is_channels_last() {
            (1..=k).filter(|h| k.is_multiple_of(*h)).map(|h| of([1, h, k / h, n])).collect()
        } else {
            std::vec![of([n, 1, 1, k])]
        }
    }

    #[test]
    fn every_weight_has_a_place_of_its_own() {
        for layout in Layout::ALL.iter().skip(1) {
            for [n, k] in [[1, 1], [2, 4], [17, 5], [33, 9], [16, 64]] {
                for shape in shapes(*layout, n, k) {
                    assert_eq!(layout.channels(&shape), [n, k]);
                    let room = layout.elements(&shape).unwrap();
                    let places: BTreeSet<usize> =
                        (0..n).flat_map(|c| (0..k).map(move |w| layout.index(&shape, c, w))).collect();
                    assert_eq!(places.len(), n * k, "{layout:?}");
                    assert!(places.last().is_some_and(|&last| last < room), "{layout:?}");
                }
            }
        }
    }

    #[test]
    fn padding_is_every_byte_that_no_weight_has() {
        for layout in Layout::ALL.iter().skip(1) {
            for n in [1, 2, 15, 16, 17, 33] {
                for k in 1..10 {
                    for shape in shapes(*layout, n, k) {
                        let size = layout.dtype().unwrap().size();
                        let mut bytes = std::vec![0u8; layout.elements(&shape).unwrap() * size];
                        let mut used = BTreeSet::new();
                        // Bytes of the odd channel beside the last even one are nobody's business.
                        let channels = if *layout == Layout::Pairs { n.next_multiple_of(2) } else { n };
                        for (c, w) in (0..channels).flat_map(|c| (0..k).map(move |w| (c, w))) {
                            let at = layout.index(&shape, c, w);
                            used.extend(at * size..(at + 1) * size);
                        }
                        assert!(layout.is_padded_with_zeros(&shape, &bytes), "{layout:?} {n} {k}");
                        for at in 0..bytes.len() {
                            bytes[at] = 0x80;
                            let clean = layout.is_padded_with_zeros(&shape, &bytes);
                            assert_eq!(clean, used.contains(&at), "{layout:?} {shape:?} byte {at}");
                            bytes[at] = 0;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_are_the_wires() {
        for (i, &layout) in Layout::ALL.iter().enumerate() {
            assert_eq!((layout as usize, Layout::from_wire(i as u8)), (i, Ok(layout)));
        }
        assert!(Layout::from_wire(Layout::ALL.len() as u8).is_err());
    }
}
