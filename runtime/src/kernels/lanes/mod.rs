//! Float kernels that compute sixteen outputs of a pixel at once, for any processor that can: one walk over images and
//! matrices ([`conv_2d`], [`fully_connected`], [`depthwise_conv_2d`]), one innermost loop ([`tile`]), and for each
//! instruction set an implementation of [`Lanes`].
//!
//! Lanes are outputs, never terms of one sum: each output adds its products in canonical order, so the bits are
//! the reference kernels'. Everything is inlined into the callers, which enable the instructions.
//!
//! Unsafe here declares what needs an instruction set, and reads tiles through pointers whose extents are checked
//! rectangle by rectangle.
#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop, reason = "pixels and blocks of a tile are numbered")]

pub mod add;
pub mod average_pool_2d;
pub mod batch_matmul;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub mod fully_connected;
pub mod images;
pub mod panels;
mod slide;
pub mod tile;

/// Outputs of a block: a [`Lanes`] has one of each.
pub const LANES: usize = 16;

/// Sixteen floats in registers.
///
/// # Safety
///
/// All functions need the instructions of the implementation, in the processor and, so that they are inlined, in the
/// function that they end up in. Pointers need no alignment.
pub trait Lanes: Copy {
    /// Whether 24 of these and four operands stay in registers; otherwise 6 and one do.
    const WIDE: bool;

    /// Whether [`Lanes::fetch`] does something.
    const FETCHES: bool = false;

    /// The same number sixteen times.
    ///
    /// # Safety
    ///
    /// As the trait says.
    unsafe fn splat(x: f32) -> Self;

    /// Sixteen numbers.
    ///
    /// # Safety
    ///
    /// As the trait says; `at` is valid for reads of 16 floats.
    unsafe fn load(at: *const f32) -> Self;

    /// The first `n` of at most 16 numbers; what the other lanes hold is not defined.
    ///
    /// # Safety
    ///
    /// As the trait says; `at` is valid for reads of `n` floats.
    unsafe fn load_first(at: *const f32, n: usize) -> Self;

    /// Writes all lanes.
    ///
    /// # Safety
    ///
    /// As the trait says; `at` is valid for writes of 16 floats.
    unsafe fn store(self, at: *mut f32);

    /// Writes the first `n` of at most 16 lanes.
    ///
    /// # Safety
    ///
    /// As the trait says; `at` is valid for writes of `n` floats.
    unsafe fn store_first(self, at: *mut f32, n: usize);

    /// `x * w + self`, rounded once.
    ///
    /// # Safety
    ///
    /// As the trait says.
    unsafe fn fma(self, x: f32, w: Self) -> Self;

    /// `x * w + self`, lane by lane, rounded once.
    ///
    /// # Safety
    ///
    /// As the trait says.
    unsafe fn fma_lanes(self, x: Self, w: Self) -> Self;

    /// `self + other`, lane by lane.
    ///
    /// # Safety
    ///
    /// As the trait says.
    unsafe fn add(self, other: Self) -> Self;

    /// Brings the memory at an address, which may lie anywhere, nearer: for `SOON` right beside the processor.
    ///
    /// # Safety
    ///
    /// As the trait says.
    #[inline(always)]
    unsafe fn fetch<const SOON: bool>(_at: *const f32) {}

    /// As [`crate::ops::Clamp::limit_f32`] does it: what is neither less nor greater passes, NaN and -0 included.
    ///
    /// # Safety
    ///
    /// As the trait says.
    unsafe fn limit(self, lo: f32, hi: f32) -> Self;
}

/// Sixteen floats for an `N` of 16, as many as `N` says, or for an `N` of 0 the first `lanes`.
#[inline(always)]
unsafe fn load<L: Lanes, const N: usize>(at: *const f32, lanes: usize) -> L {
    // SAFETY: the caller vouches for so many floats and for the instructions.
    unsafe {
        match N {
            LANES => L::load(at),
            0 => L::load_first(at, lanes),
            _ => L::load_first(at, N),
        }
    }
}

/// The counterpart of [`load`].
#[inline(always)]
unsafe fn store<L: Lanes, const N: usize>(y: L, at: *mut f32, lanes: usize) {
    // SAFETY: the caller vouches for so many floats and for the instructions.
    unsafe {
        match N {
            LANES => y.store(at),
            0 => y.store_first(at, lanes),
            _ => y.store_first(at, N),
        }
    }
}
