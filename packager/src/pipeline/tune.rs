//! From calibration data to an integer graph: what helps is found out by trying, on samples held out.

use samara_runtime::ops::eval::Value;

use crate::data::dataset::Dataset;
use crate::error::Result;
use crate::ir::{Graph, Numeric};
use crate::quantize::choose::{Candidate, Fixed, Trial, choose, fits};
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
    fn new(float: Graph, data: &Part<'_>, what: Observe) -> Result<Self> {
        let observations = observe(&float, data.samples(), what)?;
        Ok(Base { float, equalization: Equalization::default(), observations })
    }

    /// The same with channels scaled to like ranges; `None` where nothing is to be gained.
    fn equalized(&self, data: &Part<'_>, what: Observe) -> Result<Option<Self>> {
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

/// The samples that are looked at: those that choices are fitted to, or all.
struct Part<'a> {
    data: &'a dyn Dataset,
    all: bool,
}

impl Part<'_> {
    fn samples(&self) -> impl Iterator<Item = Result<Vec<Value>>> {
        let count = self.data.len();
        self.data.pass().enumerate().filter(move |(n, _)| self.all || fits(*n, count)).map(|(_, s)| s)
    }
}

/// The float graph as it is and, where that is allowed and gains anything, equalized.
fn bases(prepared: &Graph, equalize: Option<bool>, data: &Part<'_>, what: Observe) -> Result<Vec<Base>> {
    let plain = Base::new(prepared.clone(), data, what)?;
    let equalized = if equalize == Some(false) { None } else { plain.equalized(data, what)? };
    Ok(match (equalized, equalize) {
        (Some(equalized), Some(true)) => vec![equalized],
        (Some(equalized), _) => vec![plain, equalized],
        (None, _) => vec![plain],
    })
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

/// Settles what `tuning` leaves open, for the formats of `recipe`: fitted to three samples of four, judged on the
/// fourth. What is chosen starts from all of them.
pub fn tune(
    prepared: &Graph,
    recipe: Recipe,
    tuning: &Tuning,
    numeric: Numeric,
    data: &dyn Dataset,
) -> Result<Tuned> {
    let what = tuning.range.map_or(Observe::Histograms, Observe::for_method);
    let all = Part { data, all: true };
    let Tuning { range, equalize, correct_bias, rounding } = *tuning;
    if let (Some(range), Some(equalize), Some(correct_bias), Some(rounding)) =
        (range, equalize, correct_bias, rounding)
    {
        let base = bases(prepared, Some(equalize), &all, what)?.swap_remove(0);
        let equalize = base.is_equalized();
        let recipe = Recipe { range, equalize, correct_bias, rounding, ..recipe };
        return Ok(Tuned { base, recipe, trials: Vec::new() });
    }
    let tried = bases(prepared, equalize, &Part { data, all: false }, what)?;
    let candidates: Vec<Candidate<'_>> = tried
        .iter()
        .map(|base| Candidate {
            graph: &base.float,
            equalized: base.is_equalized(),
            observations: Some(&base.observations),
        })
        .collect();
    let fixed = Fixed { range, correct_bias, rounding };
    let options = recover::Options::default();
    let pass = || data.pass();
    let choice = choose(&candidates, &recipe, &fixed, &pass, data.len(), numeric, options)?;
    let base = bases(prepared, Some(choice.recipe.equalize), &all, what)?.swap_remove(0);
    let recipe = Recipe { equalize: base.is_equalized(), ..choice.recipe };
    Ok(Tuned { base, recipe, trials: choice.trials })
}

fn levels(activations: Activations) -> Levels {
    match activations {
        Activations::F32 | Activations::Int8 => Levels::Int8,
        Activations::Int16 => Levels::Int16,
    }
}
