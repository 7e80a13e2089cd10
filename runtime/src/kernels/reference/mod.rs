//! Reference kernels: plain loops, the oracle for every faster kernel.

pub mod additive;
pub mod clamp;
pub mod conv_2d;
pub mod elementwise;
pub mod lut;
pub mod quantize;
pub mod softmax;
