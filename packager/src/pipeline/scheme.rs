//! From what the user asked for to number formats, and from formats and data to an integer graph.

use super::auto::{self, Auto};
use super::tune::{self, Tuned};
use super::{Base, Evaluator, Options};
use crate::data::dataset::Dataset;
use crate::error::{Error, Result};
use crate::ir::{Graph, Node};
use crate::quantize::choose::Trial;
use crate::quantize::recover::Outcome;
use crate::quantize::{self, Activations, Recipe, Weights};
use crate::search::Found;

/// What becomes of a float model's numbers. Already quantized models are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// int8 weights per channel and int8 activations; needs calibration data.
    Int8,
    /// int8 weights per channel and int16 activations; needs calibration data.
    Int16x8,
    /// int4 weights; int8 activations where there is calibration data, else floats.
    Int4 {
        /// Consecutive weights that share a multiplier; `None` for whole channels.
        group: Option<u32>,
    },
    /// 4-bit indices into tables of weights; int8 activations where there is calibration data, else floats.
    Palette,
    /// float16 weights, float activations.
    F16,
    /// Everything stays float.
    F32,
    /// Whatever formats lose least inside a budget.
    Auto,
}

impl Scheme {
    /// What `--quantize` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Int8 => "int8",
            Scheme::Int16x8 => "int16x8",
            Scheme::Int4 { .. } => "int4",
            Scheme::Palette => "palette",
            Scheme::F16 => "f16",
            Scheme::F32 => "f32",
            Scheme::Auto => "auto",
        }
    }

    /// Number formats, with or without calibration data; where the scheme needs the other, the reason.
    fn recipe(self, calibrated: bool) -> Result<Recipe> {
        let needs_data = || {
            Error::invalid(format!("--quantize {} needs the ranges of activations", self.name())).remedy(
                "give --calibrate DATA, an .npz of typical inputs with the sample axis first; without data \
                 there are int4, palette and f16 weights",
            )
        };
        let (activations, weights) = match self {
            Scheme::Int8 => (Activations::Int8, Weights::Int8),
            Scheme::Int16x8 => (Activations::Int16, Weights::Int8),
            Scheme::Int4 { group } => (Activations::Int8, Weights::Int4 { group }),
            Scheme::Palette => (Activations::Int8, Weights::Palette),
            Scheme::F16 => (Activations::F32, Weights::F16),
            Scheme::F32 => (Activations::F32, Weights::F32),
            Scheme::Auto if calibrated => (Activations::Int8, Weights::Int8),
            Scheme::Auto => return Err(needs_data()),
        };
        let activations = match self {
            Scheme::Int8 | Scheme::Int16x8 if !calibrated => return Err(needs_data()),
            Scheme::Int4 { .. } | Scheme::Palette if !calibrated => Activations::F32,
            Scheme::F16 | Scheme::F32 if calibrated => {
                let cause = format!("--quantize {} takes no --calibrate", self.name());
                return Err(Error::invalid(cause).remedy("leave one of them out"));
            }
            _ => activations,
        };
        Ok(Recipe { activations, weights, ..Recipe::default() })
    }
}

/// How a graph came to be what it is, for reports.
#[derive(Debug, Default)]
pub struct Account {
    /// The choices; `None` where the model was kept as it is.
    pub recipe: Option<Recipe>,
    /// The float graph that was quantized, what was equalized in it, what calibration saw.
    pub base: Option<Base>,
    /// What was tried on the way to the recipe.
    pub trials: Vec<Trial>,
    /// What recovery did, by layer.
    pub outcomes: Vec<Outcome>,
    /// What the search over formats found; its shortfalls are empty.
    pub found: Option<Found>,
    /// Calibration samples.
    pub samples: usize,
}

/// Quantizes an imported graph as the options say; `lineage` is the model file's SHA-256.
pub(super) fn quantize(
    source: &Graph,
    options: &Options<'_>,
    evaluator: &Evaluator<'_>,
    lineage: &str,
) -> Result<(Graph, Account)> {
    let quantized = source.tensors.iter().any(|t| t.quant.is_some());
    if quantized && options.scheme.is_some() {
        return Err(Error::invalid("the model is quantized already")
            .remedy("leave --quantize out to keep it as it is, or give the float model"));
    }
    if quantized && options.calibration.is_some() {
        return Err(Error::invalid("the model is quantized already").remedy("leave --calibrate out"));
    }
    let scheme = match (options.scheme, options.calibration) {
        (Some(scheme), _) => scheme,
        (None, Some(_)) => Scheme::Int8,
        (None, None) => return Ok((source.clone(), Account::default())),
    };
    let recipe = scheme.recipe(options.calibration.is_some())?;
    let mut prepared = source.clone();
    let Some(data) = options.calibration else {
        if scheme == Scheme::F32 {
            return Ok((source.clone(), Account::default()));
        }
        // Weight-only formats keep float operators as they are.
        let recipe = Recipe { layers: narrow(&prepared, &recipe), ..recipe };
        let graph = quantize::quantize(&prepared, &recipe, None, options.numeric)?;
        return Ok((graph, Account { recipe: Some(recipe), ..Account::default() }));
    };
    quantize::prepare(&mut prepared)?;
    if scheme == Scheme::Auto {
        return auto::quantize(&Auto { prepared: &prepared, options, evaluator, data, lineage });
    }
    let recipe = Recipe { layers: narrow(&prepared, &recipe), ..recipe };
    let tuned = tune::tune(&prepared, recipe, &options.tuning, options.numeric, data)?;
    finish(tuned, options, data)
}

/// Fits the chosen recipe to all of the data.
pub(super) fn finish(tuned: Tuned, options: &Options<'_>, data: &dyn Dataset) -> Result<(Graph, Account)> {
    let Tuned { base, recipe, trials } = tuned;
    let (graph, outcomes) = base.quantize(&recipe, options.numeric, data.pass())?;
    let account = Account {
        recipe: Some(recipe),
        base: Some(base),
        trials,
        outcomes,
        found: None,
        samples: data.len(),
    };
    Ok((graph, account))
}

/// Weights below which four bits save less than they cost in accuracy.
const SMALL: usize = 512;

/// Layers that keep int8 weights under a four-bit scheme: the small ones, first layers and narrow depthwise ones
/// among them.
fn narrow(graph: &Graph, recipe: &Recipe) -> std::collections::BTreeMap<String, Weights> {
    let four_bits = matches!(recipe.weights, Weights::Int4 { .. } | Weights::Palette);
    let keeps = |n: &&Node| {
        let weights = graph.input(n, 1).map_or(0, |w| w.elements());
        four_bits && n.op.has_weights() && weights < SMALL
    };
    graph.nodes.iter().filter(keeps).map(|n| (n.name.clone(), Weights::Int8)).collect()
}
