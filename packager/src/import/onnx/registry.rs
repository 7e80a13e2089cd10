//! The operators, in one table.

use super::builder::{Builder, Call, Value};
use super::constant::Constant;
use super::fold;
use super::ops::{conv, elementwise, linear, normalize, quantize, reduce, resize, shape, window};
use super::{MICROSOFT, is_default};
use crate::error::Result;

/// Builds the node's part of the graph; returns its outputs.
pub(super) type Emit = fn(&mut Builder, &Call<'_>) -> Result<Vec<Value>>;
/// Computes the node at import, or `None` where its operands are not known or the result is large.
pub(super) type Fold = fn(&Builder, &Call<'_>) -> Result<Option<Vec<Constant>>>;

/// One operator.
pub(super) struct Entry {
    name: &'static str,
    pub(super) emit: Option<Emit>,
    pub(super) fold: Option<Fold>,
}

const fn emit(name: &'static str, emit: Emit) -> Entry {
    Entry { name, emit: Some(emit), fold: None }
}

const fn both(name: &'static str, emit: Emit, fold: Fold) -> Entry {
    Entry { name, emit: Some(emit), fold: Some(fold) }
}

const fn fold(name: &'static str, fold: Fold) -> Entry {
    Entry { name, emit: None, fold: Some(fold) }
}

/// Every operator that is read.
pub(super) const TABLE: &[Entry] = &[
    both("Abs", elementwise::function, fold::unary),
    both("Add", elementwise::binary, fold::binary),
    emit("ArgMax", reduce::arg_max),
    emit("AveragePool", window::pool),
    emit("BatchNormalization", normalize::batch),
    both("Cast", elementwise::cast, fold::cast),
    both("Ceil", elementwise::function, fold::unary),
    emit("Clip", elementwise::clip),
    both("Concat", shape::concat, fold::concat),
    fold("Constant", fold::constant),
    fold("ConstantOfShape", fold::constant_of_shape),
    emit("Conv", conv::conv),
    emit("Cos", elementwise::function),
    both("DequantizeLinear", quantize::dequantize, quantize::fold_dequantize),
    both("Div", elementwise::binary, fold::binary),
    emit("Dropout", elementwise::dropout),
    emit("Elu", elementwise::function),
    fold("Equal", fold::binary),
    emit("Erf", elementwise::function),
    emit("Exp", elementwise::function),
    both("Expand", shape::expand, fold::expand),
    both("Flatten", shape::flatten, fold::reshape),
    both("Floor", elementwise::function, fold::unary),
    both("Gather", shape::gather, fold::gather),
    emit("Gelu", elementwise::function),
    emit("Gemm", linear::gemm),
    emit("GlobalAveragePool", reduce::global_pool),
    emit("GlobalMaxPool", reduce::global_pool),
    fold("Greater", fold::binary),
    emit("HardSigmoid", elementwise::function),
    emit("HardSwish", elementwise::function),
    emit("Identity", elementwise::identity),
    emit("InstanceNormalization", normalize::instance),
    emit("LayerNormalization", normalize::layer),
    emit("LeakyRelu", elementwise::function),
    fold("Less", fold::binary),
    emit("Log", elementwise::function),
    emit("LogSoftmax", normalize::softmax),
    emit("MatMul", linear::mat_mul),
    both("Max", elementwise::binary, fold::binary),
    emit("MaxPool", window::pool),
    both("Min", elementwise::binary, fold::binary),
    fold("Mod", fold::binary),
    both("Mul", elementwise::binary, fold::binary),
    both("Neg", elementwise::function, fold::unary),
    fold("Not", fold::unary),
    emit("PRelu", elementwise::prelu),
    emit("Pad", shape::pad),
    emit("Pow", elementwise::pow),
    both("QuantizeLinear", quantize::quantize, quantize::fold_quantize),
    fold("Range", fold::range),
    emit("Reciprocal", elementwise::function),
    emit("ReduceMax", reduce::reduce),
    emit("ReduceMean", reduce::reduce),
    fold("ReduceProd", fold::reduce_prod),
    emit("ReduceSum", reduce::reduce),
    emit("Relu", elementwise::relu),
    both("Reshape", shape::reshape, fold::reshape),
    emit("Resize", resize::resize),
    both("Round", elementwise::function, fold::unary),
    fold("Shape", fold::shape),
    emit("Sigmoid", elementwise::function),
    emit("Sin", elementwise::function),
    fold("Size", fold::shape),
    both("Slice", shape::slice, fold::slice),
    emit("Softmax", normalize::softmax),
    emit("Softplus", elementwise::function),
    emit("Split", shape::split),
    both("Sqrt", elementwise::function, fold::unary),
    both("Squeeze", shape::squeeze, fold::reshape),
    both("Sub", elementwise::binary, fold::binary),
    emit("Sum", elementwise::binary),
    emit("Tanh", elementwise::function),
    both("Transpose", shape::transpose, fold::transpose),
    both("Unsqueeze", shape::squeeze, fold::reshape),
    emit("Upsample", resize::upsample),
    both("Where", shape::where_, fold::where_),
];

/// Operators that ONNX Runtime has under the same name, for types that the default domain lacked before
/// operator set 21.
const ALSO_MICROSOFT: &[&str] = &["DequantizeLinear", "QuantizeLinear"];

/// The entry of an operator.
pub(super) fn find(name: &str, domain: &str) -> Option<&'static Entry> {
    let known = is_default(domain) || domain == MICROSOFT && ALSO_MICROSOFT.contains(&name);
    TABLE.iter().find(|e| known && e.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    }
}
