//! Kernels for WebAssembly with simd128, over [`crate::layout::Layout::Blocks`]. A module that has the instructions loads
//! nowhere else, so they are chosen when it is compiled: `-C target-feature=+simd128`.

mod depthwise;
mod dot;
mod ends;
mod vector;

pub use depthwise::depthwise_conv_2d;
pub use dot::{conv_2d, fully_connected};
