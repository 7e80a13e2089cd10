//! With dot products of four (Armv8.2 DotProd): each instruction adds four weights of four channels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::aarch64::end::{Sums, begin};
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::Tile;
use crate::layout::QUAD;

kernels!("neon,dotprod", Isa::NeonDot, 5 [1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5], sums, dot_strip, |_| true);

/// Inputs that are loaded together.
const CHUNK: usize = 4 * QUAD;

/// Adds `$n` chunks of the inputs of the listed pixels, with four steps of weights each. For each pixel: its number, a
/// name for its pointer, its inputs and its sums.
macro_rules! products {
    ($sums:ident, $x:ident, $w:ident, $n:ident, $($i:literal $p:ident $v:ident $s0:ident $s1:ident $s2:ident $s3:ident,)*) => {
        asm!(
            ".arch_extension dotprod",
            "2:",
            $(concat!("ldr {", stringify!($v), ":q}, [{", stringify!($p), "}], #16"),)*
            products!(@ "0"), $(products!(@ "0" $v $s0 $s1 $s2 $s3),)*
            products!(@ "1"), $(products!(@ "1" $v $s0 $s1 $s2 $s3),)*
            products!(@ "2"), $(products!(@ "2" $v $s0 $s1 $s2 $s3),)*
            products!(@ "3"), $(products!(@ "3" $v $s0 $s1 $s2 $s3),)*
            "subs {n}, {n}, #1",
            "b.ne 2b",
            w = inout(reg) $w,
            n = inout(reg) $n => _,
            // Consecutive registers, as the load wants them.
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            $(
                $p = inout(reg) $x[$i],
                $v = out(vreg) _,
                $s0 = inout(vreg) $sums[$i][0],
                $s1 = inout(vreg) $sums[$i][1],
                $s2 = inout(vreg) $sums[$i][2],
                $s3 = inout(vreg) $sums[$i][3],
            )*
            options(nostack, readonly)
        )
    };
    (@ $lane:literal) => {
        "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{w}], #64"
    };
    (@ $lane:literal $v:ident $s0:ident $s1:ident $s2:ident $s3:ident) => {
        concat!(
            "sdot {", stringify!($s0), ":v}.4s, v28.16b, {", stringify!($v), ":v}.4b[", $lane, "]\n",
            "sdot {", stringify!($s1), ":v}.4s, v29.16b, {", stringify!($v), ":v}.4b[", $lane, "]\n",
            "sdot {", stringify!($s2), ":v}.4s, v30.16b, {", stringify!($v), ":v}.4b[", $lane, "]\n",
            "sdot {", stringify!($s3), ":v}.4s, v31.16b, {", stringify!($v), ":v}.4b[", $lane, "]",
        )
    };
}

/// Adds `n` chunks, at least one, of `N` pixels from `x` on, where the weights begin at `w`; returns where both end.
///
/// # Safety
/// The processor has dot products, `n` chunks are readable at every `x`, and `4 n` steps at `w`.
#[inline(always)]
unsafe fn add<const N: usize>(
    sums: &mut [Sums; N],
    mut x: [*const i8; N],
    mut w: *const i8,
    n: usize,
) -> ([*const i8; N], *const i8) {
    // SAFETY: as the caller promises; only loads, and all registers are declared.
    unsafe {
        match N {
            1 => products!(sums, x, w, n, 0 p0 v0 a0 a1 a2 a3,),
            2 => products!(sums, x, w, n, 0 p0 v0 a0 a1 a2 a3, 1 p1 v1 b0 b1 b2 b3,),
            3 => products!(
                sums, x, w, n,
                0 p0 v0 a0 a1 a2 a3, 1 p1 v1 b0 b1 b2 b3, 2 p2 v2 c0 c1 c2 c3,
            ),
            4 => products!(
                sums, x, w, n,
                0 p0 v0 a0 a1 a2 a3, 1 p1 v1 b0 b1 b2 b3, 2 p2 v2 c0 c1 c2 c3, 3 p3 v3 d0 d1 d2 d3,
            ),
            _ => products!(
                sums, x, w, n,
                0 p0 v0 a0 a1 a2 a3, 1 p1 v1 b0 b1 b2 b3, 2 p2 v2 c0 c1 c2 c3, 3 p3 v3 d0 d1 d2 d3,
                4 p4 v4 e0 e1 e2 e3,
            ),
        }
    }
    (x, w)
}

/// `sums + w x[..4]` for four channels' weights; the intrinsic is not stable.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn dot(mut sums: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: one instruction, on registers.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {w:v}.16b, {x:v}.4b[0]",
            sums = inout(vreg) sums,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds sixteen channels' weights, four each, times the first inputs of each pixel.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn step<const N: usize>(sums: &mut [Sums; N], w: int8x16x4_t, x: &[int8x16_t; N]) {
    for (sums, &x) in sums.iter_mut().zip(x) {
        for (sum, w) in sums.iter_mut().zip([w.0, w.1, w.2, w.3]) {
            // SAFETY: as the caller promises.
            *sum = unsafe { dot(*sum, w, x) };
        }
    }
}

/// The sums of `N` pixels for a block of channels, whose weights are as many steps as the tile has quads.
#[inline(always)]
pub(super) fn sums<const N: usize>(
    tile: &Tile<'_>,
    weights: &[i8],
    bias: &[i32; BLOCK],
    _: bool,
) -> [Sums; N] {
    let mut sums = [begin(bias); N];
    let runs = tile.runs();
    if weights.len() != runs.quads() * STEP {
        return sums;
    }
    let mut w = weights.as_ptr();
    for run in 0..runs.count {
        let mut x = tile.run::<N>(run);
        // SAFETY: the processor has dot products, as the kernels ask. A run's bytes are within the tile's, and its quads
        // have as many steps of weights.
        unsafe {
            if runs.length >= CHUNK {
                (x, w) = add::<N>(&mut sums, x, w, runs.length / CHUNK);
            }
            for _ in 0..runs.length % CHUNK / QUAD {
                let inputs = x.map(|x| vreinterpretq_s8_s32(vld1q_dup_s32(x.cast())));
                step::<N>(&mut sums, vld1q_s8_x4(w), &inputs);
                w = w.add(STEP);
                x = x.map(|x| x.add(QUAD));
            }
        }
    }
    sums
}
