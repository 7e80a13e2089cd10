//! One operator on host memory, without a plan: constant folding, layer comparison and the operators' tests.

use std::vec::Vec;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::ops::io::{Io, MAX_INPUTS};
use crate::ops::op::{Constants, Context, Inputs, OpDef, Rounding};
use crate::tensor::{Desc, Dtype, Place, Shape};

/// A tensor with its bytes, aligned for every element type.
#[derive(Clone, Debug)]
pub struct Value {
    /// Type, shape, quantization parameters.
    pub desc: Desc,
    words: Vec<u64>,
}

impl Value {
    /// All zero bytes.
    pub fn zeros(desc: Desc) -> Self {
        Value { desc, words: std::vec![0; desc.bytes().div_ceil(8)] }
    }

    /// From elements of exactly the type and count of `desc`.
    pub fn new<T: Pod>(desc: Desc, elements: &[T]) -> Result<Self> {
        let mut value = Value::zeros(desc);
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        if size_of::<T>() != desc.dtype.size() || bytes.len() != desc.bytes() {
            return Err(Error::Mismatch);
        }
        value.bytes_mut().copy_from_slice(bytes);
        Ok(value)
    }

    /// A constant operand of the given type and dimensions.
    pub fn constant<T: Pod>(dtype: Dtype, dims: &[u32], elements: &[T]) -> Result<Self> {
        let desc = Desc { place: Place::Weights, ..Desc::new(dtype, Shape::new(dims)?) };
        Value::new(desc, elements)
    }

    /// The tensor's bytes.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.desc.bytes()]
    }

    /// The tensor's bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let n = self.desc.bytes();
        &mut bytemuck::cast_slice_mut(&mut self.words)[..n]
    }

    /// The tensor's elements; `T` must have the element's size.
    pub fn elements<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }
}

/// Infers, checks and runs one operator as a step with kernel `id` would, every buffer apart.
///
/// `parameters` gives each output's `(scale, zero_point)`; outputs beyond its length have none.
pub fn eval(
    def: &OpDef,
    attributes: &[u8],
    rounding: Rounding,
    id: u8,
    inputs: &[Option<&Value>],
    parameters: &[(f32, i32)],
) -> Result<Vec<Value>> {
    if inputs.len() > MAX_INPUTS {
        return Err(Error::Limit);
    }
    let descs: Vec<Option<Desc>> = inputs.iter().map(|v| v.map(|v| v.desc)).collect();
    let inferred = def.infer(attributes, &Inputs(&descs))?;
    let mut outputs: Vec<Desc> = inferred.outputs().to_vec();
    // As the plan's records have it.
    let computed = descs.iter().flatten().filter(|d| d.place == Place::Arena).chain(&outputs);
    if computed.into_iter().any(|d| d.dtype.is_constant_only()) {
        return Err(Error::Dtype);
    }
    for (d, &(scale, zero_point)) in outputs.iter_mut().zip(parameters) {
        (d.scale, d.zero_point) = (scale, zero_point);
    }
    let mut constants = [None; MAX_INPUTS];
    for (slot, value) in constants.iter_mut().zip(inputs) {
        *slot = value.filter(|v| v.desc.place == Place::Weights).map(|v| v.bytes());
    }
    def.check(attributes, &Inputs(&descs), &outputs, &Constants::new(constants, rounding))?;
    let first = descs.first().copied().flatten().ok_or(Error::Operand)?;
    let weights = descs.get(1).copied().flatten().map(|d| d.dtype);
    let entry = def.select(id, first.dtype, weights, rounding, false)?;
    let scratch = def.scratch(attributes, &Inputs(&descs), &outputs, id)?;
    let mut scratch = crate::AlignedBytes::zeros(scratch);
    let mut values: Vec<Value> = outputs.iter().map(|&d| Value::zeros(d)).collect();
    let sources: Vec<Option<&[u8]>> = inputs.iter().map(|v| v.map(|v| v.bytes())).collect();
    let sinks = values.iter_mut().map(|v| v.bytes_mut());
    (entry.run)(
        attributes,
        &mut Io::apart(&descs, &sources, &outputs, sinks, &mut scratch)?,
        &Context { rounding },
    )?;
    Ok(values)
}
