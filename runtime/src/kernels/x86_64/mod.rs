//! Kernels for x86-64 hosts, selected after detection at run time.

pub mod fma;
pub mod f32;
