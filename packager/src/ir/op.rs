//! What a node can do. No wildcard arms on [`Op`] anywhere: the compiler lists what a new operator needs.

use samara_runtime::ops::Window;

pub use samara_runtime::ops::Function;

/// The closed real range that a fused activation clamps to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Activation {
    /// Least value; `-inf` for none.
    pub lo: f32,
    /// Greatest value; `inf` for none.
    pub hi: f32,
}

impl Activation {
    /// Clamps nothing.
    pub const NONE: Activation = Activation { lo: f32::NEG_INFINITY, hi: f32::INFINITY };
    /// `max(x, 0)`.
    pub const RELU: Activation = Activation { lo: 0.0, hi: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Activation = Activation { lo: 0.0, hi: 6.0 };
    /// `min(max(x, -1), 1)`.
    pub const RELU_N1_TO_1: Activation = Activation { lo: -1.0, hi: 1.0 };

    /// Both clamps in turn, `self` first.
    pub fn then(self, next: Activation) -> Activation {
        let limit = |x: f32| x.max(next.lo).min(next.hi);
        Activation { lo: limit(self.lo), hi: limit(self.hi) }
    }
}

/// Operators of two operands with broadcasting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`, floats only
    Div,
    /// `min(a, b)`
    Minimum,
    /// `max(a, b)`
    Maximum,
}

/// What a pooling window computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolKind {
    /// Mean of the taps; `count_include_pad` also counts padding as zeros.
    Average {
        /// Whether padding enters the divisor.
        count_include_pad: bool,
    },
    /// Maximum of the taps inside the image.
    Max,
}

/// What a reduction computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names say it
pub enum ReduceKind {
    Mean,
    Sum,
    Max,
}

/// How an output pixel's centre maps to input coordinates (ONNX Resize's coordinate_transformation_mode).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // ONNX's names
pub enum Sampling {
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one pixel.
    PytorchHalfPixel,
    Asymmetric,
    AlignCorners,
}

/// How nearest-neighbour resizing rounds coordinates (ONNX Resize's nearest_mode).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // ONNX's names
pub enum NearestMode {
    Floor,
    Ceil,
    RoundPreferFloor,
    RoundPreferCeil,
}

/// An operation with its attributes. Axes are non-negative and below the rank.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // each variant documents its operands and attributes together
pub enum Op {
    /// x `[N,H,W,C]`, weights `[O,kh,kw,C/groups]`, bias `[O]` (optional), table (optional).
    ///
    /// This and the next two have a table where weights are of 4 bits: `[O,G]` multipliers of groups of int4 weights
    /// (not for depthwise), `[1,16]` or `[O,16]` levels of uint4 indices.
    Conv2d { window: Window, groups: u16, activation: Activation },
    /// x `[N,H,W,C]`, weights `[1,kh,kw,C*multiplier]`, bias (optional), table (optional).
    DepthwiseConv2d { window: Window, activation: Activation },
    /// x `[..., I]`, weights `[O,I]`, bias `[O]` (optional), table (optional); the output keeps x's leading dimensions.
    FullyConnected { activation: Activation },
    /// a, b with NumPy broadcasting.
    Binary { kind: Binary, activation: Activation },
    /// x `[N,H,W,C]`.
    Pool2d { kind: PoolKind, size: [u16; 2], window: Window, activation: Activation },
    /// x; any set of axes.
    Reduce { kind: ReduceKind, axes: Vec<usize>, keep_dims: bool },
    /// x; along one axis (the lowering moves it last).
    Softmax { axis: usize, beta: f32 },
    /// x; same elements in the same order.
    Reshape { shape: Vec<usize> },
    /// x; one pair per axis, filled with a real value.
    Pad { before: Vec<usize>, after: Vec<usize>, value: f32 },
    /// Any number of inputs along one axis.
    Concatenation { axis: usize },
    /// x; Relu, Relu6, ReluN1to1, Clip.
    Clamp { activation: Activation },
    /// x; elementwise.
    Unary { function: Function },
    /// x, slopes (constant, broadcastable to x).
    PRelu,
    /// x to the output tensor's own integer type and parameters, from floats or other integers.
    Quantize,
    /// x to floats.
    Dequantize,
    /// x; output axis `k` is input axis `permutation[k]`.
    Transpose { permutation: Vec<usize> },
    /// x; `begin + k * stride` for `k < size` on every axis; strides may be negative, never zero.
    StridedSlice { begin: Vec<i32>, size: Vec<usize>, stride: Vec<i32> },
    /// x `[N,H,W,C]` to the given height and width.
    ResizeNearest { size: [usize; 2], sampling: Sampling, mode: NearestMode },
    /// x `[N,H,W,C]` to the given height and width.
    ResizeBilinear { size: [usize; 2], sampling: Sampling },
    /// x to int32 indices.
    ArgMax { axis: usize, keep_dims: bool, select_last: bool },
    /// a `[..., M, K]`, b `[..., K, N]` (before the transposes the flags ask for); batch dimensions broadcast.
    BatchMatMul { adj_x: bool, adj_y: bool },
    /// x, indices (int32): slices of x along an axis.
    Gather { axis: usize },
    /// x to the given element type by value.
    Cast { to: samara_runtime::Dtype },
}

impl Op {
    /// Whether it only moves or selects elements of its first operand, so that it works on levels as on reals.
    pub fn keeps_levels(&self) -> bool {
        match self {
            Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::StridedSlice { .. }
            | Op::ResizeNearest { .. }
            | Op::Gather { .. }
            | Op::Pool2d { kind: PoolKind::Max, .. }
            | Op::Reduce { kind: ReduceKind::Max, .. } => true,
            Op::Pad { value, .. } => *value == 0.0,
            Op::Conv2d { .. }
            | Op::DepthwiseConv2d { .. }
            | Op::FullyConnected { .. }
            | Op::Binary { .. }
            | Op::Pool2d { kind: PoolKind::Average { .. }, .. }
            | Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. }
            | Op::Softmax { .. }
            | Op::Concatenation { .. }
            | Op::Clamp { .. }
            | Op::Unary { .. }
            | Op::PRelu
            | Op::Quantize
            | Op::Dequantize
            | Op::ResizeBilinear { .. }
            | Op::ArgMax { .. }
            | Op::BatchMatMul { .. }
            | Op::Cast { .. } => false,
        }
    }

    /// Whether it is a layer with weights of its own, which have formats to choose from.
    pub fn has_weights(&self) -> bool {
        match self {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => true,
            Op::Binary { .. }
            | Op::Pool2d { .. }
            | Op::Reduce { .. }
            | Op::Softmax { .. }
            | Op::Reshape { .. }
            | Op::Pad { .. }
            | Op::Concatenation { .. }
            | Op::Clamp { .. }
            | Op::Unary { .. }
            | Op::PRelu
            | Op::Quantize
            | Op::Dequantize
            | Op::Transpose { .. }
            | Op::StridedSlice { .. }
            | Op::ResizeNearest { .. }
            | Op::ResizeBilinear { .. }
            | Op::ArgMax { .. }
            | Op::BatchMatMul { .. }
            | Op::Gather { .. }
            | Op::Cast { .. } => false,
        }
    }

    /// The name that messages use.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "Conv2D",
            Op::DepthwiseConv2d { .. } => "DepthwiseConv2D",
            Op::FullyConnected { .. } => "FullyConnected",
            Op::Binary { kind, .. } => match kind {
                Binary::Add => "Add",
                Binary::Sub => "Sub",
                Binary::Mul => "Mul",
                Binary::Div => "Div",
                Binary::Minimum => "Minimum",
                Binary::Maximum => "Maximum",
            },
            Op::Pool2d { kind: PoolKind::Average { .. }, .. } => "AveragePool2D",
            Op::Pool2d { kind: PoolKind::Max, .. } => "MaxPool2D",
            Op::Reduce { kind, .. } => match kind {
                ReduceKind::Mean => "Mean",
                ReduceKind::Sum => "Sum",
                ReduceKind::Max => "ReduceMax",
            },
            Op::Softmax { .. } => "Softmax",
            Op::Reshape { .. } => "Reshape",
            Op::Pad { .. } => "Pad",
            Op::Concatenation { .. } => "Concatenation",
            Op::Clamp { .. } => "Clamp",
            Op::Unary { .. } => "Unary",
            Op::PRelu => "PRelu",
            Op::Quantize => "Quantize",
            Op::Dequantize => "Dequantize",
            Op::Transpose { .. } => "Transpose",
            Op::StridedSlice { .. } => "StridedSlice",
            Op::ResizeNearest { .. } => "ResizeNearest",
            Op::ResizeBilinear { .. } => "ResizeBilinear",
            Op::ArgMax { .. } => "ArgMax",
            Op::BatchMatMul { .. } => "BatchMatMul",
            Op::Gather { .. } => "Gather",
            Op::Cast { .. } => "Cast",
        }
    }
}
