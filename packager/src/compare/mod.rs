//! Layer by layer: what a bundle computes against the graph it was packed from.
//!
//! Tensors are matched by name. Scaling by equalization is undone; what the bundle fused away counts to the
//! tensor after it, the last that both have.

mod alone;
mod names;
mod noise;

use std::collections::{BTreeMap, HashMap};

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
    for step in 0..session.steps() {
        let record = plan.step(step)?;
        let at = record.operands as usize + record.inputs as usize;
        let Some(id) = plan.operand(at)? else { continue };
        if let Some(&Some(twin)) = twins.source.get(id as usize) {
            let name = source.tensors[twin].name.clone();
            let own = alone.then(Noise::default);
            watched.push(Watched { step, id, twin, seen: Comparison { name, own, ..Comparison::default() } });
        }
    }
    if watched.is_empty() {
        return Err(Error::invalid("no layer of the bundle carries the name of one in the model")
            .remedy("compare a bundle with the model it was packed from"));
    }
    list_fused(source, &mut watched);
    let alone = match alone {
        true => Some(Alone::new(&parsed, &session, twins.source.len())?),
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
        let mut pending = watched.iter_mut().peekable();
        for step in 0..session.steps() {
            run.step(step)?;
            if let Some(w) = pending.next_if(|w| w.step == step) {
                let output = run.tensor(w.id)?;
                let (got, saturated) = twins.reals(w.id as usize, output.desc(), output.bytes());
                if let Some(want) = &want[w.twin] {
                    w.seen.all.add(want, &got, saturated);
                }
            }
        }
        if let Some(alone) = &alone {
            let mut pending = watched.iter_mut().peekable();
            alone.run(&twins, &want, |step, value| {
                if let Some(w) = pending.next_if(|w| w.step == step)
                    && let (Some(want), Some(own)) = (&want[w.twin], &mut w.seen.own)
                {
                    let (got, saturated) = twins.reals(w.id as usize, &value.desc, value.bytes());
                    own.add(want, &got, saturated);
                }
                Ok(())
            })?;
        }
    }
    let finished = watched.into_iter().map(|w| Comparison { max_error: w.seen.all.max_error, ..w.seen });
    Ok(finished.collect())
}

/// A step whose output is compared.
struct Watched {
    step: usize,
    id: u16,
    twin: TensorId,
    seen: Comparison,
}

/// The source's tensors to a bundle's, by tensor id of the bundle.
struct Twins<'n> {
    source: Vec<Option<TensorId>>,
    /// What equalization divided the channels by.
    factors: Vec<Option<&'n [f64]>>,
}

impl<'n> Twins<'n> {
    fn of(source: &Graph, session: &Session<'_>, names: &'n Names) -> Result<Self> {
        let computed = source.tensors.iter().enumerate().filter(|(_, t)| !t.is_constant());
        let by_name: HashMap<&str, usize> = computed.map(|(t, tensor)| (&tensor.name[..], t)).collect();
        let mut twins = Twins { source: Vec::new(), factors: Vec::new() };
        for id in 0..session.plan().header.tensors {
            let id = u16::try_from(id).map_err(|_| Error::invalid("it has more tensors than ids"))?;
            let shape = session.plan().tensor(id)?.desc.shape;
            let name: &str = names.tensors.get(id as usize).map_or("", |n| n);
            let twin = by_name.get(name).copied();
            twins.source.push(twin.filter(|&t| source.tensors[t].elements() == shape.elements()));
            let factors = names.equalized.get(name).map(|f| &f[..]);
            let last = shape.dims().last().copied().unwrap_or(1) as usize;
            if factors.is_some_and(|f| !last.is_multiple_of(f.len())) {
                return Err(Error::invalid(format!(
                    "its factors of tensor '{name}' do not divide its channels"
                )));
            }
            twins.factors.push(factors);
        }
        Ok(twins)
    }

    /// What tensor `id` stands for in the source, and how many of its elements are at an end of their range.
    fn reals(&self, id: usize, desc: &Desc, bytes: &[u8]) -> (Vec<f64>, u64) {
        let (mut values, saturated) = reals(desc, bytes);
        if let Some(factors) = self.factors[id] {
            // The last dimension is a multiple of the factors' number.
            values.iter_mut().enumerate().for_each(|(k, v)| *v *= factors[k % factors.len()]);
        }
        (values, saturated)
    }

    /// The source's values as tensor `id` holds them.
    fn stored(&self, id: usize, desc: Desc, reals: &[f64]) -> Result<Value> {
        let factor = |k: usize| self.factors[id].map_or(1.0, |f| f[k % f.len()]);
        let scaled: Vec<f32> = reals.iter().enumerate().map(|(k, x)| (x / factor(k)) as f32).collect();
        alone::levels(desc, &scaled)
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
