//! What becomes of sums: bytes, and how pieces of a vector of them go to memory.
#![allow(unsafe_code)]

use super::rescale::{Finish, Rescale};
use super::simd::{LANES, Simd};

/// Rescales four vectors of sums step by step as defined and narrows them to bytes. The zero point is added in 32 bits,
/// where it may wrap.
///
/// # Safety
///
/// As [`Simd`]'s; so of the other functions here.
#[inline(always)]
pub(super) unsafe fn exact<S: Simd, R: Rescale>(
    sums: &[S::I32; 4],
    scales: [&[R::Scale; LANES]; 4],
    end: &Finish,
) -> S::Bytes {
    // SAFETY: the caller's.
    unsafe {
        let zero = S::splat(end.zero_point);
        let y = [
            S::add(R::exact::<S>(sums[0], scales[0]), zero),
            S::add(R::exact::<S>(sums[1], scales[1]), zero),
            S::add(R::exact::<S>(sums[2], scales[2]), zero),
            S::add(R::exact::<S>(sums[3], scales[3]), zero),
        ];
        S::limit(S::narrow::<false>(y, 0), end.low, end.high)
    }
}

/// Writes the first `count` bytes of each of the pieces of `bytes` that start every `piece` bytes, to `to` and every
/// `step` bytes after it, `pieces` of them. For what is left over at ends.
///
/// # Safety
///
/// As [`Simd`]'s; all of these places can be written.
#[inline(always)]
pub(super) unsafe fn scatter<S: Simd>(
    bytes: S::Bytes,
    [piece, count, pieces]: [usize; 3],
    to: *mut u8,
    step: usize,
) {
    let mut all = [0u8; 64];
    // SAFETY: 64 bytes; else the caller's.
    unsafe { S::store(all.as_mut_ptr(), bytes) };
    for (p, piece) in all.chunks_exact(piece.max(1)).take(pieces).enumerate() {
        let Some(piece) = piece.get(..count) else { break };
        // SAFETY: the caller's.
        unsafe { core::ptr::copy_nonoverlapping(piece.as_ptr(), to.add(p * step), count) };
    }
}
