//! `--quantize auto`: the search over formats, with real quantization, planning and measuring behind it.

use super::scheme::{Account, finish};
use super::tune::{Tuned, tune};
use super::{Base, Evaluator, Options};
use crate::data::dataset::Dataset;
use crate::error::{Error, Result};
use crate::ir::Graph;
use crate::passes;
use crate::plan::Patching;
use crate::quantize::choose::{Judge, fits};
use crate::quantize::{Activations, Recipe, WeightRounding};
use crate::report::cost;
use crate::search::{self, Effort, Layer, Point};

/// Samples on which recipes are told apart while their order is searched.
const SKETCH: usize = 16;

/// What the search works on.
pub(super) struct Auto<'a> {
    pub(super) prepared: &'a Graph,
    pub(super) options: &'a Options<'a>,
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) data: &'a dyn Dataset,
    /// The model file's SHA-256, which the card holds.
    pub(super) lineage: &'a str,
}

pub(super) fn quantize(auto: &Auto<'_>) -> Result<(Graph, Account)> {
    let Auto { prepared, options, data, .. } = auto;
    let layers: Vec<Layer> = prepared
        .nodes
        .iter()
        .filter(|n| n.op.has_weights())
        .map(|n| Layer { name: n.name.clone(), weights: prepared.input(n, 1).map_or(0, |w| w.elements()) })
        .collect();
    let mut formats = vec![Activations::Int8, Activations::Int16];
    if options.integer_only().is_none() {
        formats.push(Activations::F32);
    }
    // Ranges, equalization and recovery are settled once for each format of activations.
    let mut tuned = Vec::new();
    for &activations in &formats {
        let recipe = Recipe { activations, ..Recipe::default() };
        tuned.push(tune(prepared, recipe, &options.tuning, options.numeric, *data)?);
    }
    let pass = || data.pass();
    let mut judge = Judge::new(prepared, &pass, data.len())?;
    let mut trial = |recipe: &Recipe, effort: Effort| -> Result<Point> {
        let at = formats.iter().position(|&f| f == recipe.activations).unwrap_or(0);
        let Tuned { base, recipe: settled, .. } = &tuned[at];
        let careful = effort == Effort::Full;
        let recipe = Recipe {
            range: settled.range,
            equalize: settled.equalize,
            correct_bias: settled.correct_bias && careful,
            rounding: if careful { settled.rounding } else { WeightRounding::Nearest },
            ..recipe.clone()
        };
        let samples = data.pass().enumerate().filter(|(n, _)| fits(*n, data.len())).map(|(_, s)| s);
        let (graph, _) = base.quantize(&recipe, options.numeric, samples)?;
        let score = judge.score(&graph, if careful { usize::MAX } else { SKETCH })?;
        let noise = libm::exp10(-score.sqnr_db / 10.0);
        auto.point(&graph, base, recipe, noise, careful)
    };
    let found = search::search(&layers, &formats, &options.budget, &mut trial)?;
    let best = &found.frontier[found.best];
    if !found.shortfalls.is_empty() {
        let said: Vec<String> = found.shortfalls.iter().map(ToString::to_string).collect();
        let millis = best.millis.map_or(String::new(), |ms| format!(", about {ms:.2} ms"));
        return Err(Error::refused(said.join("; ")).remedy(format!(
            "the nearest point is {} bytes of flash, {} bytes of RAM{millis}, {:.2} points lost",
            best.flash, best.ram, best.drop
        )));
    }
    let at = formats.iter().position(|&f| f == best.recipe.activations).unwrap_or(0);
    let chosen = Tuned { recipe: best.recipe.clone(), ..tuned.swap_remove(at) };
    let (graph, account) = finish(chosen, options, *data)?;
    Ok((graph, Account { found: Some(found), ..account }))
}

impl Auto<'_> {
    /// What a quantized graph costs, and, where it is measured with care, loses.
    fn point(&self, graph: &Graph, base: &Base, recipe: Recipe, noise: f64, careful: bool) -> Result<Point> {
        let mut graph = graph.clone();
        passes::prepare_for_lowering(&mut graph)?;
        // Strips take long to find; the order of recipes hardly depends on them.
        let patching = if careful { self.options.patching } else { Patching::Off };
        let plans = super::plans(&graph, &Options { patching, ..self.options.clone() }, Some(base))?;
        let (_, plan) = plans.first().ok_or_else(|| Error::invalid("a search without a target"))?;
        let card =
            super::card(self.lineage, self.options, Some(&recipe), plan.numeric.name(), self.data.len())?;
        let bytes = super::write(&graph, &plans, self.options, &card)?;
        let ram = plans.iter().map(|(_, plan)| plan.arena).max().unwrap_or_default();
        let drop = if careful { self.evaluator.drop(&bytes)? } else { 0.0 };
        let millis = cost::estimate(plan, self.options.target)?.milliseconds();
        Ok(Point { recipe, flash: bytes.len(), ram, millis, drop, noise })
    }
}
