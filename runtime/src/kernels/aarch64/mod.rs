//! Kernels for 64-bit Arm, selected after detection at run time: [`neon`] for every such processor, [`dot`] and
//! [`i8mm`] for those with dot products and matrix products. They read [`crate::layout::Layout::Blocks`].

#[macro_use]
mod entry;
mod depthwise;
pub mod dot;
mod end;
pub mod i8mm;
pub mod neon;
