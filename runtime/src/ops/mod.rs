//! Operators: each defined once in its own file, listed once here.
//!
//! To add one: write its file, add it to the modules, to [`ALL`], and to the packager's tables that the
//! compiler then points at.

pub mod add;
pub mod arg_max;
pub mod attr;
pub mod average_pool_2d;
pub mod batch_matmul;
pub mod broadcast;
pub mod cast;
pub mod clamp;
pub mod concatenation;
pub mod conv_2d;
pub mod depthwise_conv_2d;
pub mod dequantize;
pub mod div;
#[cfg(feature = "std")]
pub mod eval;
pub mod fully_connected;
pub mod gather;
pub mod io;
pub mod layer;
pub mod lut;
pub mod max_pool_2d;
pub mod maximum;
pub mod mean;
pub mod minimum;
pub mod moves;
pub mod mul;
pub mod op;
pub mod pad;
pub mod pool;
pub mod prelu;
pub mod quantize;
pub mod quantized;
pub mod reduce;
pub mod reduce_max;
pub mod requantize;
pub mod reshape;
pub mod resize_bilinear;
pub mod resize_nearest;
pub mod sampling;
pub mod softmax;
pub mod strided_slice;
pub mod sub;
pub mod sum;
pub mod transpose;
pub mod unary;
pub mod view;
pub mod window;

pub use add::Add;
pub use arg_max::ArgMax;
pub use attr::{Attr, Clamp};
pub use average_pool_2d::AveragePool2d;
pub use batch_matmul::BatchMatmul;
pub use cast::Cast;
pub use concatenation::Concatenation;
pub use conv_2d::Conv2d;
pub use depthwise_conv_2d::DepthwiseConv2d;
pub use dequantize::Dequantize;
pub use div::Div;
pub use fully_connected::FullyConnected;
pub use gather::Gather;
pub use io::{Io, Pair};
pub use lut::Lut;
pub use max_pool_2d::MaxPool2d;
pub use maximum::Maximum;
pub use mean::Mean;
pub use minimum::Minimum;
pub use mul::Mul;
pub use op::{Choice, Constants, Context, Entry, Inferred, Inputs, Isa, Kernel, Op, OpDef, Rounding};
pub use pad::Pad;
pub use pool::Pool;
pub use prelu::PRelu;
pub use quantize::Quantize;
pub use quantized::PerTensor;
pub use reduce::Reduce;
pub use reduce_max::ReduceMax;
pub use requantize::Requantize;
pub use reshape::Reshape;
pub use resize_bilinear::ResizeBilinear;
pub use resize_nearest::{Nearest, ResizeNearest};
pub use sampling::{Coordinates, Sampling};
pub use softmax::Softmax;
pub use strided_slice::StridedSlice;
pub use sub::Sub;
pub use sum::Sum;
pub use transpose::Transpose;
pub use unary::{Function, Unary};
pub use window::Window;

/// Every operator with every kernel: what hosts use. It is kept in this library, and not compiled into each that names it.
#[cfg(feature = "std")]
pub static ALL: &[OpDef] = LIST;
/// Every operator with every kernel.
#[cfg(not(feature = "std"))]
pub const ALL: &[OpDef] = LIST;

const LIST: &[OpDef] = &[
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
    OpDef::of::<MaxPool2d>(),
    OpDef::of::<Mean>(),
    OpDef::of::<Sum>(),
    OpDef::of::<ReduceMax>(),
    OpDef::of::<Softmax>(),
    OpDef::of::<Reshape>(),
    OpDef::of::<Pad>(),
    OpDef::of::<Concatenation>(),
    OpDef::of::<clamp::Clamp>(),
    OpDef::of::<Lut>(),
    OpDef::of::<Unary>(),
    OpDef::of::<PRelu>(),
    OpDef::of::<Quantize>(),
    OpDef::of::<Dequantize>(),
    OpDef::of::<Requantize>(),
    OpDef::of::<Transpose>(),
    OpDef::of::<StridedSlice>(),
    OpDef::of::<ResizeNearest>(),
    OpDef::of::<ResizeBilinear>(),
    OpDef::of::<ArgMax>(),
    OpDef::of::<BatchMatmul>(),
    OpDef::of::<Gather>(),
    OpDef::of::<Cast>(),
];
