//! A model's inputs, sample by sample.

use std::path::Path;

use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype};

use super::Array;
use crate::error::{About, Error, Result};
use crate::ir::Graph;

/// What a sample's arrays must look like: one input of a model.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// The array's name in an archive.
    pub name: String,
    /// Type, shape and parameters of one sample.
    pub desc: Desc,
}

/// Arrays matched to a model's inputs, the sample axis first.
#[derive(Clone, Debug)]
pub struct Samples {
    specs: Vec<InputSpec>,
    arrays: Vec<Array>,
    /// Arrays of the file that are no input: labels, say.
    pub others: Vec<Array>,
    count: usize,
    /// Whether the file had a sample axis.
    pub has_axis: bool,
}

impl Samples {
    /// Reads samples for a graph's inputs.
    pub fn read(path: &Path, graph: &Graph) -> Result<Self> {
        let spec = |&t: &usize| {
            let tensor = &graph.tensors[t];
            Ok(InputSpec { name: tensor.name.clone(), desc: tensor.desc()? })
        };
        Samples::read_for(path, graph.inputs.iter().map(spec).collect::<Result<_>>()?)
    }

    /// Reads samples for these inputs. An `.npy` serves a model of one input.
    pub fn read_for(path: &Path, specs: Vec<InputSpec>) -> Result<Self> {
        let arrays = super::read(path)?;
        Samples::from_arrays(arrays, specs).about(path.display())
    }

    /// Matches arrays to inputs by name; a single array without a name is the only input.
    pub fn from_arrays(mut arrays: Vec<Array>, specs: Vec<InputSpec>) -> Result<Self> {
        let mut matched = Vec::new();
        for spec in &specs {
            let unnamed = specs.len() == 1 && arrays.len() == 1 && arrays[0].name.is_empty();
            let at = if unnamed { Some(0) } else { arrays.iter().position(|a| a.name == spec.name) };
            let at = at.ok_or_else(|| {
                let names: Vec<&str> = arrays.iter().map(|a| &a.name[..]).collect();
                Error::invalid(format!("no array is named '{}', as the model's input is", spec.name)).remedy(
                    format!("it holds {}", if names.is_empty() { "none".into() } else { names.join(", ") }),
                )
            })?;
            let array = arrays.remove(at);
            array.check_finite()?;
            matched.push(array);
        }
        let dims =
            |spec: &InputSpec| -> Vec<usize> { spec.desc.shape.dims().iter().map(|&d| d as usize).collect() };
        let (mut count, mut has_axis) = (None, true);
        for (array, spec) in matched.iter().zip(&specs) {
            let dims = dims(spec);
            // With a sample axis in front of the batch of 1, in its place, or without one at all.
            let (n, axis) = match &array.shape[..] {
                [n, rest @ ..] if rest == dims => (*n, true),
                [n, rest @ ..] if dims.first() == Some(&1) && *rest == dims[1..] => (*n, true),
                shape if shape == dims => (1, false),
                shape => {
                    return Err(Error::invalid(format!(
                        "array '{}' has shape {shape:?}; the input '{}' needs [samples] + {dims:?}",
                        array.name, spec.name
                    )));
                }
            };
            if *count.get_or_insert(n) != n {
                return Err(Error::invalid("its arrays have different numbers of samples"));
            }
            has_axis &= axis;
        }
        let count = count.unwrap_or(0);
        if count == 0 {
            return Err(Error::invalid("it holds no sample"));
        }
        Ok(Samples { specs, arrays: matched, others: arrays, count, has_axis })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none; never true for samples that were read.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sample `n`: the model's inputs in order. Integers are taken as quantized already; floats are quantized
    /// with an integer input's own parameters, half away from zero.
    pub fn get(&self, n: usize) -> Result<Vec<Value>> {
        self.arrays.iter().zip(&self.specs).map(|(array, spec)| value(array, spec, n, self.count)).collect()
    }

    /// All samples in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Vec<Value>>> + '_ {
        (0..self.count).map(|n| self.get(n))
    }
}

fn value(array: &Array, spec: &InputSpec, n: usize, count: usize) -> Result<Value> {
    let size = array.bytes.len() / count;
    let bytes = &array.bytes[n * size..(n + 1) * size];
    let mut value = Value::zeros(spec.desc);
    if array.dtype == spec.desc.dtype {
        value.bytes_mut().copy_from_slice(bytes);
        return Ok(value);
    }
    if array.dtype != Dtype::F32 || spec.desc.scale == 0.0 {
        return Err(Error::invalid(format!(
            "array '{}' is {}, the input '{}' is {}",
            array.name,
            array.dtype.name(),
            spec.name,
            spec.desc.dtype.name()
        )));
    }
    let reals: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    let mut levels = Vec::with_capacity(value.bytes().len());
    quantize(&reals, &spec.desc, &mut levels)?;
    value.bytes_mut().copy_from_slice(&levels);
    Ok(value)
}

/// Appends reals as levels of an integer tensor with its own parameters, half away from zero, saturating.
pub fn quantize(reals: &[f32], desc: &Desc, out: &mut Vec<u8>) -> Result<()> {
    let (lo, hi) = crate::lower::multiplier::levels(desc.dtype)?;
    for x in reals {
        let level = libm::roundf(x / desc.scale) as f64 + desc.zero_point as f64;
        let level = level.clamp(lo as f64, hi as f64) as i32;
        out.extend(&level.to_le_bytes()[..desc.dtype.size()]);
    }
    Ok(())
}

/// Values gathered over samples as one array, sample axis first: a leading dimension of 1 becomes it.
pub fn stack(name: &str, values: &[Vec<u8>], desc: &Desc, has_axis: bool) -> Array {
    let dims: Vec<usize> = desc.shape.dims().iter().map(|&d| d as usize).collect();
    let shape = match (&dims[..], has_axis) {
        (dims, false) => dims.to_vec(),
        ([1, rest @ ..], true) => [&[values.len()], rest].concat(),
        (dims, true) => [&[values.len()], dims].concat(),
    };
    Array { name: name.into(), dtype: desc.dtype, shape, bytes: values.concat() }
}
