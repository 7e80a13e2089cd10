//! With matrix products, where inputs are read often enough: they are first brought to planes, so that eight inputs of one
//! pixel are followed by those of the pixel beside it, and one load has what six pixels multiply.
#![allow(unsafe_code)]

mod fill;

use core::arch::aarch64::*;
use core::arch::asm;
use core::mem::MaybeUninit;

use self::fill::Planes;
use super::end::Ends;
use super::i8mm::{side_by_side, twice};
use super::rescale::Rescale;
use crate::error::Result;
use crate::kernels::blocks::layer::{Layer, Room, STEP};
use crate::kernels::blocks::tile::{Field, cut};
use crate::layout::{BLOCK, QUAD};

/// Inputs of a pixel that one instruction takes.
const UNIT: usize = 2 * QUAD;
/// Most pixels of a tile.
const PIXELS: usize = 6;
/// Most units of a pixel.
const UNITS: usize = 128;
/// Fewer pixels do not repay it.
const FEW: usize = 12;
/// Bytes for the inputs of a band of pixels.
const BAND: usize = 24 << 10;
/// Sums of two pixels, two channels each: the first pixel's, the second's.
type Pair = [int32x4_t; 8];

/// The sums of pairs of pixels side by side, four units at a time, at first two where they are not a multiple of that. `$load` are the registers of their inputs. For each pair:
/// its number, where its sums are loaded to, its inputs; then for each of its sums: its number, its register, that of its
/// weights; the first four and the others.
#[rustfmt::skip] // one instruction a line
macro_rules! products {
    ($sums:ident $x:ident $w:ident $distances:ident $units:ident $start:ident, $load:literal, $([
        $i:literal $list0:literal $list1:literal $v:tt; $($j:literal $a:tt $b:literal),*; $($k:literal $c:tt $d:literal),*
    ])*) => {
        asm!(
            ".arch_extension i8mm",
            $(concat!("ld1 {{", $list0, "}}, [{start}]"), concat!("ld1 {{", $list1, "}}, [{more}]"),)*
            "tbnz {n}, #1, 3f",
            "2:",
            "ldp {d0}, {d1}, [{t}], #16",
            concat!("ld1 {{", $load, "}}, [{x}], {d0}"),
            products!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            products!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            concat!("ld1 {{", $load, "}}, [{x}], {d1}"),
            products!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            products!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            "3:",
            "ldp {d0}, {d1}, [{t}], #16",
            concat!("ld1 {{", $load, "}}, [{x}], {d0}"),
            products!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            products!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            concat!("ld1 {{", $load, "}}, [{x}], {d1}"),
            products!(@ weights), $($(concat!("smmla ", $a, ".4s, ", $v, ".16b, ", $b, ".16b"),)*)*
            products!(@ weights), $($(concat!("smmla ", $c, ".4s, ", $v, ".16b, ", $d, ".16b"),)*)*
            "subs {n}, {n}, #4",
            "b.gt 2b",
            x = inout(reg) $x => _,
            w = inout(reg) $w => _,
            t = inout(reg) $distances => _,
            n = inout(reg) $units => _,
            d0 = out(reg) _,
            d1 = out(reg) _,
            start = in(reg) $start.as_ptr(),
            more = in(reg) $start.as_ptr().wrapping_add(BLOCK),
            // Consecutive registers, as the loads want them.
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            $(out($v) _, $(out($a) $sums[$i][$j],)* $(out($c) $sums[$i][$k],)*)*
            options(nostack, readonly)
        )
    };
    (@ weights) => { "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{w}], #64" };
}

/// [`products`] of one pair of pixels or two or three.
macro_rules! pairs {
    (@ 1 ($($own:tt)*) $a:tt $b:tt $c:tt) => { products!($($own)*, "v24.16b", $a) };
    (@ 2 ($($own:tt)*) $a:tt $b:tt $c:tt) => { products!($($own)*, "v24.16b, v25.16b", $a $b) };
    (@ 3 ($($own:tt)*) $a:tt $b:tt $c:tt) => { products!($($own)*, "v24.16b, v25.16b, v26.16b", $a $b $c) };
    ($n:tt; $($own:tt)*) => {
        pairs!(@ $n ($($own)*)
            [0 "v0.4s, v1.4s, v2.4s, v3.4s" "v4.4s, v5.4s, v6.4s, v7.4s" "v24";
                0 "v0" "v28", 1 "v1" "v29", 2 "v2" "v30", 3 "v3" "v31";
                4 "v4" "v28", 5 "v5" "v29", 6 "v6" "v30", 7 "v7" "v31"]
            [1 "v8.4s, v9.4s, v10.4s, v11.4s" "v12.4s, v13.4s, v14.4s, v15.4s" "v25";
                0 "v8" "v28", 1 "v9" "v29", 2 "v10" "v30", 3 "v11" "v31";
                4 "v12" "v28", 5 "v13" "v29", 6 "v14" "v30", 7 "v15" "v31"]
            [2 "v16.4s, v17.4s, v18.4s, v19.4s" "v20.4s, v21.4s, v22.4s, v23.4s" "v26";
                0 "v16" "v28", 1 "v17" "v29", 2 "v18" "v30", 3 "v19" "v31";
                4 "v20" "v28", 5 "v21" "v29", 6 "v22" "v30", 7 "v23" "v31"]
        )
    };
}

/// A block of channels for the pixels of a band.
struct Product<'t, S: Rescale> {
    ends: &'t Ends<S>,
    /// Eight, of pairs of channels, twice each.
    scales: *const S::Scales,
    start: &'t [i32; 2 * BLOCK],
    weights: *const i8,
    distances: *const usize,
    /// A multiple of two.
    units: usize,
    /// Channels of the block, and of all.
    count: usize,
    stride: usize,
}

impl<S: Rescale> Product<'_, S> {
    /// The pixels of a row from `x` on, whose outputs are from `to` on.
    ///
    /// # Safety
    /// The processor has I8MM. The band has the pixels, and the slots `count` channels of each. Where sums are `SHORT`,
    /// [`Ends::is_short`] holds and the block is full.
    #[inline(always)]
    unsafe fn row<const SHORT: bool>(&self, pixels: usize, mut x: *const i8, mut to: *mut i8) {
        for [n, tiles] in cut(pixels, PIXELS, 2) {
            if tiles > 0 {
                // SAFETY: as the caller promises.
                unsafe {
                    match n {
                        1 | 2 => self.tiles::<1, SHORT>(n, tiles, x, to),
                        3 | 4 => self.tiles::<2, SHORT>(n, tiles, x, to),
                        _ => self.tiles::<3, SHORT>(n, tiles, x, to),
                    }
                }
                (x, to) = (x.wrapping_add(n * tiles * UNIT), to.wrapping_add(n * tiles * self.stride));
            }
        }
    }

    /// `tiles` times `n` pixels, which are `PAIRS` or one less.
    ///
    /// # Safety
    /// As of [`Product::row`].
    #[inline(always)]
    unsafe fn tiles<const PAIRS: usize, const SHORT: bool>(
        &self,
        n: usize,
        tiles: usize,
        mut x: *const i8,
        mut to: *mut i8,
    ) {
        // An odd last pixel is written over what is no pixel.
        let last = if n.is_multiple_of(2) { self.stride } else { 0 };
        for _ in 0..tiles {
            // SAFETY: as the caller promises. There are as many weights and distances as units; where there are an odd
            // number of pixels the planes hold one more. All registers are declared, and only loads are made.
            unsafe {
                let mut sums: [Pair; 3] = [[vdupq_n_s32(0); 8]; 3];
                let (at, w, t, n, start) = (x, self.weights, self.distances, self.units, self.start);
                match PAIRS {
                    1 => pairs!(1; sums at w t n start),
                    2 => pairs!(2; sums at w t n start),
                    _ => pairs!(3; sums at w t n start),
                }
                let count = if SHORT { BLOCK } else { self.count };
                self.ends.store_pairs::<PAIRS, SHORT>(sums, self.scales, count, to, [self.stride, last]);
            }
            (x, to) = (x.wrapping_add(n * UNIT), to.wrapping_add(n * self.stride));
        }
    }
}

/// The weights of a block, of each run's units one after the other: eight weights of two channels, the last with zeros where
/// there are but four, and another unit of zeros where units are odd.
///
/// # Safety
/// So many weights can be read, and `UNITS` units written.
unsafe fn hold(mut from: *const i8, planes: &Planes, length: usize, mut to: *mut i8) {
    // SAFETY: as the caller promises.
    unsafe {
        let none = vdupq_n_s8(0);
        let none = int8x16x4_t(none, none, none, none);
        for _ in 0..planes.runs {
            for _ in 0..length / UNIT {
                side_by_side(vld1q_s8_x4(from), vld1q_s8_x4(from.add(STEP)), to);
                (from, to) = (from.add(2 * STEP), to.add(2 * STEP));
            }
            if !length.is_multiple_of(UNIT) {
                side_by_side(vld1q_s8_x4(from), none, to);
                (from, to) = (from.add(STEP), to.add(2 * STEP));
            }
        }
        if !(planes.runs * planes.units).is_multiple_of(2) {
            side_by_side(none, none, to);
        }
    }
}

/// All channels of a field's pixels, if it pays to bring their inputs to planes.
///
/// # Safety
/// The processor has I8MM. The field has as many quads as the layer; the slots hold all channels of all of its pixels.
#[inline(always)]
pub(super) unsafe fn whole<S: Rescale>(
    layer: &Layer<'_, S::Requant>,
    room: &mut Room<S::Requant>,
    field: &Field<'_>,
    slots: &mut [i8],
) -> Result<bool> {
    let [rows, width] = field.grid().size;
    if rows * width < FEW || layer.outputs <= BLOCK / 2 {
        return Ok(false);
    }
    // SAFETY: as the caller promises.
    unsafe { bands::<S>(layer, room, field, slots) }
}

/// As [`whole`].
///
/// # Safety
/// As of that.
#[inline(never)]
unsafe fn bands<S: Rescale>(
    layer: &Layer<'_, S::Requant>,
    room: &mut Room<S::Requant>,
    field: &Field<'_>,
    slots: &mut [i8],
) -> Result<bool> {
    let Some(planes) = Planes::new(field, layer.blocks()) else { return Ok(false) };
    let mut band = MaybeUninit::<[i8; BAND]>::uninit();
    let mut held = MaybeUninit::<[i8; UNITS * 2 * STEP]>::uninit();
    let (band, held) = (band.as_mut_ptr().cast::<i8>(), held.as_mut_ptr().cast::<i8>());
    let mut distances = [0; UNITS];
    let (units, ends, stride) = (planes.distances(&mut distances), Ends::<S>::new(layer), layer.outputs);
    let ([rows, width], [down, step]) = (field.grid().size, field.grid().apart);
    let mut kept = None;
    for y in (0..rows).step_by(planes.band[0]) {
        for x in (0..width).step_by(planes.band[1]) {
            let [high, wide] = [planes.band[0].min(rows - y), planes.band[1].min(width - x)];
            // SAFETY: the field has these pixels. The weights of a block are as many as the layer has quads, and so the
            // field's pixels; the slots hold their outputs, as the caller promises.
            unsafe {
                planes.fill(field.bytes().as_ptr().add(y * down + x * step), [high, wide], band);
                for (b, weights) in layer.weights().enumerate() {
                    let block = layer.block(b, weights, room)?;
                    if kept != Some(b) {
                        hold(weights.as_ptr(), &planes, field.runs().length, held);
                        kept = Some(b);
                    }
                    let (start, scales) = (twice(block.bias), twice(block.scales));
                    let scales: [S::Scales; 8] =
                        core::array::from_fn(|j| S::scales(&core::array::from_fn(|i| scales[4 * j + i])));
                    let mut kept_scales = scales.as_ptr();
                    // Nothing is done, but the compiler does not see that: it would keep them where loads are slow.
                    asm!("/* {0} */", inout(reg) kept_scales, options(nostack, preserves_flags, readonly));
                    let product = Product {
                        ends: &ends,
                        scales: kept_scales,
                        start: &start,
                        weights: held,
                        distances: distances.as_ptr(),
                        units,
                        count: block.count,
                        stride,
                    };
                    for row in 0..high {
                        let at = band.cast_const().add(row * planes.down * planes.line());
                        let to = slots.as_mut_ptr().add(((y + row) * width + x) * stride + b * BLOCK);
                        if S::CAN_BE_SHORT && ends.is_short && block.count == BLOCK {
                            product.row::<true>(wide, at, to);
                        } else {
                            product.row::<false>(wide, at, to);
                        }
                    }
                }
            }
        }
    }
    Ok(true)
}
