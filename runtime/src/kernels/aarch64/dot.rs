//! With dot products of four (Armv8.2 DotProd): each instruction adds four weights of four channels.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::aarch64::end::{Sums, begin};
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::Tile;
use crate::layout::QUAD;

kernels!("neon,dotprod", Isa::NeonDot, 5 [1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5], sums, dot_strip);

/// Inputs that are loaded together.
const CHUNK: usize = 4 * QUAD;

/// `sums + w x[4 LANE..4 LANE + 4]` for four channels' weights; the intrinsic is not stable.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn dot<const LANE: i32>(mut sums: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: one instruction, on registers.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            w = in(vreg) w,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds sixteen channels' weights, four each, times the inputs at `LANE` of each pixel.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn step<const LANE: i32, const N: usize>(sums: &mut [Sums; N], w: int8x16x4_t, x: &[int8x16_t; N]) {
    for (sums, &x) in sums.iter_mut().zip(x) {
        for (sum, w) in sums.iter_mut().zip([w.0, w.1, w.2, w.3]) {
            // SAFETY: as the caller promises.
            *sum = unsafe { dot::<LANE>(*sum, w, x) };
        }
    }
}

/// The sums of `N` pixels for a block of channels, whose weights are as many steps as the tile has quads.
#[inline(always)]
fn sums<const N: usize>(tile: &Tile<'_>, weights: &[i8], bias: &[i32; BLOCK]) -> [Sums; N] {
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
            for _ in 0..runs.length / CHUNK {
                let inputs = x.map(|x| vld1q_s8(x));
                step::<0, N>(&mut sums, vld1q_s8_x4(w), &inputs);
                step::<1, N>(&mut sums, vld1q_s8_x4(w.add(STEP)), &inputs);
                step::<2, N>(&mut sums, vld1q_s8_x4(w.add(2 * STEP)), &inputs);
                step::<3, N>(&mut sums, vld1q_s8_x4(w.add(3 * STEP)), &inputs);
                w = w.add(4 * STEP);
                x = x.map(|x| x.add(CHUNK));
            }
            for _ in 0..runs.length % CHUNK / QUAD {
                let inputs = x.map(|x| vreinterpretq_s8_s32(vld1q_dup_s32(x.cast())));
                step::<0, N>(&mut sums, vld1q_s8_x4(w), &inputs);
                w = w.add(STEP);
                x = x.map(|x| x.add(QUAD));
            }
        }
    }
    sums
}
