//! From calibration data to an integer graph: what helps is found out by trying, on samples held out.

use samara_runtime::ops::eval::Value;

use crate::data::dataset::Dataset;
use crate::error::Result;
use crate::ir::{Graph, Numeric};
use crate::quantize::choose::{Candidate, Fixed, Trial, choose};
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
        if recipe.activations == Activations::F32 {
            return quantize::quantize(&self.float, recipe, None, numeric);
        }
        let ranges = self.observations.ranges(recipe.range, levels(recipe.activations))?;
        quantize::quantize(&self.float, recipe, Some(&ranges), numeric)
    }

    fn is_equalized(&self) -> bool {
        !self.equalization.streams.is_empty()
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

/// Settles what `tuning` leaves open, for the formats of `recipe`. Judged on every fourth sample, fitted to the
/// others; the ranges are observed on all.
pub fn tune(
    prepared: &Graph,
    recipe: Recipe,
    tuning: &Tuning,
    numeric: Numeric,
    data: &dyn Dataset,
) -> Result<Tuned> {
    let what = tuning.range.map_or(Observe::Histograms, Observe::for_method);
    let plain = Base::new(prepared.clone(), data, what)?;
    let equalized = if tuning.equalize == Some(false) { None } else { plain.equalized(data, what)? };
    let mut bases = match (equalized, tuning.equalize) {
        (Some(equalized), Some(true)) => vec![equalized],
        (Some(equalized), _) => vec![plain, equalized],
        (None, _) => vec![plain],
    };
    if let (
        1,
        Tuning { range: Some(range), correct_bias: Some(correct_bias), rounding: Some(rounding), .. },
    ) = (bases.len(), *tuning)
    {
        let base = bases.swap_remove(0);
        let equalize = base.is_equalized();
        let recipe = Recipe { range, equalize, correct_bias, rounding, ..recipe };
        return Ok(Tuned { base, recipe, trials: Vec::new() });
    }
    let candidates: Vec<Candidate<'_>> = bases
        .iter()
        .map(|base| Candidate {
            graph: &base.float,
            equalized: base.is_equalized(),
            observations: Some(&base.observations),
        })
        .collect();
    let Tuning { range, correct_bias, rounding, .. } = *tuning;
    let fixed = Fixed { range, correct_bias, rounding };
    let options = recover::Options::default();
    let pass = || data.pass();
    let choice = choose(&candidates, &recipe, &fixed, &pass, data.len(), numeric, options)?;
    let (at, recipe, trials) = (choice.candidate, choice.recipe, choice.trials);
    Ok(Tuned { base: bases.swap_remove(at), recipe, trials })
}

fn levels(activations: Activations) -> Levels {
    match activations {
        Activations::F32 | Activations::Int8 => Levels::Int8,
        Activations::Int16 => Levels::Int16,
    }
}
