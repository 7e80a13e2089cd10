//! 256-bit vectors: a pair of registers holds sixteen lanes. With VNNI as AVX-VNNI has it, or with AVX2 alone, where
//! bytes are widened to 16 bits, because the byte products of AVX2 saturate.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::columns::Pattern;
use super::depthwise::{Constant, Layer, Run};
use super::finish::exact;
use super::rescale::{Finish, Rescale};
use super::simd::{LANES, Simd};
use super::tile::{Again, Tiles, again, fixed};
use super::vector::Pixel;

/// AVX2, with AVX-VNNI or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2<const VNNI: bool>;

/// Sixteen lanes.
type Pair = [__m256i; 2];

macro_rules! each {
    ($f:ident $(::<$n:literal>)? ($a:expr)) => {{
        let a = $a;
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [$f $(::<$n>)? (a[0]), $f $(::<$n>)? (a[1])] }
    }};
    ($f:ident $(::<$n:literal>)? ($a:expr, $b:expr)) => {{
        let (a, b) = ($a, $b);
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [$f $(::<$n>)? (a[0], b[0]), $f $(::<$n>)? (a[1], b[1])] }
    }};
}

/// The first and the second numbers of eight pairs.
#[inline(always)]
unsafe fn eight_pairs(p: *const [i32; 2]) -> [__m256i; 2] {
    // SAFETY: as below.
    unsafe {
        let low = _mm256_castsi256_ps(_mm256_loadu_si256(p.cast()));
        let high = _mm256_castsi256_ps(_mm256_loadu_si256(p.add(4).cast()));
        let first = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(low, high));
        let second = _mm256_castps_si256(_mm256_shuffle_ps::<0xDD>(low, high));
        [_mm256_permute4x64_epi64::<0xD8>(first), _mm256_permute4x64_epi64::<0xD8>(second)]
    }
}

/// 32 bytes of four rows, interleaved: 128 bits each of bytes 0..4 of a row and 16..20, 4..8 and 20..24, and so on.
#[inline(always)]
unsafe fn interleave_half(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    // SAFETY: as below.
    unsafe {
        let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d));
        [
            _mm256_unpacklo_epi16(ab, cd),
            _mm256_unpackhi_epi16(ab, cd),
            _mm256_unpacklo_epi16(ab_high, cd_high),
            _mm256_unpackhi_epi16(ab_high, cd_high),
        ]
    }
}

/// What [`interleave_half`] made, in order.
#[inline(always)]
unsafe fn in_order([u, v, w, x]: [__m256i; 4]) -> [Pair; 2] {
    // SAFETY: as below.
    unsafe {
        [
            [_mm256_permute2x128_si256::<0x20>(u, v), _mm256_permute2x128_si256::<0x20>(w, x)],
            [_mm256_permute2x128_si256::<0x31>(u, v), _mm256_permute2x128_si256::<0x31>(w, x)],
        ]
    }
}

/// 32 lanes as [`Simd::narrow`] has them, but for the order of each four bytes: of a, b, c and d in turns.
#[inline(always)]
unsafe fn narrow_half([a, b]: Pair, [c, d]: Pair, zero: i16) -> __m256i {
    // SAFETY: as below.
    unsafe {
        let zero = _mm256_set1_epi16(zero);
        let ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
        let cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
        _mm256_packs_epi16(ab, cd)
    }
}

// SAFETY, of every block here: the trait's callers have the instruction set, and pointers to as many bytes as the
// functions document; the loads and stores are unaligned ones.
impl<const VNNI: bool> Avx2<VNNI> {
    #[inline(always)]
    unsafe fn real(v: Pair, scale: Pair) -> [__m256; 2] {
        unsafe {
            [
                _mm256_mul_ps(_mm256_cvtepi32_ps(v[0]), _mm256_castsi256_ps(scale[0])),
                _mm256_mul_ps(_mm256_cvtepi32_ps(v[1]), _mm256_castsi256_ps(scale[1])),
            ]
        }
    }

    /// The unsigned bytes 0 and 2, then 1 and 3, of every 32 bits, as 16 bits.
    #[inline(always)]
    unsafe fn widen(x: __m256i) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_and_si256(x, _mm256_set1_epi32(0x00FF_00FF)), _mm256_srli_epi16::<8>(x)] }
    }

    /// As [`Self::widen`] for signed bytes.
    #[inline(always)]
    unsafe fn widen_signed(w: __m256i) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)), _mm256_srai_epi16::<8>(w)] }
    }

    #[inline(always)]
    unsafe fn dot_one(sum: __m256i, x: Pair, w: Pair) -> __m256i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            if VNNI {
                _mm256_dpbusd_avx_epi32(sum, x[0], w[0])
            } else {
                let even = _mm256_madd_epi16(x[0], w[0]);
                let odd = _mm256_madd_epi16(x[1], w[1]);
                _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
            }
        }
    }
}

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type I32 = Pair;
    type Quad = Pair;
    type Weights = [Pair; 2];
    type Bytes = Pair;
    const BLOCKS: usize = 1;
    const HALVES: [usize; 2] = if VNNI { [3, 1] } else { [2, 1] };
    const SLIDES: bool = false;

    #[inline(always)]
    unsafe fn load(p: *const i32) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())] }
    }
    #[inline(always)]
    unsafe fn put(p: *mut i32, v: Pair) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            _mm256_storeu_si256(p.cast(), v[0]);
            _mm256_storeu_si256(p.add(8).cast(), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn pairs(p: *const [i32; 2]) -> [Pair; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let [first_low, second_low] = eight_pairs(p);
            let [first_high, second_high] = eight_pairs(p.add(8));
            [[first_low, first_high], [second_low, second_high]]
        }
    }
    #[inline(always)]
    unsafe fn splat(v: i32) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_set1_epi32(v); 2] }
    }
    #[inline(always)]
    unsafe fn splat64(v: i64) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_set1_epi64x(v); 2] }
    }
    #[inline(always)]
    unsafe fn add(a: Pair, b: Pair) -> Pair {
        each!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn sub(a: Pair, b: Pair) -> Pair {
        each!(_mm256_sub_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn widen(p: *const i8) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (low, high) = (_mm_loadl_epi64(p.cast()), _mm_loadl_epi64(p.add(8).cast()));
            [_mm256_cvtepi8_epi32(low), _mm256_cvtepi8_epi32(high)]
        }
    }
    #[inline(always)]
    unsafe fn mul(a: Pair, b: Pair) -> Pair {
        each!(_mm256_mullo_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn and(a: Pair, b: Pair) -> Pair {
        each!(_mm256_and_si256(a, b))
    }
    #[inline(always)]
    unsafe fn or(a: Pair, b: Pair) -> Pair {
        each!(_mm256_or_si256(a, b))
    }
    #[inline(always)]
    unsafe fn xor(a: Pair, b: Pair) -> Pair {
        each!(_mm256_xor_si256(a, b))
    }
    #[inline(always)]
    unsafe fn gt(a: Pair, b: Pair) -> Pair {
        each!(_mm256_cmpgt_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn any(v: Pair) -> bool {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_or_si256(v[0], v[1]))) != 0 }
    }
    #[inline(always)]
    unsafe fn select(mask: Pair, a: Pair, b: Pair) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [_mm256_blendv_epi8(b[0], a[0], mask[0]), _mm256_blendv_epi8(b[1], a[1], mask[1])] }
    }
    #[inline(always)]
    unsafe fn sra(v: Pair, by: Pair) -> Pair {
        each!(_mm256_srav_epi32(v, by))
    }
    #[inline(always)]
    unsafe fn srl(v: Pair, by: Pair) -> Pair {
        each!(_mm256_srlv_epi32(v, by))
    }
    #[inline(always)]
    unsafe fn sll(v: Pair, by: Pair) -> Pair {
        each!(_mm256_sllv_epi32(v, by))
    }
    #[inline(always)]
    unsafe fn sign(v: Pair) -> Pair {
        each!(_mm256_srai_epi32::<31>(v))
    }

    #[inline(always)]
    unsafe fn mul_even(a: Pair, b: Pair) -> Pair {
        each!(_mm256_mul_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn odd(v: Pair) -> Pair {
        each!(_mm256_srli_epi64::<32>(v))
    }
    #[inline(always)]
    unsafe fn add64(a: Pair, b: Pair) -> Pair {
        each!(_mm256_add_epi64(a, b))
    }
    #[inline(always)]
    unsafe fn high(even: Pair, odd: Pair) -> Pair {
        each!(_mm256_blend_epi32::<0xAA>(each!(_mm256_srli_epi64::<32>(even)), odd))
    }

    #[inline(always)]
    unsafe fn to_float(v: Pair) -> Pair {
        each!(_mm256_castps_si256(each!(_mm256_cvtepi32_ps(v))))
    }
    #[inline(always)]
    unsafe fn add_float(a: Pair, b: Pair) -> Pair {
        let (a, b) = (each!(_mm256_castsi256_ps(a)), each!(_mm256_castsi256_ps(b)));
        each!(_mm256_castps_si256(each!(_mm256_add_ps(a, b))))
    }
    #[inline(always)]
    unsafe fn mul_float(a: Pair, b: Pair) -> Pair {
        let (a, b) = (each!(_mm256_castsi256_ps(a)), each!(_mm256_castsi256_ps(b)));
        each!(_mm256_castps_si256(each!(_mm256_mul_ps(a, b))))
    }
    #[inline(always)]
    unsafe fn with_sign(magnitude: Pair, v: Pair) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::or(magnitude, Self::and(v, Self::splat(i32::MIN))) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Pair, b: Pair, c: Pair) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::add_float(Self::mul_float(a, b), c) }
    }
    #[inline(always)]
    unsafe fn nearest(v: Pair) -> Pair {
        each!(_mm256_cvtps_epi32(each!(_mm256_castsi256_ps(v))))
    }
    #[inline(always)]
    unsafe fn min_words(a: Pair, b: Pair) -> Pair {
        each!(_mm256_min_epu16(a, b))
    }
    #[inline(always)]
    unsafe fn any_low_word_below(limit: i32, [low, high]: Pair) -> bool {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let least = _mm256_and_si256(_mm256_min_epu16(low, high), _mm256_set1_epi32(0x1_0000 - limit));
            _mm256_movemask_epi8(_mm256_cmpeq_epi32(least, _mm256_setzero_si256())) != 0
        }
    }

    #[inline(always)]
    unsafe fn scale(v: Pair, scale: Pair) -> Pair {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            // Rounded first, so that the processor's rounding mode does not matter.
            let [a, b] = Self::real(v, scale);
            [
                _mm256_cvtps_epi32(_mm256_round_ps::<NEAREST>(a)),
                _mm256_cvtps_epi32(_mm256_round_ps::<NEAREST>(b)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn too_large(v: Pair, scale: Pair) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let limit = _mm256_set1_ps(2147483648.0);
            let [a, b] = Self::real(v, scale);
            [
                _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GE_OQ>(a, limit)),
                _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GE_OQ>(b, limit)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let x = _mm256_set1_epi32(p.cast::<i32>().read_unaligned());
            if VNNI { [x, x] } else { Self::widen(x) }
        }
    }
    #[inline(always)]
    unsafe fn weights(p: *const i8) -> [Pair; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::lane_weights(Self::load(p.cast())) }
    }
    #[inline(always)]
    unsafe fn lane_weights(v: Pair) -> [Pair; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            if VNNI { [[v[0]; 2], [v[1]; 2]] } else { [Self::widen_signed(v[0]), Self::widen_signed(v[1])] }
        }
    }
    #[inline(always)]
    unsafe fn dot(sum: Pair, x: Pair, w: [Pair; 2]) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { [Self::dot_one(sum[0], x, w[0]), Self::dot_one(sum[1], x, w[1])] }
    }
    #[inline(always)]
    unsafe fn dot_lanes(sum: Pair, x: Pair, w: [Pair; 2]) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (low, high) =
                if VNNI { ([x[0]; 2], [x[1]; 2]) } else { (Self::widen(x[0]), Self::widen(x[1])) };
            [Self::dot_one(sum[0], low, w[0]), Self::dot_one(sum[1], high, w[1])]
        }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn apart<const DEPTH: usize>(p: *const u8) -> [Pair; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        let ([a, b], [c, d]) = unsafe { (Self::load(p.cast()), Self::load(p.add(64).cast())) };
        let (first, second) = ([a, c], [b, d]);
        match DEPTH {
            8 => {
                let even = each!(_mm256_unpacklo_epi64(first, second));
                let odd = each!(_mm256_unpackhi_epi64(first, second));
                [each!(_mm256_permute4x64_epi64::<0xD8>(even)), each!(_mm256_permute4x64_epi64::<0xD8>(odd))]
            }
            16 => [
                each!(_mm256_permute2x128_si256::<0x20>(first, second)),
                each!(_mm256_permute2x128_si256::<0x31>(first, second)),
            ],
            _ => [first, second],
        }
    }
    #[inline(always)]
    unsafe fn transpose([a, b, c, d]: [Pair; 4]) -> [Pair; 4] {
        let (low, high) = ([a[0], c[0]], [b[0], d[0]]);
        let (low_right, high_right) = ([a[1], c[1]], [b[1], d[1]]);
        [
            each!(_mm256_permute2x128_si256::<0x20>(low, high)),
            each!(_mm256_permute2x128_si256::<0x31>(low, high)),
            each!(_mm256_permute2x128_si256::<0x20>(low_right, high_right)),
            each!(_mm256_permute2x128_si256::<0x31>(low_right, high_right)),
        ]
    }
    #[inline(always)]
    unsafe fn join([a, _]: Pair, [b, _]: Pair) -> Pair {
        [a, b]
    }
    #[inline(always)]
    unsafe fn flip<const BY: u8>(v: Pair) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { if BY == 0 { v } else { Self::xor(v, [_mm256_set1_epi8(BY as i8); 2]) } }
    }
    #[inline(always)]
    unsafe fn interleave<const SPLIT: bool>([a, b, c, d]: [Pair; 4]) -> [Pair; 4] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let low = interleave_half(a[0], b[0], c[0], d[0]);
            let high = interleave_half(a[1], b[1], c[1], d[1]);
            if SPLIT {
                return [[low[0], high[0]], [low[1], high[1]], [low[2], high[2]], [low[3], high[3]]];
            }
            let ([p, q], [r, s]) = (in_order(low), in_order(high));
            [p, q, r, s]
        }
    }
    #[inline(always)]
    unsafe fn narrow<const SPLIT: bool>([a, b, c, d]: [Pair; 4], zero: i16) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            if SPLIT {
                let (p, q) = ([[a[0], b[0]], [c[0], d[0]]], [[a[1], b[1]], [c[1], d[1]]]);
                return [narrow_half(p[0], p[1], zero), narrow_half(q[0], q[1], zero)];
            }
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            [
                _mm256_permutevar8x32_epi32(narrow_half(a, b, zero), order),
                _mm256_permutevar8x32_epi32(narrow_half(c, d, zero), order),
            ]
        }
    }
    #[inline(always)]
    unsafe fn narrow_upper<const SPLIT: bool>([a, b, c, d]: [Pair; 4]) -> Pair {
        let [a, b] = [each!(_mm256_srai_epi32::<16>(a)), each!(_mm256_srai_epi32::<16>(b))];
        let [c, d] = [each!(_mm256_srai_epi32::<16>(c)), each!(_mm256_srai_epi32::<16>(d))];
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::narrow::<SPLIT>([a, b, c, d], 0) }
    }
    #[inline(always)]
    unsafe fn limit(v: Pair, low: i8, high: i8) -> Pair {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        let (low, high) = unsafe { ([_mm256_set1_epi8(low); 2], [_mm256_set1_epi8(high); 2]) };
        each!(_mm256_min_epi8(each!(_mm256_max_epi8(v, low)), high))
    }
    #[inline(always)]
    unsafe fn store(p: *mut u8, v: Pair) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { Self::put(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_half(p: *mut u8, v: Pair, half: usize) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm256_storeu_si256(p.cast(), if half == 0 { v[0] } else { v[1] }) }
    }
    #[inline(always)]
    unsafe fn store_quarter(p: *mut u8, v: Pair, quarter: usize) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let half = if quarter < 2 { v[0] } else { v[1] };
            let part = if quarter & 1 == 0 {
                _mm256_castsi256_si128(half)
            } else {
                _mm256_extracti128_si256::<1>(half)
            };
            _mm_storeu_si128(p.cast(), part);
        }
    }

    #[inline(always)]
    unsafe fn tiles<R: Rescale, const BLOCKS: usize, const HALF: usize, const ODD: bool, const RELU: bool>(
        t: &Tiles<'_, Self, R>,
        is_across: bool,
    ) {
        // SAFETY: the caller's. The type is the one that the constant says.
        unsafe {
            if VNNI {
                tiles_avx_vnni::<VNNI, R, BLOCKS, HALF, ODD, RELU>(t, is_across);
            } else {
                tiles_avx2::<VNNI, R, BLOCKS, HALF, ODD, RELU>(t, is_across);
            }
        }
    }

    #[inline(always)]
    unsafe fn again<R: Rescale>(t: &Tiles<'_, Self, R>, at: &Again) {
        // SAFETY: the caller's.
        unsafe { again_avx2::<VNNI, R>(t, at) }
    }

    #[inline(always)]
    unsafe fn pixel<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { if VNNI { pixel_avx_vnni::<R, RELU>(p, output) } else { pixel_avx2::<R, RELU>(p, output) } }
    }

    #[inline(always)]
    unsafe fn parts<R: Rescale, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
        layer: &Layer<'_, R>,
        pattern: &Pattern<'_>,
        of: &Constant<Self>,
        run: &Run,
    ) {
        // SAFETY: the caller's. The type is the one that the constant says.
        unsafe {
            if VNNI {
                parts_avx_vnni::<VNNI, R, TAPS, RELU, SPLIT>(layer, pattern, of, run);
            } else {
                parts_avx2::<VNNI, R, TAPS, RELU, SPLIT>(layer, pattern, of, run);
            }
        }
    }

    #[inline(always)]
    unsafe fn exact<R: Rescale>(sums: &[Pair; 4], scales: [&[R::Scale; LANES]; 4], end: &Finish) -> Pair {
        // SAFETY: the caller's. Nothing here depends on VNNI.
        unsafe { exact_avx2::<R>(sums, scales, end) }
    }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tiles_avx_vnni<
    const VNNI: bool,
    R: Rescale,
    const BLOCKS: usize,
    const HALF: usize,
    const ODD: bool,
    const RELU: bool,
>(
    t: &Tiles<'_, Avx2<VNNI>, R>,
    is_across: bool,
) {
    // SAFETY: the caller's.
    unsafe { fixed::<Avx2<VNNI>, R, BLOCKS, HALF, ODD, RELU>(t, is_across) }
}

#[target_feature(enable = "avx2")]
unsafe fn tiles_avx2<
    const VNNI: bool,
    R: Rescale,
    const BLOCKS: usize,
    const HALF: usize,
    const ODD: bool,
    const RELU: bool,
>(
    t: &Tiles<'_, Avx2<VNNI>, R>,
    is_across: bool,
) {
    // SAFETY: the caller's.
    unsafe { fixed::<Avx2<VNNI>, R, BLOCKS, HALF, ODD, RELU>(t, is_across) }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn pixel_avx_vnni<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]) {
    // SAFETY: the caller's.
    unsafe { p.run::<Avx2<true>, RELU>(output) }
}

#[target_feature(enable = "avx2")]
unsafe fn pixel_avx2<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]) {
    // SAFETY: the caller's.
    unsafe { p.run::<Avx2<false>, RELU>(output) }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn parts_avx_vnni<
    const VNNI: bool,
    R: Rescale,
    const TAPS: usize,
    const RELU: bool,
    const SPLIT: bool,
>(
    layer: &Layer<'_, R>,
    pattern: &Pattern<'_>,
    of: &Constant<Avx2<VNNI>>,
    run: &Run,
) {
    // SAFETY: the caller's.
    unsafe { layer.run::<Avx2<VNNI>, TAPS, RELU, SPLIT>(pattern, of, run) }
}

#[target_feature(enable = "avx2")]
unsafe fn parts_avx2<const VNNI: bool, R: Rescale, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
    layer: &Layer<'_, R>,
    pattern: &Pattern<'_>,
    of: &Constant<Avx2<VNNI>>,
    run: &Run,
) {
    // SAFETY: the caller's.
    unsafe { layer.run::<Avx2<VNNI>, TAPS, RELU, SPLIT>(pattern, of, run) }
}

#[cold]
#[target_feature(enable = "avx2")]
unsafe fn exact_avx2<R: Rescale>(sums: &[Pair; 4], scales: [&[R::Scale; LANES]; 4], end: &Finish) -> Pair {
    // SAFETY: the caller's.
    unsafe { exact::<Avx2<false>, R>(sums, scales, end) }
}

#[cold]
#[target_feature(enable = "avx2")]
unsafe fn again_avx2<const VNNI: bool, R: Rescale>(t: &Tiles<'_, Avx2<VNNI>, R>, at: &Again) {
    // SAFETY: the caller's.
    unsafe { again::<Avx2<VNNI>, R>(t, at) }
}
