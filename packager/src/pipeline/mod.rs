//! The whole way of a model: import, passes, quantize, plan, golden vectors, bundle.

mod auto;
mod evaluator;
mod golden;
mod scheme;
mod tune;

use std::path::Path;

use samara_runtime::Dtype;
use samara_runtime::bundle::Family;
use samara_runtime::bundle::golden::Tolerance;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::bundle::{self, Identity, Parts};
use crate::data::dataset::Dataset;
use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Numeric, Op};
use crate::plan::{self, Patching, Plan};
use crate::quantize::Recipe;
use crate::search::Budget;
use crate::target::Profile;
use crate::{files, import, passes};

pub use evaluator::{Evaluator, Labelled};
pub use scheme::{Account, Scheme};
pub use tune::{Base, Tuning};

/// What `pack` was asked for.
#[derive(Clone)]
pub struct Options<'a> {
    /// Who the bundle says it is; an empty name becomes the model's.
    pub identity: Identity,
    /// What it is packed for; reports speak of this one.
    pub target: &'static Profile,
    /// What else: each target whose kernels no other one has gets a plan of its own.
    pub also: Vec<&'static Profile>,
    /// `None` keeps quantized models, and floats without calibration.
    pub scheme: Option<Scheme>,
    /// Typical inputs.
    pub calibration: Option<&'a dyn Dataset>,
    /// SHA-256 of the calibration data, for the card: called several times, first beside everything else.
    pub calibration_digest: Option<&'a (dyn Fn() -> Result<String> + Sync)>,
    /// What is settled of ranges and recovery.
    pub tuning: Tuning,
    /// What [`Scheme::Auto`] must stay inside; the arena any scheme.
    pub budget: Budget,
    /// Whether large tensors are computed strip by strip.
    pub patching: Patching,
    /// Threads that may run the bundle at once: large steps are cut for them.
    pub threads: usize,
    /// What [`Scheme::Auto`] measures losses on, instead of the calibration data.
    pub labelled: Option<Labelled<'a>>,
    /// How integer steps of a model quantized here round.
    pub numeric: Numeric,
    /// Shapes that the model's file leaves open.
    pub import: import::Options,
}

impl Options<'_> {
    /// Everything by default for a target: a model is kept as it is.
    pub fn new(target: &'static Profile) -> Self {
        Options {
            identity: Identity::default(),
            target,
            also: Vec::new(),
            scheme: None,
            calibration: None,
            calibration_digest: None,
            tuning: Tuning::default(),
            budget: Budget::default(),
            patching: Patching::default(),
            threads: 1,
            labelled: None,
            numeric: Numeric::Single,
            import: import::Options::default(),
        }
    }
}

impl<'a> Options<'a> {
    /// Every target, the first one first.
    fn targets(&self) -> impl Iterator<Item = &'static Profile> + use<'_, 'a> {
        [self.target].into_iter().chain(self.also.iter().copied())
    }

    /// Whether one of the targets has no floating point.
    fn integer_only(&self) -> Option<&'static Profile> {
        self.targets().find(|t| t.integer_only)
    }
}

/// A packed model and what was learned on the way.
#[derive(Debug)]
pub struct Packed {
    /// The bundle's bytes, unsigned.
    pub bytes: Vec<u8>,
    /// The graph after import and passes, before quantization.
    pub source: Graph,
    /// The graph that was planned.
    pub graph: Graph,
    /// Its plan for the target.
    pub plan: Plan,
    /// How it was quantized.
    pub account: Account,
}

impl Packed {
    /// Nodes that compute in floats; in a quantized model these are the ones it leaves between its own
    /// Dequantize and Quantize, and an integer-only target would refuse them.
    pub fn float_operators(&self) -> Vec<String> {
        let float = |n: &&Node| {
            let reads = self.graph.input(n, 0).is_some_and(|t| t.dtype == Dtype::F32);
            reads && !matches!(n.op, Op::Quantize)
        };
        self.graph.nodes.iter().filter(float).map(|n| format!("{} ({})", n.name, n.op.name())).collect()
    }
}

/// Imports a model and runs the passes: what every later stage starts from.
pub fn import(model: &Path, options: &import::Options) -> Result<Graph> {
    let mut graph = import::load(model, options)?;
    passes::run(&mut graph).about(model.display())?;
    Ok(graph)
}

/// Packs an imported graph.
pub fn pack(model: &Path, source: Graph, options: &Options<'_>) -> Result<Packed> {
    std::thread::scope(|scope| {
        if let Some(digest) = options.calibration_digest {
            // Who asks for it later waits, and sees the error if there is one.
            scope.spawn(|| digest().ok());
        }
        whole(model, source, options)
    })
}

fn whole(model: &Path, source: Graph, options: &Options<'_>) -> Result<Packed> {
    let about = model.display();
    let mut options = options.clone();
    if options.identity.name.is_empty() {
        options.identity.name = source.name.clone();
    }
    let lineage = digest(&files::read(model)?);
    let evaluator =
        Evaluator { source: &source, labelled: options.labelled, calibration: options.calibration };
    let (mut graph, account) = scheme::quantize(&source, &options, &evaluator, &lineage).about(&about)?;
    passes::prepare_for_lowering(&mut graph).about(&about)?;
    let float = graph.nodes.iter().any(|n| graph.input(n, 0).is_some_and(|t| t.dtype == Dtype::F32));
    if let (true, Some(target)) = (float, options.integer_only()) {
        let cause = format!("target '{}' has no floating point, and the model computes in f32", target.name);
        return Err(Error::invalid(cause).remedy("give --calibrate DATA to quantize it").about(&about));
    }
    let mut plans = plans(&graph, &options, account.base.as_ref()).about(&about)?;
    for (target, plan) in &plans {
        if let Some(limit) = options.budget.ram.filter(|&limit| plan.arena > limit) {
            return Err(too_large(plan, limit, target, &options).about(&about));
        }
    }
    let card = card(&lineage, &options, account.recipe.as_ref(), plans[0].1.numeric.name(), account.samples)?;
    let bytes = write(&graph, &plans, &options, &card).about(&about)?;
    if let (Some(limit), Scheme::Auto) = (options.budget.flash, options.scheme.unwrap_or(Scheme::F32))
        && bytes.len() > limit
    {
        let cause = format!("--flash of {limit} bytes is not met: the bundle has {}", bytes.len());
        return Err(Error::refused(cause).about(&about));
    }
    let (_, plan) = plans.remove(0);
    Ok(Packed { bytes, source, graph, plan, account })
}

/// A plan for each family of the targets, patched as asked for, with the factors of what was equalized.
fn plans(graph: &Graph, options: &Options<'_>, base: Option<&Base>) -> Result<Vec<(&'static Profile, Plan)>> {
    let mut plans: Vec<(&Profile, Plan)> = Vec::new();
    for target in options.targets() {
        if plans.iter().any(|(other, _)| other.kernels == target.kernels) {
            continue;
        }
        let plan = plan::plan(graph, target.kernels)?;
        let mut plan = plan::patch::patch(plan, options.patching, options.budget.ram)?;
        if options.threads > 1 {
            plan = plan::threads::split(&plan, options.threads)?;
        }
        if let Some(base) = base {
            plan.equalized = base.equalization.factors.clone();
        }
        plans.push((target, plan));
    }
    Ok(plans)
}

/// Says that a plan exceeds `--ram`.
fn too_large(plan: &Plan, limit: usize, target: &Profile, options: &Options<'_>) -> Error {
    let patched = if plan.patched.is_some() { " in strips" } else { "" };
    let on = if options.also.is_empty() { String::new() } else { format!(" on {}", target.name) };
    let error = Error::refused(format!(
        "--ram of {limit} bytes is not met: the arena has {}{patched}{on}",
        plan.arena
    ));
    if options.patching == Patching::Off { error.remedy("leave out --patch off") } else { error }
}

/// The bundle's bytes.
fn write(graph: &Graph, plans: &[(&Profile, Plan)], options: &Options<'_>, card: &[u8]) -> Result<Vec<u8>> {
    let identity = Identity { target: names(options), ..options.identity.clone() };
    let golden = golden::golden(graph)?;
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
    let plans: Vec<(Family, &Plan)> = match plans {
        // Whoever runs it has no choice.
        [(_, plan)] => vec![(Family::Any, plan)],
        plans => plans.iter().map(|(target, plan)| (target.kernels.family(), plan)).collect(),
    };
    bundle::write(&Parts { identity: &identity, plans: &plans, golden: &golden, tolerance, card })
}

/// The targets' names.
fn names(options: &Options<'_>) -> String {
    options.targets().map(|t| t.name).collect::<Vec<_>>().join(",")
}

/// Lineage and choices; `source` is the model file's SHA-256.
fn card(
    source: &str,
    options: &Options<'_>,
    recipe: Option<&Recipe>,
    numeric: &str,
    samples: usize,
) -> Result<Vec<u8>> {
    let calibration = options.calibration_digest.map(|digest| digest()).transpose()?;
    let card = json!({
        "tool": concat!("samara ", env!("CARGO_PKG_VERSION")),
        "source": { "sha256": source },
        "calibration": { "sha256": calibration, "samples": samples },
        "options": { "numeric": numeric, "target": names(options) },
        "recipe": recipe.map_or(Json::Null, Recipe::json),
    });
    serde_json::to_vec(&card).map_err(|e| Error::invalid(e.to_string()))
}

/// SHA-256 as hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
