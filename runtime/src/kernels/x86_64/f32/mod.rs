//! Float kernels by sixteen lanes: [`crate::kernels::lanes`] with AVX2 and FMA3, and with AVX-512.
//!
//! Unsafe here calls functions that the compiler was told to build for those instructions, each after asking the
//! processor for them.
#![allow(unsafe_code)]

pub mod avx2;
pub mod avx512;

/// The kernels of one instruction set: each asks for it, then calls a function that is built with it.
macro_rules! kernels {
    ($lanes:ty, $isa:ident, $features:literal) => {
        kernels! { $lanes, $isa, $features;
            /// Conv2D without groups, weights in lanes.
            conv_2d
            /// FullyConnected, weights in lanes.
            fully_connected
            /// DepthwiseConv2D with one output per channel, dense weights.
            depthwise_conv_2d
            /// Add.
            add
            /// AveragePool2D.
            average_pool_2d
            /// BatchMatMul whose left operand is not transposed.
            batch_matmul
        }
    };
    ($lanes:ty, $isa:ident, $features:literal; $($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub fn $name(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            #[target_feature(enable = $features)]
            fn inlined(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
                // SAFETY: this function has the instructions.
                unsafe { lanes::$name::$name::<$lanes>(attributes, io) }
            }
            if !Isa::$isa.available() {
                return Err(Error::NoKernel);
            }
            // SAFETY: the processor has them, as just asked.
            unsafe { inlined(attributes, io) }
        }
    )*};
}
pub(crate) use kernels;
