//! Kernels for Cortex-M55 and later with vectors (MVE, "Helium"), for the weights of [`FOLDED`](crate::ops::layer).
//!
//! No Rust target has the instructions, so they are functions of assembly; each is called by one function that knows
//! how long its operands must be. Only [`level`]'s functions for `onnx` ask for vectors of floats as well.

pub mod additive;
pub mod conv_2d;
pub mod depthwise_conv_2d;
mod dot;
mod filters;
pub mod fully_connected;
pub mod level;
mod matrix;
mod moves;
pub mod pool;
mod taps;
