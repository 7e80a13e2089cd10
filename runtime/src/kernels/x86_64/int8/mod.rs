//! int8 kernels of [`kernel::DOT_OFFSET`](crate::ops::layer::kernel::DOT_OFFSET): with AVX-512 VNNI, AVX-VNNI and AVX2.
//!
//! Written once over [`simd::Simd`]; here each is compiled for every instruction set. The inner loops see copies of the
//! input, padded and with the offset added ([`rows`], [`crate::ops::layer::strips`]), so that they load and multiply and
//! do nothing else ([`tile`]); sums are rescaled sixteen at a time ([`rescale`]).
#![allow(unsafe_code)]

mod add;
mod avx2;
mod avx512;
mod channels;
mod columns;
mod connected;
mod conv;
mod cover;
mod depthwise;
mod finish;
mod interleave;
mod rescale;
mod rows;
mod simd;
mod slide;
mod tile;
mod vector;

use crate::error::{Error, Result};
use crate::kernels::pool;
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa};
use rescale::Rescale;

/// A rounding that these kernels have.
#[allow(private_bounds)]
pub trait Rounded: Rescale {}

impl<R: Rescale> Rounded for R {}

/// A kernel compiled for an instruction set, and the function that calls it only where the processor has that.
macro_rules! kernel {
    (
        $isa:ident, $features:literal, $(#[$doc:meta])*
        $name:ident [$($parameters:tt)*] [$($arguments:tt)*] |$attributes:ident, $io:ident, $cx:ident| $run:expr
    ) => {
        $(#[$doc])*
        pub fn $name<$($parameters)*>(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
            #[target_feature(enable = $features)]
            fn run<$($parameters)*>($attributes: &[u8], $io: &mut Io<'_>, $cx: &Context) -> Result<()> {
                $run
            }
            if !Isa::$isa.available() {
                return Err(Error::NoKernel);
            }
            // SAFETY: the processor has the instruction set, as just asked.
            unsafe { run::<$($arguments)*>(attributes, io, cx) }
        }
    };
}

macro_rules! kernels {
    ($($(#[$doc:meta])* $module:ident, $isa:ident, $simd:ty, $features:literal;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use super::*;

            kernel!($isa, $features,
                /// Conv2D.
                conv_2d [R: Rounded] [R] |attributes, io, _cx|
                // SAFETY: compiled for the instruction set, and only called with it, as the others below.
                unsafe { conv::conv_2d::<$simd, R>(attributes, io) });
            kernel!($isa, $features,
                /// DepthwiseConv2D.
                depthwise_conv_2d [R: Rounded] [R] |attributes, io, _cx|
                // SAFETY: as above.
                unsafe { depthwise::depthwise_conv_2d::<$simd, R>(attributes, io) });
            kernel!($isa, $features,
                /// FullyConnected.
                fully_connected [R: Rounded] [R] |attributes, io, _cx|
                // SAFETY: as above.
                unsafe { connected::fully_connected::<$simd, R>(attributes, io) });
            kernel!($isa, $features,
                /// Add or, with `SUB`, Sub in TFLite's rounding.
                add_tflite [const SUB: bool] [SUB] |attributes, io, cx|
                // SAFETY: as above.
                unsafe { add::tflite::<$simd, SUB>(attributes, io, cx) });
            kernel!($isa, $features,
                /// Add or, with `SUB`, Sub in single rounding.
                add_single [const SUB: bool] [SUB] |attributes, io, cx|
                // SAFETY: as above.
                unsafe { add::single::<$simd, SUB>(attributes, io, cx) });
            kernel!($isa, $features,
                /// AveragePool2D in TFLite's or, with `HALF_UP`, single rounding.
                average_pool_2d [const HALF_UP: bool] [HALF_UP] |attributes, io, _cx|
                pool::average_pool_2d::<HALF_UP>(attributes, io));
            kernel!($isa, $features,
                /// MaxPool2D.
                max_pool_2d [] [] |attributes, io, _cx| pool::max_pool_2d(attributes, io));
        }
    )*};
}

kernels! {
    /// With AVX-512 VNNI.
    vnni512, X86Avx512Vnni, avx512::Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2";
    /// With AVX-VNNI.
    vnni256, X86AvxVnni, avx2::Avx2<true>, "avx2,avxvnni";
    /// With AVX2.
    avx2only, X86Avx2, avx2::Avx2<false>, "avx2";
}
