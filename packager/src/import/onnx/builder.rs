//! What operator functions work with: the graph under construction and one node's operands and attributes.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use samara_runtime::Dtype;

use super::constant::Constant;
use super::proto::{AttributeProto, NodeProto, attribute_type};
use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Op, Quant, Tensor, TensorId};

/// What a name of the model stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Known at import.
    Constant(Rc<Constant>),
    /// Computed by the graph, or one of its inputs.
    Tensor(TensorId),
}

impl From<Constant> for Value {
    fn from(c: Constant) -> Self {
        Value::Constant(Rc::new(c))
    }
}

/// The graph under construction.
#[derive(Debug)]
pub(super) struct Builder {
    /// What has been built.
    pub(super) graph: Graph,
    /// Whether some int16 tensors are the model's uint16 ones less 32768.
    pub(super) unsigned16: bool,
}

impl Builder {
    /// Shape of a tensor.
    pub(super) fn shape(&self, t: TensorId) -> &[usize] {
        &self.graph.tensors[t].shape
    }

    /// Appends a node on operands that are all present.
    pub(super) fn push(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId> {
        let inputs: Vec<_> = inputs.iter().map(|&t| Some(t)).collect();
        self.push_optional(name, op, &inputs)
    }

    /// Appends a node. Unlike [`Graph::push`] its errors do not name the node: the importer does.
    pub(super) fn push_optional(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<TensorId>],
    ) -> Result<TensorId> {
        let tensors = inputs.iter().map(|i| i.map(|i| &self.graph.tensors[i])).collect();
        let mut output = match crate::lower::infer(&op, tensors) {
            Ok(output) => output,
            Err(e) => return self.through_reals(name, op, inputs).unwrap_or(Err(e)),
        };
        output.quant = self.inherited(&op, inputs, &output);
        Ok(self.push_as(name, op, inputs, output))
    }

    /// Levels of a type that the operator does not move: their reals are moved, which the passes make levels again.
    fn through_reals(&mut self, name: &str, op: Op, inputs: &[Option<TensorId>]) -> Option<Result<TensorId>> {
        let &[Some(x)] = inputs else { return None };
        let levels = self.graph.tensors[x].clone();
        let (scale, zero_point) = levels.quant.as_ref().and_then(Quant::single)?;
        if !op.keeps_levels() || levels.dtype == Dtype::F32 {
            return None;
        }
        let real = Tensor::new("", Dtype::F32, levels.shape.clone());
        let real = self.push_as(&format!("{name}/reals"), Op::Dequantize, inputs, real);
        Some(self.push(&format!("{name}/moved"), op, &[real]).map(|moved| {
            let shape = self.shape(moved).to_vec();
            let output = Tensor::new("", levels.dtype, shape).quantized(Quant::per_tensor(scale, zero_point));
            self.push_as(name, Op::Quantize, &[Some(moved)], output)
        }))
    }

    /// What the output's levels mean where the operator only moves those of its inputs.
    fn inherited(&self, op: &Op, inputs: &[Option<TensorId>], output: &Tensor) -> Option<Quant> {
        if !matches!(output.dtype, Dtype::I8 | Dtype::U8 | Dtype::I16) {
            return None;
        }
        let quant = |t: &Option<TensorId>| self.graph.tensors[(*t)?].quant.as_ref();
        let first = inputs.first().and_then(quant)?;
        let same = match op {
            Op::Concatenation { .. } => inputs.iter().all(|t| quant(t) == Some(first)),
            Op::Pad { .. } => true,
            op => op.keeps_levels(),
        };
        same.then(|| first.clone())
    }

    /// Appends a node whose output's type is known.
    pub(super) fn push_as(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<TensorId>],
        output: Tensor,
    ) -> TensorId {
        let output = self.graph.add(Tensor { name: name.into(), ..output });
        let node = Node { name: name.into(), op, inputs: inputs.to_vec(), outputs: vec![output] };
        self.graph.nodes.push(node);
        output
    }

    /// A constant of the model, with the integers that it stands for.
    pub(super) fn constant(&mut self, name: &str, constant: &Constant) -> Result<TensorId> {
        let t = self.graph.add(constant.tensor(name)?);
        if let Some(levels) = &constant.exact {
            self.graph.exact.insert(t, levels.to_vec());
        }
        Ok(t)
    }

    /// A float constant.
    pub(super) fn floats(&mut self, name: &str, dims: Vec<usize>, values: &[f32]) -> TensorId {
        self.graph.add(Tensor::constant(name, Dtype::F32, dims, values))
    }

    /// Same elements in another shape; no node where the shape is already that.
    pub(super) fn reshape(&mut self, name: &str, x: TensorId, shape: Vec<usize>) -> Result<TensorId> {
        if self.shape(x) == shape { Ok(x) } else { self.push(name, Op::Reshape { shape }, &[x]) }
    }

    /// `[N,C,H,W]` to `[N,H,W,C]`; `[N,C,L]` becomes `[N,1,L,C]`.
    pub(super) fn nhwc(&mut self, name: &str, x: TensorId) -> Result<TensorId> {
        let x = match *self.shape(x) {
            [_, _, _, _] => x,
            [n, c, l] => self.reshape(&format!("{name}/rows"), x, vec![n, c, 1, l])?,
            _ => {
                let rank = self.shape(x).len();
                return Err(Error::invalid(format!(
                    "only one and two spatial dimensions are supported, its input has rank {rank}"
                )));
            }
        };
        self.push(&format!("{name}/nhwc"), Op::Transpose { permutation: vec![0, 2, 3, 1] }, &[x])
    }

    /// The inverse of [`Builder::nhwc`] for an image of the given rank.
    pub(super) fn nchw(&mut self, name: &str, x: TensorId, rank: usize) -> Result<TensorId> {
        let y = self.push(name, Op::Transpose { permutation: vec![0, 3, 1, 2] }, &[x])?;
        match *self.shape(y) {
            [n, c, 1, l] if rank == 3 => self.reshape(&format!("{name}/columns"), y, vec![n, c, l]),
            _ => Ok(y),
        }
    }
}

/// One node of the model.
#[derive(Debug)]
pub(super) struct Call<'m> {
    /// The node's name, or its first output's.
    pub(super) name: String,
    /// Version of the default operator set.
    pub(super) opset: i64,
    /// Operands; `None` for absent optional ones.
    pub(super) values: Vec<Option<Value>>,
    node: &'m NodeProto,
    read: RefCell<HashSet<&'m str>>,
}

impl<'m> Call<'m> {
    /// A node with its operands looked up.
    pub(super) fn new(node: &'m NodeProto, opset: i64, values: Vec<Option<Value>>) -> Self {
        Call { name: node_name(node).to_owned(), opset, values, node, read: RefCell::default() }
    }

    /// The operator, as the model calls it.
    pub(super) fn op_type(&self) -> &'m str {
        &self.node.op_type
    }

    /// How many outputs the node lists.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    /// Refuses outputs beyond the first `count`, where the model names them.
    pub(super) fn only_outputs(&self, count: usize) -> Result<()> {
        match self.node.output.iter().skip(count).find(|o| !o.is_empty()) {
            Some(o) => Err(Error::invalid(format!("its optional output '{o}' is not supported"))),
            None => Ok(()),
        }
    }

    /// Operand `i`, where present.
    pub(super) fn optional(&self, i: usize) -> Option<&Value> {
        self.values.get(i).and_then(Option::as_ref)
    }

    /// Operand `i`.
    pub(super) fn value(&self, i: usize) -> Result<&Value> {
        self.optional(i).ok_or_else(|| Error::invalid(format!("input {i} is missing")))
    }

    /// Operand `i` as a tensor of the graph.
    pub(super) fn tensor(&self, b: &mut Builder, i: usize) -> Result<TensorId> {
        match self.value(i)? {
            Value::Tensor(t) => Ok(*t),
            Value::Constant(c) => {
                let name = self.node.input.get(i).cloned().unwrap_or_default();
                Ok(b.graph.add(c.tensor(&name)?))
            }
        }
    }

    /// Operand `i`, where it is a constant.
    pub(super) fn constant(&self, i: usize) -> Option<&Rc<Constant>> {
        match self.optional(i) {
            Some(Value::Constant(c)) => Some(c),
            Some(Value::Tensor(_)) | None => None,
        }
    }

    /// Operand `i`, which must be a constant where present.
    pub(super) fn optional_constant(&self, i: usize) -> Result<Option<&Rc<Constant>>> {
        match self.optional(i) {
            Some(Value::Constant(c)) => Ok(Some(c)),
            None => Ok(None),
            Some(Value::Tensor(_)) => {
                let name = self.node.input.get(i).map_or("", String::as_str);
                Err(Error::invalid(format!(
                    "input {i} ('{name}') is computed at run time, only constants are supported there"
                )))
            }
        }
    }

    /// Operand `i`, which must be there and constant.
    pub(super) fn required_constant(&self, i: usize) -> Result<&Rc<Constant>> {
        self.optional_constant(i)?.ok_or_else(|| Error::invalid(format!("input {i} is missing")))
    }

    /// Operand `i` as constant integers, where present.
    pub(super) fn input_ints(&self, i: usize) -> Result<Option<Vec<i64>>> {
        let Some(c) = self.optional_constant(i)? else { return Ok(None) };
        let ints = c.as_ints().ok_or_else(|| Error::invalid(format!("input {i} must be integers")))?;
        Ok(Some(ints.to_vec()))
    }

    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&'m AttributeProto>> {
        let Some(a) = self.node.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        self.read.borrow_mut().insert(&a.name);
        if a.kind != kind && a.kind != 0 {
            return Err(Error::invalid(format!("attribute '{name}' has the wrong type")));
        }
        Ok(Some(a))
    }

    /// Integer attribute.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.attribute(name, attribute_type::INT)?.map(|a| a.i))
    }

    /// Integer attribute used as a flag.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name)?.map_or(default, |i| i != 0))
    }

    /// Float attribute.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.attribute(name, attribute_type::FLOAT)?.map_or(default, |a| a.f))
    }

    /// Integer list attribute.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        Ok(self.attribute(name, attribute_type::INTS)?.map(|a| a.ints.clone()))
    }

    /// Float list attribute.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>> {
        Ok(self.attribute(name, attribute_type::FLOATS)?.map(|a| a.floats.clone()))
    }

    /// String attribute.
    pub(super) fn string(&self, name: &str, default: &str) -> Result<String> {
        match self.attribute(name, attribute_type::STRING)? {
            Some(a) => String::from_utf8(a.s.clone())
                .map_err(|_| Error::invalid(format!("attribute '{name}' is not UTF-8"))),
            None => Ok(default.to_owned()),
        }
    }

    /// Tensor attribute.
    pub(super) fn tensor_attribute(&self, name: &str) -> Result<Option<Constant>> {
        let Some(a) = self.attribute(name, attribute_type::TENSOR)? else { return Ok(None) };
        a.t.as_ref().map(Constant::read).transpose()
    }

    /// Marks an attribute as having no effect on what is built.
    pub(super) fn ignore(&self, name: &str) {
        if let Some(a) = self.node.attribute.iter().find(|a| a.name == name) {
            self.read.borrow_mut().insert(&a.name);
        }
    }

    /// Refuses attributes that the operator's function did not look at.
    pub(super) fn all_read(&self) -> Result<()> {
        let read = self.read.borrow();
        match self.node.attribute.iter().find(|a| !read.contains(a.name.as_str())) {
            Some(a) => Err(Error::invalid(format!("attribute '{}' is not supported", a.name))),
            None => Ok(()),
        }
    }
}

/// A node's name, or its first output's where it has none.
pub(super) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// An axis counted from the end where negative; refuses those outside the rank.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let positive = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let inside = positive.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank);
    inside.ok_or_else(|| Error::invalid(format!("axis {axis} is outside of rank {rank}")))
}

/// Distinct axes.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let axes: Vec<usize> = list.iter().map(|&a| axis(a, rank)).collect::<Result<_>>()?;
    let distinct: HashSet<usize> = axes.iter().copied().collect();
    if distinct.len() == axes.len() { Ok(axes) } else { Err(Error::invalid("an axis is listed twice")) }
}
