//! Sixteen 32-bit lanes, one per output channel, and the few operations that the int8 kernels are made of.
//!
//! Kernels are written once over [`Simd`] and compiled for each ISA inside a function that enables it; everything here
//! is inlined into that function.
#![allow(unsafe_code)]

use super::columns::Pattern;
use super::depthwise::{Constant, Layer, Run};
use super::rescale::{Finish, Rescale};
use super::tile::{Again, Tiles};
use super::vector::Pixel;

/// Output channels of one vector; equals the layout's block.
pub(super) const LANES: usize = 16;

/// An instruction set.
///
/// # Safety
///
/// Every function may be called only where the processor has the instruction set, from code compiled for it. Those that
/// take pointers read or write exactly the bytes that they document.
pub(super) trait Simd: Copy + 'static {
    /// Sixteen 32-bit lanes, or eight 64-bit ones made of neighbours.
    type I32: Copy;
    /// Four activation bytes for all lanes.
    type Quad: Copy;
    /// Sixteen channels' four weights.
    type Weights: Copy;
    /// 64 bytes.
    type Bytes: Copy;
    /// Blocks of sixteen channels that a tile has at most.
    const BLOCKS: usize;
    /// Pixels that a half of a tile of one block and of two blocks has at most: so many sums stay in registers.
    const HALVES: [usize; 2];
    /// Whether there are registers enough for [`super::slide`].
    const SLIDES: bool;

    /// 64 bytes at `p`.
    unsafe fn load(p: *const i32) -> Self::I32;
    /// Writes 64 bytes at `p`.
    unsafe fn put(p: *mut i32, v: Self::I32);
    /// The first and the second numbers of the sixteen pairs at `p`.
    unsafe fn pairs(p: *const [i32; 2]) -> [Self::I32; 2];
    unsafe fn splat(v: i32) -> Self::I32;
    unsafe fn splat64(v: i64) -> Self::I32;
    unsafe fn add(a: Self::I32, b: Self::I32) -> Self::I32;
    unsafe fn sub(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Sixteen signed bytes at `p`.
    unsafe fn widen(p: *const i8) -> Self::I32;
    unsafe fn mul(a: Self::I32, b: Self::I32) -> Self::I32;
    unsafe fn and(a: Self::I32, b: Self::I32) -> Self::I32;
    unsafe fn or(a: Self::I32, b: Self::I32) -> Self::I32;
    unsafe fn xor(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Lanes of all ones where `a > b`.
    unsafe fn gt(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Whether the upper bit of any lane is set.
    unsafe fn any(v: Self::I32) -> bool;
    /// `a` where `mask` is all ones, `b` where it is zero.
    unsafe fn select(mask: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Shift counts per lane, 0..=31.
    unsafe fn sra(v: Self::I32, by: Self::I32) -> Self::I32;
    unsafe fn srl(v: Self::I32, by: Self::I32) -> Self::I32;
    unsafe fn sll(v: Self::I32, by: Self::I32) -> Self::I32;
    /// All ones where negative.
    unsafe fn sign(v: Self::I32) -> Self::I32;

    /// 64-bit products of the even lanes.
    unsafe fn mul_even(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Odd lanes in the places of even ones; odd places are whatever.
    unsafe fn odd(v: Self::I32) -> Self::I32;
    unsafe fn add64(a: Self::I32, b: Self::I32) -> Self::I32;
    /// The upper halves of eight 64-bit lanes each, `even`'s in the even places.
    unsafe fn high(even: Self::I32, odd: Self::I32) -> Self::I32;

    /// The nearest float.
    unsafe fn to_float(v: Self::I32) -> Self::I32;
    unsafe fn add_float(a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a * b + c`, rounded once or after both.
    unsafe fn mul_add(a: Self::I32, b: Self::I32, c: Self::I32) -> Self::I32;
    /// A float's nearest integer; beyond 32 bits `i32::MIN`.
    unsafe fn nearest(v: Self::I32) -> Self::I32;
    unsafe fn mul_float(a: Self::I32, b: Self::I32) -> Self::I32;
    /// `magnitude`, a float that is not negative, with the sign of the integer `v`.
    unsafe fn with_sign(magnitude: Self::I32, v: Self::I32) -> Self::I32;
    /// The lesser ones of unsigned 16-bit words.
    unsafe fn min_words(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Whether the lower 16 bits of any lane are below `limit`, a power of two.
    unsafe fn any_low_word_below(limit: i32, v: Self::I32) -> bool;

    /// As float, times `scale` (bits of floats), to the nearest integer with ties to even; beyond 32 bits `i32::MIN`.
    unsafe fn scale(v: Self::I32, scale: Self::I32) -> Self::I32;
    /// All ones where `v` as float times `scale` is 2^31 or more.
    unsafe fn too_large(v: Self::I32, scale: Self::I32) -> Self::I32;

    /// Four bytes at `p`.
    unsafe fn quad(p: *const u8) -> Self::Quad;
    /// 64 bytes at `p`: `[16][4]`.
    unsafe fn weights(p: *const i8) -> Self::Weights;
    /// From `[16][4]` bytes in lanes.
    unsafe fn lane_weights(v: Self::I32) -> Self::Weights;
    /// `sum + x * w` over four bytes, `x` unsigned.
    unsafe fn dot(sum: Self::I32, x: Self::Quad, w: Self::Weights) -> Self::I32;
    /// The same with four unsigned bytes of its own in each lane.
    unsafe fn dot_lanes(sum: Self::I32, x: Self::I32, w: Self::Weights) -> Self::I32;

    /// 64 bytes at `p`.
    unsafe fn bytes(p: *const u8) -> Self::Bytes;
    /// Of 128 bytes at `p` in pieces of `DEPTH`, 8, 16 or 32, the even ones and the odd ones.
    unsafe fn apart<const DEPTH: usize>(p: *const u8) -> [Self::Bytes; 2];
    /// Lane `k` of vector `v` becomes byte `16 v + k` of the four operands.
    /// With `SPLIT` byte `16 i + 4 v + j` for lane `4 i + j`, which is less work.
    unsafe fn interleave<const SPLIT: bool>(rows: [Self::Bytes; 4]) -> [Self::I32; 4];
    /// Lanes `4 v..4 v + 4` of vector `i` become lanes `4 i..4 i + 4` of vector `v`.
    unsafe fn transpose(v: [Self::I32; 4]) -> [Self::I32; 4];
    /// The first eight lanes of `a`, then those of `b`.
    unsafe fn join(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Every byte exclusive or `BY`.
    unsafe fn flip<const BY: u8>(v: Self::Bytes) -> Self::Bytes;
    /// Lanes saturated to 16 bits, plus `zero`, saturated to 8 bits; byte `16 v + k` is lane `k` of vector `v`; with
    /// `SPLIT` byte `16 i + 4 v + j` is lane `4 i + j`.
    unsafe fn narrow<const SPLIT: bool>(v: [Self::I32; 4], zero: i16) -> Self::Bytes;
    /// As [`Simd::narrow`] of the upper 16 bits of every lane, without `zero`.
    unsafe fn narrow_upper<const SPLIT: bool>(v: [Self::I32; 4]) -> Self::Bytes;
    /// Signed bytes within `low..=high`.
    unsafe fn limit(v: Self::Bytes, low: i8, high: i8) -> Self::Bytes;
    /// Writes 64 bytes.
    unsafe fn store(p: *mut u8, v: Self::Bytes);
    /// Writes bytes `32 half..32 half + 32`.
    unsafe fn store_half(p: *mut u8, v: Self::Bytes, half: usize);
    /// Writes bytes `16 quarter..16 quarter + 16`.
    unsafe fn store_quarter(p: *mut u8, v: Self::Bytes, quarter: usize);

    /// [`super::tile::fixed`], compiled for the instruction set.
    unsafe fn tiles<R: Rescale, const BLOCKS: usize, const HALF: usize, const ODD: bool, const RELU: bool>(
        t: &Tiles<'_, Self, R>,
        is_across: bool,
    );

    /// [`super::tile::again`], compiled for the instruction set.
    unsafe fn again<R: Rescale>(t: &Tiles<'_, Self, R>, at: &Again);

    /// [`super::vector::Pixel::run`], compiled for the instruction set.
    unsafe fn pixel<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]);

    /// [`super::depthwise::Layer::run`], compiled for the instruction set.
    unsafe fn parts<R: Rescale, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
        layer: &Layer<'_, R>,
        pattern: &Pattern<'_>,
        of: &Constant<Self>,
        run: &Run,
    );

    /// [`super::finish::exact`], compiled for the instruction set.
    unsafe fn exact<R: Rescale>(
        sums: &[Self::I32; 4],
        scales: [&[R::Scale; LANES]; 4],
        end: &Finish,
    ) -> Self::Bytes;
}
