//! Inputs brought to planes.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use super::{BAND, PIXELS, UNIT, UNITS};
use crate::kernels::blocks::tile::Field;

/// How a field's inputs are brought to planes.
///
/// A line is the units that one run of all pixels of a row meets, of which each pixel begins `every` after the last. Unit `u`
/// goes to plane `u % every`, there to place `u / every`: so unit `k` of neighbours is in one plane, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Units of a run.
    pub units: usize,
    every: usize,
    /// Runs of a pixel.
    pub runs: usize,
    /// Bytes from one line to the next where they are read.
    pitch: usize,
    /// Lines from one row of pixels to the next.
    pub down: usize,
    /// Units of a plane.
    plane: usize,
    /// Height and width of a band.
    pub band: [usize; 2],
}

impl Planes {
    /// `None` where it does not pay or does not fit.
    pub fn new(field: &Field<'_>, blocks: usize) -> Option<Self> {
        let ([rows, width], [down, step]) = (field.grid().size, field.grid().apart);
        let runs = field.runs();
        let (units, every) = (runs.length.div_ceil(UNIT), step / UNIT);
        if !step.is_multiple_of(UNIT) || every == 0 || units == 0 || units * runs.count >= UNITS {
            return None;
        }
        let (pitch, down) = if runs.count == 1 {
            (down, 1)
        } else if rows == 1 {
            (runs.stride, 1)
        } else if runs.stride > 0 && down >= runs.stride && down.is_multiple_of(runs.stride) {
            (runs.stride, down / runs.stride)
        } else {
            return None;
        };
        // How often a unit is read; copies of two or four planes are quick.
        let uses = (blocks * units * runs.count).checked_div(every * down)?;
        // Units are read whole.
        let last = (rows - 1) * field.grid().apart[0] + (runs.count - 1) * runs.stride + (width - 1) * step;
        let enough = if matches!(every, 1 | 2 | 4) { 1 } else { 2 };
        if uses < enough || width < 4 || last + units * UNIT > field.bytes().len() {
            return None;
        }
        // An odd last pixel is multiplied with what follows it.
        let more = (units - 1) / every + 2;
        let fits = |rows: usize, width: usize| {
            ((rows - 1) * down + runs.count) * (width + more) * every * UNIT <= BAND
        };
        let band = if fits(1, width) {
            let lines = BAND / ((width + more) * every * UNIT);
            [((lines - runs.count) / down + 1).min(rows), width]
        } else {
            let width = (BAND / (runs.count * every * UNIT)).saturating_sub(more) / PIXELS * PIXELS;
            if width == 0 {
                return None;
            }
            [1, width]
        };
        Some(Planes { units, every, runs: runs.count, pitch, down, plane: band[1] + more, band })
    }

    /// Bytes of a line's planes.
    pub fn line(&self) -> usize {
        self.every * self.plane * UNIT
    }

    /// Writes how far it is from each unit of a pixel to the next, with another at the end; returns how many units a
    /// multiple of two has.
    pub fn distances(&self, all: &mut [usize; UNITS]) -> usize {
        let (mut last, mut count) = (0usize, 0usize);
        for run in 0..self.runs {
            let (mut start, mut place) = (run * self.line(), 0);
            for _ in 0..self.units {
                if place == self.every {
                    (start, place) = (start + UNIT, 0);
                }
                let at = start + place * self.plane * UNIT;
                if let Some(distance) = count.checked_sub(1).and_then(|before| all.get_mut(before)) {
                    *distance = at.wrapping_sub(last);
                }
                (last, count, place) = (at, count + 1, place + 1);
            }
        }
        // From the last unit nowhere: an odd one is followed by itself, with weights of zero.
        for distance in all.iter_mut().skip(count.max(1) - 1).take(2) {
            *distance = 0;
        }
        count.next_multiple_of(2)
    }

    /// Brings the lines of a band to planes: `pixels` of each row, the first of which is at `from`.
    ///
    /// # Safety
    /// The field has the pixels, the band holds them.
    pub unsafe fn fill(&self, from: *const i8, [rows, pixels]: [usize; 2], band: *mut i8) {
        let total = (pixels - 1) * self.every + self.units;
        let plane = self.plane * UNIT;
        for line in 0..(rows - 1) * self.down + self.runs {
            // SAFETY: every line has `total` units, as `Planes::new` has checked of the last; a plane has room for one more
            // than begins in it.
            unsafe {
                let (from, to) = (from.add(line * self.pitch), band.add(line * self.line()));
                let pairs = match self.every {
                    1 => {
                        from.copy_to_nonoverlapping(to, total * UNIT);
                        total
                    }
                    2 => evens(from, to, plane, total / 2 / 4),
                    4 => fourths(from, to, plane, total / 4 / 4),
                    8 => squares::<8>(from, to, plane, total / 8 / 2, 8),
                    n if n % 2 == 0 => squares::<0>(from, to, plane, total / n / 2, n),
                    _ => 0,
                };
                // What is left, unit by unit.
                let (mut unit, mut at) = (2 * pairs * self.every, 2 * pairs);
                while self.every > 1 && unit < total {
                    for k in 0..self.every.min(total - unit) {
                        let one = from.add((unit + k) * UNIT).cast::<[i8; UNIT]>().read_unaligned();
                        to.add(k * plane + at * UNIT).cast::<[i8; UNIT]>().write_unaligned(one);
                    }
                    (unit, at) = (unit + self.every, at + 1);
                }
            }
        }
    }
}

/// So many times four places of two planes, which are `plane` bytes apart; returns how many pairs of places.
///
/// # Safety
/// What is read and written is there.
#[inline(always)]
unsafe fn evens(mut from: *const i8, mut to: *mut i8, plane: usize, fours: usize) -> usize {
    for _ in 0..fours {
        // SAFETY: as the caller promises.
        unsafe {
            let (first, second) = (vld2q_u64(from.cast()), vld2q_u64(from.add(4 * UNIT).cast()));
            vst1q_u64_x2(to.cast(), uint64x2x2_t(first.0, second.0));
            vst1q_u64_x2(to.add(plane).cast(), uint64x2x2_t(first.1, second.1));
            (from, to) = (from.add(8 * UNIT), to.add(4 * UNIT));
        }
    }
    2 * fours
}

/// As [`evens`], of four planes.
///
/// # Safety
/// What is read and written is there.
#[inline(always)]
unsafe fn fourths(mut from: *const i8, mut to: *mut i8, plane: usize, fours: usize) -> usize {
    for _ in 0..fours {
        // SAFETY: as the caller promises.
        unsafe {
            let (first, second) = (vld4q_u64(from.cast()), vld4q_u64(from.add(8 * UNIT).cast()));
            vst1q_u64_x2(to.cast(), uint64x2x2_t(first.0, second.0));
            vst1q_u64_x2(to.add(plane).cast(), uint64x2x2_t(first.1, second.1));
            vst1q_u64_x2(to.add(2 * plane).cast(), uint64x2x2_t(first.2, second.2));
            vst1q_u64_x2(to.add(3 * plane).cast(), uint64x2x2_t(first.3, second.3));
            (from, to) = (from.add(16 * UNIT), to.add(4 * UNIT));
        }
    }
    2 * fours
}

/// As [`evens`], two places at a time of `every` planes, an even number; `EVERY` is that where the compiler shall know it, or 0.
///
/// # Safety
/// What is read and written is there.
#[inline(always)]
unsafe fn squares<const EVERY: usize>(
    mut from: *const i8,
    mut to: *mut i8,
    plane: usize,
    pairs: usize,
    every: usize,
) -> usize {
    let every = if EVERY == 0 { every } else { EVERY };
    for _ in 0..pairs {
        for k in (0..every).step_by(2) {
            // SAFETY: as the caller promises.
            unsafe {
                let a = vld1q_u64(from.add(k * UNIT).cast());
                let b = vld1q_u64(from.add((every + k) * UNIT).cast());
                vst1q_u64(to.add(k * plane).cast(), vzip1q_u64(a, b));
                vst1q_u64(to.add((k + 1) * plane).cast(), vzip2q_u64(a, b));
            }
        }
        (from, to) = (from.wrapping_add(2 * every * UNIT), to.wrapping_add(2 * UNIT));
    }
    pairs
}
