//! Float kernels by sixteen lanes: [`crate::kernels::lanes`] with AVX2 and FMA3, and with AVX-512.
//!
//! Unsafe here calls functions that the compiler was told to build for those instructions, each after asking the
//! processor for them.
#![allow(unsafe_code)]

pub mod avx2;
pub mod avx512;

use crate::error::{Error, Result};
use crate::kernels::lanes;
use crate::kernels::reference::weights::Plain;
use crate::kernels::x86_64::fma;
use crate::ops::io::Io;
use crate::ops::op::{Context, Isa};
use avx2::Avx2;
use avx512::Avx512;

/// One walk for one instruction set.
macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident = $walk:ident, $lanes:ty, $features:literal, $isa:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            #[target_feature(enable = $features)]
            fn inlined(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
                // SAFETY: this function has the instructions.
                unsafe { lanes::$walk::$walk::<$lanes>(attributes, io) }
            }
            if !Isa::$isa.available() {
                return Err(Error::NoKernel);
            }
            // SAFETY: the processor has them, as just asked.
            unsafe { inlined(attributes, io) }
        }
    )*};
}

kernels! {
    /// Conv2D without groups, weights by lanes, with AVX-512.
    conv_2d_avx512 = conv_2d, Avx512, "avx512f,avx2,fma", X86Avx512;
    /// Conv2D without groups, weights by lanes, with AVX2 and FMA3.
    conv_2d_fma = conv_2d, Avx2, "avx2,fma", X86Fma;
    /// FullyConnected, weights by lanes, with AVX-512.
    fully_connected_avx512 = fully_connected, Avx512, "avx512f,avx2,fma", X86Avx512;
    /// FullyConnected, weights by lanes, with AVX2 and FMA3.
    fully_connected_fma = fully_connected, Avx2, "avx2,fma", X86Fma;
    /// DepthwiseConv2D with one output per channel, with AVX-512.
    depthwise_avx512 = depthwise_conv_2d, Avx512, "avx512f,avx2,fma", X86Avx512;
    /// DepthwiseConv2D with one output per channel, with AVX2 and FMA3.
    depthwise_fma = depthwise_conv_2d, Avx2, "avx2,fma", X86Fma;
}

/// DepthwiseConv2D with AVX-512; several outputs per channel as [`fma`] computes them.
pub fn depthwise_conv_2d_avx512(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match lanes::depthwise_conv_2d::serves(io)? {
        true => depthwise_avx512(attributes, io, cx),
        false => fma::depthwise_conv_2d::<Plain<f32>>(attributes, io, cx),
    }
}

/// DepthwiseConv2D with AVX2 and FMA3; several outputs per channel as [`fma`] computes them.
pub fn depthwise_conv_2d_fma(attributes: &[u8], io: &mut Io<'_>, cx: &Context) -> Result<()> {
    match lanes::depthwise_conv_2d::serves(io)? {
        true => depthwise_fma(attributes, io, cx),
        false => fma::depthwise_conv_2d::<Plain<f32>>(attributes, io, cx),
    }
}
