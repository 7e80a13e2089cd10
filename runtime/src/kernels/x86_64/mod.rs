//! Kernels for x86-64 hosts, selected after detection at run time.

pub mod f32;
pub mod fma;
pub mod int8;
