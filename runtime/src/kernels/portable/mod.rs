//! Kernels for any processor that spare it what the reference kernels do over and over: windows are laid out once per
//! pixel, each value is loaded once for several products, and zero points are in the bias.

pub mod additive;
pub mod average_pool_2d;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub(crate) mod dot;
pub mod fully_connected;
pub(crate) mod patches;
pub(crate) mod rows;
pub mod scale;
#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
mod small;
