//! Reference kernels: plain loops, the oracle for every faster kernel.

pub mod conv_2d;
