//! Reference kernels: plain loops, the oracle for every faster kernel.

pub mod additive;
pub mod arg_max;
pub mod average_pool_2d;
pub mod batch_matmul;
pub mod cast;
pub mod clamp;
pub mod concatenation;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub mod dot;
pub mod elementwise;
pub mod extremum;
pub mod fully_connected;
pub mod gather;
#[cfg(test)]
mod in_place;
pub mod lut;
pub mod max_pool_2d;
pub mod mul;
pub mod pad;
pub mod prelu;
pub mod quantize;
pub mod reduce;
pub mod requantize;
pub mod reshape;
pub mod resize_bilinear;
pub mod resize_nearest;
pub mod rows;
pub mod softmax;
#[cfg(feature = "std")]
pub mod stored;
pub mod strided_slice;
pub mod transpose;
pub mod unary;
pub mod weights;
