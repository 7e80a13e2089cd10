//! Rows of taps of a depthwise convolution, four of them byte by byte, every level plus 128.
#![allow(unsafe_code)]

use super::rows::OFFSET;
use super::simd::{LANES, Simd};
use crate::error::{Error, Result};
use crate::ops::layer::strips::Planes;

/// Bytes of a vector.
const VECTOR: usize = 64;

/// Where rows come from.
pub(super) struct Source<'a> {
    /// The input itself, where rows are taken from there.
    pub(super) image: Option<&'a [u8]>,
    /// Copied rows, padded and with the offset; a row of padding where the input is read.
    pub(super) copied: &'a [u8],
}

/// Bytes of an input row that have a place in a padded one, where rows are not copied.
fn inside(p: &Planes) -> usize {
    let (depth, left) = (p.input[2], p.window.pad[1] as usize);
    (p.columns * depth).saturating_sub(left * depth).min(p.input[1] * depth)
}

/// Fills what lies left and right of the rows of all sets, where rows are not copied.
#[inline(always)]
pub(super) fn borders(kept: &mut [u8], p: &Planes, fill: u8) {
    let begin = (p.window.pad[1] as usize * p.input[2]).min(p.row);
    let end = (begin + inside(p)).min(p.row);
    for row in kept.chunks_mut((4 * p.row).max(1)) {
        let (before, rest) = row.split_at_mut((4 * begin).min(row.len()));
        before.fill(fill);
        if let Some(after) = rest.get_mut(4 * (end - begin)..) {
            after.fill(fill);
        }
    }
}

impl Source<'_> {
    /// Interleaves the rows of taps of `count` output rows from `first` on.
    ///
    /// # Safety
    ///
    /// As [`Simd`]'s; so of the other functions here.
    #[inline(always)]
    pub(super) unsafe fn sets<S: Simd, const SPLIT: bool>(
        &self,
        p: &Planes,
        [first, count]: [usize; 2],
        kept: &mut [u8],
    ) -> Result<()> {
        let (stride, dilation) = (p.window.stride[0] as usize, p.window.dilation[0] as usize);
        let (length, at) = match self.image {
            Some(_) => (inside(p), 4 * p.window.pad[1] as usize * p.input[2]),
            None => (p.row, 0),
        };
        let sets = count.div_ceil(p.shared.max(1));
        // What the pointers below rely on; the last vector of a row may go beyond its end.
        let last = (sets * p.groups).saturating_sub(1) * 4 * p.row;
        if length > 0 && kept.len() < last + at + 4 * length.next_multiple_of(VECTOR) {
            return Err(Error::Internal);
        }
        for set in 0..sets {
            for group in 0..p.groups {
                let mut four = [&[][..]; 4];
                for (i, slot) in four.iter_mut().enumerate() {
                    // Rows that are not there meet weights that are zero.
                    let tap = if p.shared > 1 { i } else { (4 * group + i).min(p.taps[0] - 1) };
                    *slot = self.row(p, (first + set * p.shared) * stride + tap * dilation, length)?;
                }
                // SAFETY: as just seen.
                unsafe {
                    let to = kept.as_mut_ptr().add((set * p.groups + group) * 4 * p.row + at);
                    if self.image.is_some() {
                        four_rows::<S, SPLIT, OFFSET>(four, self.copied, to);
                    } else {
                        four_rows::<S, SPLIT, 0>(four, self.copied, to);
                    }
                }
            }
        }
        Ok(())
    }

    /// So many bytes of padded row `y`.
    #[inline(always)]
    fn row(&self, p: &Planes, y: usize, length: usize) -> Result<&[u8]> {
        match self.image {
            Some(image) => {
                let bytes = p.input[1] * p.input[2];
                let own = y.checked_sub(p.window.pad[0] as usize).filter(|&y| y < p.input[0]);
                let row = own.and_then(|y| image.get(y * bytes..y * bytes + length));
                row.or_else(|| self.copied.get(..length)).ok_or(Error::Internal)
            }
            None => {
                let y = y.min(p.padded.saturating_sub(1));
                self.copied.get(y * p.row..y * p.row + length).ok_or(Error::Internal)
            }
        }
    }
}

/// Interleaves four rows of one length; `padding` is what follows them up to a whole vector.
#[inline(always)]
unsafe fn four_rows<S: Simd, const SPLIT: bool, const FLIP: u8>(
    rows: [&[u8]; 4],
    padding: &[u8],
    to: *mut u8,
) {
    let length = rows[0].len();
    let whole = length / VECTOR * VECTOR;
    let [a, b, c, d] = [rows[0].as_ptr(), rows[1].as_ptr(), rows[2].as_ptr(), rows[3].as_ptr()];
    // SAFETY: rows are as long, `to` is four times as long and up to a vector more; else the caller's.
    unsafe {
        let mut at = 0;
        while at < whole {
            one::<S, SPLIT, FLIP>([a.add(at), b.add(at), c.add(at), d.add(at)], to.add(4 * at));
            at += VECTOR;
        }
        if whole < length {
            let mut ends = [[0u8; VECTOR]; 4];
            for (end, row) in ends.iter_mut().zip(rows) {
                let (own, rest) = end.split_at_mut(length - whole);
                own.iter_mut().zip(row.iter().skip(whole)).for_each(|(slot, &level)| *slot = level);
                rest.iter_mut().zip(padding).for_each(|(slot, &p)| *slot = p);
            }
            let [a, b, c, d] = &ends;
            one::<S, SPLIT, FLIP>([a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr()], to.add(4 * whole));
        }
    }
}

/// Interleaves a vector of each of four rows.
#[inline(always)]
unsafe fn one<S: Simd, const SPLIT: bool, const FLIP: u8>(rows: [*const u8; 4], to: *mut u8) {
    // SAFETY: the caller's.
    unsafe {
        let [a, b, c, d] = [S::bytes(rows[0]), S::bytes(rows[1]), S::bytes(rows[2]), S::bytes(rows[3])];
        let [a, b, c, d] = [S::flip::<FLIP>(a), S::flip::<FLIP>(b), S::flip::<FLIP>(c), S::flip::<FLIP>(d)];
        let lanes = S::interleave::<SPLIT>([a, b, c, d]);
        let to = to.cast::<i32>();
        S::put(to, lanes[0]);
        S::put(to.add(LANES), lanes[1]);
        S::put(to.add(2 * LANES), lanes[2]);
        S::put(to.add(3 * LANES), lanes[3]);
    }
}
