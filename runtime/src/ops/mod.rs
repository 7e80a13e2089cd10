//! Operators: each defined once in its own file, listed once here.
//!
//! To add one: write its file, add it to the modules, to [`ALL`], and to the packager's tables that the
//! compiler then points at.

pub mod attr;
pub mod conv_2d;
#[cfg(feature = "std")]
pub mod eval;
pub mod io;
pub mod op;
pub mod quantized;
pub mod window;

pub use attr::{Attr, Clamp};
pub use conv_2d::Conv2d;
pub use io::{Io, Pair};
pub use op::{Constants, Context, Entry, Inferred, Inputs, Isa, Kernel, Op, OpDef, Rounding};
pub use window::Window;

/// Every operator with every kernel: what hosts use.
pub const ALL: &[OpDef] = &[OpDef::of::<Conv2d>()];
