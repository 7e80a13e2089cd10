//! Arithmetic behind the operators: rounding, float primitives, and the reference kernels that are the oracle.

#[cfg(feature = "std")]
pub mod blocked;
pub mod fixed;
pub mod float;
pub mod gemmlowp;
pub mod level;
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub mod mve;
pub mod portable;
pub mod reference;
pub mod sum;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod x86_64;
