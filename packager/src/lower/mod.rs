//! From a node of the graph to a step of the plan: attributes, constants, rounding.
//!
//! One file per family. Each offers two functions, which [`bare`] and [`lower`] dispatch to:
//! - `bare(op) -> (code, attributes)` with neutral quantization constants: enough for the runtime's own shape
//!   inference, which is the only one there is;
//! - `lower(&View) -> Lowered` with everything computed.

pub mod activation;
pub mod binary;
pub mod conv;
pub mod knots;
pub mod matmul;
pub mod moving;
pub mod multiplier;
pub mod pool;
pub mod quantize;
pub mod resize;
pub mod table;

use samara_runtime::ops::eval::Value;
use samara_runtime::ops::{self, Attr, Inputs, OpDef, Rounding};
use samara_runtime::{Desc, Dtype};

use crate::error::{About, Error, Result};
use crate::ir::{Numeric, Op, Quant, Tensor};

/// What a family's lowering sees: one node and the tensors around it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The operation.
    pub op: &'a Op,
    /// Operands as the node has them.
    pub inputs: &'a [Option<&'a Tensor>],
    /// The (first) output, with its quantization parameters.
    pub output: &'a Tensor,
    /// How integer steps round.
    pub numeric: Numeric,
}

impl<'a> View<'a> {
    /// Operand `i`, which must be present.
    pub fn input(&self, i: usize) -> Result<&'a Tensor> {
        self.optional(i).ok_or_else(|| Error::invalid(format!("operand {i} is missing")))
    }

    /// Operand `i`, where present.
    pub fn optional(&self, i: usize) -> Option<&'a Tensor> {
        self.inputs.get(i).copied().flatten()
    }

    /// Whether the main operand is float.
    pub fn is_float(&self) -> bool {
        self.optional(0).is_some_and(|t| t.dtype == Dtype::F32)
    }

    /// The rounding of this node's step if it rescales: none for floats, else the graph's.
    pub fn rounding(&self) -> Rounding {
        if self.is_float() { Rounding::None } else { self.numeric.rounding() }
    }
}

/// Scale and zero point of a per-tensor quantized tensor; refuses others by name.
pub fn parameters(t: &Tensor) -> Result<(f32, i32)> {
    t.quant.as_ref().and_then(Quant::single).ok_or_else(|| {
        Error::invalid(format!("tensor '{}' ({}) needs one scale and zero point", t.name, t.dtype.name()))
    })
}

/// An operand of a step.
#[derive(Clone, Debug)]
pub enum Operand {
    /// The node's own operand of this position, as it is.
    Input(usize),
    /// A constant made by the lowering.
    Constant(Value),
    /// An optional operand that is not there.
    Absent,
}

/// A step without places in memory.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The runtime's operator code.
    pub code: u16,
    /// The runtime's attributes.
    pub attributes: Attr,
    /// How the step rounds.
    pub rounding: Rounding,
    /// Kernel id: algorithm and weight layout.
    pub kernel: u8,
    /// In the order that the runtime's operator documents.
    pub operands: Vec<Operand>,
}

impl Lowered {
    /// A step with kernel 0 and the node's first `count` operands as they are.
    pub fn plain((code, attributes): (u16, Attr), rounding: Rounding, count: usize) -> Self {
        Lowered { code, attributes, rounding, kernel: 0, operands: (0..count).map(Operand::Input).collect() }
    }
}

/// Operator code and attributes with neutral quantization constants, for shape inference. `inputs` help where
/// the runtime's attributes depend on ranks.
pub fn bare(op: &Op, inputs: &[Option<Desc>]) -> Result<(u16, Attr)> {
    match op {
        Op::Binary { .. } => binary::bare(op),
        Op::Softmax { .. } | Op::Clamp { .. } | Op::Unary { .. } | Op::PRelu => activation::bare(op, inputs),
        Op::Quantize | Op::Dequantize => quantize::bare(op, inputs),
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => conv::bare(op),
        Op::Pool2d { .. } | Op::Reduce { .. } => pool::bare(op),
        Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ArgMax { .. }
        | Op::Gather { .. }
        | Op::Cast { .. } => moving::bare(op),
        Op::ResizeNearest { .. } | Op::ResizeBilinear { .. } => resize::bare(op, inputs),
        Op::BatchMatMul { .. } => matmul::bare(op),
    }
}

/// The step that computes a node.
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    match view.op {
        Op::Binary { .. } => binary::lower(view),
        Op::Softmax { .. } | Op::Clamp { .. } | Op::Unary { .. } | Op::PRelu => activation::lower(view),
        Op::Quantize | Op::Dequantize => quantize::lower(view),
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => conv::lower(view),
        Op::Pool2d { .. } | Op::Reduce { .. } => pool::lower(view),
        Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ArgMax { .. }
        | Op::Gather { .. }
        | Op::Cast { .. } => moving::lower(view),
        Op::ResizeNearest { .. } | Op::ResizeBilinear { .. } => resize::lower(view),
        Op::BatchMatMul { .. } => matmul::lower(view),
    }
}

/// The runtime's definition of an operator.
pub fn definition(code: u16) -> Result<&'static OpDef> {
    ops::ALL
        .iter()
        .find(|d| d.code == code)
        .ok_or_else(|| Error::invalid(format!("no operator has code {code}")))
}

/// Type and shape of a node's output, by the runtime's own inference; unnamed and without parameters.
pub fn infer(op: &Op, inputs: Vec<Option<&Tensor>>) -> Result<Tensor> {
    let mut descs: Vec<Option<Desc>> =
        inputs.iter().map(|t| t.map(Tensor::desc).transpose()).collect::<Result<_>>()?;
    let (code, attributes) = bare(op, &descs)?;
    if op.has_weights() && descs.len() > conv::TABLE {
        // In front of the table that decodes weights the runtime has constants that lowering makes.
        descs.insert(conv::TABLE, None);
    }
    descs.extend(moving::made_operand(op)?.map(Some));
    let inferred = definition(code)?.infer(attributes.bytes(), &Inputs(&descs)).map_err(|e| {
        let shapes: Vec<_> = inputs.iter().map(|t| t.map(|t| &t.shape[..])).collect();
        Error::from(e).about(format_args!("inputs {shapes:?}"))
    })?;
    let out = inferred.outputs().first().copied().ok_or(samara_runtime::Error::Internal).about(op.name())?;
    Ok(Tensor::new("", out.dtype, out.shape.dims().iter().map(|&d| d as usize).collect()))
}
