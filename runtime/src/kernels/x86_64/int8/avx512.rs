//! AVX-512 with VNNI: a vector is a register.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::columns::Pattern;
use super::depthwise::{Constant, Layer, Run};
use super::finish::exact;
use super::rescale::{Finish, Rescale};
use super::simd::{LANES, Simd};
use super::tile::{Again, Tiles, again, fixed};
use super::vector::Pixel;

/// AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512;

/// The 32-bit lanes as a matrix of 4 x 4, transposed.
#[inline(always)]
unsafe fn transpose(v: __m512i) -> __m512i {
    // SAFETY: as below.
    unsafe {
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, v)
    }
}

/// The upper halves of the first vector's lanes, then of the second one's.
static UPPER: [u16; 32] = {
    let mut words = [0; 32];
    let mut i = 0;
    while i < 32 {
        words[i] = 2 * i as u16 + 1;
        i += 1;
    }
    words
};

/// The same, four of each in turns.
static SPLIT_UPPER: [u16; 32] = {
    let mut words = [0; 32];
    let mut i = 0;
    while i < 32 {
        words[i] = (i as u16 / 8 * 4 + i as u16 % 4) * 2 + 1 + i as u16 % 8 / 4 * 32;
        i += 1;
    }
    words
};

// SAFETY, of every block here: the trait's callers have the instruction set, and pointers to as many bytes as the
// functions document; the loads and stores are unaligned ones.
impl Simd for Avx512 {
    type I32 = __m512i;
    type Quad = __m512i;
    type Weights = __m512i;
    type Bytes = __m512i;
    const BLOCKS: usize = 2;
    const HALVES: [usize; 2] = [8, 6];
    const SLIDES: bool = true;

    #[inline(always)]
    unsafe fn load(p: *const i32) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn put(p: *mut i32, v: __m512i) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_storeu_si512(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn pairs(p: *const [i32; 2]) -> [__m512i; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (low, high) = (_mm512_loadu_si512(p.cast()), _mm512_loadu_si512(p.add(8).cast()));
            let first = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let second = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            [_mm512_permutex2var_epi32(low, first, high), _mm512_permutex2var_epi32(low, second, high)]
        }
    }
    #[inline(always)]
    unsafe fn splat(v: i32) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_set1_epi32(v) }
    }
    #[inline(always)]
    unsafe fn splat64(v: i64) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_set1_epi64(v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_sub_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn widen(p: *const i8) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn xor(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_xor_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn gt(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(a, b)) }
    }
    #[inline(always)]
    unsafe fn any(v: __m512i) -> bool {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_movepi32_mask(v) != 0 }
    }
    #[inline(always)]
    unsafe fn select(mask: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_ternarylogic_epi32::<0xCA>(mask, a, b) }
    }
    #[inline(always)]
    unsafe fn sra(v: __m512i, by: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_srav_epi32(v, by) }
    }
    #[inline(always)]
    unsafe fn srl(v: __m512i, by: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_srlv_epi32(v, by) }
    }
    #[inline(always)]
    unsafe fn sll(v: __m512i, by: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_sllv_epi32(v, by) }
    }
    #[inline(always)]
    unsafe fn sign(v: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_srai_epi32::<31>(v) }
    }

    #[inline(always)]
    unsafe fn mul_even(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_mul_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn odd(v: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_srli_epi64::<32>(v) }
    }
    #[inline(always)]
    unsafe fn add64(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_add_epi64(a, b) }
    }
    #[inline(always)]
    unsafe fn high(even: __m512i, odd: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (even, odd) = (_mm512_castsi512_ps(even), _mm512_castsi512_ps(odd));
            _mm512_castps_si512(_mm512_mask_movehdup_ps(odd, 0x5555, even))
        }
    }

    #[inline(always)]
    unsafe fn to_float(v: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_castps_si512(_mm512_cvtepi32_ps(v)) }
    }
    #[inline(always)]
    unsafe fn add_float(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))) }
    }
    #[inline(always)]
    unsafe fn mul_float(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))) }
    }
    #[inline(always)]
    unsafe fn with_sign(magnitude: __m512i, v: __m512i) -> __m512i {
        // Where the mask is set the second one, else the first.
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_ternarylogic_epi32::<0xCA>(_mm512_set1_epi32(i32::MIN), v, magnitude) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (a, b, c) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _mm512_castsi512_ps(c));
            _mm512_castps_si512(_mm512_fmadd_ps(a, b, c))
        }
    }
    #[inline(always)]
    unsafe fn nearest(v: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_cvtps_epi32(_mm512_castsi512_ps(v)) }
    }
    #[inline(always)]
    unsafe fn min_words(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_min_epu16(a, b) }
    }
    #[inline(always)]
    unsafe fn any_low_word_below(limit: i32, v: __m512i) -> bool {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_testn_epi32_mask(v, _mm512_set1_epi32(0x1_0000 - limit)) != 0 }
    }

    #[inline(always)]
    unsafe fn scale(v: __m512i, scale: __m512i) -> __m512i {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_castsi512_ps(scale));
            _mm512_cvt_roundps_epi32::<NEAREST>(product)
        }
    }
    #[inline(always)]
    unsafe fn too_large(v: __m512i, scale: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_castsi512_ps(scale));
            _mm512_movm_epi32(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(product, _mm512_set1_ps(2147483648.0)))
        }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(p: *const i8) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn lane_weights(v: __m512i) -> __m512i {
        v
    }
    #[inline(always)]
    unsafe fn dot(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_dpbusd_epi32(sum, x, w) }
    }
    #[inline(always)]
    unsafe fn dot_lanes(sum: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_dpbusd_epi32(sum, x, w) }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn apart<const DEPTH: usize>(p: *const u8) -> [__m512i; 2] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (low, high) = (_mm512_loadu_si512(p.cast()), _mm512_loadu_si512(p.add(64).cast()));
            let (even, odd) = match DEPTH {
                8 => (
                    _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14),
                    _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15),
                ),
                16 => (
                    _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13),
                    _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15),
                ),
                _ => (
                    _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 10, 11),
                    _mm512_setr_epi64(4, 5, 6, 7, 12, 13, 14, 15),
                ),
            };
            [_mm512_permutex2var_epi64(low, even, high), _mm512_permutex2var_epi64(low, odd, high)]
        }
    }
    #[inline(always)]
    unsafe fn transpose([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let (ab, cd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
            let (ab_odd, cd_odd) = (_mm512_shuffle_i32x4::<0xDD>(a, b), _mm512_shuffle_i32x4::<0xDD>(c, d));
            [
                _mm512_shuffle_i32x4::<0x88>(ab, cd),
                _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
                _mm512_shuffle_i32x4::<0xDD>(ab, cd),
                _mm512_shuffle_i32x4::<0xDD>(ab_odd, cd_odd),
            ]
        }
    }
    #[inline(always)]
    unsafe fn join(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_inserti64x4::<1>(a, _mm512_castsi512_si256(b)) }
    }
    #[inline(always)]
    unsafe fn flip<const BY: u8>(v: __m512i) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { if BY == 0 { v } else { _mm512_xor_si512(v, _mm512_set1_epi8(BY as i8)) } }
    }
    #[inline(always)]
    unsafe fn interleave<const SPLIT: bool>(rows: [__m512i; 4]) -> [__m512i; 4] {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            // Dwords 0, 4, 8, 12 of a row into the first 128 bits and so on: unpacking then leaves lanes in order.
            let [a, b, c, d] = rows;
            let [a, b, c, d] =
                if SPLIT { rows } else { [transpose(a), transpose(b), transpose(c), transpose(d)] };
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn narrow<const SPLIT: bool>([a, b, c, d]: [__m512i; 4], zero: i16) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let zero = _mm512_set1_epi16(zero);
            let ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
            let cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
            let bytes = _mm512_packs_epi16(ab, cd);
            if SPLIT { bytes } else { transpose(bytes) }
        }
    }
    #[inline(always)]
    unsafe fn narrow_upper<const SPLIT: bool>([a, b, c, d]: [__m512i; 4]) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let order = const { if SPLIT { &SPLIT_UPPER } else { &UPPER } };
            let upper = _mm512_loadu_si512(order.as_ptr().cast());
            let (ab, cd) = (_mm512_permutex2var_epi16(a, upper, b), _mm512_permutex2var_epi16(c, upper, d));
            // 64 bits of `ab` and of `cd` in turns.
            let bytes = _mm512_packs_epi16(ab, cd);
            if SPLIT {
                bytes
            } else {
                _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes)
            }
        }
    }
    #[inline(always)]
    unsafe fn limit(v: __m512i, low: i8, high: i8) -> __m512i {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_min_epi8(_mm512_max_epi8(v, _mm512_set1_epi8(low)), _mm512_set1_epi8(high)) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut u8, v: __m512i) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe { _mm512_storeu_si512(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_half(p: *mut u8, v: __m512i, half: usize) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let part = if half == 0 { _mm512_castsi512_si256(v) } else { _mm512_extracti64x4_epi64::<1>(v) };
            _mm256_storeu_si256(p.cast(), part);
        }
    }
    #[inline(always)]
    unsafe fn store_quarter(p: *mut u8, v: __m512i, quarter: usize) {
        // SAFETY: the caller's: the processor has the features, pointers are good for what is read and written.
        unsafe {
            let part = match quarter {
                0 => _mm512_castsi512_si128(v),
                1 => _mm512_extracti32x4_epi32::<1>(v),
                2 => _mm512_extracti32x4_epi32::<2>(v),
                _ => _mm512_extracti32x4_epi32::<3>(v),
            };
            _mm_storeu_si128(p.cast(), part);
        }
    }

    #[inline(always)]
    unsafe fn tiles<R: Rescale, const BLOCKS: usize, const HALF: usize, const ODD: bool, const RELU: bool>(
        t: &Tiles<'_, Self, R>,
        is_across: bool,
    ) {
        // SAFETY: the caller's.
        unsafe { tiles_avx512::<R, BLOCKS, HALF, ODD, RELU>(t, is_across) }
    }

    #[inline(always)]
    unsafe fn again<R: Rescale>(t: &Tiles<'_, Self, R>, at: &Again) {
        // SAFETY: the caller's.
        unsafe { again_avx512::<R>(t, at) }
    }

    #[inline(always)]
    unsafe fn pixel<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { pixel_avx512::<R, RELU>(p, output) }
    }

    #[inline(always)]
    unsafe fn parts<R: Rescale, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
        layer: &Layer<'_, R>,
        pattern: &Pattern<'_>,
        of: &Constant<Self>,
        run: &Run,
    ) {
        // SAFETY: the caller's.
        unsafe { parts_avx512::<R, TAPS, RELU, SPLIT>(layer, pattern, of, run) }
    }

    #[inline(always)]
    unsafe fn exact<R: Rescale>(
        sums: &[__m512i; 4],
        scales: [&[R::Scale; LANES]; 4],
        end: &Finish,
    ) -> __m512i {
        // SAFETY: the caller's.
        unsafe { exact_avx512::<R>(sums, scales, end) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn tiles_avx512<
    R: Rescale,
    const BLOCKS: usize,
    const HALF: usize,
    const ODD: bool,
    const RELU: bool,
>(
    t: &Tiles<'_, Avx512, R>,
    is_across: bool,
) {
    // SAFETY: the caller's.
    unsafe { fixed::<Avx512, R, BLOCKS, HALF, ODD, RELU>(t, is_across) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn pixel_avx512<R: Rescale, const RELU: bool>(p: &Pixel<'_, R>, output: &mut [u8]) {
    // SAFETY: the caller's.
    unsafe { p.run::<Avx512, RELU>(output) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn parts_avx512<R: Rescale, const TAPS: usize, const RELU: bool, const SPLIT: bool>(
    layer: &Layer<'_, R>,
    pattern: &Pattern<'_>,
    of: &Constant<Avx512>,
    run: &Run,
) {
    // SAFETY: the caller's.
    unsafe { layer.run::<Avx512, TAPS, RELU, SPLIT>(pattern, of, run) }
}

#[cold]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn exact_avx512<R: Rescale>(
    sums: &[__m512i; 4],
    scales: [&[R::Scale; LANES]; 4],
    end: &Finish,
) -> __m512i {
    // SAFETY: the caller's.
    unsafe { exact::<Avx512, R>(sums, scales, end) }
}

#[cold]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn again_avx512<R: Rescale>(t: &Tiles<'_, Avx512, R>, at: &Again) {
    // SAFETY: the caller's.
    unsafe { again::<Avx512, R>(t, at) }
}
