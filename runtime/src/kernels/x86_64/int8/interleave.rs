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

/// Where an input row's bytes are in a padded one that is not copied.
struct Inside {
    /// So many of them have a place there.
    length: usize,
    /// From `begin` of every phase on, up to `end`.
    begin: usize,
    end: usize,
}

impl Inside {
    fn new(p: &Planes) -> Self {
        let (depth, phases) = (p.input[2], p.phases.max(1));
        let first = (p.left / phases).min(p.columns);
        let length = ((p.columns - first) * phases).min(p.input[1]) * depth;
        let bytes = if phases == 1 { length } else { length.div_ceil(phases * VECTOR) * VECTOR };
        Inside { length, begin: first * depth, end: first * depth + bytes }
    }
}

/// Bytes from one phase of a row to the next.
fn phase(p: &Planes) -> usize {
    p.columns * p.output[2]
}

/// Fills what lies left and right of the rows of all sets, where rows are not copied.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn borders<S: Simd>(kept: &mut [u8], p: &Planes, fill: u8) {
    let Inside { begin, end, .. } = Inside::new(p);
    for row in kept.chunks_mut((4 * p.row).max(1)) {
        let mut rest = row;
        for left in (0..p.phases).rev() {
            // The last phase goes on to the row's end.
            let own = if left == 0 { rest.len() } else { 4 * phase(p) };
            let (plane, others) = rest.split_at_mut(own.min(rest.len()));
            let (before, inside) = plane.split_at_mut((4 * begin).min(plane.len()));
            let after = inside.get_mut(4 * (end - begin)..).unwrap_or(&mut []);
            // SAFETY: the caller's.
            unsafe {
                border::<S>(before, fill);
                border::<S>(after, fill);
            }
            rest = others;
        }
    }
}

/// Fills a short slice without a call.
#[inline(always)]
unsafe fn border<S: Simd>(to: &mut [u8], fill: u8) {
    let (vectors, rest) = to.as_chunks_mut::<VECTOR>();
    // SAFETY: the caller's.
    let fills = unsafe { S::splat(i32::from_ne_bytes([fill; 4])) };
    for vector in vectors {
        // SAFETY: a vector; else the caller's.
        unsafe { S::put(vector.as_mut_ptr().cast(), fills) };
    }
    rest.iter_mut().for_each(|slot| *slot = fill);
}

impl Source<'_> {
    /// Interleaves the rows of taps of `count` output rows from `first` on.
    #[inline(always)]
    pub(super) unsafe fn sets<S: Simd, const SPLIT: bool>(
        &self,
        p: &Planes,
        [first, count]: [usize; 2],
        kept: &mut [u8],
    ) -> Result<()> {
        let (stride, dilation) = (p.window.stride[0] as usize, p.window.dilation[0] as usize);
        // Copied rows have their phases one after the other.
        let (inside, phases) = match self.image {
            Some(_) => (Inside::new(p), p.phases.max(1)),
            None => (Inside { length: p.row, begin: 0, end: p.row }, 1),
        };
        let (length, at) = (inside.length, 4 * inside.begin);
        let sets = count.div_ceil(p.shared.max(1));
        // What the pointers below rely on; the last vector of a row may go beyond its end.
        let last = (sets * p.groups).saturating_sub(1) * 4 * p.row;
        let written =
            (phases - 1) * phase(p) + inside.begin + (inside.end - inside.begin).next_multiple_of(VECTOR);
        if length > 0 && kept.len() < last + 4 * written {
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
                    let to = [to, to.wrapping_add(4 * phase(p))];
                    match (self.image, phases, p.input[2]) {
                        (None, ..) => four_rows::<S, SPLIT, 0, 0>(four, self.copied, to),
                        (_, 1, _) => four_rows::<S, SPLIT, OFFSET, 0>(four, self.copied, to),
                        (_, _, 8) => four_rows::<S, false, OFFSET, 8>(four, self.copied, to),
                        (_, _, 16) => four_rows::<S, false, OFFSET, 16>(four, self.copied, to),
                        _ => four_rows::<S, false, OFFSET, 32>(four, self.copied, to),
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

/// Interleaves four rows of one length; `padding` is what follows them up to a whole vector. With a `DEPTH` their pixels
/// have so many bytes, and even ones go to the first place, odd ones to the second.
#[inline(always)]
unsafe fn four_rows<S: Simd, const SPLIT: bool, const FLIP: u8, const DEPTH: usize>(
    rows: [&[u8]; 4],
    padding: &[u8],
    to: [*mut u8; 2],
) {
    let piece = const { if DEPTH == 0 { VECTOR } else { 2 * VECTOR } };
    let length = rows[0].len();
    let whole = length / piece * piece;
    let [a, b, c, d] = [rows[0].as_ptr(), rows[1].as_ptr(), rows[2].as_ptr(), rows[3].as_ptr()];
    // SAFETY: rows are as long, the places together four times as long and up to a piece more; else the caller's.
    unsafe {
        let mut at = 0;
        while at < whole {
            one::<S, SPLIT, FLIP, DEPTH>([a.add(at), b.add(at), c.add(at), d.add(at)], to, at);
            at += piece;
        }
        if whole < length {
            let mut ends = [[0u8; 2 * VECTOR]; 4];
            for (end, row) in ends.iter_mut().zip(rows) {
                let (own, rest) = end.split_at_mut(length - whole);
                own.iter_mut().zip(row.iter().skip(whole)).for_each(|(slot, &level)| *slot = level);
                rest.iter_mut().zip(padding).for_each(|(slot, &p)| *slot = p);
            }
            let [a, b, c, d] = &ends;
            one::<S, SPLIT, FLIP, DEPTH>([a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr()], to, whole);
        }
    }
}

/// Interleaves a vector of each of four rows, `at` bytes into them, or two vectors as [`four_rows`] tells them apart.
#[inline(always)]
unsafe fn one<S: Simd, const SPLIT: bool, const FLIP: u8, const DEPTH: usize>(
    [a, b, c, d]: [*const u8; 4],
    [to, odd]: [*mut u8; 2],
    at: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        if DEPTH == 0 {
            let rows = [S::bytes(a), S::bytes(b), S::bytes(c), S::bytes(d)];
            put::<S, SPLIT, FLIP>(rows, to.add(4 * at));
        } else {
            let ([a, a_odd], [b, b_odd]) = (S::apart::<DEPTH>(a), S::apart::<DEPTH>(b));
            let ([c, c_odd], [d, d_odd]) = (S::apart::<DEPTH>(c), S::apart::<DEPTH>(d));
            put::<S, SPLIT, FLIP>([a, b, c, d], to.add(2 * at));
            put::<S, SPLIT, FLIP>([a_odd, b_odd, c_odd, d_odd], odd.add(2 * at));
        }
    }
}

/// Interleaves four vectors.
#[inline(always)]
unsafe fn put<S: Simd, const SPLIT: bool, const FLIP: u8>([a, b, c, d]: [S::Bytes; 4], to: *mut u8) {
    // SAFETY: the caller's.
    unsafe {
        let [a, b, c, d] = [S::flip::<FLIP>(a), S::flip::<FLIP>(b), S::flip::<FLIP>(c), S::flip::<FLIP>(d)];
        let lanes = S::interleave::<SPLIT>([a, b, c, d]);
        let to = to.cast::<i32>();
        S::put(to, lanes[0]);
        S::put(to.add(LANES), lanes[1]);
        S::put(to.add(2 * LANES), lanes[2]);
        S::put(to.add(3 * LANES), lanes[3]);
    }
}
