//! Parameters of activations: a solver for what integer operators demand of them.
//!
//! - Operators that only move or compare values ([`shares_parameters`]) need equal parameters on all sides, so
//!   tensors fall into groups, and a group's range covers its members, its constants and its padding.
//! - Softmax, logistic and tanh have fixed output parameters ([`fixed`]). A group made from such an output
//!   alone inherits them; where another tensor joins, a Requantize stands between.
//! - A group also splits where sharing would cost a member resolution that somebody else reads.
//! - A range never exceeds what makes the tensor (a fused activation) or what its readers tell apart (a
//!   sigmoid's flat ends).

mod accumulator;
mod cuts;
mod groups;
mod idle;
mod requantize;
mod rules;
mod spans;

use std::collections::BTreeMap;

use samara_runtime::Dtype;

use super::parameters::cover;
use super::{Activations, Ranges};
use crate::error::{Error, Result};
use crate::ir::{Graph, Quant, TensorId};

pub use accumulator::{Accumulator, BIAS_LIMIT};
pub use requantize::{Reason, Requantized};
pub use rules::{fixed, shares_parameters};

/// Parameters of every activation that becomes integer.
pub type Assigned = BTreeMap<TensorId, Quant>;

/// What the solver found, and how it changed the graph for it.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Parameters of every float activation; same-scale groups have equal ones.
    pub activations: Assigned,
    /// The Requantize nodes that were put in, in the graph's order.
    pub requantized: Vec<Requantized>,
    /// Names of Minimum and Maximum nodes that were taken out because the parameters' own ends do their work.
    pub idle: Vec<String>,
}

/// Chooses parameters for every float activation of a prepared graph and puts in Requantize nodes where no one
/// choice serves. `ranges` must know each computed tensor and each float input; one that is missing is named.
pub fn solve(graph: &mut Graph, ranges: &Ranges, format: Activations) -> Result<Solution> {
    if format == Activations::F32 {
        return Err(Error::invalid("float activations have no quantization parameters"));
    }
    let mut spans = spans::Spans::of(graph, ranges, format)?;
    let cuts = cuts::cuts(graph, &spans, format);
    let requantized = requantize::insert(graph, &cuts, &mut spans);
    let groups = groups::Groups::of(graph, &BTreeMap::new());
    let covered = groups.ranges(graph, &spans);
    let pins = cuts::pins(graph, &spans, format, &mut BTreeMap::new());
    let mut by_root: BTreeMap<usize, Quant> = BTreeMap::new();
    for t in activations(graph) {
        if let Some(pin) = &pins[t] {
            by_root.insert(groups.root(t), pin.clone());
        }
    }
    let quant_of = |t: TensorId| {
        let root = groups.root(t);
        by_root.get(&root).cloned().unwrap_or_else(|| cover(covered[&root], format))
    };
    let mut activations: Assigned = activations(graph).into_iter().map(|t| (t, quant_of(t))).collect();
    let idle = idle::drop(graph, &mut activations, format);
    Ok(Solution { activations, requantized, idle })
}

/// Whether a tensor is computed in floats, or a float input.
fn is_activation(graph: &Graph, t: TensorId) -> bool {
    let tensor = &graph.tensors[t];
    tensor.dtype == Dtype::F32 && !tensor.is_constant()
}

/// Float inputs, then what each node makes in floats.
fn activations(graph: &Graph) -> Vec<TensorId> {
    let made = graph.nodes.iter().flat_map(|n| &n.outputs).copied();
    graph.inputs.iter().copied().chain(made).filter(|&t| is_activation(graph, t)).collect()
}
