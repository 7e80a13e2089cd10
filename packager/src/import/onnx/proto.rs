//! The part of ONNX's protobuf schema that the importer reads (onnx.proto3, IR version 3 and later).
//!
//! Field numbers are the schema's. Sub-graphs are kept as bytes: no supported operator has one, and a bounded
//! depth is easier to see here than in a decoder.

#![allow(missing_docs)] // the names are the schema's

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfoProto>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub(super) sparse_initializer: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<TensorProto>,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
}

/// AttributeProto.AttributeType.
pub(super) mod attribute_type {
    pub(in crate::import::onnx) const FLOAT: i32 = 1;
    pub(in crate::import::onnx) const INT: i32 = 2;
    pub(in crate::import::onnx) const STRING: i32 = 3;
    pub(in crate::import::onnx) const TENSOR: i32 = 4;
    pub(in crate::import::onnx) const FLOATS: i32 = 6;
    pub(in crate::import::onnx) const INTS: i32 = 7;
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub(super) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub(super) double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// 1 where the elements are in another file.
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

/// TensorProto.DataType, as far as the importer converts it.
pub(super) mod data_type {
    pub(in crate::import::onnx) const FLOAT: i32 = 1;
    pub(in crate::import::onnx) const UINT8: i32 = 2;
    pub(in crate::import::onnx) const INT8: i32 = 3;
    pub(in crate::import::onnx) const UINT16: i32 = 4;
    pub(in crate::import::onnx) const INT16: i32 = 5;
    pub(in crate::import::onnx) const INT32: i32 = 6;
    pub(in crate::import::onnx) const INT64: i32 = 7;
    pub(in crate::import::onnx) const BOOL: i32 = 9;
    pub(in crate::import::onnx) const FLOAT16: i32 = 10;
    pub(in crate::import::onnx) const DOUBLE: i32 = 11;
    pub(in crate::import::onnx) const UINT32: i32 = 12;
    pub(in crate::import::onnx) const UINT64: i32 = 13;
    pub(in crate::import::onnx) const BFLOAT16: i32 = 16;
    pub(in crate::import::onnx) const UINT4: i32 = 21;
    pub(in crate::import::onnx) const INT4: i32 = 22;
    pub(in crate::import::onnx) const UINT2: i32 = 25;
    pub(in crate::import::onnx) const INT2: i32 = 26;

    /// The schema's name of a type.
    pub(in crate::import::onnx) fn name(t: i32) -> String {
        let names = [
            "undefined",
            "float",
            "uint8",
            "int8",
            "uint16",
            "int16",
            "int32",
            "int64",
            "string",
            "bool",
            "float16",
            "double",
            "uint32",
            "uint64",
            "complex64",
            "complex128",
            "bfloat16",
            "float8e4m3fn",
            "float8e4m3fnuz",
            "float8e5m2",
            "float8e5m2fnuz",
            "uint4",
            "int4",
            "float4e2m1",
            "float8e8m0",
            "uint2",
            "int2",
        ];
        let known = usize::try_from(t).ok().and_then(|t| names.get(t));
        known.map_or_else(|| format!("type {t}"), |n| (*n).to_owned())
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeProto {
    /// Absent for sequences, maps and optionals.
    #[prost(message, optional, tag = "1")]
    pub(super) tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(super) dim_value: i64,
    #[prost(string, tag = "2")]
    pub(super) dim_param: String,
}
