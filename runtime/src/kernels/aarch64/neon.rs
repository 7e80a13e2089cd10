//! For every 64-bit Arm: products are 16 bits wide, and are widened before they could overflow: two of them fit, but not
//! twice -128 times -128.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use crate::kernels::aarch64::end::{Sums, begin};
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::Tile;
use crate::layout::QUAD;

kernels!("neon", Isa::Neon, 2 [1 => 1, 2 => 2], sums, neon_strip, |layer| layer.is_mild());

/// The sums of `N` pixels for a block of channels, whose weights are as many steps as the tile has quads. With `is_mild`,
/// no weight is -128: two products are added before they are widened.
#[inline(always)]
fn sums<const N: usize>(tile: &Tile<'_>, weights: &[i8], bias: &[i32; BLOCK], is_mild: bool) -> [Sums; N] {
    let first = begin(bias);
    let runs = tile.runs();
    if weights.len() != runs.quads() * STEP {
        return [first; N];
    }
    let mut w = weights.as_ptr();
    // SAFETY: a run's bytes are within the tile's, and its quads have as many steps of weights.
    unsafe {
        // Two sums of each channel: of its even and of its odd pairs of weights.
        let mut halves = [[vdupq_n_s32(0); 8]; N];
        for run in 0..runs.count {
            let mut x = tile.run::<N>(run);
            let mut quads = runs.length / QUAD;
            while is_mild && quads >= 2 {
                let inputs = x.map(|x| vreinterpret_s32_s8(vld1_s8(x)));
                let first = inputs.map(|x| vreinterpretq_s8_s32(vdupq_lane_s32::<0>(x)));
                let second = inputs.map(|x| vreinterpretq_s8_s32(vdupq_lane_s32::<1>(x)));
                for i in 0..4 {
                    let (v, w) = (vld1q_s8(w.add(i * BLOCK)), vld1q_s8(w.add(STEP + i * BLOCK)));
                    for ((halves, &x), &y) in halves.iter_mut().zip(&first).zip(&second) {
                        let low = vmull_s8(vget_low_s8(v), vget_low_s8(x));
                        let low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(y));
                        let high = vmlal_high_s8(vmull_high_s8(v, x), w, y);
                        halves[2 * i] = vpadalq_s16(halves[2 * i], low);
                        halves[2 * i + 1] = vpadalq_s16(halves[2 * i + 1], high);
                    }
                }
                w = w.add(2 * STEP);
                x = x.map(|x| x.add(2 * QUAD));
                quads -= 2;
            }
            for _ in 0..quads {
                let inputs = x.map(|x| vreinterpretq_s8_s32(vld1q_dup_s32(x.cast())));
                for i in 0..4 {
                    let w = vld1q_s8(w.add(i * BLOCK));
                    for (halves, &x) in halves.iter_mut().zip(&inputs) {
                        let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
                        let high = vmull_high_s8(w, x);
                        halves[2 * i] = vpadalq_s16(halves[2 * i], low);
                        halves[2 * i + 1] = vpadalq_s16(halves[2 * i + 1], high);
                    }
                }
                w = w.add(STEP);
                x = x.map(|x| x.add(QUAD));
            }
        }
        let mut sums = [first; N];
        for (sums, halves) in sums.iter_mut().zip(&halves) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = vaddq_s32(*sum, vpaddq_s32(halves[2 * i], halves[2 * i + 1]));
            }
        }
        sums
    }
}
