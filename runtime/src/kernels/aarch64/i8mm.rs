//! With matrix products (Armv8.6 I8MM): each instruction adds eight weights of two channels for two pixels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;
use core::mem::MaybeUninit;

use crate::kernels::aarch64::dot;
use crate::kernels::aarch64::end::Sums;
use crate::kernels::aarch64::planes::whole;
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::{PIXELS, Runs};
use crate::layout::QUAD;

kernels!(Isa::NeonI8mm, 6 / 2 [1, 2, 3, 4, 5, 6], sums, dot_strip, |_| true);

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
            1 | 2 => products!(sums, x, w, n, 0 p0 q0 v0 a0 a1 a2 a3 a4 a5 a6 a7,),
            3 | 4 => {
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

/// Most bytes of weights that are held side by side.
const MOST: usize = 16 << 10;

/// Where weights of a block are brought side by side.
type Held = MaybeUninit<[i8; MOST]>;

/// The weights of a block.
#[derive(Clone, Copy)]
struct Weights {
    /// As they are stored.
    stored: *const i8,
    /// Of each run two steps side by side, the last with zeros where it is alone; `None` where that does not pay.
    zipped: Option<*const i8>,
}

const fn held() -> Held {
    MaybeUninit::uninit()
}

/// Brings the weights of a block side by side for so many tiles, if they fit.
///
/// # Safety
/// As many steps can be read at `stored` as the runs have quads.
#[inline(always)]
unsafe fn hold(stored: *const i8, runs: &Runs, tiles: usize, held: &mut Held) -> Weights {
    let each = runs.length.div_ceil(CHUNK);
    if tiles < 3 || each * runs.count > MOST / (2 * STEP) {
        return Weights { stored, zipped: None };
    }
    let (mut from, mut to) = (stored, held.as_mut_ptr().cast::<i8>());
    // SAFETY: as the caller promises; what is written fits, as just checked.
    unsafe {
        for _ in 0..runs.count {
            for _ in 0..runs.length / CHUNK {
                side_by_side(vld1q_s8_x4(from), vld1q_s8_x4(from.add(STEP)), to);
                (from, to) = (from.add(2 * STEP), to.add(2 * STEP));
            }
            if !runs.length.is_multiple_of(CHUNK) {
                let none = vdupq_n_s8(0);
                side_by_side(vld1q_s8_x4(from), int8x16x4_t(none, none, none, none), to);
                (from, to) = (from.add(STEP), to.add(2 * STEP));
            }
        }
    }
    Weights { stored, zipped: Some(held.as_ptr().cast()) }
}

/// Writes eight weights of each of sixteen channels.
///
/// # Safety
/// Two steps can be written at `to`.
#[inline(always)]
pub(super) unsafe fn side_by_side(a: int8x16x4_t, b: int8x16x4_t, to: *mut i8) {
    // SAFETY: as the caller promises.
    unsafe {
        let [first, second, third, last] = [(a.0, b.0), (a.1, b.1), (a.2, b.2), (a.3, b.3)].map(|(a, b)| {
            let (a, b) = (vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b));
            (vzip1q_s32(a, b), vzip2q_s32(a, b))
        });
        vst1q_s32_x4(to.cast(), int32x4x4_t(first.0, first.1, second.0, second.1));
        vst1q_s32_x4(to.add(STEP).cast(), int32x4x4_t(third.0, third.1, last.0, last.1));
    }
}

/// What sums begin with.
struct Start<'t> {
    /// Two channels twice, for two pixels.
    twice: [i32; 2 * BLOCK],
    once: &'t [i32; BLOCK],
}

#[inline(always)]
fn start(bias: &[i32; BLOCK]) -> Start<'_> {
    Start { twice: twice(bias), once: bias }
}

/// Two of sixteen numbers after the other, each pair twice.
#[inline(always)]
pub(super) fn twice<T: Copy>(all: &[T; BLOCK]) -> [T; 2 * BLOCK] {
    core::array::from_fn(|i| all[i / 4 * 2 + i % 2])
}

/// The sums of pairs of pixels over weights side by side: all runs, in chunks of eight inputs, then four. For each pair:
/// its number, where its sums are loaded to, the pointers to its pixels, each with its distance from the first, those by
/// name and number, the register of its inputs; then for each of its sums: its number, its register, that of its weights; the first
/// four and the others.
macro_rules! zipped {
    ($sums:ident $x:ident $runs:ident $w:ident $start:ident $apart:ident, $([
        $i:literal $list0:literal $list1:literal $p:ident = $from:literal $q:ident = $next:literal: $($o:ident $k0:literal),*; $v:tt;
        $($j:literal $a:tt $b:literal),*; $($k:literal $c:tt $d:literal),*
    ])*) => {
        asm!(
            ".arch_extension i8mm",
            $(concat!("ld1 {{", $list0, "}}, [{start}]"), concat!("ld1 {{", $list1, "}}, [{more}]"),)*
            "1:",
            $(
                concat!("add {", stringify!($p), "}, {x}, ", $from),
                concat!("add {", stringify!($q), "}, {x}, ", $next),
            )*
            "mov {n}, {chunks}",
            "cbz {chunks}, 3f",
            "2:",
            $(
                concat!("ld1 {{", $v, ".d}}[0], [{", stringify!($p), "}], #8"),
                concat!("ld1 {{", $v, ".d}}[1], [{", stringify!($q), "}], #8"),
            )*
            zipped!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            zipped!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "cbz {tail}, 4f",
            $(
                concat!("movi ", $v, ".2d, #0"),
                concat!("ld1 {{", $v, ".s}}[0], [{", stringify!($p), "}]"),
                concat!("ld1 {{", $v, ".s}}[2], [{", stringify!($q), "}]"),
            )*
            zipped!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            zipped!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            "4:",
            "add {x}, {x}, {stride}",
            "subs {runs}, {runs}, #1",
            "b.ne 1b",
            x = inout(reg) $x => _,
            w = inout(reg) $w => _,
            runs = inout(reg) $runs.count => _,
            stride = in(reg) $runs.stride,
            chunks = in(reg) $runs.length / CHUNK,
            tail = in(reg) $runs.length % CHUNK,
            n = out(reg) _,
            start = in(reg) $start.as_ptr(),
            more = in(reg) $start.as_ptr().wrapping_add(BLOCK),
            // Consecutive registers, as the loads want them.
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            $(
                $($o = in(reg) $apart[$k0],)*
                $p = out(reg) _, $q = out(reg) _, out($v) _,
                $(out($a) $sums[$i][$j],)*
                $(out($c) $sums[$i][$k],)*
            )*
            options(nostack, readonly)
        )
    };
    (@ weights) => { "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{w}], #64" };
}

/// [`zipped`] of one pair of pixels or two or three.
macro_rules! pairs {
    (@ 1 ($($own:tt)*) $a:tt $b:tt $c:tt) => { zipped!($($own)*, $a) };
    (@ 2 ($($own:tt)*) $a:tt $b:tt $c:tt) => { zipped!($($own)*, $a $b) };
    (@ 3 ($($own:tt)*) $a:tt $b:tt $c:tt) => { zipped!($($own)*, $a $b $c) };
    ($n:tt; $($own:tt)*) => {
        pairs!(@ $n ($($own)*)
            [0 "v0.4s, v1.4s, v2.4s, v3.4s" "v4.4s, v5.4s, v6.4s, v7.4s" p0 = "#0" p1 = "{o1}": o1 1; "v24";
                0 "v0" "v28", 1 "v1" "v29", 2 "v2" "v30", 3 "v3" "v31";
                4 "v4" "v28", 5 "v5" "v29", 6 "v6" "v30", 7 "v7" "v31"]
            [1 "v8.4s, v9.4s, v10.4s, v11.4s" "v12.4s, v13.4s, v14.4s, v15.4s" p2 = "{o2}" p3 = "{o3}": o2 2, o3 3; "v25";
                0 "v8" "v28", 1 "v9" "v29", 2 "v10" "v30", 3 "v11" "v31";
                4 "v12" "v28", 5 "v13" "v29", 6 "v14" "v30", 7 "v15" "v31"]
            [2 "v16.4s, v17.4s, v18.4s, v19.4s" "v20.4s, v21.4s, v22.4s, v23.4s" p4 = "{o4}" p5 = "{o5}": o4 4, o5 5; "v26";
                0 "v16" "v28", 1 "v17" "v29", 2 "v18" "v30", 3 "v19" "v31";
                4 "v20" "v28", 5 "v21" "v29", 6 "v22" "v30", 7 "v23" "v31"]
        )
    };
}

/// The sums of `N` pixels, 1 to 6, whose inputs are `apart` from `x`, an odd last one twice, for a block of channels.
///
/// # Safety
/// The processor has I8MM. The runs, of which there are some, can be read at every distance from `x`,
/// and as many steps at `w` as they have quads.
#[inline(always)]
unsafe fn sums<const N: usize, const HALF: bool>(
    x: *const i8,
    apart: &[usize; PIXELS],
    runs: &Runs,
    weights: Weights,
    start: &Start<'_>,
    _: bool,
) -> [Sums; N] {
    let mut w = weights.stored;
    if N == 1 {
        // Half of every product would be thrown away.
        // SAFETY: as the caller promises; what has I8MM has dot products.
        return unsafe { dot::sums::<N, HALF>(x, apart, runs, w, start.once, true) };
    }
    let start = &start.twice;
    // SAFETY: as the caller promises; what is left of a run is copied to where a chunk can be read.
    unsafe {
        let mut sums: [Pair; 3] = [[vdupq_n_s32(0); 8]; 3];
        if let Some(w) = weights.zipped {
            match N {
                1 | 2 => pairs!(1; sums x runs w start apart),
                3 | 4 => pairs!(2; sums x runs w start apart),
                _ => pairs!(3; sums x runs w start apart),
            }
        } else {
            for sums in &mut sums {
                *sums = core::array::from_fn(|i| vld1q_s32(start.as_ptr().add(4 * i)));
            }
            for run in 0..runs.count {
                let mut x: [*const i8; PIXELS] =
                    apart.map(|apart| x.wrapping_add(run * runs.stride).wrapping_add(apart));
                let chunks = runs.length / CHUNK;
                if chunks > 0 {
                    (x, w) = add::<N>(&mut sums, x, w, chunks);
                }
                if !runs.length.is_multiple_of(CHUNK) {
                    let (mut inputs, mut steps) = ([[0i8; CHUNK]; PIXELS], [[0i8; STEP]; 2]);
                    for (input, &x) in inputs.iter_mut().zip(&x).take(N.next_multiple_of(2)) {
                        x.copy_to_nonoverlapping(input.as_mut_ptr(), QUAD);
                    }
                    w.copy_to_nonoverlapping(steps[0].as_mut_ptr(), STEP);
                    w = w.add(STEP);
                    let x = core::array::from_fn(|i| inputs[i].as_ptr());
                    add::<N>(&mut sums, x, steps.as_ptr().cast(), 1);
                }
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
