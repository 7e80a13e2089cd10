//! The report of one packing: what the bundle costs, what it keeps, and where it came from.
//!
//! [`Report::new`] gathers the facts from what [`crate::pipeline::pack`] returns; [`Report::json`] is for machines,
//! [`Report::html`] one page for people that needs nothing beside itself. Equal inputs give equal bytes.

mod account;
pub mod cost;
mod facts;
mod histogram;
mod html;
mod json;
mod memory;
mod names;
mod page;
mod sizes;
mod svg;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

pub use cost::{Estimate, estimate};
pub use facts::Facts;
pub use histogram::Histogram;
pub use memory::{Life, Memory};
pub use sizes::{LayerSize, Parts, Sizes};

use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::files;
use crate::ir::Graph;
use crate::pipeline::Packed;
use crate::plan::Plan;
use crate::quantize::Recipe;
use crate::quantize::recover::Outcome;
use crate::target::Profile;

/// What a report is made from. Parts that were not measured stay empty, and the page leaves them out.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The bundle's bytes, aligned as [`crate::files::AlignedBytes`] is.
    pub bundle: &'a [u8],
    /// The source model's file: its name and its bytes.
    pub model: Option<(String, usize)>,
    /// The graph after import and passes, before quantization.
    pub source: &'a Graph,
    /// The graph that was planned.
    pub packed: &'a Graph,
    /// Its plan.
    pub plan: &'a Plan,
    /// What it was packed for.
    pub target: &'static Profile,
    /// Scores of both models.
    pub evaluation: Option<&'a Evaluation>,
    /// How far each tensor is from the float model's.
    pub layers: Vec<LayerError>,
    /// What calibration saw.
    pub histograms: Vec<Histogram>,
    /// What was to be met.
    pub budgets: Vec<Budget>,
    /// The choices that made the bundle.
    pub recipe: Option<&'a Recipe>,
    /// What recovery did to each layer.
    pub recovered: &'a [Outcome],
    /// What else was tried.
    pub trials: Vec<Trial>,
}

impl<'a> Inputs<'a> {
    /// What every packing has, its account included; `bundle` is an aligned copy of `packed.bytes`. What was
    /// measured on the bundle is the caller's to add.
    pub fn new(packed: &'a Packed, bundle: &'a [u8], target: &'static Profile) -> Self {
        Inputs {
            bundle,
            model: None,
            source: &packed.source,
            packed: &packed.graph,
            plan: &packed.plan,
            target,
            evaluation: None,
            layers: Vec::new(),
            histograms: account::histograms(&packed.account),
            budgets: Vec::new(),
            recipe: packed.account.recipe.as_ref(),
            recovered: &packed.account.outcomes,
            trials: account::trials(&packed.account),
        }
    }
}

/// How far one tensor of the bundle is from the float model's.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerError {
    /// The tensor's name.
    pub name: String,
    /// Signal to noise in decibels; infinite where nothing differs.
    pub sqnr_db: f64,
    /// The same for this layer alone, its inputs being the float model's; `None` where not measured.
    pub own_db: Option<f64>,
    /// Cosine of the angle between both.
    pub cosine: f64,
    /// Greatest absolute difference, in real units.
    pub max_error: f64,
    /// Share of elements at the ends of their type's range, in [0, 1].
    pub saturated: f64,
}

impl From<&Comparison> for LayerError {
    fn from(c: &Comparison) -> Self {
        LayerError {
            name: c.name.clone(),
            sqnr_db: c.sqnr_db(),
            own_db: c.own_sqnr_db(),
            cosine: c.cosine(),
            max_error: c.max_error,
            saturated: c.saturated_share(),
        }
    }
}

/// The unit of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Points of the metric.
    Points,
}

/// A limit and what the bundle needs of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Budget {
    /// RAM, flash, latency, accuracy drop.
    pub name: String,
    /// Unit of both numbers.
    pub unit: Unit,
    /// The most that is allowed.
    pub limit: f64,
    /// What the bundle has.
    pub actual: f64,
}

impl Budget {
    /// Whether the bundle is inside.
    pub fn met(&self) -> bool {
        self.actual <= self.limit
    }
}

/// One way of quantizing that was tried.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trial {
    /// What was different about it.
    pub name: String,
    /// Bytes of plan and weights.
    pub bytes: Option<usize>,
    /// Bytes of arena.
    pub arena: Option<usize>,
    /// Estimated time on the target, in milliseconds.
    pub milliseconds: Option<f64>,
    /// Signal to noise of what is judged, in decibels.
    pub sqnr_db: Option<f64>,
    /// Share of samples with the float model's class, in [0, 1].
    pub agreement: Option<f64>,
    /// Points of the metric lost against the float model.
    pub drop: Option<f64>,
    /// Whether the bundle is made this way.
    pub chosen: bool,
}

/// What a report is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One page for people.
    Html,
    /// One object for machines.
    Json,
}

impl Format {
    /// By the file's ending; others are refused, which is better asked before the work than after it.
    pub fn of(path: &Path) -> Result<Format> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("html") => Ok(Format::Html),
            Some("json") => Ok(Format::Json),
            _ => {
                let cause = Error::invalid("a report is .html or .json");
                Err(cause.remedy("name it R.html or R.json").about(path.display()))
            }
        }
    }
}

/// The facts, ready to be written.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    inputs: Inputs<'a>,
    facts: Facts,
    sizes: Sizes,
    memory: Memory,
    costs: Vec<Estimate>,
    /// Short names of tensors and of nodes.
    names: (names::Names, names::Names),
}

impl<'a> Report<'a> {
    /// Gathers sizes, lifetimes and estimates; fails where the bundle cannot be read.
    pub fn new(mut inputs: Inputs<'a>) -> Result<Self> {
        in_order(inputs.source, &mut inputs.histograms);
        let facts = Facts::read(inputs.bundle)?;
        let sizes = Sizes::new(inputs.source, inputs.plan)?;
        let memory = Memory::new(inputs.plan);
        let costs =
            crate::target::PROFILES.iter().map(|p| estimate(inputs.plan, p)).collect::<Result<_>>()?;
        let planned = memory.lives.iter().map(|l| &l.name);
        let measured =
            inputs.layers.iter().map(|l| &l.name).chain(inputs.histograms.iter().map(|h| &h.tensor));
        let tensors = names::Names::new(planned.chain(measured).map(String::as_str));
        let layers = sizes.layers.iter().map(|l| &l.name);
        let nodes = names::Names::new(memory.times.iter().chain(layers).map(String::as_str));
        Ok(Report { inputs, facts, sizes, memory, costs, names: (tensors, nodes) })
    }

    /// Writes the page or the JSON, as [`Format::of`] the path says; whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = match Format::of(path)? {
            Format::Html => self.html(),
            Format::Json => format!("{:#}\n", self.json()),
        };
        files::write_atomic(path, text.as_bytes())
    }

    /// The report for machines.
    pub fn json(&self) -> Json {
        json::json(self)
    }

    /// The report for people: one HTML page without external parts.
    pub fn html(&self) -> String {
        page::page(self)
    }
}

/// Sorts histograms as the source computes their tensors, its inputs first.
fn in_order(source: &Graph, histograms: &mut [Histogram]) {
    let computed = source.inputs.iter().chain(source.nodes.iter().flat_map(|n| &n.outputs));
    let order: BTreeMap<&str, usize> =
        computed.enumerate().map(|(i, &t)| (&source.tensors[t].name[..], i)).collect();
    histograms.sort_by_key(|h| order.get(&h.tensor[..]).copied().unwrap_or(usize::MAX));
}
