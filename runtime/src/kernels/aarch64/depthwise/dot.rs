//! Rows of sums with dot products: the three inputs of a column side by side, channel by channel.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::rows::Rows;
use crate::layout::BLOCK;

/// For processors with dot products.
#[derive(Clone, Copy, Debug)]
pub struct Dot;

/// Where the four bytes of sixteen channels come from: a column's three inputs, and a zero.
static INTERLEAVED: [[u8; 4]; BLOCK] = {
    let mut all = [[0; 4]; BLOCK];
    let mut channel = 0;
    while channel < BLOCK {
        let at = channel as u8;
        all[channel] = [at, at + BLOCK as u8, at + 2 * BLOCK as u8, u8::MAX];
        channel += 1;
    }
    all
};

/// Loads the next column and brings it side by side.
macro_rules! inputs {
    () => {
        "ld1 {{v28.16b}}, [{r0}], {step}
        ld1 {{v29.16b}}, [{r1}], {step}
        ld1 {{v30.16b}}, [{r2}], {step}
        tbl v24.16b, {{v28.16b, v29.16b, v30.16b}}, v12.16b
        tbl v25.16b, {{v28.16b, v29.16b, v30.16b}}, v13.16b
        tbl v26.16b, {{v28.16b, v29.16b, v30.16b}}, v14.16b
        tbl v27.16b, {{v28.16b, v29.16b, v30.16b}}, v15.16b"
    };
}

/// Adds the products of the column with one of the window's to sums.
#[rustfmt::skip] // one instruction a line
macro_rules! plus {
    ($s0:literal $s1:literal $s2:literal $s3:literal, $w0:literal $w1:literal $w2:literal $w3:literal) => {
        concat!(
            "sdot v", $s0, ".4s, v24.16b, v", $w0, ".16b\n",
            "sdot v", $s1, ".4s, v25.16b, v", $w1, ".16b\n",
            "sdot v", $s2, ".4s, v26.16b, v", $w2, ".16b\n",
            "sdot v", $s3, ".4s, v27.16b, v", $w3, ".16b",
        )
    };
}

/// The whole of a row: `$body` after the window was loaded.
macro_rules! row {
    ($window:ident $bias:ident $rows:ident $step:ident $sums:ident $count:ident, $($body:expr),*) => {
        asm!(
            ".arch_extension dotprod",
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64",
            "ld1 {{v4.16b, v5.16b, v6.16b, v7.16b}}, [{w}], #64",
            "ld1 {{v8.16b, v9.16b, v10.16b, v11.16b}}, [{w}]",
            "ld1 {{v12.16b, v13.16b, v14.16b, v15.16b}}, [{order}]",
            "ld1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{bias}]",
            inputs!(),
            plus!("16" "17" "18" "19", "0" "1" "2" "3"),
            $($body,)*
            w = inout(reg) $window.as_ptr() => _,
            order = in(reg) INTERLEAVED.as_ptr(),
            bias = in(reg) $bias.as_ptr(),
            r0 = inout(reg) $rows[0] => _,
            r1 = inout(reg) $rows[1] => _,
            r2 = inout(reg) $rows[2] => _,
            step = in(reg) $step,
            sums = inout(reg) $sums => _,
            n = inout(reg) $count => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
            out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
            out("v29") _, out("v30") _,
            options(nostack)
        )
    };
}

impl Rows for Dot {
    /// Three columns, of sixteen channels four bytes each.
    type Window = [int8x16_t; 12];

    fn window([t0, t1, t2, t3, t4, t5, t6, t7, t8]: [int8x16_t; 9]) -> [int8x16_t; 12] {
        // SAFETY: every 64-bit Arm has NEON.
        let zero = unsafe { vdupq_n_s8(0) };
        let [a, b, c] =
            [[t0, t3, t6], [t1, t4, t7], [t2, t5, t8]].map(|[a, b, c]| interleave([a, b, c, zero]));
        core::array::from_fn(|i| [a, b, c][i / 4][i % 4])
    }

    #[inline(always)]
    unsafe fn sums<const STRIDE: usize>(
        window: &[int8x16_t; 12],
        bias: &[i32; BLOCK],
        rows: [*const i8; 3],
        step: usize,
        sums: *mut [i32; BLOCK],
        count: usize,
    ) {
        // SAFETY: as the caller promises; a window is twelve vectors, and a bias and an order are sixteen words. All
        // registers are declared.
        unsafe {
            if STRIDE == 1 {
                row!(
                    window bias rows step sums count,
                    inputs!(),
                    plus!("16" "17" "18" "19", "4" "5" "6" "7"),
                    "ld1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{bias}]",
                    plus!("20" "21" "22" "23", "0" "1" "2" "3"),
                    "2:",
                    inputs!(),
                    plus!("16" "17" "18" "19", "8" "9" "10" "11"),
                    "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{sums}], #64",
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    plus!("20" "21" "22" "23", "4" "5" "6" "7"),
                    "ld1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{bias}]",
                    plus!("16" "17" "18" "19", "0" "1" "2" "3"),
                    inputs!(),
                    plus!("20" "21" "22" "23", "8" "9" "10" "11"),
                    "st1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{sums}], #64",
                    plus!("16" "17" "18" "19", "4" "5" "6" "7"),
                    "ld1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{bias}]",
                    plus!("20" "21" "22" "23", "0" "1" "2" "3"),
                    "subs {n}, {n}, #1",
                    "b.ne 2b",
                    "3:"
                )
            } else {
                row!(
                    window bias rows step sums count,
                    "2:",
                    inputs!(),
                    plus!("16" "17" "18" "19", "4" "5" "6" "7"),
                    inputs!(),
                    plus!("16" "17" "18" "19", "8" "9" "10" "11"),
                    "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{sums}], #64",
                    "ld1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{bias}]",
                    plus!("16" "17" "18" "19", "0" "1" "2" "3"),
                    "subs {n}, {n}, #1",
                    "b.ne 2b"
                )
            }
        }
    }
}

/// Four vectors' bytes side by side.
fn interleave([a, b, c, d]: [int8x16_t; 4]) -> [int8x16_t; 4] {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        let [ab, cd] = [vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d))];
        let [ef, gh] = [vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d))];
        [vzip1q_s16(ab, cd), vzip2q_s16(ab, cd), vzip1q_s16(ef, gh), vzip2q_s16(ef, gh)]
            .map(|v| vreinterpretq_s8_s16(v))
    }
}
