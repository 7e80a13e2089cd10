//! From a graph to a plan: steps, constants, and a place in the arena for every tensor.

mod kernels;
pub mod memory;
pub mod patch;
mod settle;
mod steps;
pub mod threads;

use std::collections::BTreeMap;

use samara_runtime::Desc;
use samara_runtime::bundle::plan::{Header, NO_TENSOR, StepRecord, TensorRecord};
use samara_runtime::ops::Rounding;

use crate::error::{Error, Result};
use crate::ir::Graph;

pub use kernels::Kernels;
pub use patch::{Patched, Patching};

/// A tensor with its place.
#[derive(Clone, Debug)]
pub struct PlannedTensor {
    /// The graph's name of it, or one made for a constant or scratch.
    pub name: String,
    /// Type, shape, parameters, place.
    pub desc: Desc,
    /// In the arena or in the weights.
    pub offset: usize,
    /// Where it is part of a larger tensor of the graph.
    pub rows: Option<Rows>,
}

/// Which rows of the graph's tensor of that name a tensor holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows {
    /// The first of them.
    pub first: usize,
    /// Rows of the whole.
    pub of: usize,
    /// The planned tensor whose bytes these are, and where in it; `None` for bytes of their own.
    pub inside: Option<(usize, usize)>,
}

/// A step with its operands.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The graph's name of the node.
    pub name: String,
    /// Operator code.
    pub op: u16,
    /// Kernel id.
    pub kernel: u8,
    /// How it rounds.
    pub rounding: Rounding,
    /// At most 48 bytes.
    pub attributes: Vec<u8>,
    /// Indices of tensors, `None` where absent.
    pub inputs: Vec<Option<usize>>,
    /// Indices of tensors.
    pub outputs: Vec<usize>,
    /// Index of the scratch tensor.
    pub scratch: Option<usize>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Runs at the same time as the step before it, where there are threads.
    pub beside: bool,
}

/// Everything the runtime needs, before it is written as bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of first use.
    pub tensors: Vec<PlannedTensor>,
    /// In order of execution.
    pub steps: Vec<PlannedStep>,
    /// Tensors of the graph's inputs.
    pub inputs: Vec<usize>,
    /// Tensors of the graph's outputs.
    pub outputs: Vec<usize>,
    /// Constants, deduplicated, each 16-byte aligned or more.
    pub weights: Vec<u8>,
    /// Which processors' kernels it is for.
    pub kernels: Kernels,
    /// Bytes of arena.
    pub arena: usize,
    /// The rounding of integer steps, `None` for a float model.
    pub numeric: Rounding,
    /// By tensor name: `real[..., c] = factor[c % factors] * stored[..., c]` along the last axis, where channels
    /// were equalized. For comparisons; no run needs it.
    pub equalized: BTreeMap<String, Vec<f32>>,
    /// What patches did to it, where it has any.
    pub patched: Option<Patched>,
}

/// Plans a legalized graph (see [`crate::passes`]) for these kernels.
pub fn plan(graph: &Graph, kernels: Kernels) -> Result<Plan> {
    let mut plan = steps::steps(graph, kernels)?;
    memory::place(&mut plan)?;
    Ok(plan)
}

impl Plan {
    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|s| s.macs).sum()
    }

    /// The first and the last of the steps that step `s` may run at the same time as.
    fn together(&self, s: usize) -> [usize; 2] {
        let first = (0..=s).rev().find(|&k| !self.steps[k].beside).unwrap_or(0);
        let last = (s + 1..self.steps.len()).take_while(|&k| self.steps[k].beside).last().unwrap_or(s);
        [first, last]
    }

    /// Which rows of the graph's tensor some bytes of tensor `t` are.
    pub fn rows(&self, t: usize, bytes: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let tensor = &self.tensors[t];
        let (first, row) = (tensor.rows.map_or(0, |rows| rows.first), patch::row_bytes(&tensor.desc).max(1));
        first + bytes.start / row..first + bytes.end.div_ceil(row)
    }

    /// The plan section's bytes; the layout is the runtime's ([`samara_runtime::bundle::plan`]).
    pub fn emit(&self) -> Result<Vec<u8>> {
        let id = |t: usize| -> Result<u16> {
            u16::try_from(t)
                .ok()
                .filter(|&t| t != NO_TENSOR)
                .ok_or_else(|| Error::invalid("too many tensors"))
        };
        let optional = |t: Option<usize>| t.map_or(Ok(NO_TENSOR), id);
        let mut operands = Vec::new();
        for &t in self.inputs.iter().chain(&self.outputs) {
            operands.push(id(t)?);
        }
        let mut attributes: Vec<u8> = Vec::new();
        let mut records = Vec::new();
        // Steps with the same attributes, as strips mostly have them, share them.
        let mut places: BTreeMap<&[u8], usize> = BTreeMap::new();
        for step in &self.steps {
            let place = *places.entry(&step.attributes).or_insert_with(|| {
                let place = attributes.len();
                attributes.extend(&step.attributes);
                attributes.resize(attributes.len().next_multiple_of(4), 0);
                place
            });
            records.push(StepRecord {
                op: step.op,
                kernel: step.kernel,
                rounding: step.rounding,
                operands: operands.len() as u32,
                inputs: step.inputs.len() as u8,
                outputs: step.outputs.len() as u8,
                attribute_len: step.attributes.len() as u16,
                attributes: place as u32,
            });
            for &t in &step.inputs {
                operands.push(optional(t)?);
            }
            for &t in &step.outputs {
                operands.push(id(t)?);
            }
            operands.push(optional(step.scratch)?);
        }
        let header = Header {
            tensors: self.tensors.len() as u32,
            steps: self.steps.len() as u32,
            operands: operands.len() as u32,
            attributes: attributes.len() as u32,
            inputs: self.inputs.len() as u16,
            outputs: self.outputs.len() as u16,
            arena: self.arena as u32,
            macs: self.macs(),
            numeric: self.numeric,
        };
        let mut out = header.emit().to_vec();
        for t in &self.tensors {
            out.extend(TensorRecord { desc: t.desc, offset: t.offset as u32 }.emit());
        }
        for record in &records {
            out.extend(record.emit());
        }
        for operand in operands {
            out.extend(operand.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(attributes);
        Ok(out)
    }
}
