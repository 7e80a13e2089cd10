//! For every 64-bit Arm: products are 16 bits wide, and are widened before they could overflow: two of them fit, but not
//! twice -128 times -128.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::aarch64::end::Sums;
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::{PIXELS, Runs};
use crate::layout::QUAD;

kernels!(Isa::Neon, 2 / 1 [1, 2], sums, neon_strip, |layer| layer.is_mild());

/// The sums of one pixel or two: all of their runs, four inputs at a time or, with `mild`, eight: then two products are
/// added before they are widened. `$load` begins loads of one step of weights, and of a second, that end with `$next`. For
/// each pixel: its number, its pointer, the registers of four inputs and of the next four, of low and high products. For
/// each vector of weights: its number, its register and that of the second step; its sums, for every pixel.
macro_rules! products {
    ($sums:ident $x:ident $apart:ident $runs:ident $w:ident $bias:ident $pairs:expr, $single:expr, $load:literal $second:literal $next:literal,
     $([$i:literal $list0:literal $($list1:literal)? $p:ident $v:tt $y:tt; $($j:literal $a:literal $b:literal $low:tt $high:tt),*])*) => {
        asm!(
            $(concat!("ld1 {{", $list0, "}}, [{bias}]"), $(concat!("ld1 {{", $list1, "}}, [{more}]"),)?)*
            "1: // {step} {distance} {more}",
            $(products!(@ point $p),)*
            "mov {n}, {pairs}",
            "cbz {pairs}, 3f",
            "2:",
            concat!("ld1 {{", $load, "}}, [{w}], ", $next),
            concat!("ld1 {{", $second, "}}, [{w}], ", $next),
            $(
                concat!("ld1r {{", $v, ".4s}}, [{", stringify!($p), "}], #4"),
                concat!("ld1r {{", $y, ".4s}}, [{", stringify!($p), "}], #4"),
                $(concat!(
                    "smull v28.8h, ", $a, ".8b, ", $v, ".8b\n",
                    "smull2 v29.8h, ", $a, ".16b, ", $v, ".16b\n",
                    "smlal v28.8h, ", $b, ".8b, ", $y, ".8b\n",
                    "smlal2 v29.8h, ", $b, ".16b, ", $y, ".16b\n",
                    "sadalp ", $low, ".4s, v28.8h\n",
                    "sadalp ", $high, ".4s, v29.8h",
                ),)*
            )*
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "mov {n}, {single}",
            "cbz {single}, 5f",
            "4:",
            concat!("ld1 {{", $load, "}}, [{w}], ", $next),
            $(
                concat!("ld1r {{", $v, ".4s}}, [{", stringify!($p), "}], #4"),
                $(concat!(
                    "smull v28.8h, ", $a, ".8b, ", $v, ".8b\n",
                    "smull2 v29.8h, ", $a, ".16b, ", $v, ".16b\n",
                    "sadalp ", $low, ".4s, v28.8h\n",
                    "sadalp ", $high, ".4s, v29.8h",
                ),)*
            )*
            "subs {n}, {n}, #1",
            "b.ne 4b",
            "5:",
            "add {x}, {x}, {stride}",
            "subs {runs}, {runs}, #1",
            "b.ne 1b",
            x = inout(reg) $x => _,
            distance = in(reg) $apart[1],
            w = inout(reg) $w => _,
            runs = inout(reg) $runs.count => _,
            stride = in(reg) $runs.stride,
            pairs = in(reg) $pairs,
            single = in(reg) $single,
            n = out(reg) _,
            bias = in(reg) $bias,
            more = in(reg) $bias.wrapping_add(BLOCK),
            step = in(reg) STEP,
            // Consecutive registers, as the loads want them.
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v28") _, out("v29") _,
            $($p = out(reg) _, out($v) _, out($y) _, $(out($low) $sums[$i][2 * $j], out($high) $sums[$i][2 * $j + 1],)*)*
            options(nostack, readonly)
        )
    };
    (@ point p0) => { "mov {p0}, {x}" };
    (@ point p1) => { "add {p1}, {x}, {distance}" };
}

/// [`products`] of one pixel or two.
macro_rules! pixels {
    (@ 1 ($($own:tt)*) $a:tt $b:tt) => { products!($($own)* $a) };
    (@ 2 ($($own:tt)*) $a:tt $b:tt) => { products!($($own)* $a $b) };
    ($n:tt $half:expr; $($own:tt)*) => {
        if $half {
            pixels!(@ $n ($($own)*, "v16.16b, v17.16b" "v20.16b, v21.16b" "{step}",)
                [0 "v0.4s, v1.4s, v2.4s, v3.4s" p0 "v24" "v25"; 0 "v16" "v20" "v0" "v1", 1 "v17" "v21" "v2" "v3"]
                [1 "v8.4s, v9.4s, v10.4s, v11.4s" p1 "v26" "v27"; 0 "v16" "v20" "v8" "v9", 1 "v17" "v21" "v10" "v11"]
            )
        } else {
            pixels!(@ $n ($($own)*, "v16.16b, v17.16b, v18.16b, v19.16b" "v20.16b, v21.16b, v22.16b, v23.16b" "#64",)
                [0 "v0.4s, v1.4s, v2.4s, v3.4s" "v4.4s, v5.4s, v6.4s, v7.4s" p0 "v24" "v25";
                    0 "v16" "v20" "v0" "v1", 1 "v17" "v21" "v2" "v3", 2 "v18" "v22" "v4" "v5", 3 "v19" "v23" "v6" "v7"]
                [1 "v8.4s, v9.4s, v10.4s, v11.4s" "v12.4s, v13.4s, v14.4s, v15.4s" p1 "v26" "v27";
                    0 "v16" "v20" "v8" "v9", 1 "v17" "v21" "v10" "v11", 2 "v18" "v22" "v12" "v13", 3 "v19" "v23" "v14" "v15"]
            )
        }
    };
}

/// There is no other way for whole fields.
///
/// # Safety
/// Always safe; other kernels have one.
#[inline(always)]
unsafe fn whole<S: Rescale>(
    _: &Layer<'_, S::Requant>,
    _: &mut Room<S::Requant>,
    _: &Field<'_>,
    _: &mut [i8],
) -> Result<bool> {
    Ok(false)
}

/// No room: weights are read as they are stored.
struct Held;

const fn held() -> Held {
    Held
}

/// The weights of a block as `sums` takes them.
///
/// # Safety
/// Always safe; other kernels read the weights.
#[inline(always)]
unsafe fn hold(stored: *const i8, _: &Runs, _: usize, _: &mut Held) -> *const i8 {
    stored
}

/// What sums begin with: two of each channel, of its even and of its odd pairs of weights.
#[inline(always)]
fn start(bias: &[i32; BLOCK]) -> [i32; 2 * BLOCK] {
    core::array::from_fn(|i| if i % 2 == 0 { bias[i / 2] } else { 0 })
}

/// The sums of one pixel or two, whose inputs are `apart` from `x`, for a block of channels; with `HALF`, only of
/// its first eight. With `is_mild`, no weight is -128.
///
/// # Safety
/// The runs, of which there are some, can be read at every distance from `x`, and as many steps at `w`
/// as they have quads.
#[inline(always)]
unsafe fn sums<const N: usize, const HALF: bool>(
    x: *const i8,
    apart: &[usize; PIXELS],
    runs: &Runs,
    w: *const i8,
    start: &[i32; 2 * BLOCK],
    is_mild: bool,
) -> [Sums; N] {
    let quads = runs.length / QUAD;
    let (pairs, single) = if is_mild { (quads / 2, quads % 2) } else { (0, quads) };
    // SAFETY: as the caller promises; what begins with the biases is as long as is read of it. Only loads, and all
    // registers are declared.
    unsafe {
        let mut halves = [[vdupq_n_s32(0); 8]; N];
        let begin = start.as_ptr();
        match N {
            1 => pixels!(1 HALF; halves x apart runs w begin pairs, single),
            _ => pixels!(2 HALF; halves x apart runs w begin pairs, single),
        }
        let mut sums = [[vdupq_n_s32(0); 4]; N];
        for (sums, halves) in sums.iter_mut().zip(&halves) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = vpaddq_s32(halves[2 * i], halves[2 * i + 1]);
            }
        }
        sums
    }
}
