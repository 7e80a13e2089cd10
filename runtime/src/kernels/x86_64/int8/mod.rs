//! int8 kernels of [`kernel::DOT_OFFSET`](crate::ops::layer::kernel::DOT_OFFSET): with AVX-512 VNNI, AVX-VNNI and AVX2.
//!
//! Written once over [`simd::Simd`]; here each is compiled for every instruction set. The inner loops see copies of the
//! input, padded and with the offset added ([`rows`], [`crate::ops::layer::strips`]), so that they load and multiply and
//! do nothing else ([`tile`]); sums are rescaled sixteen at a time ([`rescale`]).
#![allow(unsafe_code)]

mod avx2;
mod avx512;
mod channels;
mod conv;
mod depthwise;
mod rescale;
mod rows;
mod simd;
mod tile;

use crate::error::{Error, Result};
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa};
use rescale::Rescale;

/// A rounding that these kernels have.
#[allow(private_bounds)]
pub trait Rounded: Rescale {}

impl<R: Rescale> Rounded for R {}

macro_rules! kernels {
    ($($(#[$doc:meta])* $module:ident, $isa:ident, $simd:ty, $features:literal;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use super::*;

            kernels!(@each $isa, $simd, $features;
                /// Conv2D; refuses where the processor lacks the instruction set.
                conv_2d, conv;
                /// DepthwiseConv2D; refuses where the processor lacks the instruction set.
                depthwise_conv_2d, depthwise;
                /// FullyConnected; refuses where the processor lacks the instruction set.
                fully_connected, conv;
            );
        }
    )*};
    (@each $isa:ident, $simd:ty, $features:literal; $($(#[$doc:meta])* $name:ident, $of:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name<R: Rounded>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            #[target_feature(enable = $features)]
            unsafe fn run<R: Rounded>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
                // SAFETY: compiled for the instruction set; that the processor has it, the caller knows.
                unsafe { $of::$name::<$simd, R>(attributes, io) }
            }
            if !Isa::$isa.available() {
                return Err(Error::NoKernel);
            }
            // SAFETY: the processor has the instruction set, as just asked.
            unsafe { run::<R>(attributes, io) }
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
