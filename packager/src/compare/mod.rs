//! Layer by layer: what a bundle computes against the graph it was packed from.
//!
//! Tensors are matched by name; strips that hold some rows of a tensor count to it, each row once. Scaling by
//! equalization is undone; what the bundle fused away counts to the tensor after it, the last that both have.

mod alone;
mod names;
mod noise;
mod twins;

use std::collections::BTreeMap;

use samara_runtime::bundle::Bundle;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Session, ops};

use crate::error::{Error, Result};
use crate::files::AlignedBytes;
use crate::interpret::Interpreter;
use crate::ir::{Graph, TensorId};
use alone::Alone;
use names::Names;
use noise::Noise;
use twins::Twins;

/// How far one tensor of the bundle is from the source's tensor of that name, over all samples.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Comparison {
    /// The tensor's name.
    pub name: String,
    /// Tensors of the source that the bundle does not have and that end in this one.
    pub fused: Vec<String>,
    /// Greatest absolute difference, in real units.
    pub max_error: f64,
    all: Noise,
    own: Option<Noise>,
}

impl Comparison {
    /// Signal to quantization noise in decibels; infinite where nothing differs.
    pub fn sqnr_db(&self) -> f64 {
        self.all.sqnr_db()
    }

    /// The same for the layer alone: on the source's own values at its inputs, as the bundle's types hold them.
    /// `None` where it was not asked for.
    pub fn own_sqnr_db(&self) -> Option<f64> {
        self.own.as_ref().map(Noise::sqnr_db)
    }

    /// Cosine of the angle between both; 1 where both are zero.
    pub fn cosine(&self) -> f64 {
        self.all.cosine()
    }

    /// Share of quantized elements at the ends of their type's range.
    pub fn saturated_share(&self) -> f64 {
        self.all.saturated_share()
    }
}

/// The layer that adds most noise for its signal, where layers were compared alone.
pub fn worst_alone(layers: &[Comparison]) -> Option<&Comparison> {
    let own = |l: &&Comparison| l.own_sqnr_db().is_some_and(f64::is_finite);
    let db = |l: &Comparison| l.own_sqnr_db().unwrap_or(f64::INFINITY);
    layers.iter().filter(own).min_by(|a, b| db(a).total_cmp(&db(b)))
}

/// Runs both on every sample (the source's inputs) and compares every computed tensor that has the same name
/// and size on both sides, in the order in which the bundle computes them.
pub fn compare(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
) -> Result<Vec<Comparison>> {
    run(source, bundle, samples, false)
}

/// As [`compare`], and each layer alone too, which tells its own noise from what it inherits.
pub fn compare_alone(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
) -> Result<Vec<Comparison>> {
    run(source, bundle, samples, true)
}

fn run(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    alone: bool,
) -> Result<Vec<Comparison>> {
    let parsed = Bundle::check(bundle)?;
    let session = Session::load(&parsed, ops::ALL)?;
    let names = Names::of(&parsed)?;
    let interpreter = Interpreter::new(source)?;
    let plan = session.plan();
    let twins = Twins::of(source, &session, &names)?;
    // What each step leaves that the source has too.
    let mut watched: Vec<Watched> = Vec::new();
    let mut leaves: Vec<Option<(u16, TensorId)>> = Vec::new();
    for step in 0..session.steps() {
        let record = plan.step(step)?;
        let id = plan.operand(record.operands as usize + record.inputs as usize)?;
        let left = id.and_then(|id| Some((id, twins.source(id as usize)?)));
        leaves.push(left);
        let Some((_, twin)) = left else { continue };
        // A tensor is where its last strip is.
        let before = watched.iter().position(|w| w.twin == twin).map(|w| watched.remove(w));
        watched.push(before.unwrap_or_else(|| {
            let name = source.tensors[twin].name.clone();
            let own = alone.then(Noise::default);
            Watched { twin, seen: Comparison { name, own, ..Comparison::default() } }
        }));
    }
    if watched.is_empty() {
        return Err(Error::invalid("no layer of the bundle carries the name of one in the model")
            .remedy("compare a bundle with the model it was packed from"));
    }
    list_fused(source, &mut watched);
    let alone = match alone {
        true => Some(Alone::new(&parsed, &session, twins.len())?),
        false => None,
    };
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
        let place: BTreeMap<TensorId, usize> = watched.iter().enumerate().map(|(w, x)| (x.twin, w)).collect();
        let mut fresh = Fresh { twins: &twins, done: vec![0; watched.len()] };
        for (step, left) in leaves.iter().enumerate() {
            run.step(step)?;
            if let Some((id, twin)) = left
                && let (Some(want), Some(&w)) = (&want[*twin], place.get(twin))
            {
                let output = run.tensor(*id)?;
                fresh.add(w, *id, output.desc(), output.bytes(), want, &mut watched[w].seen.all);
            }
        }
        if let Some(alone) = &alone {
            let mut fresh = Fresh { twins: &twins, done: vec![0; watched.len()] };
            alone.run(&twins, &want, |step, value| {
                if let Some((id, twin)) = leaves[step]
                    && let (Some(want), Some(&w)) = (&want[twin], place.get(&twin))
                    && let Some(own) = &mut watched[w].seen.own
                {
                    fresh.add(w, id, &value.desc, value.bytes(), want, own);
                }
                Ok(())
            })?;
        }
    }
    let finished = watched.into_iter().map(|w| Comparison { max_error: w.seen.all.max_error, ..w.seen });
    Ok(finished.collect())
}

/// A tensor that is compared.
struct Watched {
    twin: TensorId,
    seen: Comparison,
}

/// What of each watched tensor has been counted in one run: strips may compute a row again.
struct Fresh<'t, 'n> {
    twins: &'t Twins<'n>,
    done: Vec<usize>,
}

impl Fresh<'_, '_> {
    /// Adds the elements of tensor `id` that none has added for watched tensor `w` before.
    fn add(&mut self, w: usize, id: u16, desc: &Desc, bytes: &[u8], want: &[f64], noise: &mut Noise) {
        let range = self.twins.elements(id as usize);
        let (start, size) = (range.start.max(self.done[w]), desc.dtype.size());
        let (Some(want), Some(bytes)) =
            (want.get(start..range.end), bytes.get((start - range.start) * size..))
        else {
            return;
        };
        let (got, saturated) = self.twins.reals(id as usize, desc, bytes);
        noise.add(want, &got, saturated);
        self.done[w] = range.end;
    }
}

/// Notes for each compared tensor which others of the source end in it.
fn list_fused(source: &Graph, watched: &mut [Watched]) {
    let mut ends: BTreeMap<TensorId, usize> = watched.iter().enumerate().map(|(w, x)| (x.twin, w)).collect();
    let mut fused: Vec<(usize, TensorId)> = Vec::new();
    for node in source.nodes.iter().rev() {
        let end = node.outputs.iter().find_map(|t| ends.get(t).copied());
        let Some(end) = end else { continue };
        for &t in node.inputs.iter().flatten() {
            let known =
                ends.contains_key(&t) || source.tensors[t].is_constant() || source.inputs.contains(&t);
            if !known {
                ends.insert(t, end);
                fused.push((end, t));
            }
        }
    }
    // In the order in which the source computes them.
    fused.reverse();
    for (end, t) in fused {
        watched[end].seen.fused.push(source.tensors[t].name.clone());
    }
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
