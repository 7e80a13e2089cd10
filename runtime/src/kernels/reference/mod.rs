//! Reference kernels: plain loops, the oracle for every faster kernel.

pub mod additive;
pub mod average_pool_2d;
pub mod clamp;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub mod elementwise;
pub mod extremum;
pub mod fully_connected;
pub mod lut;
pub mod mul;
pub mod prelu;
pub mod quantize;
pub mod requantize;
pub mod rows;
pub mod softmax;
pub mod unary;
