//! For every 64-bit Arm: products of eight weights are 16 bits wide, and are added in pairs at once, so that even
//! -128 times -128 twice is exact.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use crate::kernels::aarch64::end::{Sums, begin};
use crate::kernels::blocks::layer::STEP;
use crate::kernels::blocks::tile::Tile;
use crate::layout::QUAD;

kernels!("neon", Isa::Neon, 3 [1 => 1, 2 => 2, 3 => 3], sums, neon_strip);

/// The sums of `N` pixels for a block of channels, whose weights are as many steps as the tile has quads.
#[inline(always)]
fn sums<const N: usize>(tile: &Tile<'_>, weights: &[i8], bias: &[i32; BLOCK]) -> [Sums; N] {
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
            for _ in 0..runs.length / QUAD {
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
        halves.map(|h| {
            let pairs = [0, 1, 2, 3].map(|i| vpaddq_s32(h[2 * i], h[2 * i + 1]));
            core::array::from_fn(|i| vaddq_s32(pairs[i], first[i]))
        })
    }
}
