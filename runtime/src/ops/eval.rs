//! One operator on host memory, without a plan: constant folding, layer comparison and the operators' tests.

use std::vec::Vec;

use bytemuck::Pod;

use crate::aligned::AlignedBytes;
use crate::error::{Error, Result};
use crate::ops::io::{Io, MAX_INPUTS, Sink, Source};
use crate::ops::op::{Choice, Constants, Context, Entry, Inputs, OpDef, Rounding};
use crate::tensor::{Desc, Dtype, Place, Shape};

/// A tensor with its bytes, aligned for every element type.
#[derive(Clone, Debug)]
pub struct Value {
    /// Type, shape, quantization parameters.
    pub desc: Desc,
    bytes: AlignedBytes,
}

impl Value {
    /// All zero bytes.
    pub fn zeros(desc: Desc) -> Self {
        Value { desc, bytes: AlignedBytes::zeros(desc.bytes()) }
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
        &self.bytes
    }

    /// The tensor's bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
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
    Checked::new(def, attributes, rounding, id, inputs, parameters)?.run(attributes, rounding, inputs)
}

/// As [`eval`], with the first input and the only output in one span at the least distance at which the operator lets
/// them overlap: the input above, or with `descending` the output. `None` where it does not let them.
pub fn eval_together(
    def: &OpDef,
    attributes: &[u8],
    rounding: Rounding,
    id: u8,
    inputs: &[Option<&Value>],
    parameters: &[(f32, i32)],
    descending: bool,
) -> Result<Option<Value>> {
    let checked = Checked::new(def, attributes, rounding, id, inputs, parameters)?;
    let first = inputs.first().copied().flatten().ok_or(Error::Operand)?;
    let [desc] = checked.outputs[..] else { return Err(Error::Operand) };
    let descs = Inputs(&checked.inputs);
    let align = first.desc.dtype.size().max(desc.dtype.size());
    let (input, output) = if descending {
        let Some(d) = def.overlap_descending(attributes, &descs, &checked.outputs, 0, 0)? else {
            return Ok(None);
        };
        // At distance 0 the order is the ascending one.
        (0, d.max(1).next_multiple_of(align))
    } else {
        let Some(d) = def.overlap(attributes, &descs, &checked.outputs, 0, 0)? else { return Ok(None) };
        (d.next_multiple_of(align), 0)
    };
    if !checked.entry.overlap {
        return Ok(None);
    }
    let mut scratch = crate::AlignedBytes::zeros(checked.scratch);
    let mut words = std::vec![0u64; (input + first.bytes().len()).max(output + desc.bytes()).div_ceil(8)];
    let span: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    span[input..input + first.bytes().len()].copy_from_slice(first.bytes());
    let sources: Vec<Option<&[u8]>> = inputs.iter().map(|v| v.map(|v| v.bytes())).collect();
    let outputs = [desc];
    let mut io = Io::apart(&checked.inputs, &sources, &[], [], &mut scratch)?;
    io.outputs = &outputs;
    io.sources[0] = Source::Inside { output: 0, start: input, end: input + first.bytes().len() };
    io.sinks[0] = Sink { start: output, end: output + desc.bytes(), span: Some(&mut *span) };
    (checked.entry.run)(attributes, &mut io, &Context { rounding })?;
    let mut value = Value::zeros(desc);
    value.bytes_mut().copy_from_slice(&span[output..output + desc.bytes()]);
    Ok(Some(value))
}

/// A step that has passed every check that loading makes, for any number of runs.
#[derive(Clone, Debug)]
pub struct Checked {
    inputs: Vec<Option<Desc>>,
    outputs: Vec<Desc>,
    entry: &'static Entry,
    scratch: usize,
}

impl Checked {
    /// As [`eval`] checks it.
    pub fn new(
        def: &OpDef,
        attributes: &[u8],
        rounding: Rounding,
        id: u8,
        values: &[Option<&Value>],
        parameters: &[(f32, i32)],
    ) -> Result<Self> {
        if values.len() > MAX_INPUTS {
            return Err(Error::Limit);
        }
        let inputs: Vec<Option<Desc>> = values.iter().map(|v| v.map(|v| v.desc)).collect();
        let inferred = def.infer(attributes, &Inputs(&inputs))?;
        let mut outputs: Vec<Desc> = inferred.outputs().to_vec();
        // As the plan's records have it.
        let computed = inputs.iter().flatten().filter(|d| d.place == Place::Arena).chain(&outputs);
        if computed.into_iter().any(|d| d.dtype.is_constant_only()) {
            return Err(Error::Dtype);
        }
        for (d, &(scale, zero_point)) in outputs.iter_mut().zip(parameters) {
            (d.scale, d.zero_point) = (scale, zero_point);
        }
        let mut constants = [None; MAX_INPUTS];
        for (slot, value) in constants.iter_mut().zip(values) {
            *slot = value.filter(|v| v.desc.place == Place::Weights).map(|v| v.bytes());
        }
        def.check(attributes, &Inputs(&inputs), &outputs, &Constants::new(constants, rounding))?;
        let first = inputs.first().copied().flatten().ok_or(Error::Operand)?;
        let weights = inputs.get(1).copied().flatten().map(|d| (d.dtype, d.layout));
        let entry = def.select(id, first.dtype, weights, rounding, Choice::Auto)?;
        let scratch = def.scratch(attributes, &Inputs(&inputs), &outputs, id)?;
        Ok(Checked { inputs, outputs, entry, scratch })
    }

    /// Whether operands have the types, shapes and parameters that were checked.
    pub fn suits(&self, inputs: &[Option<&Value>]) -> bool {
        let same = |(a, b): (&Option<Desc>, &Option<&Value>)| *a == b.map(|v| v.desc);
        self.inputs.len() == inputs.len() && self.inputs.iter().zip(inputs).all(same)
    }

    /// One run, every buffer apart, with the attributes, the rounding and the constants that were checked.
    pub fn run(
        &self,
        attributes: &[u8],
        rounding: Rounding,
        inputs: &[Option<&Value>],
    ) -> Result<Vec<Value>> {
        let mut scratch = AlignedBytes::zeros(self.scratch);
        let mut values: Vec<Value> = self.outputs.iter().map(|&d| Value::zeros(d)).collect();
        let sources: Vec<Option<&[u8]>> = inputs.iter().map(|v| v.map(|v| v.bytes())).collect();
        let sinks = values.iter_mut().map(|v| v.bytes_mut());
        let mut io = Io::apart(&self.inputs, &sources, &self.outputs, sinks, &mut scratch)?;
        (self.entry.run)(attributes, &mut io, &Context { rounding })?;
        Ok(values)
    }
}
