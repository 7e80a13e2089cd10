//! Which of the ways to recover accuracy pay, by measuring each on calibration data that it was not fitted to.
//!
//! Every fourth sample judges. Choices are made one after the other, each on top of those before: equalization,
//! ranges of activations, biases, rounding. What does not gain [`MARGIN`] on the judging samples stays out.

use samara_runtime::ops::eval::Value;

use super::recover::tape::{Tape, reals};
use super::recover::walk::as_input;
use super::recover::{self, recover};
use super::{Activations, Levels, Observations, RangeMethod, Recipe, WeightRounding, quantize};
use crate::error::{Error, Result};
use crate::interpret::Interpreter;
use crate::ir::{Function, Graph, Numeric, Op, TensorId};

/// Calibration samples, from the first one at every call; each the float graph's inputs.
pub type Samples<'a> = &'a dyn Fn() -> Box<dyn Iterator<Item = Result<Vec<Value>>> + 'a>;

/// A prepared float graph that may be quantized: the model as it is, or equalized.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Computes what every other candidate computes.
    pub graph: &'a Graph,
    /// Goes into the recipe.
    pub equalized: bool,
    /// What the samples that [`fits`] names show of its tensors, with histograms; not needed where activations
    /// stay floats.
    pub observations: Option<&'a Observations>,
}

/// How well a quantized graph does on the judging samples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// Signal to noise of the outputs, before a softmax, in decibels; noise over signal is averaged over outputs.
    /// Of one score per class only the differences count.
    pub sqnr_db: f64,
    /// Share of samples with the float model's class; `None` where no softmax or logistic makes the output.
    pub agreement: Option<f64>,
    /// Judging samples.
    pub samples: usize,
}

/// Choices that are made already; `None` is left to the samples.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Fixed {
    /// Ranges of activations.
    pub range: Option<RangeMethod>,
    /// Whether biases take up mean errors.
    pub correct_bias: Option<bool>,
    /// Rounding of weights.
    pub rounding: Option<WeightRounding>,
}

impl Fixed {
    /// Whether a recipe keeps to them.
    fn allows(&self, recipe: &Recipe) -> bool {
        self.range.is_none_or(|r| r == recipe.range || recipe.activations == Activations::F32)
            && self.correct_bias.is_none_or(|c| c == recipe.correct_bias)
            && self.rounding.is_none_or(|r| r == recipe.rounding)
    }
}

/// One recipe that was tried.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// All its choices.
    pub recipe: Recipe,
    /// What it gave.
    pub score: Score,
    /// Whether it was the best when it was tried.
    pub kept: bool,
}

/// The recipe that did best.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Index of the candidate it is for.
    pub candidate: usize,
    /// Formats as in the base, all else chosen.
    pub recipe: Recipe,
    /// Everything tried, in order.
    pub trials: Vec<Trial>,
}

/// Ranges that are tried.
pub const METHODS: [RangeMethod; 4] =
    [RangeMethod::MinMax, RangeMethod::Percentile(99.99), RangeMethod::Percentile(99.9), RangeMethod::Mse];
/// Decibels that a choice must gain.
pub const MARGIN: f64 = 0.1;
/// Most judging samples.
pub const JUDGES: usize = 64;
/// Every so many samples one judges.
const EVERY: usize = 4;

/// Whether calibration sample `n` fits ranges and weights while choices are made; the others judge. With few
/// samples all do both.
pub fn fits(n: usize, samples: usize) -> bool {
    samples < 2 * EVERY || n % EVERY != EVERY - 1
}

/// Whether calibration sample `n` judges.
pub fn judges(n: usize, samples: usize) -> bool {
    samples < 2 * EVERY || n % EVERY == EVERY - 1
}

/// Tries what the recipe's formats allow; of `base` only activations, weights and layers count. `samples` is the
/// number that `data` gives.
pub fn choose<'a>(
    candidates: &'a [Candidate<'a>],
    base: &Recipe,
    fixed: &Fixed,
    data: Samples<'a>,
    samples: usize,
    numeric: Numeric,
    options: recover::Options,
) -> Result<Choice> {
    let first = candidates.first().ok_or_else(|| Error::invalid("no float graph to quantize"))?;
    let judge = Judge::new(first.graph, data, samples)?;
    let mut search =
        Search { candidates, data, samples, numeric, options, judge, trials: Vec::new(), best: 0 };
    for (c, candidate) in candidates.iter().enumerate() {
        let (weights, layers) = (base.weights, base.layers.clone());
        let plain = Recipe {
            activations: base.activations,
            weights,
            layers,
            equalize: candidate.equalized,
            range: fixed.range.unwrap_or_default(),
            correct_bias: fixed.correct_bias.unwrap_or_default(),
            rounding: fixed.rounding.unwrap_or_default(),
        };
        search.attempt(c, plain)?;
    }
    let floats = base.activations == Activations::F32;
    for &range in if floats { &METHODS[..1] } else { &METHODS[..] } {
        search.change(fixed, |r| Recipe { range, ..r })?;
    }
    for rounding in [WeightRounding::Nearest, WeightRounding::Optimized] {
        for correct_bias in [false, true] {
            search.change(fixed, |r| Recipe { rounding, correct_bias, ..r })?;
        }
    }
    let (candidate, recipe) = match search.trials.get(search.best) {
        Some((candidate, best)) => (*candidate, best.recipe.clone()),
        None => return Err(Error::invalid("no recipe was tried")),
    };
    let trials = search.trials.into_iter().map(|(_, trial)| trial).collect();
    Ok(Choice { candidate, recipe, trials })
}

/// What was tried so far, each trial with its candidate.
struct Search<'a> {
    candidates: &'a [Candidate<'a>],
    data: Samples<'a>,
    samples: usize,
    numeric: Numeric,
    options: recover::Options,
    judge: Judge,
    trials: Vec<(usize, Trial)>,
    /// Index of the best trial.
    best: usize,
}

impl Search<'_> {
    /// Tries the best recipe with one change, unless that was tried before or is settled otherwise.
    fn change(&mut self, fixed: &Fixed, change: impl FnOnce(Recipe) -> Recipe) -> Result<()> {
        let (candidate, best) = &self.trials[self.best];
        let (candidate, recipe) = (*candidate, change(best.recipe.clone()));
        if fixed.allows(&recipe) { self.attempt(candidate, recipe) } else { Ok(()) }
    }

    fn attempt(&mut self, candidate: usize, recipe: Recipe) -> Result<()> {
        if self.trials.iter().any(|(_, t)| t.recipe == recipe) {
            return Ok(());
        }
        let Candidate { graph, observations, .. } = &self.candidates[candidate];
        let levels = if recipe.activations == Activations::Int16 { Levels::Int16 } else { Levels::Int8 };
        let ranges = observations.map(|o| o.ranges(recipe.range, levels)).transpose()?;
        let quantized = quantize(graph, &recipe, ranges.as_ref(), self.numeric)?;
        let samples = (self.data)().enumerate().filter(|(n, _)| fits(*n, self.samples)).map(|(_, s)| s);
        let (quantized, _) = recover(graph, quantized, &recipe, samples, &self.options)?;
        let score = self.judge.score(&quantized, usize::MAX)?;
        let kept = self.trials.get(self.best).is_none_or(|(_, best)| better(&score, &best.score));
        if kept {
            self.best = self.trials.len();
        }
        self.trials.push((candidate, Trial { recipe, score, kept }));
        Ok(())
    }
}

/// More signal by the margin, unless that costs agreement; or clearly more agreement.
fn better(new: &Score, old: &Score) -> bool {
    let one = 1.0 / new.samples.max(1) as f64;
    match (new.agreement, old.agreement) {
        (Some(a), Some(b)) if a < b - 1.5 * one => false,
        (Some(a), Some(b)) if a > b + 2.5 * one => new.sqnr_db > old.sqnr_db - 10.0 * MARGIN,
        _ => new.sqnr_db > old.sqnr_db + MARGIN,
    }
}

/// Judging samples and what the float model makes of them, in temporary files.
pub struct Judge {
    inputs: Vec<Tape>,
    outputs: Vec<Tape>,
    count: usize,
    /// Whether the greatest element of the first output is a class.
    classes: bool,
}

impl Judge {
    /// Runs the float graph on the judging ones of `data`'s `samples` samples.
    pub fn new(float: &Graph, data: Samples<'_>, samples: usize) -> Result<Self> {
        let tapes = |ids: &[TensorId]| -> Result<Vec<Tape>> {
            ids.iter().map(|&t| Tape::new(float.tensors[t].desc()?)).collect()
        };
        let watched = judged(float);
        let (mut inputs, mut outputs) = (tapes(&float.inputs)?, tapes(&watched)?);
        let interpreter = Interpreter::new(float)?;
        let judging = data().enumerate().filter(|(n, _)| judges(*n, samples)).map(|(_, s)| s);
        let mut count = 0;
        for sample in judging.take(JUDGES) {
            let sample = sample?;
            for (tape, value) in inputs.iter_mut().zip(&sample) {
                tape.push(value)?;
            }
            interpreter.run(sample, |t, value| {
                let places = watched.iter().zip(&mut outputs).filter(|(w, _)| **w == t);
                places.map(|(_, tape)| tape).try_for_each(|tape| tape.push(value))
            })?;
            count += 1;
        }
        if count == 0 {
            return Err(Error::invalid("the calibration data holds no sample"));
        }
        let classes = has_classes(float, &watched);
        Ok(Judge { inputs, outputs, count, classes })
    }

    /// Runs a quantized graph on at most `most` judging samples.
    pub fn score(&mut self, graph: &Graph, most: usize) -> Result<Score> {
        let count = self.count.min(most.max(1));
        let interpreter = Interpreter::new(graph)?;
        let watched = judged(graph);
        self.inputs.iter_mut().chain(&mut self.outputs).try_for_each(Tape::rewind)?;
        let mut power = vec![[0.0; 2]; watched.len()];
        let mut same = 0;
        let (mut want, mut got) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let inputs = graph.inputs.iter().zip(&mut self.inputs);
            let inputs = inputs.map(|(&t, tape)| as_input(graph, t, &tape.next()?)).collect::<Result<_>>()?;
            let mut made: Vec<Option<Value>> = vec![None; watched.len()];
            interpreter.run(inputs, |t, value| {
                let places = watched.iter().zip(&mut made).filter(|(w, _)| **w == t);
                places.for_each(|(_, m)| *m = Some(value.clone()));
                Ok(())
            })?;
            for (i, (tape, made)) in self.outputs.iter_mut().zip(&made).enumerate() {
                reals(&tape.next()?, &mut want);
                let made = made.as_ref().ok_or_else(|| Error::invalid("an output is not computed"))?;
                reals(made, &mut got);
                if self.classes && i == 0 {
                    // What all classes gain alike changes no answer.
                    centre(&mut want);
                    centre(&mut got);
                }
                for (w, g) in want.iter().zip(&got) {
                    power[i][0] += w * w;
                    power[i][1] += (w - g) * (w - g);
                }
                same += usize::from(i == 0 && greatest(&want) == greatest(&got));
            }
        }
        let ratio = |[signal, noise]: &[f64; 2]| if *signal > 0.0 { noise / signal } else { *noise };
        let noise = power.iter().map(ratio).sum::<f64>() / power.len().max(1) as f64;
        let sqnr_db = if noise > 0.0 { -10.0 * libm::log10(noise) } else { f64::INFINITY };
        let agreement = self.classes.then(|| same as f64 / count as f64);
        Ok(Score { sqnr_db, agreement, samples: count })
    }
}

/// The outputs; for one that a softmax or logistic makes, what that reads.
fn judged(graph: &Graph) -> Vec<TensorId> {
    let before = |&output: &TensorId| {
        let node = graph.nodes.iter().find(|n| n.outputs.contains(&output));
        let squashes =
            |op: &Op| matches!(op, Op::Softmax { .. } | Op::Unary { function: Function::Logistic });
        node.filter(|n| squashes(&n.op)).and_then(|n| n.inputs.first().copied().flatten()).unwrap_or(output)
    };
    graph.outputs.iter().map(before).collect()
}

/// Most classes: outputs with more elements are taken for signals.
const MAX_CLASSES: usize = 1000;

/// Whether output 0 is one score per class: a softmax makes it, or it looks like the scores before one.
fn has_classes(graph: &Graph, watched: &[TensorId]) -> bool {
    let Some(scores) = watched.first().map(|&t| &graph.tensors[t]) else { return false };
    let n = scores.elements();
    let is_input = graph.inputs.iter().any(|&i| graph.tensors[i].elements() == n);
    let looks = (2..=MAX_CLASSES).contains(&n) && scores.shape.last() == Some(&n) && !is_input;
    watched.first() != graph.outputs.first() || looks
}

fn centre(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter_mut().for_each(|v| *v -= mean);
}

/// The first of the greatest elements.
fn greatest(values: &[f64]) -> Option<usize> {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b]))
}
