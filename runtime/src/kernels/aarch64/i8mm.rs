//! With matrix products (Armv8.6 I8MM): each instruction adds eight weights of two channels for two pixels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::aarch64::dot;
use crate::kernels::aarch64::end::{Sums, begin};
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::{PIXELS, Tile};
use crate::layout::QUAD;

kernels!("neon,dotprod,i8mm", Isa::NeonI8mm, 6 [1 => 1, 2 => 2, 3 | 4 => 4, 5 | 6 => 6], sums, dot_strip, |_| true);

/// Inputs of a pixel that one instruction takes.
const CHUNK: usize = 2 * QUAD;

/// Sums of two pixels, two channels each: the first pixel's, the second's.
type Pair = [int32x4_t; 8];

/// Adds `$n` chunks of the inputs of the listed pairs of pixels, with two steps of weights each: steps side by side are
/// eight weights of two channels. For each pair: its number, names for its two pointers, its inputs and its sums.
macro_rules! products {
    ($sums:ident, $x:ident, $w:ident, $n:ident, $(
        $i:literal $p:ident $q:ident $v:ident $s0:ident $s1:ident $s2:ident $s3:ident $s4:ident $s5:ident $s6:ident $s7:ident,
    )*) => {
        asm!(
            ".arch_extension i8mm",
            "2:",
            "ldp {w0:q}, {w1:q}, [{w}], #128",
            "ldp {w2:q}, {w3:q}, [{w}, #-64]",
            $(
                concat!("ld1 {{{", stringify!($v), ":v}.d}}[0], [{", stringify!($p), "}], #8"),
                concat!("ld1 {{{", stringify!($v), ":v}.d}}[1], [{", stringify!($q), "}], #8"),
            )*
            "zip1 {z:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip2 {w0:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip1 {w2:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "zip2 {w1:v}.4s, {w1:v}.4s, {w3:v}.4s",
            $(
                concat!("smmla {", stringify!($s0), ":v}.4s, {", stringify!($v), ":v}.16b, {z:v}.16b"),
                concat!("smmla {", stringify!($s1), ":v}.4s, {", stringify!($v), ":v}.16b, {w0:v}.16b"),
                concat!("smmla {", stringify!($s2), ":v}.4s, {", stringify!($v), ":v}.16b, {w2:v}.16b"),
                concat!("smmla {", stringify!($s3), ":v}.4s, {", stringify!($v), ":v}.16b, {w1:v}.16b"),
            )*
            "ldp {w0:q}, {w1:q}, [{w}, #-96]",
            "ldp {w2:q}, {w3:q}, [{w}, #-32]",
            "zip1 {z:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip2 {w0:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip1 {w2:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "zip2 {w1:v}.4s, {w1:v}.4s, {w3:v}.4s",
            $(
                concat!("smmla {", stringify!($s4), ":v}.4s, {", stringify!($v), ":v}.16b, {z:v}.16b"),
                concat!("smmla {", stringify!($s5), ":v}.4s, {", stringify!($v), ":v}.16b, {w0:v}.16b"),
                concat!("smmla {", stringify!($s6), ":v}.4s, {", stringify!($v), ":v}.16b, {w2:v}.16b"),
                concat!("smmla {", stringify!($s7), ":v}.4s, {", stringify!($v), ":v}.16b, {w1:v}.16b"),
            )*
            "subs {n}, {n}, #1",
            "b.ne 2b",
            w = inout(reg) $w,
            n = inout(reg) $n => _,
            w0 = out(vreg) _,
            w1 = out(vreg) _,
            w2 = out(vreg) _,
            w3 = out(vreg) _,
            z = out(vreg) _,
            $(
                $p = inout(reg) $x[2 * $i],
                $q = inout(reg) $x[2 * $i + 1],
                $v = out(vreg) _,
                $s0 = inout(vreg) $sums[$i][0],
                $s1 = inout(vreg) $sums[$i][1],
                $s2 = inout(vreg) $sums[$i][2],
                $s3 = inout(vreg) $sums[$i][3],
                $s4 = inout(vreg) $sums[$i][4],
                $s5 = inout(vreg) $sums[$i][5],
                $s6 = inout(vreg) $sums[$i][6],
                $s7 = inout(vreg) $sums[$i][7],
            )*
            options(nostack, readonly)
        )
    };
}

/// Adds `n` chunks, at least one, of `N` pixels from `x` on, where the weights begin at `w`; returns where both end.
///
/// # Safety
/// The processor has I8MM, `n` chunks are readable at every `x`, and `2 n` steps at `w`.
#[inline(always)]
unsafe fn add<const N: usize>(
    sums: &mut [Pair; 3],
    mut x: [*const i8; PIXELS],
    mut w: *const i8,
    n: usize,
) -> ([*const i8; PIXELS], *const i8) {
    // SAFETY: as the caller promises; only loads, and all registers are declared.
    unsafe {
        match N {
            2 => products!(sums, x, w, n, 0 p0 q0 v0 a0 a1 a2 a3 a4 a5 a6 a7,),
            4 => {
                products!(sums, x, w, n, 0 p0 q0 v0 a0 a1 a2 a3 a4 a5 a6 a7, 1 p1 q1 v1 b0 b1 b2 b3 b4 b5 b6 b7,)
            }
            _ => products!(
                sums, x, w, n,
                0 p0 q0 v0 a0 a1 a2 a3 a4 a5 a6 a7,
                1 p1 q1 v1 b0 b1 b2 b3 b4 b5 b6 b7,
                2 p2 q2 v2 c0 c1 c2 c3 c4 c5 c6 c7,
            ),
        }
    }
    (x, w)
}

/// The sums of `N` pixels, 1, 2, 4 or 6, for a block of channels, whose weights are as many steps as the tile has quads.
#[inline(always)]
fn sums<const N: usize>(tile: &Tile<'_>, weights: &[i8], bias: &[i32; BLOCK], _: bool) -> [Sums; N] {
    if N == 1 {
        // Half of every product would be thrown away.
        return dot::sums(tile, weights, bias, true);
    }
    let first = begin(bias);
    let runs = tile.runs();
    if weights.len() != runs.quads() * STEP {
        return [first; N];
    }
    // SAFETY: every 64-bit Arm has NEON, and this one I8MM, as the kernels ask. A run's bytes are within the tile's, and
    // its quads have as many steps of weights; what is left of a run is copied to where a chunk can be read.
    unsafe {
        let twice: Pair = core::array::from_fn(|i| {
            let four = vreinterpretq_s64_s32(first[i / 2]);
            vreinterpretq_s32_s64(if i % 2 == 0 { vzip1q_s64(four, four) } else { vzip2q_s64(four, four) })
        });
        let mut sums = [twice; 3];
        let mut w = weights.as_ptr();
        for run in 0..runs.count {
            let mut x = tile.run::<PIXELS>(run);
            let chunks = runs.length / CHUNK;
            if chunks > 0 {
                (x, w) = add::<N>(&mut sums, x, w, chunks);
            }
            if !runs.length.is_multiple_of(CHUNK) {
                let (mut inputs, mut steps) = ([[0i8; CHUNK]; PIXELS], [[0i8; STEP]; 2]);
                for (input, &x) in inputs.iter_mut().zip(&x).take(N) {
                    x.copy_to_nonoverlapping(input.as_mut_ptr(), QUAD);
                }
                w.copy_to_nonoverlapping(steps[0].as_mut_ptr(), STEP);
                w = w.add(STEP);
                let x = core::array::from_fn(|i| inputs[i].as_ptr());
                add::<N>(&mut sums, x, steps.as_ptr().cast(), 1);
            }
        }
        core::array::from_fn(|pixel| {
            let pair = &sums[pixel / 2];
            core::array::from_fn(|i| {
                let [low, high] = [2 * i, 2 * i + 1].map(|j| vreinterpretq_s64_s32(pair[j]));
                vreinterpretq_s32_s64(if pixel % 2 == 0 {
                    vzip1q_s64(low, high)
                } else {
                    vzip2q_s64(low, high)
                })
            })
        })
    }
}
