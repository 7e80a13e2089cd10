//! Kernels for 64-bit Arm, selected after detection at run time: [`neon`] for every such processor, [`dot`] and
//! [`i8mm`] for those with dot products and matrix products, which read [`crate::layout::Layout::Blocks`].

#[macro_use]
mod entry;
pub mod add;
mod depthwise;
pub mod dot;
mod end;
pub mod f32;
pub mod i8mm;
pub mod neon;
mod planes;
mod rescale;

use crate::error::Result;
use crate::kernels;
use crate::ops::io::Io;
use crate::ops::op::Context;

/// AveragePool2D of int8 with TFLite's or, with `HALF_UP`, single rounding.
pub fn average_pool_2d<const HALF_UP: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    kernels::pool::average_pool_2d::<HALF_UP>(attributes, io)
}

/// MaxPool2D of int8.
pub fn max_pool_2d(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    kernels::pool::max_pool_2d(attributes, io)
}
