//! With dot products of four (Armv8.2 DotProd): each instruction adds four weights of four channels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::aarch64::end::Sums;
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::{PIXELS, Runs};
use crate::layout::QUAD;

kernels!(Isa::NeonDot, 5 / 1 [1, 2, 3, 4, 5], sums, dot_strip, |_| true);

/// Inputs that are loaded together.
const CHUNK: usize = 4 * QUAD;

/// The sums of pixels: all of their runs, in chunks of sixteen inputs, then eight, then four. `$load` begins a load of one
/// step of weights that ends with `$next`. For each pixel, the first of all last: its number, where its sums are loaded
/// to, the register of its inputs by number and name, its distance from the first; then for each of its sums: its number,
/// its register, that of its weights.
macro_rules! products {
    ($sums:ident $x:ident $runs:ident $w:ident $bias:ident, $load:literal $next:literal,
     $([$i:literal $list:literal $r:literal $v:tt $($o:ident = $distance:expr)?; $($j:literal $a:tt $b:literal),*])*) => {
        asm!(
            ".arch_extension dotprod",
            $(concat!("ld1 {{", $list, "}}, [{bias}]"),)*
            "1: // {step}",
            "mov {n}, {chunks}",
            "cbz {chunks}, 3f",
            "2:",
            $(products!(@ load "q" $r "16" $($o)?),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "0" $v $($a $b)*),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "1" $v $($a $b)*),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "2" $v $($a $b)*),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "3" $v $($a $b)*),)*
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "cbz {tail}, 5f",
            "tbz {tail}, #1, 4f",
            $(products!(@ load "d" $r "8" $($o)?),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "0" $v $($a $b)*),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "1" $v $($a $b)*),)*
            "tbz {tail}, #0, 5f",
            "4:",
            $(products!(@ load "s" $r "4" $($o)?),)*
            concat!("ld1 {{", $load, "}}, [{w}], ", $next), $(products!(@ "0" $v $($a $b)*),)*
            "5:",
            "add {x}, {x}, {skip}",
            "subs {runs}, {runs}, #1",
            "b.ne 1b",
            x = inout(reg) $x => _,
            w = inout(reg) $w => _,
            runs = inout(reg) $runs.count => _,
            skip = in(reg) $runs.stride.wrapping_sub($runs.length),
            chunks = in(reg) $runs.length / CHUNK,
            tail = in(reg) $runs.length / QUAD % 4,
            n = out(reg) _,
            bias = in(reg) $bias,
            step = in(reg) STEP,
            // Consecutive registers, as the loads want them.
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            $($($o = in(reg) $distance,)? out($v) _, $(out($a) $sums[$i][$j],)*)*
            options(nostack, readonly)
        )
    };
    (@ load $size:literal $r:literal $n:literal) => { concat!("ldr ", $size, $r, ", [{x}], #", $n) };
    (@ load $size:literal $r:literal $n:literal $o:ident) => {
        concat!("ldr ", $size, $r, ", [{x}, {", stringify!($o), "}]")
    };
    (@ $lane:literal $v:tt $($a:tt $b:literal)*) => {
        concat!($("sdot ", $a, ".4s, ", $b, ".16b, ", $v, ".4b[", $lane, "]\n",)*)
    };
}

/// [`products`] of `$n` pixels whose inputs are `$apart` from the first's.
macro_rules! pixels {
    (@ whole $n:tt $apart:ident; $($own:tt)*) => {
        pixels!(@ $n ($($own)*, "v28.16b, v29.16b, v30.16b, v31.16b" "#64",)
            [0 "v0.4s, v1.4s, v2.4s, v3.4s" "20" "v20"; 0 "v0" "v28", 1 "v1" "v29", 2 "v2" "v30", 3 "v3" "v31"]
            [1 "v4.4s, v5.4s, v6.4s, v7.4s" "21" "v21" o1 = $apart[1]; 0 "v4" "v28", 1 "v5" "v29", 2 "v6" "v30", 3 "v7" "v31"]
            [2 "v8.4s, v9.4s, v10.4s, v11.4s" "22" "v22" o2 = $apart[2]; 0 "v8" "v28", 1 "v9" "v29", 2 "v10" "v30", 3 "v11" "v31"]
            [3 "v12.4s, v13.4s, v14.4s, v15.4s" "23" "v23" o3 = $apart[3]; 0 "v12" "v28", 1 "v13" "v29", 2 "v14" "v30", 3 "v15" "v31"]
            [4 "v16.4s, v17.4s, v18.4s, v19.4s" "24" "v24" o4 = $apart[4]; 0 "v16" "v28", 1 "v17" "v29", 2 "v18" "v30", 3 "v19" "v31"]
        )
    };
    (@ half $n:tt $apart:ident; $($own:tt)*) => {
        pixels!(@ $n ($($own)*, "v28.16b, v29.16b" "{step}",)
            [0 "v0.4s, v1.4s" "20" "v20"; 0 "v0" "v28", 1 "v1" "v29"]
            [1 "v4.4s, v5.4s" "21" "v21" o1 = $apart[1]; 0 "v4" "v28", 1 "v5" "v29"]
            [2 "v8.4s, v9.4s" "22" "v22" o2 = $apart[2]; 0 "v8" "v28", 1 "v9" "v29"]
            [3 "v12.4s, v13.4s" "23" "v23" o3 = $apart[3]; 0 "v12" "v28", 1 "v13" "v29"]
            [4 "v16.4s, v17.4s" "24" "v24" o4 = $apart[4]; 0 "v16" "v28", 1 "v17" "v29"]
        )
    };
    (@ 1 ($($own:tt)*) $a:tt $b:tt $c:tt $d:tt $e:tt) => { products!($($own)* $a) };
    (@ 2 ($($own:tt)*) $a:tt $b:tt $c:tt $d:tt $e:tt) => { products!($($own)* $b $a) };
    (@ 3 ($($own:tt)*) $a:tt $b:tt $c:tt $d:tt $e:tt) => { products!($($own)* $c $b $a) };
    (@ 4 ($($own:tt)*) $a:tt $b:tt $c:tt $d:tt $e:tt) => { products!($($own)* $d $c $b $a) };
    (@ 5 ($($own:tt)*) $a:tt $b:tt $c:tt $d:tt $e:tt) => { products!($($own)* $e $d $c $b $a) };
    ($n:tt $half:expr, $apart:ident; $($own:tt)*) => {
        if $half { pixels!(@ half $n $apart; $($own)*) } else { pixels!(@ whole $n $apart; $($own)*) }
    };
}

/// As [`products`], of all channels of one pixel: two chunks at a time.
#[rustfmt::skip] // one instruction a line
macro_rules! alone {
    ($sums:ident $x:ident $runs:ident $w:ident $bias:ident) => {
        asm!(
            ".arch_extension dotprod",
            "ld1 {{v0.4s, v1.4s, v2.4s, v3.4s}}, [{bias}]",
            "1:",
            "lsr {n}, {chunks}, #1",
            "cbz {n}, 3f",
            "2:",
            "ldp q20, q21, [{x}], #32",
            alone!(@ "0" "v20"), alone!(@ "1" "v20"), alone!(@ "2" "v20"), alone!(@ "3" "v20"),
            alone!(@ "0" "v21"), alone!(@ "1" "v21"), alone!(@ "2" "v21"), alone!(@ "3" "v21"),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            "tbz {chunks}, #0, 4f",
            "ldr q20, [{x}], #16",
            alone!(@ "0" "v20"), alone!(@ "1" "v20"), alone!(@ "2" "v20"), alone!(@ "3" "v20"),
            "4:",
            "cbz {tail}, 6f",
            "tbz {tail}, #1, 5f",
            "ldr d20, [{x}], #8",
            alone!(@ "0" "v20"), alone!(@ "1" "v20"),
            "tbz {tail}, #0, 6f",
            "5:",
            "ldr s20, [{x}], #4",
            alone!(@ "0" "v20"),
            "6:",
            "add {x}, {x}, {skip}",
            "subs {runs}, {runs}, #1",
            "b.ne 1b",
            x = inout(reg) $x => _,
            w = inout(reg) $w => _,
            runs = inout(reg) $runs.count => _,
            skip = in(reg) $runs.stride.wrapping_sub($runs.length),
            chunks = in(reg) $runs.length / CHUNK,
            tail = in(reg) $runs.length / QUAD % 4,
            n = out(reg) _,
            bias = in(reg) $bias,
            out("v20") _,
            out("v21") _,
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            out("v0") $sums[0][0],
            out("v1") $sums[0][1],
            out("v2") $sums[0][2],
            out("v3") $sums[0][3],
            options(nostack, readonly)
        )
    };
    (@ $lane:literal $v:literal) => {
        concat!(
            "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{w}], #64\n",
            "sdot v0.4s, v28.16b, ", $v, ".4b[", $lane, "]\n",
            "sdot v1.4s, v29.16b, ", $v, ".4b[", $lane, "]\n",
            "sdot v2.4s, v30.16b, ", $v, ".4b[", $lane, "]\n",
            "sdot v3.4s, v31.16b, ", $v, ".4b[", $lane, "]",
        )
    };
}

/// Bytes from the first to the last of five pixels side by side whose runs [`slid`] takes.
const SLID: usize = 4 * CHUNK;

/// As [`products`], of all channels of five pixels that are a chunk apart and have runs of three: so seven chunks hold the
/// inputs of all.
#[rustfmt::skip] // one instruction a line
macro_rules! slid {
    ($sums:ident $x:ident $runs:ident $w:ident $bias:ident) => {
        asm!(
            ".arch_extension dotprod",
            "ld1 {{v0.4s, v1.4s, v2.4s, v3.4s}}, [{bias}]",
            "ld1 {{v4.4s, v5.4s, v6.4s, v7.4s}}, [{bias}]",
            "ld1 {{v8.4s, v9.4s, v10.4s, v11.4s}}, [{bias}]",
            "ld1 {{v12.4s, v13.4s, v14.4s, v15.4s}}, [{bias}]",
            "ld1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{bias}]",
            "1:",
            "ld1 {{v20.16b, v21.16b, v22.16b, v23.16b}}, [{x}], #64",
            "ld1 {{v24.16b, v25.16b, v26.16b}}, [{x}], {skip}",
            slid!(@ "20" "21" "22" "23" "24"),
            slid!(@ "21" "22" "23" "24" "25"),
            slid!(@ "22" "23" "24" "25" "26"),
            "subs {runs}, {runs}, #1",
            "b.ne 1b",
            x = inout(reg) $x => _,
            w = inout(reg) $w => _,
            runs = inout(reg) $runs.count => _,
            skip = in(reg) $runs.stride.wrapping_sub(SLID),
            bias = in(reg) $bias,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            out("v0") $sums[0][0], out("v1") $sums[0][1], out("v2") $sums[0][2], out("v3") $sums[0][3],
            out("v4") $sums[1][0], out("v5") $sums[1][1], out("v6") $sums[1][2], out("v7") $sums[1][3],
            out("v8") $sums[2][0], out("v9") $sums[2][1], out("v10") $sums[2][2], out("v11") $sums[2][3],
            out("v12") $sums[3][0], out("v13") $sums[3][1], out("v14") $sums[3][2], out("v15") $sums[3][3],
            out("v16") $sums[4][0], out("v17") $sums[4][1], out("v18") $sums[4][2], out("v19") $sums[4][3],
            options(nostack, readonly)
        )
    };
    (@ $($x:literal)*) => {
        concat!(slid!(@ step "0" $($x)*), slid!(@ step "1" $($x)*), slid!(@ step "2" $($x)*), slid!(@ step "3" $($x)*))
    };
    (@ step $lane:literal $a:literal $b:literal $c:literal $d:literal $e:literal) => {
        concat!(
            "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{w}], #64\n",
            slid!(@ pixel $lane $a "0" "1" "2" "3"),
            slid!(@ pixel $lane $b "4" "5" "6" "7"),
            slid!(@ pixel $lane $c "8" "9" "10" "11"),
            slid!(@ pixel $lane $d "12" "13" "14" "15"),
            slid!(@ pixel $lane $e "16" "17" "18" "19"),
        )
    };
    (@ pixel $lane:literal $x:literal $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "sdot v", $s0, ".4s, v28.16b, v", $x, ".4b[", $lane, "]\n",
            "sdot v", $s1, ".4s, v29.16b, v", $x, ".4b[", $lane, "]\n",
            "sdot v", $s2, ".4s, v30.16b, v", $x, ".4b[", $lane, "]\n",
            "sdot v", $s3, ".4s, v31.16b, v", $x, ".4b[", $lane, "]\n",
        )
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

/// What sums begin with.
#[inline(always)]
fn start(bias: &[i32; BLOCK]) -> &[i32; BLOCK] {
    bias
}

/// The sums of `N` pixels, 1 to 5, whose inputs are `apart` from `x`, for a block of channels; with `HALF`, only
/// of its first eight.
///
/// # Safety
/// The processor has dot products. The runs, of which there are some, can be read at every
/// distance from `x`, and as many steps at `w` as they have quads.
#[inline(always)]
pub(super) unsafe fn sums<const N: usize, const HALF: bool>(
    x: *const i8,
    apart: &[usize; PIXELS],
    runs: &Runs,
    w: *const i8,
    bias: &[i32; BLOCK],
    _: bool,
) -> [Sums; N] {
    // SAFETY: as the caller promises; sixteen biases are read from as many. Only loads, and all registers are declared.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 4]; N];
        let bias = bias.as_ptr();
        match N {
            1 if !HALF => alone!(sums x runs w bias),
            1 => pixels!(1 HALF, apart; sums x runs w bias),
            2 => pixels!(2 HALF, apart; sums x runs w bias),
            3 => pixels!(3 HALF, apart; sums x runs w bias),
            4 => pixels!(4 HALF, apart; sums x runs w bias),
            // Pixels whose windows overlap so lie in one row, or where the next begins without a gap.
            5 if !HALF && runs.length == 3 * CHUNK && apart[4] == SLID => slid!(sums x runs w bias),
            _ => pixels!(5 HALF, apart; sums x runs w bias),
        }
        sums
    }
}
