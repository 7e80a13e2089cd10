//! Families of processors, so that one bundle can hold a plan for each.

use crate::ops::layer::kernel;

/// Whose kernels a plan is made for. The number, the wire's, is the kernel id of its int8 layers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Family {
    /// Any processor; also whatever a bundle with one plan was packed for.
    Any = kernel::DENSE,
    /// 64-bit Arm, WebAssembly.
    Dot = kernel::DOT,
    /// x86-64.
    DotOffset = kernel::DOT_OFFSET,
    /// 32-bit Arm with the DSP extension.
    Pairs = kernel::PAIRS,
    /// Other microcontrollers.
    Folded = kernel::FOLDED,
}

impl Family {
    /// All of them, in the order of their numbers.
    pub const ALL: [Family; 5] = [Family::Any, Family::Dot, Family::DotOffset, Family::Pairs, Family::Folded];

    /// Of the processor that this library is compiled for.
    pub const HERE: Family = if cfg!(target_arch = "x86_64") {
        Family::DotOffset
    } else if cfg!(any(target_arch = "aarch64", target_arch = "wasm32")) {
        Family::Dot
    } else if cfg!(feature = "dsp") {
        Family::Pairs
    } else {
        Family::Folded
    };

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Any => "any",
            Family::Dot => "dot",
            Family::DotOffset => "dot_offset",
            Family::Pairs => "pairs",
            Family::Folded => "folded",
        }
    }
}
