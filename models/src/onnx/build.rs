//! Builds a graph node by node, with the names and attributes that `torch.onnx` gives them.
//!
//! Every method takes the module path of the layer (`stem.conv`) and returns the name of the value it
//! makes (`/stem/conv/Conv_output_0`). Layout is NCHW.

use super::proto::{
    AttributeProto, Dimension, DimensionValue, FLOAT, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
    attribute_type,
};

const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Values in C order with their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Outermost first.
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub values: Vec<f32>,
}

/// A two-dimensional convolution without bias; pairs are height, width.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Output channels, input channels per group, height, width.
    pub weight: Array,
    /// Step of the window.
    pub stride: [usize; 2],
    /// Zeros on either side.
    pub padding: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Independent groups of channels.
    pub groups: usize,
}

/// A batch normalization with its running statistics, one value per channel.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    /// gamma
    pub scale: Array,
    /// beta
    pub bias: Array,
    /// Running mean.
    pub mean: Array,
    /// Running variance.
    pub variance: Array,
    /// Added to the variance.
    pub epsilon: f32,
}

/// A graph under construction; the batch dimension of inputs and outputs is symbolic.
pub struct GraphBuilder {
    pub(super) graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.into(), ..Default::default() } }
    }

    /// Declares a float input of shape `batch` x `shape`.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> String {
        self.graph.input.push(batched(name, shape));
        name.into()
    }

    /// `Conv`.
    pub fn convolution(&mut self, path: &str, x: &str, layer: &Convolution) -> String {
        let weight = self.weight(path, "weight", &layer.weight);
        self.convolve(path, vec![x.into(), weight], layer)
    }

    /// `Conv` of named operands.
    pub(super) fn convolve(&mut self, path: &str, inputs: Vec<String>, layer: &Convolution) -> String {
        let [top, left] = layer.padding;
        let attributes = vec![
            ints("dilations", &layer.dilation),
            int("group", layer.groups as i64),
            ints("kernel_shape", &layer.weight.shape[2..]),
            ints("pads", &[top, left, top, left]),
            ints("strides", &layer.stride),
        ];
        self.node(path, "Conv", inputs, attributes)
    }

    /// `BatchNormalization` in inference mode.
    pub fn batch_normalization(&mut self, path: &str, x: &str, layer: &BatchNormalization) -> String {
        let inputs = vec![
            x.into(),
            self.weight(path, "weight", &layer.scale),
            self.weight(path, "bias", &layer.bias),
            self.weight(path, "running_mean", &layer.mean),
            self.weight(path, "running_var", &layer.variance),
        ];
        let attributes = vec![
            float("epsilon", layer.epsilon),
            // ONNX counts the weight of the old statistics; inference ignores it.
            float("momentum", 0.9),
            int("training_mode", 0),
        ];
        self.node(path, "BatchNormalization", inputs, attributes)
    }

    /// `Clip` with its bounds as constants, which is how ReLU6 is exported.
    pub fn clip(&mut self, path: &str, x: &str, low: f32, high: f32) -> String {
        let low = self.scalar(path, 0, low);
        let high = self.scalar(path, 1, high);
        self.node(path, "Clip", vec![x.into(), low, high], vec![])
    }

    /// `Relu`.
    pub fn relu(&mut self, path: &str, x: &str) -> String {
        self.node(path, "Relu", vec![x.into()], vec![])
    }

    /// `Add` of equal shapes.
    pub fn add(&mut self, path: &str, a: &str, b: &str) -> String {
        self.node(path, "Add", vec![a.into(), b.into()], vec![])
    }

    /// `GlobalAveragePool`.
    pub fn global_average_pool(&mut self, path: &str, x: &str) -> String {
        self.node(path, "GlobalAveragePool", vec![x.into()], vec![])
    }

    /// `Flatten` of everything but the batch.
    pub fn flatten(&mut self, path: &str, x: &str) -> String {
        self.node(path, "Flatten", vec![x.into()], vec![int("axis", 1)])
    }

    /// `Gemm` of a linear layer; `weight` is outputs x inputs.
    pub fn linear(&mut self, path: &str, x: &str, weight: &Array, bias: &Array) -> String {
        let inputs = vec![x.into(), self.weight(path, "weight", weight), self.weight(path, "bias", bias)];
        self.gemm(path, inputs)
    }

    /// `Gemm` of named operands.
    pub(super) fn gemm(&mut self, path: &str, inputs: Vec<String>) -> String {
        let attributes = vec![float("alpha", 1.0), float("beta", 1.0), int("transB", 1)];
        self.node(path, "Gemm", inputs, attributes)
    }

    /// `Softmax` over the last axis, making the value `output`.
    pub fn softmax(&mut self, path: &str, x: &str, output: &str) -> String {
        self.node(path, "Softmax", vec![x.into()], vec![int("axis", -1)]);
        self.rename_last(output);
        output.into()
    }

    /// Gives the value that the last node makes another name.
    pub fn rename_last(&mut self, name: &str) {
        if let Some(node) = self.graph.node.last_mut() {
            node.output = vec![name.into()];
        }
    }

    /// Declares the float output `name` of shape `batch` x `shape`.
    pub fn output(&mut self, name: &str, shape: &[usize]) {
        self.graph.output.push(batched(name, shape));
    }

    /// The model around the graph.
    pub fn finish(self, doc: &str, metadata: &[(&str, String)]) -> ModelProto {
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: doc.into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: OPSET }],
            metadata_props: metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto { key: (*key).into(), value: value.clone() })
                .collect(),
        }
    }

    pub(super) fn node(
        &mut self,
        path: &str,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = format!("/{}/{op_type}", path.replace('.', "/"));
        let output = format!("{name}_output_0");
        self.graph.node.push(NodeProto {
            input,
            output: vec![output.clone()],
            name,
            op_type: op_type.into(),
            attribute,
        });
        output
    }

    fn scalar(&mut self, path: &str, index: usize, value: f32) -> String {
        let tensor = tensor(String::new(), &[], &[value]);
        let attribute = AttributeProto {
            name: "value".into(),
            t: Some(tensor),
            r#type: attribute_type::TENSOR,
            ..Default::default()
        };
        let suffix = if index == 0 { String::new() } else { format!("_{index}") };
        let name = format!("/{}/Constant{suffix}", path.replace('.', "/"));
        let output = format!("{name}_output_0");
        self.graph.node.push(NodeProto {
            input: vec![],
            output: vec![output.clone()],
            name,
            op_type: "Constant".into(),
            attribute: vec![attribute],
        });
        output
    }

    fn weight(&mut self, path: &str, kind: &str, array: &Array) -> String {
        let name = format!("{path}.{kind}");
        self.graph.initializer.push(tensor(name.clone(), &array.shape, &array.values));
        name
    }
}

fn tensor(name: String, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&n| n as i64).collect(),
        data_type: FLOAT,
        name,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

fn batched(name: &str, shape: &[usize]) -> ValueInfoProto {
    let batch = Dimension { value: Some(DimensionValue::Param("batch".into())) };
    let rest = shape.iter().map(|&n| Dimension { value: Some(DimensionValue::Value(n as i64)) });
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(rest).collect() };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type: Some(TensorType { elem_type: FLOAT, shape: Some(shape) }) }),
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: attribute_type::INT, ..Default::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), r#type: attribute_type::FLOAT, ..Default::default() }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&n| n as i64).collect(),
        r#type: attribute_type::INTS,
        ..Default::default()
    }
}
