//! One layer: what was observed of it in, better weights and bias out.

use super::channel::{self, Block};
use super::moments::{Moments, dot};
use super::patches::Patches;
use super::quadratic::Quadratic;
use super::table::Equations;
use crate::error::Result;
use crate::quantize::weights::bias::{self, Input};
use crate::quantize::weights::coded::Coded;
use crate::quantize::weights::grid::Levels;
use crate::quantize::weights::layer::Layer;
use crate::quantize::weights::palette;
use crate::quantize::{Recipe, WeightRounding};

/// What samples showed of a layer, by unit.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Geometry.
    pub(crate) patches: Patches,
    /// Of the samples that weights are fitted to.
    pub(crate) fit: Vec<Moments>,
    /// Of the others, which judge.
    pub(crate) held: Vec<Moments>,
    /// Samples in all.
    pub(crate) samples: usize,
}

/// New constants of a layer.
#[derive(Debug)]
pub(crate) struct Solved {
    pub(crate) coded: Coded,
    /// One per output channel.
    pub(crate) bias: Vec<f64>,
    /// Channels that left nearest rounding.
    pub(crate) moved: usize,
    /// Mean squared output, and mean squared error before and after, summed over channels.
    pub(crate) power: [f64; 3],
}

/// Damping of second moments relative to their mean diagonal, and its share per column and position.
const DAMPING: [f64; 2] = [0.01, 0.1];
/// How much of a mean error counts where the bias is corrected: the rest, the bias makes up for. Not none, because
/// means over few samples are uncertain.
const MEAN: f64 = 0.5;
/// Times that palette levels and indices follow each other.
const TABLE_ROUNDS: usize = 3;

/// Chooses weights from `start` and the bias as the recipe asks.
pub(crate) fn solve(
    layer: &Layer,
    observed: &Observed,
    input: &Input,
    start: &Coded,
    recipe: &Recipe,
) -> Result<Solved> {
    let mut coded = start.clone();
    let mut moved = vec![false; layer.channels];
    if recipe.rounding == WeightRounding::Optimized {
        let better = optimize(layer, observed, input, start, recipe.correct_bias);
        // One table for all channels is taken or left as a whole.
        let shared = better.tables().len() == 1;
        let errors = |o| {
            let error = |coded: &Coded| judge(layer, observed, coded, o, recipe.correct_bias);
            (error(start), error(&better))
        };
        let errors: Vec<(f64, f64)> = (0..layer.channels).map(errors).collect();
        let (before, after) = errors.iter().fold((0.0, 0.0), |(b, a), e| (b + e.0, a + e.1));
        for o in 0..layer.channels {
            let wins = if shared { after < before } else { errors[o].1 < errors[o].0 };
            if wins {
                let codes: Vec<i8> = (0..layer.inner).map(|k| better.codes[layer.index(o, k)]).collect();
                coded.set(layer, o, &codes, better.grids[o].clone());
                moved[o] = true;
            }
        }
    }
    let mut reals: Vec<f64> = (0..layer.channels).map(|o| layer.bias_at(o)).collect();
    if recipe.correct_bias {
        for (o, real) in reals.iter_mut().enumerate() {
            *real += correction(layer, observed, &coded, o);
        }
    }
    bias::fit(layer, &mut coded, &reals, input)?;
    let mut power = [0.0; 3];
    for o in 0..layer.channels {
        power[0] += units(observed, layer, o).map(|(_, held, unit)| held.yy[unit.0]).sum::<f64>();
        power[1] += judge(layer, observed, start, o, recipe.correct_bias);
        power[2] += judge(layer, observed, &coded, o, recipe.correct_bias);
    }
    Ok(Solved { coded, bias: reals, moved: moved.iter().filter(|&&m| m).count(), power })
}

/// The units of channel `o` with its moments: fitted, judging, (output within the unit, first weight).
fn units<'a>(
    observed: &'a Observed,
    layer: &Layer,
    o: usize,
) -> impl Iterator<Item = (&'a Moments, &'a Moments, (usize, usize))> {
    // Units are in the order of their outputs, equally many per run of outputs.
    let units = &observed.patches.units;
    let width = units.first().map_or(1, |u| u.outputs.len()).max(1);
    let per_run = units.len() / (layer.channels / width).max(1);
    let from = o / width * per_run;
    (from..from + per_run).map(move |u| {
        let held = if observed.held[u].count > 0.0 { &observed.held[u] } else { &observed.fit[u] };
        (&observed.fit[u], held, (o - units[u].outputs.start, units[u].first))
    })
}

/// Mean squared error of channel `o` on the judging samples, with the offset that the fitted ones suggest.
fn judge(layer: &Layer, observed: &Observed, coded: &Coded, o: usize, correct_bias: bool) -> f64 {
    let row = coded.row(layer, o);
    let one = |(fit, held, (output, first)): (&Moments, &Moments, (usize, usize))| {
        let v = &row[first..first + fit.k];
        let offset = if correct_bias { fit.y[output] - dot(v, &fit.x) } else { 0.0 };
        held.error(output, v, offset)
    };
    units(observed, layer, o).map(one).sum()
}

/// The mean error of channel `o` over all samples, less where few samples make it uncertain.
fn correction(layer: &Layer, observed: &Observed, coded: &Coded, o: usize) -> f64 {
    let row = coded.row(layer, o);
    let (mut mean, mut variance) = (0.0, 0.0);
    for (u, (fit, _, (output, first))) in units(observed, layer, o).enumerate() {
        let v = &row[first..first + fit.k];
        let held = &observed.held[unit_index(observed, layer, o) + u];
        let of = |m: &Moments| m.y[output] - dot(v, &m.x);
        let all = (of(fit) * fit.count + of(held) * held.count) / (fit.count + held.count).max(1.0);
        mean += all;
        variance += fit.error(output, v, of(fit));
    }
    let doubt = variance / observed.samples.max(1) as f64;
    if mean == 0.0 { 0.0 } else { mean * (mean * mean / (mean * mean + doubt)) }
}

fn unit_index(observed: &Observed, layer: &Layer, o: usize) -> usize {
    let units = &observed.patches.units;
    let width = units.first().map_or(1, |u| u.outputs.len()).max(1);
    o / width * (units.len() / (layer.channels / width).max(1))
}

/// Weights of the least error on the fitted samples, channel by channel.
fn optimize(layer: &Layer, observed: &Observed, input: &Input, start: &Coded, correct_bias: bool) -> Coded {
    let centred = if correct_bias { 1.0 - MEAN } else { 0.0 };
    let prepared: Vec<Quadratic> = observed.fit.iter().map(|m| quadratic(m, centred)).collect();
    let blocks: Vec<Vec<Block<'_>>> =
        (0..layer.channels).map(|o| blocks_of(layer, observed, &prepared, o, centred)).collect();
    let floor = |o| input.floor(layer.bias_at(o));
    let mut coded = start.clone();
    for (o, blocks) in blocks.iter().enumerate() {
        let (codes, grid) = channel::optimize(blocks, &start.grids[o], floor(o));
        coded.set(layer, o, &codes, grid);
    }
    if matches!(coded.grids.first().map(|g| &g.levels), Some(Levels::Table(_))) {
        for _ in 0..TABLE_ROUNDS {
            fit_tables(layer, &blocks, &mut coded, floor);
        }
    }
    coded
}

/// Palette levels for the present indices, then indices for those levels.
fn fit_tables(layer: &Layer, blocks: &[Vec<Block<'_>>], coded: &mut Coded, floor: impl Fn(usize) -> f64) {
    let row = |coded: &Coded, o: usize| -> Vec<i8> {
        (0..layer.inner).map(|k| coded.codes[layer.index(o, k)]).collect()
    };
    let old: Vec<[i8; 16]> = coded
        .grids
        .iter()
        .filter_map(|g| match &g.levels {
            Levels::Table(t) => Some(*t),
            Levels::Uniform { .. } | Levels::Grouped { .. } => None,
        })
        .collect();
    let shared = old.windows(2).all(|w| w[0] == w[1]);
    let mut equations = Equations::new();
    for (o, blocks) in blocks.iter().enumerate() {
        if !shared {
            equations = Equations::new();
        }
        equations.add(blocks, &row(coded, o), coded.grids[o].scale);
        if !shared {
            coded.grids[o].levels = Levels::Table(palette::table(&equations.solve(&old[o])));
        }
    }
    if shared && let Some(old) = old.first() {
        let table = palette::table(&equations.solve(old));
        coded.grids.iter_mut().for_each(|g| g.levels = Levels::Table(table));
    }
    for (o, blocks) in blocks.iter().enumerate() {
        let (codes, grid) = channel::refine(blocks, &row(coded, o), &coded.grids[o], floor(o));
        coded.set(layer, o, &codes, grid);
    }
}

/// `centred` is the share of the mean error that the bias makes up for.
fn quadratic(m: &Moments, centred: f64) -> Quadratic {
    let k = m.k;
    let mut gram = m.gram.clone();
    for i in 0..k {
        for j in 0..k {
            gram[i * k + j] -= centred * m.x[i] * m.x[j];
        }
    }
    Quadratic::new(k, &gram, DAMPING[0] + DAMPING[1] * k as f64 / m.count.max(1.0))
}

/// Targets: the float weights, moved to where the errors of earlier layers are made up for.
fn blocks_of<'a>(
    layer: &Layer,
    observed: &Observed,
    prepared: &'a [Quadratic],
    o: usize,
    centred: f64,
) -> Vec<Block<'a>> {
    let row = layer.row(o);
    let from = unit_index(observed, layer, o);
    units(observed, layer, o)
        .enumerate()
        .map(|(u, (m, _, (output, first)))| {
            let quadratic = &prepared[from + u];
            let (w, k) = (&row[first..first + m.k], m.k);
            let offset = centred * (m.y[output] - dot(w, &m.x));
            // The part of the error that the inputs explain.
            let residual: Vec<f64> = (0..k)
                .map(|i| m.cross[output * k + i] - dot(w, &m.gram[i * k..(i + 1) * k]) - offset * m.x[i])
                .collect();
            let step = quadratic.solve(&quadratic.places(&residual));
            let target = quadratic.places(w).iter().zip(step).map(|(w, s)| w + s).collect();
            Block { quadratic, target, first }
        })
        .collect()
}
