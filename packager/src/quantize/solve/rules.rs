//! What each operator demands: equal parameters, fixed parameters, bounds on what it makes and on what it tells
//! apart.

use crate::ir::{Activation, Binary, Function, Op, PoolKind, Quant, ReduceKind};
use crate::quantize::{Activations, Range};

/// Every real.
pub(super) const ALL: Range = Range { lo: f32::NEG_INFINITY, hi: f32::INFINITY };

/// Whether inputs and output must have equal parameters.
pub fn shares_parameters(op: &Op) -> bool {
    match op {
        Op::Pool2d { kind: PoolKind::Max | PoolKind::Average { .. }, .. }
        | Op::Reduce { kind: ReduceKind::Max, .. }
        | Op::Binary { kind: Binary::Minimum | Binary::Maximum, .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::Gather { .. } => true,
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::FullyConnected { .. }
        | Op::Binary { kind: Binary::Add | Binary::Sub | Binary::Mul | Binary::Div, .. }
        | Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. }
        | Op::Softmax { .. }
        | Op::Clamp { .. }
        | Op::Unary { .. }
        | Op::PRelu
        | Op::Quantize
        | Op::Dequantize
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Cast { .. } => false,
    }
}

/// Output parameters that the operator fixes (TFLite's 8-bit and 16-bit specifications).
pub fn fixed(op: &Op, format: Activations) -> Option<Quant> {
    let unsigned = match op {
        Op::Softmax { .. } | Op::Unary { function: Function::Logistic } => true,
        Op::Unary { function: Function::Tanh } => false,
        _ => return None,
    };
    match (format, unsigned) {
        (Activations::F32, _) => None,
        (Activations::Int8, true) => Some(Quant::per_tensor(1.0 / 256.0, -128)),
        (Activations::Int8, false) => Some(Quant::per_tensor(1.0 / 128.0, 0)),
        (Activations::Int16, _) => Some(Quant::per_tensor(1.0 / 32768.0, 0)),
    }
}

/// Bounds of every value that the operator can make, infinite where there are none.
pub(super) fn makes(op: &Op) -> Range {
    let of = |a: &Activation| Range { lo: a.lo, hi: a.hi };
    match op {
        Op::Conv2d { activation, .. }
        | Op::DepthwiseConv2d { activation, .. }
        | Op::FullyConnected { activation }
        | Op::Binary { activation, .. }
        | Op::Pool2d { activation, .. }
        | Op::Clamp { activation } => of(activation),
        Op::Softmax { .. } => Range { lo: 0.0, hi: 1.0 },
        Op::Unary { function } => match function {
            Function::Logistic | Function::HardSigmoid { .. } => Range { lo: 0.0, hi: 1.0 },
            Function::Tanh | Function::Erf | Function::Sin | Function::Cos => Range { lo: -1.0, hi: 1.0 },
            Function::Abs | Function::Sqrt | Function::Square | Function::Exp => Range { lo: 0.0, ..ALL },
            _ => ALL,
        },
        Op::Reduce { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
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
        | Op::Cast { .. } => ALL,
    }
}

/// The inputs that the operator tells apart, given the range of its output: clipping its input to this clips
/// its output to `output`, or changes nothing at all.
pub(super) fn tells_apart(op: &Op, output: Range, format: Activations) -> Range {
    match op {
        // Each of these passes on, or picks the greatest or least of, what it is given: clipping commutes.
        Op::Pool2d { kind: PoolKind::Max, .. }
        | Op::Reduce { kind: ReduceKind::Max, .. }
        | Op::Binary { kind: Binary::Minimum | Binary::Maximum, .. }
        | Op::Clamp { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::Gather { .. } => output,
        Op::Unary { function } => flat_ends(*function, format),
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::FullyConnected { .. }
        | Op::Binary { kind: Binary::Add | Binary::Sub | Binary::Mul | Binary::Div, .. }
        | Op::Pool2d { kind: PoolKind::Average { .. }, .. }
        | Op::Reduce { kind: ReduceKind::Mean | ReduceKind::Sum, .. }
        | Op::Softmax { .. }
        | Op::PRelu
        | Op::Quantize
        | Op::Dequantize
        | Op::ResizeBilinear { .. }
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Cast { .. } => ALL,
    }
}

/// Beyond these inputs the output's level no longer changes. The sigmoids' ends are where the value comes
/// within half a step of the last level (`ln(511)`, `atanh(1 - 1/256)`, …), plus a little.
fn flat_ends(function: Function, format: Activations) -> Range {
    let (logistic, tanh) = match format {
        Activations::Int8 => (Range { lo: -6.5, hi: 5.5 }, Range { lo: -3.25, hi: 3.25 }),
        Activations::Int16 => (Range { lo: -11.5, hi: 10.5 }, Range { lo: -6.25, hi: 6.25 }),
        Activations::F32 => (ALL, ALL),
    };
    match function {
        Function::Logistic => logistic,
        Function::Tanh => tanh,
        Function::HardSwish => Range { lo: -3.0, ..ALL },
        Function::HardSigmoid { alpha, beta } if alpha > 0.0 => {
            Range { lo: -beta / alpha, hi: (1.0 - beta) / alpha }
        }
        _ => ALL,
    }
}

/// Least and greatest level that activations of the format have.
pub(super) fn levels(format: Activations) -> (f64, f64) {
    match format {
        Activations::Int8 => (-128.0, 127.0),
        Activations::Int16 => (-32768.0, 32767.0),
        Activations::F32 => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// How many steps of one size a range needs, up to a constant factor: its width around zero.
pub(super) fn width(range: Range, format: Activations) -> f64 {
    let (lo, hi) = (range.lo.min(0.0) as f64, range.hi.max(0.0) as f64);
    match format {
        Activations::Int16 => hi.max(-lo),
        Activations::Int8 | Activations::F32 => hi - lo,
    }
}

/// Bits of resolution that a member may lose to its group before a Requantize is worth its step: int8 has few,
/// int16 has some to spare.
pub(super) fn worth_bits(format: Activations) -> f64 {
    match format {
        Activations::Int16 => 4.0,
        Activations::Int8 | Activations::F32 => 1.0,
    }
}

/// Whether every value of the range is within half a step of a level.
pub(super) fn fits(range: Range, quant: &Quant, format: Activations) -> bool {
    let Some((scale, zero)) = quant.single() else { return false };
    let (lo, hi) = levels(format);
    let level = |x: f32| x as f64 / scale as f64 + zero as f64;
    level(range.lo) >= lo - 0.5 && level(range.hi) <= hi + 0.5
}

/// `range` with both ends moved into `bounds`.
pub(super) fn clip(range: Range, bounds: Range) -> Range {
    let end = |x: f32| x.max(bounds.lo).min(bounds.hi);
    Range { lo: end(range.lo), hi: end(range.hi) }
}
