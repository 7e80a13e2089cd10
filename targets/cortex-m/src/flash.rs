//! What the firmware carries: the bundle, its arena's size, its operators.

use samara_runtime::ops::{self, OpDef};

/// Weights are read in place, so the bundle starts where the widest loads are aligned.
#[repr(C, align(64))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

mod bundle {
    use super::Aligned;
    #[allow(unused_imports, reason = "a firmware without a bundle names no operator")]
    use samara_runtime::ops::{self, OpDef};
    include!(concat!(env!("OUT_DIR"), "/bundle.rs"));
}

/// The bundle's bytes.
pub(crate) fn bundle() -> &'static [u8] {
    // The optimizer must not run the loader at compile time: it would prove too much and measure too little.
    core::hint::black_box(&bundle::BUNDLE.0)
}

/// Exactly what the bundle's plan asks for.
pub(crate) const ARENA_BYTES: usize = bundle::ARENA_BYTES;

/// The operators that are linked.
pub(crate) const OPS: &[OpDef] = if cfg!(feature = "list-all") {
    ops::ALL
} else if cfg!(feature = "list-two") {
    &[OpDef::of::<ops::FullyConnected>(), OpDef::of::<ops::MaxPool2d>()]
} else {
    bundle::OPS
};
