//! What kernels over [`crate::layout::Layout::Blocks`] share, whatever their vectors are: where the inputs of output
//! pixels lie, and what becomes of sums.
//!
//! A kernel gets a [`tile::Field`] of pixels and computes all their channels, sixteen at a time. Padding is never seen by it:
//! images are copied into scratch with their padding around them, a strip of rows at a time.

pub mod depthwise;
pub mod gather;
pub mod layer;
pub mod patches;
pub mod scratch;
pub mod strip;
pub mod tile;
pub mod walk;
