//! Which layer's constants take how many bytes, before and after.

use std::collections::{BTreeMap, BTreeSet};

use samara_runtime::Place;
use samara_runtime::ops::{Conv2d, DepthwiseConv2d, FullyConnected, Op as _};

use crate::error::Result;
use crate::ir::Graph;
use crate::lower;
use crate::plan::{Plan, PlannedStep};

/// Bytes by what they are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parts {
    /// Weights, and other constants of the model.
    pub weights: usize,
    /// Biases.
    pub bias: usize,
    /// What quantization adds: scales, multipliers, tables.
    pub tables: usize,
}

impl Parts {
    /// All of them.
    pub fn total(&self) -> usize {
        self.weights + self.bias + self.tables
    }

    fn add(&mut self, other: Parts) {
        self.weights += other.weights;
        self.bias += other.bias;
        self.tables += other.tables;
    }
}

/// One layer's constants.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerSize {
    /// The node's name.
    pub name: String,
    /// The operator that the bundle runs, empty where the layer is part of another there.
    pub operator: &'static str,
    /// Type of the stored weights, empty without weights.
    pub format: &'static str,
    /// In the source graph.
    pub before: Parts,
    /// In the bundle; constants that several layers share count for the first.
    pub after: Parts,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// All layers that have constants, in order of execution.
#[derive(Clone, PartialEq, Debug)]
pub struct Sizes {
    /// One per layer.
    pub layers: Vec<LayerSize>,
    /// Sum of the layers before.
    pub before: Parts,
    /// Sum of the layers after.
    pub after: Parts,
    /// Bytes of the weights section beyond the layers': alignment.
    pub padding: usize,
}

impl Sizes {
    /// Matches the plan's steps with the source's nodes by name.
    pub fn new(source: &Graph, plan: &Plan) -> Result<Sizes> {
        let mut before = source_parts(source);
        let mut seen = BTreeSet::new();
        let mut layers: Vec<LayerSize> = Vec::new();
        // Steps of the same node: its strips.
        let mut strips: BTreeMap<&str, usize> = BTreeMap::new();
        for step in &plan.steps {
            let (after, format) = step_parts(step, plan, &mut seen);
            if let (Some(&layer), 0) = (strips.get(&step.name[..]), after.total()) {
                layers[layer].macs += step.macs;
                continue;
            }
            let before = before.remove(&step.name[..]).unwrap_or_default();
            if before.total() + after.total() > 0 {
                strips.insert(&step.name, layers.len());
                let (name, operator) = (step.name.clone(), lower::definition(step.op)?.name);
                layers.push(LayerSize { name, operator, format, before, after, macs: step.macs });
            }
        }
        // Layers without a step of their own: fused into another, or computed ahead.
        for node in &source.nodes {
            if let Some(before) = before.remove(&node.name[..]).filter(|p| p.total() > 0) {
                let (name, after) = (node.name.clone(), Parts::default());
                layers.push(LayerSize { name, operator: "", format: "", before, after, macs: 0 });
            }
        }
        let sum = |part: fn(&LayerSize) -> Parts| {
            layers.iter().fold(Parts::default(), |mut sum, l| {
                sum.add(part(l));
                sum
            })
        };
        let (before, after) = (sum(|l| l.before), sum(|l| l.after));
        let padding = plan.weights.len().saturating_sub(after.total());
        Ok(Sizes { layers, before, after, padding })
    }
}

/// Constants of each node of the source; one that several nodes read counts for the first.
fn source_parts(source: &Graph) -> BTreeMap<&str, Parts> {
    let mut seen = BTreeSet::new();
    let mut parts: BTreeMap<&str, Parts> = BTreeMap::new();
    for node in &source.nodes {
        for (i, &t) in node.inputs.iter().enumerate().filter_map(|(i, t)| Some((i, t.as_ref()?))) {
            let size = source.tensors[t].data.as_ref().map_or(0, Vec::len);
            if size > 0 && seen.insert(t) {
                let part = if i == 2 { Parts { bias: size, ..Parts::default() } } else { weights(size) };
                parts.entry(&node.name).or_default().add(part);
            }
        }
    }
    parts
}

/// Constants of a step that no earlier step has, and the type of its weights.
fn step_parts(step: &PlannedStep, plan: &Plan, seen: &mut BTreeSet<usize>) -> (Parts, &'static str) {
    let layered = [Conv2d::CODE, DepthwiseConv2d::CODE, FullyConnected::CODE].contains(&step.op);
    let (mut parts, mut format) = (Parts::default(), "");
    for (i, &t) in step.inputs.iter().enumerate().filter_map(|(i, t)| Some((i, t.as_ref()?))) {
        let tensor = &plan.tensors[t];
        if tensor.desc.place != Place::Weights {
            continue;
        }
        // The lowering's own constants carry this name (`plan::steps`).
        let own = tensor.name.strip_suffix("/constant") == Some(&step.name);
        let is_weights = if layered { i == 1 } else { !own };
        if is_weights {
            format = tensor.desc.dtype.name();
        }
        if !seen.insert(tensor.offset) {
            continue;
        }
        let size = tensor.desc.bytes();
        parts.add(match i {
            _ if is_weights => weights(size),
            2 if layered && !own => Parts { bias: size, ..Parts::default() },
            _ => Parts { tables: size, ..Parts::default() },
        });
    }
    (parts, format)
}

fn weights(size: usize) -> Parts {
    Parts { weights: size, ..Parts::default() }
}
