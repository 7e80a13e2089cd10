//! Operators: each defined once in its own file, listed once here.
//!
//! To add one: write its file, add it to the modules, to [`ALL`], and to the packager's tables that the
//! compiler then points at.

pub mod add;
pub mod attr;
pub mod average_pool_2d;
pub mod broadcast;
pub mod clamp;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub mod dequantize;
pub mod div;
#[cfg(feature = "std")]
pub mod eval;
pub mod fully_connected;
pub mod io;
pub mod lut;
pub mod maximum;
pub mod minimum;
pub mod mul;
pub mod op;
pub mod pool;
pub mod prelu;
pub mod quantize;
pub mod quantized;
pub mod requantize;
pub mod softmax;
pub mod sub;
pub mod unary;
pub mod view;
pub mod window;

pub use add::Add;
pub use attr::{Attr, Clamp};
pub use average_pool_2d::AveragePool2d;
pub use conv_2d::Conv2d;
pub use depthwise_conv_2d::DepthwiseConv2d;
pub use dequantize::Dequantize;
pub use div::Div;
pub use fully_connected::FullyConnected;
pub use io::{Io, Pair};
pub use lut::Lut;
pub use maximum::Maximum;
pub use minimum::Minimum;
pub use mul::Mul;
pub use op::{Constants, Context, Entry, Inferred, Inputs, Isa, Kernel, Op, OpDef, Rounding};
pub use pool::Pool;
pub use prelu::PRelu;
pub use quantize::Quantize;
pub use requantize::Requantize;
pub use softmax::Softmax;
pub use sub::Sub;
pub use unary::{Function, Unary};
pub use window::Window;

/// Every operator with every kernel: what hosts use.
pub const ALL: &[OpDef] = &[
    OpDef::of::<Conv2d>(),
    OpDef::of::<DepthwiseConv2d>(),
    OpDef::of::<FullyConnected>(),
    OpDef::of::<Add>(),
    OpDef::of::<Sub>(),
    OpDef::of::<Mul>(),
    OpDef::of::<Div>(),
    OpDef::of::<Minimum>(),
    OpDef::of::<Maximum>(),
    OpDef::of::<AveragePool2d>(),
    OpDef::of::<Softmax>(),
    OpDef::of::<clamp::Clamp>(),
    OpDef::of::<Lut>(),
    OpDef::of::<Unary>(),
    OpDef::of::<PRelu>(),
    OpDef::of::<Quantize>(),
    OpDef::of::<Dequantize>(),
    OpDef::of::<Requantize>(),
];
