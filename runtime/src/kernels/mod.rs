//! Arithmetic behind the operators: rounding, float primitives, and the reference kernels that are the oracle.

pub mod fixed;
pub mod float;
pub mod gemmlowp;
pub mod level;
pub mod reference;
