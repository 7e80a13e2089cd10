//! What an operator's import function works with: operands, options, and the graph that grows.

use samara_runtime::Dtype;

use super::flat::Table;
use super::fold;
use super::schema::{FileTensor, Model, Operator, TensorType};
use crate::error::{About, Error, Result};
use crate::ir::{Activation, Graph, Node, Numeric, Op, Quant, Tensor, TensorId};

/// How many bytes of constants a file may expand to per byte of its own (constants may share a buffer).
const EXPANSION: u64 = 16;
/// Bytes of constants that any file may expand to.
const FREE_EXPANSION: u64 = 1 << 20;

/// The graph so far, and which of its tensors stands for which of the file's.
#[derive(Debug)]
pub struct Importer<'m, 'f, 'a> {
    model: &'m Model<'f, 'a>,
    graph: Graph,
    ids: Vec<Option<TensorId>>,
    budget: u64,
}

impl<'m, 'f, 'a> Importer<'m, 'f, 'a> {
    /// An empty graph for a file of `size` bytes.
    pub fn new(model: &'m Model<'f, 'a>, name: &str, size: usize) -> Self {
        let graph = Graph::new(name, Numeric::Tflite);
        let budget = (size as u64).saturating_mul(EXPANSION).saturating_add(FREE_EXPANSION);
        Importer { model, graph, ids: vec![None; model.tensors.len()], budget }
    }

    /// The graph's tensor for one of the file's, which it becomes at its first use.
    pub fn tensor(&mut self, index: usize) -> Result<TensorId> {
        if let Some(id) = self.ids[index] {
            return Ok(id);
        }
        let file = &self.model.tensors[index];
        let tensor = self.convert(file).about(format_args!("tensor '{}'", file.name))?;
        let id = self.graph.add(tensor);
        self.ids[index] = Some(id);
        Ok(id)
    }

    /// Adds a node whose operands are all in the graph; constant integers are computed instead.
    fn node(&mut self, name: &str, op: Op, inputs: &[Option<TensorId>], output: TensorId) -> Result<()> {
        let operands: Vec<Option<&Tensor>> =
            inputs.iter().map(|i| i.map(|i| &self.graph.tensors[i])).collect();
        if let Some(data) = fold::evaluate(&op, &operands, &self.graph.tensors[output]) {
            self.graph.tensors[output].data = Some(data);
            return Ok(());
        }
        self.graph.nodes.push(Node { name: name.into(), op, inputs: inputs.to_vec(), outputs: vec![output] });
        Ok(())
    }

    /// The finished graph with the file's inputs and outputs.
    pub fn finish(mut self) -> Result<Graph> {
        for &t in &self.model.inputs {
            let id = self.tensor(t)?;
            self.graph.inputs.push(id);
        }
        for &t in &self.model.outputs {
            let id = self.tensor(t)?;
            self.graph.outputs.push(id);
        }
        unique_names(&mut self.graph);
        Ok(self.graph)
    }

    fn convert(&mut self, file: &FileTensor<'_>) -> Result<Tensor> {
        if let Some(cause) = file.refused {
            return Err(Error::invalid(cause));
        }
        let shape = shape(file)?;
        let dtype = match (file.kind, file.data.is_some()) {
            (TensorType::Float32, _) | (TensorType::Float16, true) => Dtype::F32,
            (TensorType::Int8, _) => Dtype::I8,
            (TensorType::Uint8, _) => Dtype::U8,
            (TensorType::Int32 | TensorType::Int64, _) => Dtype::I32,
            (TensorType::Bool, _) => Dtype::Bool,
            (TensorType::Float16, false) => {
                return Err(Error::invalid("float16 activations are not supported"));
            }
            (TensorType::Int16, _) => return Err(Error::invalid("int16 tensors are not supported")),
            (TensorType::Other(name), _) => {
                return Err(Error::invalid(format!("{name} tensors are not supported")));
            }
        };
        let mut tensor = Tensor::new(file.name.clone(), dtype, shape);
        // Floats may carry the ranges that a converter saw; they mean nothing without integers.
        if matches!(dtype, Dtype::I8 | Dtype::U8 | Dtype::I32) && !file.scale.is_empty() {
            tensor.quant = Some(quant(file, &tensor.shape)?);
        }
        let elements = tensor.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let elements = elements.ok_or_else(|| Error::invalid("its shape overflows"))?;
        tensor.data = match file.data {
            Some(bytes) => {
                let left = self.budget.checked_sub(dtype.bytes(elements).unwrap_or(usize::MAX) as u64);
                self.budget =
                    left.ok_or_else(|| Error::invalid("its constants share buffers far too often"))?;
                Some(constant(bytes, file.kind, elements)?)
            }
            // A constant without elements (the shape of a scalar) has no bytes either.
            None if elements == 0 => Some(Vec::new()),
            None => None,
        };
        Ok(tensor)
    }
}

/// The file's shape, with an unknown batch as 1.
fn shape(file: &FileTensor<'_>) -> Result<Vec<usize>> {
    let dim = |(axis, &d): (usize, &i32)| match (axis, d) {
        (0, -1) => Ok(1),
        _ => usize::try_from(d).map_err(|_| Error::invalid(format!("dimension {axis} of its shape is {d}"))),
    };
    file.shape.iter().enumerate().map(dim).collect()
}

fn quant(file: &FileTensor<'_>, shape: &[usize]) -> Result<Quant> {
    let count = file.scale.len();
    let zero_point: Vec<i32> = if file.zero_point.is_empty() {
        vec![0; count]
    } else {
        let narrow = file.zero_point.iter().map(|&z| i32::try_from(z));
        let narrow: std::result::Result<_, _> = narrow.collect();
        narrow.map_err(|_| Error::invalid("a zero point is outside int32"))?
    };
    if zero_point.len() != count {
        let cause = format!("it has {count} scales and {} zero points", zero_point.len());
        return Err(Error::invalid(cause));
    }
    let axis = if count == 1 { 0 } else { usize::try_from(file.axis).unwrap_or(usize::MAX) };
    if count != 1 && shape.get(axis) != Some(&count) {
        let cause = format!("it has {count} scales along dimension {} of its shape {shape:?}", file.axis);
        return Err(Error::invalid(cause));
    }
    Ok(Quant { scale: file.scale.clone(), zero_point, axis })
}

/// A constant's bytes in the graph's element type.
fn constant(bytes: &[u8], kind: TensorType, elements: usize) -> Result<Vec<u8>> {
    let size = match kind {
        TensorType::Int64 => 8,
        TensorType::Float32 | TensorType::Int32 => 4,
        TensorType::Float16 => 2,
        _ => 1,
    };
    if Some(bytes.len()) != elements.checked_mul(size) {
        let cause = format!("its data has {} bytes where its shape has {elements} elements", bytes.len());
        return Err(Error::invalid(cause));
    }
    match kind {
        TensorType::Int64 => {
            let wide = bytes.as_chunks::<8>().0.iter().map(|c| i64::from_le_bytes(*c));
            let narrow: Result<Vec<i32>> = wide
                .map(|v| {
                    i32::try_from(v).map_err(|_| Error::invalid(format!("its value {v} is outside int32")))
                })
                .collect();
            Ok(bytemuck::cast_slice(&narrow?).to_vec())
        }
        TensorType::Float16 => {
            let wide = bytes.as_chunks::<2>().0.iter().map(|c| half::f16::from_le_bytes(*c).to_f32());
            Ok(bytemuck::cast_slice(&wide.collect::<Vec<f32>>()).to_vec())
        }
        TensorType::Bool if bytes.iter().any(|&b| b > 1) => {
            Err(Error::invalid("a boolean is neither 0 nor 1"))
        }
        _ => Ok(bytes.to_vec()),
    }
}

/// Users name tensors, so names must tell them apart; later duplicates get their index.
fn unique_names(graph: &mut Graph) {
    let public: Vec<TensorId> = graph.inputs.iter().chain(&graph.outputs).copied().collect();
    let others = (0..graph.tensors.len()).filter(|t| !public.contains(t));
    let order: Vec<TensorId> = public.iter().copied().chain(others).collect();
    let mut seen = std::collections::HashMap::new();
    for t in order {
        let mut name = graph.tensors[t].name.clone();
        while *seen.entry(name.clone()).or_insert(t) != t {
            name = format!("{name}:{t}");
        }
        graph.tensors[t].name = name;
    }
}

/// One operator being imported.
#[derive(Debug)]
pub struct Context<'c, 'm, 'f, 'a> {
    importer: &'c mut Importer<'m, 'f, 'a>,
    operator: &'c Operator<'f, 'a>,
    name: String,
}

impl<'c, 'm, 'f, 'a> Context<'c, 'm, 'f, 'a> {
    /// The operator has at least one result.
    pub fn new(importer: &'c mut Importer<'m, 'f, 'a>, operator: &'c Operator<'f, 'a>) -> Self {
        let name = match operator.outputs.first() {
            Some(&t) => importer.model.tensors[t].name.clone(),
            None => String::new(),
        };
        Context { importer, operator, name }
    }

    /// Operands, absent ones included.
    pub fn input_count(&self) -> usize {
        self.operator.inputs.len()
    }

    /// Results.
    pub fn output_count(&self) -> usize {
        self.operator.outputs.len()
    }

    /// Operand `i`, which must be there.
    pub fn input(&mut self, i: usize) -> Result<TensorId> {
        self.optional(i)?.ok_or_else(|| Error::invalid(format!("its operand {i} is missing")))
    }

    /// Operand `i`, where there.
    pub fn optional(&mut self, i: usize) -> Result<Option<TensorId>> {
        let index = self.operator.inputs.get(i).copied().flatten();
        index.map(|t| self.importer.tensor(t)).transpose()
    }

    /// Result `i`.
    pub fn output(&mut self, i: usize) -> Result<TensorId> {
        let index = self.operator.outputs.get(i).copied();
        self.importer.tensor(index.ok_or_else(|| Error::invalid(format!("its result {i} is missing")))?)
    }

    /// The element type that the file gives operand `i`.
    pub fn file_type(&self, i: usize) -> Option<TensorType> {
        let index = self.operator.inputs.get(i).copied().flatten()?;
        Some(self.importer.model.tensors[index].kind)
    }

    /// The element type that the file gives result `i`.
    pub fn file_result_type(&self, i: usize) -> Option<TensorType> {
        self.operator.outputs.get(i).map(|&t| self.importer.model.tensors[t].kind)
    }

    /// A tensor of the graph.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.importer.graph.tensors[id]
    }

    /// A tensor's shape.
    pub fn shape(&self, id: TensorId) -> Vec<usize> {
        self.tensor(id).shape.clone()
    }

    /// The values of an integer operand that must be constant.
    pub fn ints(&mut self, i: usize, what: &str) -> Result<Vec<i32>> {
        let id = self.input(i)?;
        let t = self.tensor(id);
        if !t.is_constant() {
            return Err(Error::invalid(format!(
                "its {what} ('{}') is computed when the model runs; only constants are supported",
                t.name
            )));
        }
        t.ints().ok_or_else(|| Error::invalid(format!("its {what} ('{}') is {}", t.name, t.dtype.name())))
    }

    /// As [`Context::ints`] for exactly one value.
    pub fn int(&mut self, i: usize, what: &str) -> Result<i32> {
        match self.ints(i, what)?[..] {
            [v] => Ok(v),
            ref all => Err(Error::invalid(format!("its {what} has {} values, not one", all.len()))),
        }
    }

    /// An axis operand or option, counted from the end where negative.
    pub fn axis(&self, axis: i32, rank: usize) -> Result<usize> {
        let from_start = if axis < 0 { axis as i64 + rank as i64 } else { axis as i64 };
        match usize::try_from(from_start) {
            Ok(a) if a < rank => Ok(a),
            _ => Err(Error::invalid(format!("its axis {axis} is outside the rank {rank}"))),
        }
    }

    /// The operator's options; absent fields have their defaults.
    pub fn options(&self) -> Fields<'f, 'a> {
        Fields(self.operator.options)
    }

    /// The fused activation in field `slot`.
    pub fn activation(&self, slot: usize) -> Result<Activation> {
        match self.options().i8(slot, 0)? {
            0 => Ok(Activation::NONE),
            1 => Ok(Activation::RELU),
            2 => Ok(Activation::RELU_N1_TO_1),
            3 => Ok(Activation::RELU6),
            4 => Err(Error::invalid("its fused activation TANH is not supported")),
            5 => Err(Error::invalid("its fused activation SIGN_BIT is not supported")),
            n => Err(Error::invalid(format!("its fused activation {n} is unknown"))),
        }
    }

    /// Says that result `id` has this shape. A shape that the file states as known must agree.
    pub fn expect(&mut self, id: TensorId, shape: &[usize]) -> Result<()> {
        let declared = &self.importer.graph.tensors[id].shape;
        if declared == shape {
            return Ok(());
        }
        let index = self.operator.outputs.iter().find(|&&t| self.importer.ids[t] == Some(id));
        let unknown = index.is_some_and(|&t| self.importer.model.tensors[t].signature.contains(&-1));
        if !unknown {
            return Err(Error::invalid(format!(
                "the file gives its result the shape {declared:?}, not {shape:?}"
            )));
        }
        self.importer.graph.tensors[id].shape = shape.to_vec();
        Ok(())
    }

    /// A new tensor between two nodes, with the type and parameters of `like`.
    pub fn between(&mut self, suffix: &str, like: TensorId, shape: Vec<usize>) -> TensorId {
        let like = self.tensor(like);
        let name = format!("{}/{suffix}", self.name);
        let tensor = Tensor { name, shape, data: None, ..like.clone() };
        self.importer.graph.add(tensor)
    }

    /// A node of this operator.
    pub fn node(&mut self, op: Op, inputs: &[Option<TensorId>], output: TensorId) -> Result<()> {
        let name = self.tensor(output).name.clone();
        self.importer.node(&name, op, inputs, output)
    }

    /// Makes a result a constant instead of computing it.
    pub fn fold(&mut self, output: TensorId, data: Vec<u8>) -> Result<()> {
        let t = &mut self.importer.graph.tensors[output];
        if t.bytes() != Some(data.len()) {
            return Err(Error::invalid(format!("its result's shape {:?} does not fit its values", t.shape)));
        }
        t.data = Some(data);
        Ok(())
    }

    /// Refuses integers whose result has other parameters than their operand: these operators move bytes.
    pub fn same_parameters(&self, input: TensorId, output: TensorId) -> Result<()> {
        let (x, y) = (self.tensor(input), self.tensor(output));
        if x.dtype != y.dtype {
            let cause = format!("it makes {} from {}", y.dtype.name(), x.dtype.name());
            return Err(Error::invalid(cause));
        }
        if matches!(x.dtype, Dtype::I8 | Dtype::U8) && x.quant != y.quant {
            return Err(Error::invalid(format!(
                "'{}' and '{}' have different quantization parameters, which this operator cannot convert",
                x.name, y.name
            )));
        }
        Ok(())
    }
}

/// Option fields by slot.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'f, 'a>(Option<Table<'f, 'a>>);

impl Fields<'_, '_> {
    /// An enumeration.
    pub fn i8(&self, slot: usize, default: i8) -> Result<i8> {
        self.0.map_or(Ok(default), |t| t.scalar(slot, default))
    }

    /// An integer.
    pub fn i32(&self, slot: usize, default: i32) -> Result<i32> {
        self.0.map_or(Ok(default), |t| t.scalar(slot, default))
    }

    /// A float.
    pub fn f32(&self, slot: usize, default: f32) -> Result<f32> {
        self.0.map_or(Ok(default), |t| t.scalar(slot, default))
    }

    /// A boolean, false by default.
    pub fn flag(&self, slot: usize) -> Result<bool> {
        self.0.map_or(Ok(false), |t| t.flag(slot))
    }

    /// A vector of integers, empty by default.
    pub fn i32s(&self, slot: usize) -> Result<Vec<i32>> {
        self.0.map_or(Ok(Vec::new()), |t| t.scalars(slot, super::schema::LIMITS.rank, "values"))
    }

    /// An integer from 1 to 65535, such as a stride.
    pub fn positive(&self, slot: usize, default: i32, what: &str) -> Result<u16> {
        let v = self.i32(slot, default)?;
        match u16::try_from(v) {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(Error::invalid(format!("its {what} is {v}"))),
        }
    }
}
