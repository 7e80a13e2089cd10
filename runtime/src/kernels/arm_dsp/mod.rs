//! int8 kernels for 32-bit Arm with the DSP extension: Cortex-M4, M7, M33, and Armv7-A, where they are tested too.
//!
//! Weights come in pairs of channels ([`crate::Layout::Pairs`]) or channel by channel
//! ([`crate::Layout::PlanesLast`]), zero points are folded into biases. Inputs are widened to 16 bits a few pixels at a
//! time; each pixel is read before it is written, so the order of rows is kept.

pub mod add;
mod args;
mod columns;
mod expand;
mod four;
mod layer;
mod one;
mod pairs;
mod planes;
mod scale;
mod text;
mod three;

pub use pairs::{conv_2d, fully_connected};
pub use planes::depthwise_conv_2d;
