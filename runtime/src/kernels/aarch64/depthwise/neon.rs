//! Rows of sums on any 64-bit Arm: sixteen products of one tap, of which two are added before they are widened.
#![allow(unsafe_code)]

use core::arch::aarch64::int8x16_t;
use core::arch::asm;

use super::rows::Rows;
use crate::layout::BLOCK;

/// For windows without a weight of -128, whose product with itself would not fit twice.
#[derive(Clone, Copy, Debug)]
pub struct Neon;

/// Loads the next column.
#[rustfmt::skip] // one instruction a line
macro_rules! inputs {
    ($a:literal $b:literal $c:literal) => {
        concat!(
            "ld1 {{v", $a, ".16b}}, [{r0}], {step}\n",
            "ld1 {{v", $b, ".16b}}, [{r1}], {step}\n",
            "ld1 {{v", $c, ".16b}}, [{r2}], {step}",
        )
    };
}

/// Adds the products of two taps, or of one, to the sums.
macro_rules! plus {
    ($x:literal $w:literal $($y:literal $v:literal)?) => {
        concat!(
            "smull v22.8h, v", $x, ".8b, v", $w, ".8b\n",
            "smull2 v23.8h, v", $x, ".16b, v", $w, ".16b\n",
            $(
                "smlal v22.8h, v", $y, ".8b, v", $v, ".8b\n",
                "smlal2 v23.8h, v", $y, ".16b, v", $v, ".16b\n",
            )?
            "saddw v18.4s, v18.4s, v22.4h\n",
            "saddw2 v19.4s, v19.4s, v22.8h\n",
            "saddw v20.4s, v20.4s, v23.4h\n",
            "saddw2 v21.4s, v21.4s, v23.8h\n",
        )
    };
}

/// Writes the sums of a window of three columns.
#[rustfmt::skip] // one pair a line
macro_rules! put {
    ($a0:literal $b0:literal $c0:literal, $a1:literal $b1:literal $c1:literal, $a2:literal $b2:literal $c2:literal) => {
        concat!(
            "ld1 {{v18.4s, v19.4s, v20.4s, v21.4s}}, [{bias}]\n",
            plus!($a0 "0" $a1 "1"),
            plus!($a2 "2" $b0 "3"),
            plus!($b1 "4" $b2 "5"),
            plus!($c0 "6" $c1 "7"),
            plus!($c2 "8"),
            "st1 {{v18.4s, v19.4s, v20.4s, v21.4s}}, [{sums}], #64\n",
            "subs {n}, {n}, #1",
        )
    };
}

/// The whole of a row: `$body` after the window and the first column were loaded.
macro_rules! row {
    ($window:ident $bias:ident $rows:ident $step:ident $sums:ident $count:ident, $($body:expr),*) => {
        asm!(
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{w}], #64",
            "ld1 {{v4.16b, v5.16b, v6.16b, v7.16b}}, [{w}], #64",
            "ld1 {{v8.16b}}, [{w}]",
            inputs!("9" "10" "11"),
            $($body,)*
            w = inout(reg) $window.as_ptr() => _,
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
            out("v22") _, out("v23") _,
            options(nostack)
        )
    };
}

impl Rows for Neon {
    type Window = [int8x16_t; 9];

    fn window(taps: [int8x16_t; 9]) -> [int8x16_t; 9] {
        taps
    }

    #[inline(always)]
    unsafe fn sums<const STRIDE: usize>(
        window: &[int8x16_t; 9],
        bias: &[i32; BLOCK],
        rows: [*const i8; 3],
        step: usize,
        sums: *mut [i32; BLOCK],
        count: usize,
    ) {
        // SAFETY: as the caller promises; a window is nine vectors, and a bias is sixteen words. All registers are
        // declared.
        unsafe {
            if STRIDE == 1 {
                row!(
                    window bias rows step sums count,
                    inputs!("12" "13" "14"),
                    "2:",
                    inputs!("15" "16" "17"),
                    put!("9" "10" "11", "12" "13" "14", "15" "16" "17"),
                    "b.eq 3f",
                    inputs!("9" "10" "11"),
                    put!("12" "13" "14", "15" "16" "17", "9" "10" "11"),
                    "b.eq 3f",
                    inputs!("12" "13" "14"),
                    put!("15" "16" "17", "9" "10" "11", "12" "13" "14"),
                    "b.ne 2b",
                    "3:"
                )
            } else {
                row!(
                    window bias rows step sums count,
                    "2:",
                    inputs!("12" "13" "14"),
                    inputs!("15" "16" "17"),
                    put!("9" "10" "11", "12" "13" "14", "15" "16" "17"),
                    "b.eq 3f",
                    inputs!("9" "10" "11"),
                    inputs!("12" "13" "14"),
                    put!("15" "16" "17", "9" "10" "11", "12" "13" "14"),
                    "b.eq 3f",
                    inputs!("15" "16" "17"),
                    inputs!("9" "10" "11"),
                    put!("12" "13" "14", "15" "16" "17", "9" "10" "11"),
                    "b.ne 2b",
                    "3:"
                )
            }
        }
    }
}
