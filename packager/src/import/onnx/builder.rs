//! What operator functions work with: the graph under construction.

use std::rc::Rc;

use samara_runtime::Dtype;

pub(super) use super::call::{Call, axes, axis, node_name};
use super::constant::Constant;
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
