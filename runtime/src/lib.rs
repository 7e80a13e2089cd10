//! Runs Samara bundles on anything from a Cortex-M0+ to a server: `no_std`, no allocation, no panics in
//! [`session`], and the same bits everywhere for integer models.
//!
//! From the bottom up:
//! - [`error`]: one small error type with stable codes.
//! - [`tensor`]: element types, shapes, quantization parameters; [`layout`]: orders of stored weights.
//! - [`kernels`]: rounding, and the reference kernels that are the oracle.
//! - [`ops`]: one file per operator: attributes, shape inference, entries.
//! - [`bundle`]: the format, its limits, and the only signature check.
//! - [`session`]: load, run, self-test.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod aligned;
pub mod bundle;
pub mod error;
pub mod kernels;
pub mod layout;
pub mod ops;
pub mod session;
pub mod tensor;

#[cfg(feature = "std")]
pub use aligned::AlignedBytes;
pub use bundle::Bundle;
pub use error::{Error, Result};
pub use layout::Layout;
pub use ops::Choice;
pub use session::{Run, Session};
pub use tensor::{Desc, Dtype, Place, Shape};
