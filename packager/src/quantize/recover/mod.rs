//! Accuracy recovery without retraining: layer by layer, weights and biases are chosen anew so that the quantized
//! layer, on the inputs that the quantized layers before it make, keeps closest to the float layer.
//!
//! Both graphs are walked side by side, node by node, over all samples; what is alive between nodes lies in
//! temporary files, so memory does not grow with the samples. Per layer, with float inputs `x`, inputs `x^` of
//! the quantized graph and weights `W`, the error is `E |W x - V x^|^2` over the weights `V` that the format can
//! hold: a quadratic form in `V` with the second moments of `x^`. The codes follow from rounding with error
//! feedback (GPTQ, Frantar et al. 2022) and descent over single weights (the objective of AdaRound, Nagel et al.
//! 2020, without its relaxation). A quarter of the samples is held out, and a channel for which they say that
//! nearest rounding is better keeps it.

mod channel;
mod layer;
mod moments;
mod patches;
mod quadratic;
mod table;
pub(crate) mod tape;
pub(crate) mod walk;

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use super::weights::bias::Input;
use super::weights::layer::Layer;
use super::weights::{encode, nearest};
use super::{Activations, Recipe, WeightRounding, Weights};
use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Tensor};
use layer::Observed;
use moments::Moments;
use patches::Patches;
use tape::Tape;
use walk::Side;

/// How much data recovery looks at.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most samples; those after are not read.
    pub samples: usize,
    /// Most output positions of one layer, over all samples.
    pub positions: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 256, positions: 8192 }
    }
}

/// What recovery did to one layer, by the samples that were held out.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The node's name.
    pub node: String,
    /// Signal to noise of the layer's own output with nearest rounding, in decibels, on the inputs that it has in
    /// the quantized graph.
    pub nearest_db: f64,
    /// The same with what was kept.
    pub kept_db: f64,
    /// Output channels with other weights than nearest rounding gives.
    pub moved: usize,
    /// Output channels.
    pub channels: usize,
}

/// Weights per output channel from which second moments are kept in blocks of [`BLOCK`] instead of whole.
const WHOLE: usize = 1024;
/// Columns of a block; inputs of different blocks count as independent.
const BLOCK: usize = 512;
/// Every so many samples one is held out.
const HELD: usize = 4;

/// Improves the weights and biases of a graph that [`super::quantize`] made from `float` with `recipe`.
///
/// `samples` are inputs of the float graph. The recipe says what may change: rounding, biases, both; with
/// neither the graph is returned as it is.
pub fn recover(
    float: &Graph,
    quantized: Graph,
    recipe: &Recipe,
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    options: &Options,
) -> Result<(Graph, Vec<Outcome>)> {
    if !recipe.correct_bias && recipe.rounding == WeightRounding::Nearest {
        return Ok((quantized, Vec::new()));
    }
    let (mut left, mut right) = (Side::new(float)?, Side::new(&quantized)?);
    let samples = samples.take(options.samples);
    let count = walk::record(float, &quantized, &mut left, &mut right, samples)?;
    let has_codes = |format| match format {
        Weights::Int8 | Weights::Int4 { .. } | Weights::Palette => true,
        Weights::F32 | Weights::F16 => false,
    };
    let changes = |n: &Node| n.op.has_weights() && has_codes(recipe.weights_of(&n.name));
    let last = quantized.nodes.iter().rposition(changes);
    let (mut walk, mut outcomes) =
        (Walk { float, quantized, recipe, options, left, right, count }, Vec::new());
    let mut next = 0;
    for n in 0..last.map_or(0, |l| l + 1) {
        let node = &walk.quantized.nodes[n];
        if changes(node) {
            let subject = format!("node '{}' ({})", node.name, node.op.name());
            // Constraints may have put nodes in or taken some out, never reordered layers.
            let is_twin = |f: &Node| f.name == node.name && f.op.has_weights();
            let twin = float.nodes[next..].iter().position(is_twin).map(|at| next + at);
            let twin =
                twin.ok_or_else(|| Error::invalid("the float model has no such layer")).about(&subject)?;
            while next < twin {
                walk.left.run(float, next, count)?;
                next += 1;
            }
            outcomes.push(walk.solve(twin, n).about(&subject)?);
        }
        if Some(n) != last {
            walk.right.run(&walk.quantized, n, count)?;
        }
    }
    Ok((walk.quantized, outcomes))
}

/// Both graphs and how far they have run.
struct Walk<'a> {
    float: &'a Graph,
    quantized: Graph,
    recipe: &'a Recipe,
    options: &'a Options,
    left: Side,
    right: Side,
    /// Samples.
    count: usize,
}

impl Walk<'_> {
    /// Observes one layer over all samples, solves it and puts its new constants into node `n`.
    fn solve(&mut self, twin: usize, n: usize) -> Result<Outcome> {
        let (mut node, twin) = (self.quantized.nodes[n].clone(), &self.float.nodes[twin]);
        let layer = Layer::of(self.float, twin)?;
        let input = input_of(self.quantized.input(&node, 0))?;
        let block = if layer.inner > WHOLE { BLOCK } else { WHOLE };
        let patches = Patches::of(self.float, twin, &layer, block)?;
        let first = |n: &Node| n.inputs.first().copied().flatten();
        let tapes = [self.left.reader(first(twin))?, self.right.reader(first(&node))?];
        let observed = observe(&layer, patches, tapes, self.count, self.options)?;
        let start = nearest(&layer, self.recipe.weights_of(&node.name), &input)?;
        let solved = layer::solve(&layer, &observed, &input, &start, self.recipe)?;
        encode::weights(&mut self.quantized, &mut node, &layer, &solved.coded)?;
        let bias = (layer.bias.is_some() || self.recipe.correct_bias).then_some(&solved.bias[..]);
        encode::bias(&mut self.quantized, &mut node, &solved.coded, bias, &input);
        let name = node.name.clone();
        self.quantized.nodes[n] = node;
        let [signal, before, after] = solved.power;
        let db = |noise: f64| if noise > 0.0 { 10.0 * libm::log10(signal / noise) } else { f64::INFINITY };
        Ok(Outcome {
            node: name,
            nearest_db: db(before),
            kept_db: db(after),
            moved: solved.moved,
            channels: layer.channels,
        })
    }
}

/// What a layer's constants depend on, from its input tensor.
fn input_of(x: Option<&Tensor>) -> Result<Input> {
    let x = x.ok_or_else(|| Error::invalid("it has no input"))?;
    let format = match x.dtype {
        Dtype::F32 => Activations::F32,
        Dtype::I16 => Activations::Int16,
        _ => Activations::Int8,
    };
    Input::of(x.quant.as_ref(), format)
}

/// Sums moments over all samples.
fn observe(
    layer: &Layer,
    patches: Patches,
    [float_tape, tape]: [&mut Tape; 2],
    count: usize,
    options: &Options,
) -> Result<Observed> {
    let new = || -> Vec<Moments> {
        patches.units.iter().map(|u| Moments::new(u.columns.len(), u.outputs.len())).collect()
    };
    let (mut fit, mut held) = (new(), new());
    // Few columns are known from few positions.
    let columns = patches.units.iter().map(|u| u.columns.len()).max().unwrap_or(1);
    let wanted = (16 * columns).clamp(options.positions.min(4096), options.positions);
    let per_sample = wanted.div_ceil(count.max(1)).min(patches.positions());
    let [mut x, mut float_rows, mut rows, mut xs, mut ys] = [const { Vec::new() }; 5];
    let weights: Vec<Vec<f64>> = (0..layer.channels).map(|o| layer.row(o)).collect();
    for sample in 0..count {
        let positions = patches::choose(patches.positions(), per_sample, sample);
        tape::reals(&float_tape.next()?, &mut x);
        patches.extract(&x, &positions, &mut float_rows);
        tape::reals(&tape.next()?, &mut x);
        patches.extract(&x, &positions, &mut rows);
        let judges = count >= 2 * HELD && sample % HELD == HELD - 1;
        let moments = if judges { &mut held } else { &mut fit };
        for (unit, moments) in patches.units.iter().zip(moments) {
            xs.clear();
            ys.clear();
            let mut y = Vec::with_capacity(unit.columns.len());
            for (float_row, row) in float_rows.chunks_exact(patches.len).zip(rows.chunks_exact(patches.len)) {
                xs.extend(unit.columns.iter().map(|&c| row[c]));
                y.clear();
                y.extend(unit.columns.iter().map(|&c| float_row[c]));
                let end = unit.first + y.len();
                ys.extend(unit.outputs.clone().map(|o| moments::dot(&weights[o][unit.first..end], &y)));
            }
            moments.add(&xs, &ys);
        }
    }
    fit.iter_mut().chain(&mut held).for_each(Moments::finish);
    Ok(Observed { patches, fit, held, samples: count })
}
