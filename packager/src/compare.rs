//! Layer by layer: what a bundle computes against the graph it was packed from.

use std::collections::HashMap;

use samara_runtime::bundle::{Bundle, Kind};
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Session, ops};

use crate::error::{Error, Result};
use crate::files::AlignedBytes;
use crate::interpret::Interpreter;
use crate::ir::Graph;

/// How far one tensor of the bundle is from the source's tensor of that name, over all samples.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Comparison {
    /// The tensor's name.
    pub name: String,
    /// Greatest absolute difference, in real units.
    pub max_error: f64,
    signal: f64,
    noise: f64,
    dot: f64,
    power: f64,
    saturated: u64,
    count: u64,
}

impl Comparison {
    /// Signal to quantization noise in decibels; infinite where nothing differs.
    pub fn sqnr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(self.signal / self.noise) }
    }

    /// Cosine of the angle between both; 1 where both are zero.
    pub fn cosine(&self) -> f64 {
        let norms = libm::sqrt(self.signal * self.power);
        if norms == 0.0 { f64::from(u8::from(self.signal == self.power)) } else { self.dot / norms }
    }

    /// Share of quantized elements at the ends of their type's range.
    pub fn saturated_share(&self) -> f64 {
        self.saturated as f64 / self.count.max(1) as f64
    }

    fn add(&mut self, want: &[f64], got: &[f64], saturated: u64) {
        for (&w, &g) in want.iter().zip(got) {
            self.signal += w * w;
            self.power += g * g;
            self.dot += w * g;
            self.noise += (w - g) * (w - g);
            self.max_error = self.max_error.max((w - g).abs());
        }
        self.saturated += saturated;
        self.count += want.len() as u64;
    }
}

/// Runs both on every sample (the source's inputs) and compares every computed tensor that has the same name
/// and size on both sides, in the order in which the bundle computes them.
pub fn compare(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
) -> Result<Vec<Comparison>> {
    let parsed = Bundle::check(bundle)?;
    let session = Session::load(&parsed, ops::ALL)?;
    let names = tensor_names(&parsed)?;
    let interpreter = Interpreter::new(source)?;
    let by_name: HashMap<&str, usize> =
        source.tensors.iter().enumerate().map(|(t, tensor)| (&tensor.name[..], t)).collect();
    let plan = session.plan();
    // What each step leaves that the source has too.
    let mut watched = Vec::new();
    for step in 0..session.steps() {
        let record = plan.step(step)?;
        let at = record.operands as usize + record.inputs as usize;
        let Some(id) = plan.operand(at)? else { continue };
        let Some(name) = names.get(id as usize) else { continue };
        let Some(&t) = by_name.get(&name[..]) else { continue };
        if source.tensors[t].elements() == plan.tensor(id)?.desc.shape.elements() {
            watched.push((step, id, t, Comparison { name: name.clone(), ..Comparison::default() }));
        }
    }
    if watched.is_empty() {
        return Err(Error::invalid("no layer of the bundle carries the name of one in the model")
            .remedy("compare a bundle with the model it was packed from"));
    }
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut run = session.bind(&mut arena)?;
    for sample in samples {
        let sample = sample?;
        for (i, value) in sample.iter().enumerate() {
            let desc = *run.input(i)?.desc();
            run.input(i)?.copy_from_bytes(&convert(value, &desc)?)?;
        }
        let mut want: Vec<Option<Vec<f64>>> = vec![None; source.tensors.len()];
        interpreter.run(sample, |t, value| {
            want[t] = Some(reals(&source.tensors[t].desc()?, value.bytes()).0);
            Ok(())
        })?;
        let mut pending = watched.iter_mut().peekable();
        for step in 0..session.steps() {
            run.step(step)?;
            if let Some((_, id, t, comparison)) = pending.next_if(|w| w.0 == step) {
                let output = run.tensor(*id)?;
                let (got, saturated) = reals(output.desc(), output.bytes());
                if let Some(want) = &want[*t] {
                    comparison.add(want, &got, saturated);
                }
            }
        }
    }
    Ok(watched.into_iter().map(|w| w.3).collect())
}

/// Names of the plan's tensors by id.
pub fn tensor_names(bundle: &Bundle<'_>) -> Result<Vec<String>> {
    let section = bundle
        .sections
        .get(Kind::Names)
        .ok_or_else(|| Error::invalid("it carries no names of its layers"))?;
    let names: serde_json::Value = serde_json::from_slice(section)
        .map_err(|e| Error::invalid(format!("its names cannot be read ({e})")))?;
    let tensors = names["tensors"].as_array().cloned().unwrap_or_default();
    Ok(tensors.into_iter().map(|n| n.as_str().unwrap_or_default().to_owned()).collect())
}

/// A source input as the bundle takes it: floats are quantized where the bundle has integers.
fn convert(value: &Value, desc: &Desc) -> Result<Vec<u8>> {
    if value.desc.dtype == desc.dtype {
        return Ok(value.bytes().to_vec());
    }
    let mut out = Vec::new();
    crate::data::samples::quantize(value.elements::<f32>(), desc, &mut out)?;
    Ok(out)
}

/// Real values, and how many stood at an end of their type's range.
fn reals(desc: &Desc, bytes: &[u8]) -> (Vec<f64>, u64) {
    let (lo, hi) = crate::lower::multiplier::levels(desc.dtype).unwrap_or((i32::MIN, i32::MAX));
    let mut saturated = 0;
    let reals = bytes.chunks_exact(desc.dtype.size()).map(|b| {
        let level = match (desc.dtype, b) {
            (Dtype::F32, &[a, b, c, d]) => return f32::from_le_bytes([a, b, c, d]) as f64,
            (Dtype::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
            (Dtype::I16, &[a, b]) => i16::from_le_bytes([a, b]) as i32,
            (Dtype::I8, &[a]) => a as i8 as i32,
            (_, bytes) => bytes.first().map_or(0, |&a| a as i32),
        };
        saturated += u64::from(level == lo || level == hi);
        if desc.scale == 0.0 {
            level as f64
        } else {
            desc.scale as f64 * (level as i64 - desc.zero_point as i64) as f64
        }
    });
    let reals = reals.collect();
    (reals, saturated)
}
