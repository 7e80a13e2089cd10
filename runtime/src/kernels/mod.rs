//! Arithmetic behind the operators: rounding, float primitives, and the reference kernels that are the oracle.

#[cfg(all(feature = "dsp", target_arch = "arm"))]
pub mod arm_dsp;
#[cfg(feature = "std")]
pub mod blocked;
pub mod fixed;
pub mod float;
pub mod gemmlowp;
pub mod level;
pub mod reference;
pub mod sum;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod x86_64;
