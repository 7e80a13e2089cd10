//! What the firmware carries: the bundle, its arena's size, its operators.

use samara_runtime::ops::{self, OpDef};

/// Weights are read in place, so the bundle starts where the widest loads are aligned.
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

mod bundle {
    use super::Aligned;
    include!(concat!(env!("OUT_DIR"), "/bundle.rs"));
}

/// The bundle's bytes.
pub fn bundle() -> &'static [u8] {
    // The optimizer must not run the loader at compile time: it would prove too much and measure too little.
    core::hint::black_box(&bundle::BUNDLE.0)
}

/// Exactly what the bundle's plan asks for.
pub const ARENA_BYTES: usize = bundle::ARENA_BYTES;

/// Bytes of the largest input.
pub const INPUT_BYTES: usize = bundle::INPUT_BYTES;

/// The operators that are linked.
pub const OPS: &[OpDef] = if cfg!(feature = "list-all") {
    ops::ALL
} else if cfg!(feature = "list-two") {
    &[OpDef::of::<ops::FullyConnected>(), OpDef::of::<ops::MaxPool2d>()]
} else {
    bundle::OPS
};
