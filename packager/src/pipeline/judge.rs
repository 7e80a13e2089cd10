//! How much of a float model's answers a quantized graph keeps: what choices are made by.

use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype};

use crate::data::dataset::Dataset;
use crate::error::{About, Error, Result};
use crate::interpret::Interpreter;
use crate::ir::{Graph, Op, Tensor, TensorId};
use crate::{data, lower};

/// Most samples that are judged on.
const SAMPLES: usize = 128;
/// Most bytes of answers that are kept: further samples are left out.
const MAX_BYTES: usize = 64 << 20;
/// Most classes: outputs with more elements are taken for signals.
const MAX_CLASSES: usize = 1000;

/// Samples with the float model's answers to them.
#[derive(Debug)]
pub struct Judge {
    samples: Vec<Vec<Value>>,
    answers: Vec<Vec<f64>>,
    /// Name of the tensor that is judged: output 0, or what its softmax reads.
    answer: String,
    /// Whether an answer is one score per class, of which only the differences say something.
    classes: bool,
}

/// What one graph keeps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    /// Power of the error over power of the answers; for classes, of their differences from the mean.
    pub noise: f64,
    /// Share of samples whose greatest score is the float model's too; for classes only.
    pub agreement: Option<f64>,
}

impl Verdict {
    /// Signal to noise in decibels.
    pub fn db(&self) -> f64 {
        if self.noise > 0.0 { -10.0 * libm::log10(self.noise) } else { f64::INFINITY }
    }
}

impl Judge {
    /// Runs the float graph on at most [`SAMPLES`] samples.
    pub fn new(float: &Graph, samples: impl Iterator<Item = Result<Vec<Value>>>) -> Result<Self> {
        let output = *float.outputs.first().ok_or_else(|| Error::invalid("the model has no output"))?;
        let softmax =
            float.nodes.iter().find(|n| n.outputs == [output] && matches!(n.op, Op::Softmax { .. }));
        let t = softmax.and_then(|n| n.inputs[0]).unwrap_or(output);
        let tensor = &float.tensors[t];
        let elements = tensor.elements();
        let input = float.inputs.first().map_or(0, |&i| float.tensors[i].elements());
        let classes = (2..=MAX_CLASSES).contains(&elements)
            && elements != input
            && tensor.shape.last() == Some(&elements);
        let mut judge =
            Judge { samples: Vec::new(), answers: Vec::new(), answer: tensor.name.clone(), classes };
        let interpreter = Interpreter::new(float)?;
        let mut bytes = 0;
        for sample in samples.take(SAMPLES) {
            let sample = sample?;
            bytes += sample.iter().map(|v| v.bytes().len()).sum::<usize>() + 8 * elements;
            if bytes > MAX_BYTES && !judge.samples.is_empty() {
                break;
            }
            let answer = answer(&interpreter, float, t, sample.clone())?;
            judge.samples.push(sample);
            judge.answers.push(answer);
        }
        if judge.samples.is_empty() {
            return Err(Error::invalid("there is no sample to judge on"));
        }
        Ok(judge)
    }

    /// A quantized graph of the same model on the first `most` samples.
    pub fn verdict(&self, quantized: &Graph, most: usize) -> Result<Verdict> {
        let named = |t: &Tensor| t.name == self.answer && !t.is_constant();
        let t = quantized.tensors.iter().position(named).ok_or_else(|| {
            Error::invalid("is not in the quantized graph").about(format_args!("tensor '{}'", self.answer))
        })?;
        let interpreter = Interpreter::new(quantized)?;
        let (mut signal, mut noise, mut same, mut count) = (0.0, 0.0, 0usize, 0usize);
        for (sample, want) in self.samples.iter().zip(&self.answers).take(most.max(1)) {
            let mut inputs = Vec::with_capacity(sample.len());
            for (value, &i) in sample.iter().zip(&quantized.inputs) {
                inputs.push(converted(value, &quantized.tensors[i])?);
            }
            let got = answer(&interpreter, quantized, t, inputs)?;
            let middle = |v: &[f64]| {
                if self.classes { v.iter().sum::<f64>() / v.len() as f64 } else { 0.0 }
            };
            let (a, b) = (middle(want), middle(&got));
            for (w, g) in want.iter().zip(&got) {
                signal += (w - a) * (w - a);
                noise += (w - a - g + b) * (w - a - g + b);
            }
            same += usize::from(greatest(want) == greatest(&got));
            count += 1;
        }
        let agreement = self.classes.then(|| same as f64 / count as f64);
        Ok(Verdict {
            noise: if noise == 0.0 { 0.0 } else { noise / signal.max(f64::MIN_POSITIVE) },
            agreement,
        })
    }
}

fn greatest(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// Real values of tensor `t` in one run.
fn answer(interpreter: &Interpreter<'_>, graph: &Graph, t: TensorId, inputs: Vec<Value>) -> Result<Vec<f64>> {
    let mut found = None;
    let desc = graph.tensors[t].desc()?;
    interpreter.run(inputs, |id, value| {
        if id == t {
            found = Some(reals(value, &desc));
        }
        Ok(())
    })?;
    found.ok_or_else(|| Error::invalid("nothing computes it")).about(&graph.tensors[t].name)
}

fn reals(value: &Value, desc: &Desc) -> Vec<f64> {
    let real = |level: i32| f64::from(desc.scale) * f64::from(level.wrapping_sub(desc.zero_point));
    match desc.dtype {
        Dtype::F32 => value.elements::<f32>().iter().map(|&x| f64::from(x)).collect(),
        Dtype::I16 => value.elements::<i16>().iter().map(|&q| real(q.into())).collect(),
        Dtype::I32 => value.elements::<i32>().iter().map(|&q| q.into()).collect(),
        Dtype::U8 | Dtype::Bool => value.bytes().iter().map(|&q| real(q.into())).collect(),
        _ => value.elements::<i8>().iter().map(|&q| real(q.into())).collect(),
    }
}

/// A float model's input as the quantized graph takes it.
fn converted(value: &Value, to: &Tensor) -> Result<Value> {
    if value.desc.dtype == to.dtype {
        return Ok(value.clone());
    }
    lower::parameters(to)?;
    let mut out = Value::zeros(to.desc()?);
    let mut levels = Vec::with_capacity(out.bytes().len());
    data::samples::quantize(value.elements::<f32>(), &out.desc, &mut levels)?;
    out.bytes_mut().copy_from_slice(&levels);
    Ok(out)
}

/// Every fourth sample is judged on, the others are fitted to; few samples serve for both.
pub struct Split<'a>(pub &'a dyn Dataset);

/// One in so many samples is judged on.
const HELD: usize = 4;

impl Split<'_> {
    fn is_small(&self) -> bool {
        self.0.len() < 2 * HELD
    }

    /// To fit to.
    pub fn fit(&self) -> impl Iterator<Item = Result<Vec<Value>>> + '_ {
        let small = self.is_small();
        self.0.pass().enumerate().filter(move |(n, _)| small || n % HELD != 0).map(|(_, s)| s)
    }

    /// To judge on, spread evenly.
    pub fn held(&self) -> impl Iterator<Item = Result<Vec<Value>>> + '_ {
        let step = if self.is_small() { 1 } else { HELD * self.0.len().div_ceil(HELD * SAMPLES) };
        self.0.pass().step_by(step)
    }
}
