//! From calibration data to an integer graph: what helps is found out by trying, on samples held out.

use samara_runtime::ops::eval::Value;

use super::judge::{Judge, Split, Verdict};
use crate::data::dataset::Dataset;
use crate::error::Result;
use crate::ir::{Graph, Numeric};
use crate::quantize::equalize::{self, Equalization, equalize};
use crate::quantize::recover::{self, Outcome, recover};
use crate::quantize::{
    self, Activations, Levels, Observations, Observe, RangeMethod, Recipe, WeightRounding, observe,
};

/// What is settled beforehand; `None` is chosen by what loses least.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tuning {
    /// How ranges follow from the data.
    pub range: Option<RangeMethod>,
    /// Whether channels are equalized.
    pub equalize: Option<bool>,
    /// Whether biases take up mean errors.
    pub correct_bias: Option<bool>,
    /// How weights are rounded.
    pub rounding: Option<WeightRounding>,
}

impl Tuning {
    /// Min-max ranges, nearest levels, nothing else: what takes one reading of the data.
    pub const PLAIN: Tuning = Tuning {
        range: Some(RangeMethod::MinMax),
        equalize: Some(false),
        correct_bias: Some(false),
        rounding: Some(WeightRounding::Nearest),
    };
}

/// Methods that are tried where none is given.
const RANGES: [RangeMethod; 5] = [
    RangeMethod::MinMax,
    RangeMethod::Percentile(99.999),
    RangeMethod::Percentile(99.99),
    RangeMethod::Percentile(99.9),
    RangeMethod::Mse,
];

/// A recipe that was tried, and what it kept of the held-out samples.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// What was tried.
    pub recipe: Recipe,
    /// What it kept.
    pub verdict: Verdict,
}

/// A float graph, as it is or equalized, with what calibration saw in it.
#[derive(Debug)]
pub struct Base {
    /// Without anything that has no integer form.
    pub float: Graph,
    /// What was scaled, by tensor.
    pub equalization: Equalization,
    /// What its tensors hold on the calibration data.
    pub observations: Observations,
}

impl Base {
    fn new(float: Graph, data: &dyn Dataset, what: Observe) -> Result<Self> {
        let observations = observe(&float, data.pass(), what)?;
        Ok(Base { float, equalization: Equalization::default(), observations })
    }

    /// The same with channels scaled to like ranges; `None` where nothing is to be gained.
    fn equalized(&self, data: &dyn Dataset, what: Observe) -> Result<Option<Self>> {
        let mut float = self.float.clone();
        let options = equalize::Options::default();
        let equalization = equalize(&mut float, |t| self.observations.channels(t), &options)?;
        if equalization.streams.is_empty() {
            return Ok(None);
        }
        Ok(Some(Base { equalization, ..Base::new(float, data, what)? }))
    }

    /// Every weight at its nearest level.
    fn nearest(&self, recipe: &Recipe, numeric: Numeric) -> Result<Graph> {
        let levels = match recipe.activations {
            Activations::F32 => return quantize::quantize(&self.float, recipe, None, numeric),
            Activations::Int8 => Levels::Int8,
            Activations::Int16 => Levels::Int16,
        };
        let ranges = self.observations.ranges(recipe.range, levels)?;
        quantize::quantize(&self.float, recipe, Some(&ranges), numeric)
    }

    /// As the recipe says, recovery included.
    pub fn quantize(
        &self,
        recipe: &Recipe,
        numeric: Numeric,
        samples: impl Iterator<Item = Result<Vec<Value>>>,
    ) -> Result<(Graph, Vec<Outcome>)> {
        let nearest = self.nearest(recipe, numeric)?;
        recover(&self.float, nearest, recipe, samples, &recover::Options::default())
    }
}

/// The best way found.
#[derive(Debug)]
pub struct Tuned {
    /// What it starts from.
    pub base: Base,
    /// The choices.
    pub recipe: Recipe,
    /// All that was tried, in order.
    pub trials: Vec<Trial>,
}

/// Settles what `tuning` leaves open, for the formats of `recipe`, one choice after the other: ranges and
/// equalization with nearest weights, then rounding and biases. Judged on every fourth sample, fitted to the
/// others; the ranges are observed on all.
pub fn tune(
    prepared: &Graph,
    recipe: Recipe,
    tuning: &Tuning,
    numeric: Numeric,
    data: &dyn Dataset,
) -> Result<Tuned> {
    let what = tuning.range.map_or(Observe::Histograms, Observe::for_method);
    let recipe = Recipe {
        equalize: tuning.equalize == Some(true),
        correct_bias: tuning.correct_bias == Some(true),
        rounding: tuning.rounding.unwrap_or_default(),
        range: tuning.range.unwrap_or_default(),
        ..recipe
    };
    let plain = Base::new(prepared.clone(), data, what)?;
    if tuning.equalize == Some(false) && is_settled(tuning) {
        return Ok(Tuned { base: plain, recipe, trials: Vec::new() });
    }
    let equalized = if tuning.equalize == Some(false) { None } else { plain.equalized(data, what)? };
    if tuning.equalize == Some(true) && is_settled(tuning) {
        return Ok(Tuned { base: equalized.unwrap_or(plain), recipe, trials: Vec::new() });
    }
    let split = Split(data);
    let judge = Judge::new(prepared, split.held())?;
    let mut search = Search { judge: &judge, numeric, trials: Vec::new(), best: None };
    let mut bases: Vec<Base> = Vec::new();
    if tuning.equalize != Some(true) || equalized.is_none() {
        bases.push(plain);
    }
    bases.extend(equalized);
    for (b, base) in bases.iter().enumerate() {
        for range in tuning.range.map_or(RANGES.to_vec(), |r| vec![r]) {
            let equalize = !base.equalization.streams.is_empty();
            let nearest = WeightRounding::Nearest;
            let tried = Recipe { range, equalize, rounding: nearest, correct_bias: false, ..recipe.clone() };
            search.try_one(b, base, tried, std::iter::empty())?;
        }
    }
    for (rounding, correct_bias) in [
        (WeightRounding::Nearest, true),
        (WeightRounding::Optimized, false),
        (WeightRounding::Optimized, true),
    ] {
        let open = tuning.rounding.is_none_or(|r| r == rounding)
            && tuning.correct_bias.is_none_or(|c| c == correct_bias);
        if let Some((b, best)) = search.start().filter(|_| open) {
            let tried = Recipe { rounding, correct_bias, ..best };
            search.try_one(b, &bases[b], tried, split.fit())?;
        }
    }
    let Search { trials, best, .. } = search;
    let (b, found) = best.map_or((0, None), |(b, t)| (b, Some(trials[t].recipe.clone())));
    // What was given stands, whatever the samples say.
    let found = found.unwrap_or_else(|| recipe.clone());
    let recipe = Recipe {
        rounding: tuning.rounding.unwrap_or(found.rounding),
        correct_bias: tuning.correct_bias.unwrap_or(found.correct_bias),
        ..found
    };
    Ok(Tuned { base: bases.swap_remove(b), recipe, trials })
}

/// Whether nothing but equalization is left to choose.
fn is_settled(tuning: &Tuning) -> bool {
    tuning.range.is_some() && tuning.correct_bias.is_some() && tuning.rounding.is_some()
}

struct Search<'a> {
    judge: &'a Judge,
    numeric: Numeric,
    trials: Vec<Trial>,
    /// Base and trial.
    best: Option<(usize, usize)>,
}

impl Search<'_> {
    /// The best of the trials with nearest weights and plain biases: what refinements start from.
    fn start(&self) -> Option<(usize, Recipe)> {
        let (b, t) = self.best?;
        Some((b, self.trials[t].recipe.clone()))
    }

    fn try_one(
        &mut self,
        b: usize,
        base: &Base,
        recipe: Recipe,
        samples: impl Iterator<Item = Result<Vec<Value>>>,
    ) -> Result<()> {
        let (graph, _) = base.quantize(&recipe, self.numeric, samples)?;
        let verdict = self.judge.verdict(&graph, usize::MAX)?;
        let better = self.best.is_none_or(|(_, t)| verdict.noise < self.trials[t].verdict.noise);
        self.trials.push(Trial { recipe, verdict });
        if better {
            self.best = Some((b, self.trials.len() - 1));
        }
        Ok(())
    }
}
