//! One node's operands and attributes, as operator functions read them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use super::builder::{Builder, Value};
use super::constant::Constant;
use super::proto::{AttributeProto, NodeProto, attribute_type};
use crate::error::{Error, Result};
use crate::ir::TensorId;

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
