//! Both models on every sample.

use samara_runtime::bundle::Bundle;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Session, ops};

use crate::data::samples;
use crate::error::{About, Error, Result};
use crate::files::AlignedBytes;
use crate::interpret::Interpreter;
use crate::ir::Graph;

/// One sample and what both models made of it, in real units; quantized tensors are dequantized.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Number of the sample.
    pub sample: usize,
    /// Input 0, as the float model got it.
    pub input: &'a [f32],
    /// The float model's outputs, in the graph's order.
    pub source: &'a [Vec<f32>],
    /// The bundle's outputs, in the same order.
    pub bundle: &'a [Vec<f32>],
}

/// Runs the graph and the bundle packed from it on every sample and shows both outputs; returns the number of
/// samples. Memory is that of one run of each.
///
/// Fails where there is no sample, where an output is not finite, and where the bundle's inputs or outputs are
/// others than the graph's.
pub fn both(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    mut each: impl FnMut(&Pair<'_>) -> Result<()>,
) -> Result<usize> {
    let parsed = Bundle::check(bundle)?;
    let session = Session::load(&parsed, ops::ALL)?;
    let interpreter = Interpreter::new(source)?;
    same_interface(source, &session)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut run = session.bind(&mut arena)?;
    let mut count = 0;
    for sample in samples {
        let sample = sample?;
        let about = format_args!("sample {count}").to_string();
        for (i, value) in sample.iter().enumerate() {
            let mut input = run.input(i).about(&about)?;
            let desc = *input.desc();
            input.copy_from_bytes(&convert(value, &desc)?).about(&about)?;
        }
        let input = sample.first().map_or(Ok(Vec::new()), |v| reals(&v.desc, v.bytes()))?;
        let from_source = interpreter.run(sample, |_, _| Ok(())).about(&about)?;
        run.run().about(&about)?;
        let mut outputs = (Vec::new(), Vec::new());
        for (o, value) in from_source.iter().enumerate() {
            let name = &source.tensors[source.outputs[o]].name;
            outputs.0.push(finite(reals(&value.desc, value.bytes())?, name).about(&about)?);
            let output = run.output(o)?;
            outputs.1.push(finite(reals(output.desc(), output.bytes())?, name).about(&about)?);
        }
        each(&Pair { sample: count, input: &input, source: &outputs.0, bundle: &outputs.1 })?;
        count += 1;
    }
    if count == 0 {
        return Err(Error::invalid("the evaluation data holds no sample"));
    }
    Ok(count)
}

fn same_interface(source: &Graph, session: &Session<'_>) -> Result<()> {
    let plan = session.plan();
    let mut bundle = (Vec::new(), Vec::new());
    for i in 0..plan.header.inputs as usize {
        bundle.0.push(plan.tensor(plan.input(i)?)?.desc.shape.elements());
    }
    for o in 0..plan.header.outputs as usize {
        bundle.1.push(plan.tensor(plan.output(o)?)?.desc.shape.elements());
    }
    let sizes = |ids: &[usize]| ids.iter().map(|&t| source.tensors[t].elements()).collect::<Vec<_>>();
    if bundle == (sizes(&source.inputs), sizes(&source.outputs)) {
        return Ok(());
    }
    Err(Error::invalid("the bundle has other inputs or outputs than the model")
        .remedy("evaluate a bundle with the model it was packed from"))
}

/// A source input as the bundle takes it: floats are quantized where the bundle has integers.
fn convert(value: &Value, desc: &Desc) -> Result<Vec<u8>> {
    if value.desc.dtype == desc.dtype {
        return Ok(value.bytes().to_vec());
    }
    if value.desc.dtype != Dtype::F32 || desc.scale == 0.0 {
        let (from, to) = (value.desc.dtype.name(), desc.dtype.name());
        return Err(Error::invalid(format!("an input is {from} in the model and {to} in the bundle")));
    }
    let mut out = Vec::new();
    samples::quantize(value.elements::<f32>(), desc, &mut out)?;
    Ok(out)
}

/// Real values of a tensor's elements.
fn reals(desc: &Desc, bytes: &[u8]) -> Result<Vec<f32>> {
    let (scale, zero_point) = if desc.scale == 0.0 { (1.0, 0) } else { (desc.scale, desc.zero_point as i64) };
    let real = |level: i64| scale * (level - zero_point) as f32;
    let levels = bytes.chunks_exact(desc.dtype.size());
    Ok(match desc.dtype {
        Dtype::F32 => bytemuck::pod_collect_to_vec(bytes),
        Dtype::I32 => levels.map(|b| real(i32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())).collect(),
        Dtype::I16 => levels.map(|b| real(i16::from_le_bytes([b[0], b[1]]).into())).collect(),
        Dtype::I8 => levels.map(|b| real((b[0] as i8).into())).collect(),
        dtype if dtype.size() == 1 => levels.map(|b| real(b[0].into())).collect(),
        dtype => return Err(Error::invalid(format!("outputs of type {} have no score", dtype.name()))),
    })
}

fn finite(values: Vec<f32>, name: &str) -> Result<Vec<f32>> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(Error::invalid(format!("output '{name}' is {} at index {i}", values[i]))),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use samara_runtime::Shape;

    use super::*;

    #[test]
    fn levels_become_reals() {
        let desc = |dtype, scale, zero_point| Desc {
            scale,
            zero_point,
            ..Desc::new(dtype, Shape::new(&[2]).unwrap())
        };
        let f = |d: Desc, bytes: &[u8]| reals(&d, bytes).unwrap();
        assert_eq!(f(desc(Dtype::I8, 0.5, -128), &[128, 127]), [0.0, 127.5]);
        assert_eq!(f(desc(Dtype::I16, 0.5, 0), &[255, 255, 2, 0]), [-0.5, 1.0]);
        assert_eq!(f(desc(Dtype::U8, 1.0, 1), &[0, 255]), [-1.0, 254.0]);
        assert_eq!(f(desc(Dtype::I32, 0.0, 0), &[7, 0, 0, 0, 255, 255, 255, 255]), [7.0, -1.0]);
        assert!(finite(vec![0.0, f32::NAN], "y").unwrap_err().to_string().contains("'y' is NaN at index 1"));
    }
}
