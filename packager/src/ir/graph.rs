//! Tensors, nodes and the graph that owns them.

use std::collections::BTreeMap;

use bytemuck::Pod;
use half::f16;
use samara_runtime::ops::Rounding;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Place, Shape};

use super::Op;
use crate::error::{About, Error, Result};

/// Index into [`Graph::tensors`].
pub type TensorId = usize;

/// Quantization parameters: `real = scale * (stored - zero_point)`.
#[derive(Clone, PartialEq, Debug)]
pub struct Quant {
    /// One scale, or one per index along `axis`; positive and finite.
    pub scale: Vec<f32>,
    /// As many as scales.
    pub zero_point: Vec<i32>,
    /// The dimension that several scales run along; without meaning for one.
    pub axis: usize,
}

impl Quant {
    /// One scale for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Quant { scale: vec![scale], zero_point: vec![zero_point], axis: 0 }
    }

    /// Scale and zero point where there is one for the whole tensor.
    pub fn single(&self) -> Option<(f32, i32)> {
        match (&self.scale[..], &self.zero_point[..]) {
            (&[s], &[z]) => Some((s, z)),
            _ => None,
        }
    }

    /// Scale of index `i` along the axis.
    pub fn scale_at(&self, i: usize) -> f32 {
        if self.scale.len() == 1 { self.scale[0] } else { self.scale[i] }
    }
}

/// A value that flows between nodes, or a constant.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The source model's name, or one made from it.
    pub name: String,
    /// Outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: Dtype,
    /// Quantization parameters of integer tensors. On a float constant: the grid that its values lie on,
    /// because the model holds them as integers.
    pub quant: Option<Quant>,
    /// Little-endian elements of a constant; `None` for what a run computes.
    pub data: Option<Vec<u8>>,
}

impl Tensor {
    /// A computed tensor.
    pub fn new(name: impl Into<String>, dtype: Dtype, shape: Vec<usize>) -> Self {
        Tensor { name: name.into(), shape, dtype, quant: None, data: None }
    }

    /// A constant from its elements; their size must be the element type's.
    pub fn constant<T: Pod>(
        name: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        elements: &[T],
    ) -> Self {
        let data: Vec<u8> = bytemuck::cast_slice(elements).to_vec();
        let tensor = Tensor { data: Some(data), ..Tensor::new(name, dtype, shape) };
        assert_eq!(tensor.data.as_ref().map(Vec::len), tensor.bytes(), "constant's size");
        tensor
    }

    /// A constant of [`Dtype::I4`] or [`Dtype::U4`] from one level per element, in `-8..=7` or `0..=15`.
    pub fn packed4(name: impl Into<String>, dtype: Dtype, shape: Vec<usize>, levels: &[i8]) -> Self {
        let legal = if dtype == Dtype::I4 { -8..=7 } else { 0..=15 };
        assert!(dtype.is_packed() && levels.iter().all(|l| legal.contains(l)), "levels of four bits");
        assert_eq!(levels.len(), shape.iter().product::<usize>(), "constant's size");
        let byte = |pair: &[i8]| (pair[0] as u8 & 15) | pair.get(1).map_or(0, |&high| (high as u8) << 4);
        Tensor::constant(name, dtype, shape, &levels.chunks(2).map(byte).collect::<Vec<u8>>())
    }

    /// With quantization parameters.
    pub fn quantized(mut self, quant: Quant) -> Self {
        self.quant = Some(quant);
        self
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of its elements, packed ones two by two; `None` where they overflow.
    pub fn bytes(&self) -> Option<usize> {
        self.dtype.bytes(self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?)
    }

    /// Whether it is a constant.
    pub fn is_constant(&self) -> bool {
        self.data.is_some()
    }

    /// A constant's elements; `None` where it is computed, packed or `T` has another size.
    pub fn values<T: Pod>(&self) -> Option<Vec<T>> {
        let data = self.data.as_ref().filter(|_| !self.dtype.is_packed())?;
        (size_of::<T>() == self.dtype.size()).then(|| bytemuck::pod_collect_to_vec(data))
    }

    /// A float constant's elements, widened.
    pub fn f32s(&self) -> Option<Vec<f32>> {
        match self.dtype {
            Dtype::F32 => self.values(),
            Dtype::F16 => {
                Some(self.values::<u16>()?.into_iter().map(|b| f16::from_bits(b).to_f32()).collect())
            }
            Dtype::I8
            | Dtype::U8
            | Dtype::I16
            | Dtype::I32
            | Dtype::Bool
            | Dtype::I4
            | Dtype::U4
            | Dtype::I64 => None,
        }
    }

    /// An integer constant's elements of at most 32 bits, widened (bool as 0 and 1) and unpacked.
    pub fn ints(&self) -> Option<Vec<i32>> {
        match self.dtype {
            Dtype::I32 => self.values::<i32>(),
            Dtype::I16 => Some(self.values::<i16>()?.into_iter().map(i32::from).collect()),
            Dtype::I8 => Some(self.values::<i8>()?.into_iter().map(i32::from).collect()),
            Dtype::U8 | Dtype::Bool => Some(self.values::<u8>()?.into_iter().map(i32::from).collect()),
            Dtype::I4 => Some(self.nibbles()?.map(|n| i32::from((n << 4) as i8 >> 4)).collect()),
            Dtype::U4 => Some(self.nibbles()?.map(i32::from).collect()),
            Dtype::F32 | Dtype::F16 | Dtype::I64 => None,
        }
    }

    /// An integer constant's elements of any width, as [`Tensor::ints`].
    pub fn int64s(&self) -> Option<Vec<i64>> {
        match self.dtype {
            Dtype::I64 => self.values(),
            _ => Some(self.ints()?.into_iter().map(i64::from).collect()),
        }
    }

    /// A packed constant's elements, each in the low half of a byte.
    fn nibbles(&self) -> Option<impl Iterator<Item = u8>> {
        let data = self.data.as_ref()?;
        Some(data.iter().flat_map(|b| [b & 15, b >> 4]).take(self.elements()))
    }

    /// The runtime's shape; fails past the runtime's rank or size.
    pub fn runtime_shape(&self) -> Result<Shape> {
        let dims: Option<Vec<u32>> = self.shape.iter().map(|&d| u32::try_from(d).ok()).collect();
        let shape =
            dims.ok_or_else(|| Error::invalid("a dimension is above 2^32")).and_then(|d| Ok(Shape::new(&d)?));
        shape.map_err(|e| e.about(format_args!("tensor '{}' of shape {:?}", self.name, self.shape)))
    }

    /// The runtime's description: per-tensor parameters, or zeros where there are none or many.
    pub fn desc(&self) -> Result<Desc> {
        let quant = self.quant.as_ref().filter(|_| self.dtype != Dtype::F32);
        let (scale, zero_point) = quant.and_then(Quant::single).unwrap_or((0.0, 0));
        let place = if self.is_constant() { Place::Weights } else { Place::Arena };
        Ok(Desc { zero_point, scale, place, ..Desc::new(self.dtype, self.runtime_shape()?) })
    }

    /// A constant as a runtime value.
    pub fn value(&self) -> Result<Value> {
        let data = self.data.as_ref().ok_or_else(|| Error::invalid("not a constant").about(&self.name))?;
        let mut value = Value::zeros(self.desc()?);
        if value.bytes().len() != data.len() {
            return Err(Error::invalid("its data does not fill its shape")).about(&self.name);
        }
        value.bytes_mut().copy_from_slice(data);
        Ok(value)
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// The source model's name of the node, or one made from its first output.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Operands in the order that [`Op`] documents; `None` for absent optional ones.
    pub inputs: Vec<Option<TensorId>>,
    /// Results.
    pub outputs: Vec<TensorId>,
}

/// How integer steps round; see ARCHITECTURE, "Numerics".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numeric {
    /// TFLite Micro's double rounding.
    Tflite,
    /// One rounding.
    Single,
    /// Float multiply, ties to even.
    Onnx,
}

impl Numeric {
    /// The runtime's rounding for integer steps.
    pub fn rounding(self) -> Rounding {
        match self {
            Numeric::Tflite => Rounding::Tflite,
            Numeric::Single => Rounding::Single,
            Numeric::Onnx => Rounding::Onnx,
        }
    }
}

/// A whole model.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The model's name in its source, or its file's stem.
    pub name: String,
    /// All tensors; ids never change while a graph is edited.
    pub tensors: Vec<Tensor>,
    /// In an order in which they can run.
    pub nodes: Vec<Node>,
    /// The model's inputs, in the source's order.
    pub inputs: Vec<TensorId>,
    /// The model's outputs, in the source's order.
    pub outputs: Vec<TensorId>,
    /// How integer steps round.
    pub numeric: Numeric,
    /// The integers of float constants on a grid, zero point subtracted, where single precision does not hold them.
    pub exact: BTreeMap<TensorId, Vec<i64>>,
}

impl Graph {
    /// No tensors, no nodes.
    pub fn new(name: impl Into<String>, numeric: Numeric) -> Self {
        Graph {
            name: name.into(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            numeric,
            exact: BTreeMap::new(),
        }
    }

    /// Adds a tensor.
    pub fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// Appends a node whose single output has the given name; shape and type are inferred.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[Option<TensorId>]) -> Result<TensorId> {
        let output = crate::lower::infer(&op, inputs.iter().map(|i| i.map(|i| &self.tensors[i])).collect())
            .about(format_args!("node '{name}' ({})", op.name()))?;
        let output = self.add(Tensor { name: name.into(), ..output });
        self.nodes.push(Node { name: name.into(), op, inputs: inputs.to_vec(), outputs: vec![output] });
        Ok(output)
    }

    /// Input tensor `i` of a node, where present.
    pub fn input(&self, node: &Node, i: usize) -> Option<&Tensor> {
        node.inputs.get(i).copied().flatten().map(|t| &self.tensors[t])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_levels_come_back() {
        let t = Tensor::packed4("w", Dtype::I4, vec![3, 1], &[-8, 7, -1]);
        assert_eq!((t.data.as_deref(), t.bytes()), (Some(&[0x78, 0x0f][..]), Some(2)));
        assert_eq!((t.ints(), t.int64s()), (Some(vec![-8, 7, -1]), Some(vec![-8, 7, -1])));
        assert_eq!((t.values::<u8>(), t.f32s()), (None, None));
        assert_eq!(t.value().unwrap().bytes(), [0x78, 0x0f]);
        let t = Tensor::packed4("w", Dtype::U4, vec![4], &[0, 15, 8, 1]);
        assert_eq!((t.data.as_deref(), t.ints()), (Some(&[0xf0, 0x18][..]), Some(vec![0, 15, 8, 1])));
        assert!(Tensor::new("w", Dtype::I4, vec![4]).ints().is_none());
    }

    #[test]
    fn wide_and_half_constants_are_read_as_what_they_are() {
        let t = Tensor::constant("b", Dtype::I64, vec![2], &[1i64 << 40, -1]);
        assert_eq!((t.ints(), t.int64s()), (None, Some(vec![1 << 40, -1])));
        let t = Tensor::constant("w", Dtype::F16, vec![2], &[0x3c00u16, 0xc100]);
        assert_eq!((t.f32s(), t.ints()), (Some(vec![1.0, -2.5]), None));
        assert_eq!(Tensor::new("x", Dtype::F32, vec![usize::MAX, 2]).bytes(), None);
    }
}
