//! Arithmetic behind the operators: rounding, float primitives, and the reference kernels that are the oracle.

#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub mod aarch64;
#[cfg(all(feature = "dsp", target_arch = "arm"))]
pub mod arm_dsp;
#[cfg(feature = "std")]
pub mod blocked;
#[cfg(feature = "std")]
pub mod blocks;
pub mod fixed;
pub mod float;
pub mod gemmlowp;
#[cfg(feature = "std")]
pub mod lanes;
pub mod level;
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub mod mve;
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod pool;
pub mod portable;
pub mod reference;
pub mod sum;
#[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm32;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod x86_64;
