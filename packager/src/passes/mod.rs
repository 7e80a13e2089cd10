//! Rewrites of the graph that keep what it computes.
//!
//! Each pass is one file and one entry of [`PASSES`]; [`run`] repeats the list until nothing changes. Passes
//! keep the graph's inputs and outputs with their names and shapes, and leave it topologically ordered.

mod activation;
mod columns;
mod common;
mod fold;
mod identity;
mod legalize;
mod pad;
mod qdq;
mod reshape;
mod rewrite;
mod scale;
#[cfg(test)]
mod tests;
mod transpose;

use crate::error::{About, Error, Result};
use crate::ir::Graph;

/// A rewrite of the whole graph.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What messages call it.
    pub name: &'static str,
    /// Rewrites; true where anything changed.
    pub run: fn(&mut Graph) -> Result<bool>,
}

/// All passes, in their order. A pass that needs layouts settled comes after the transposes.
pub const PASSES: &[Pass] = &[
    Pass { name: "constant folding", run: fold::run },
    Pass { name: "identities", run: identity::run },
    Pass { name: "common subexpressions", run: common::run },
    Pass { name: "transposes", run: transpose::run },
    Pass { name: "flattened columns", run: columns::run },
    Pass { name: "reshapes", run: reshape::run },
    Pass { name: "scales and offsets", run: scale::run },
    Pass { name: "padding", run: pad::run },
    Pass { name: "activations", run: activation::run },
];

/// What makes integer operators of a model with QuantizeLinear and DequantizeLinear, once [`PASSES`] settled.
pub const QUANTIZED: &[Pass] = &[Pass { name: "quantize and dequantize", run: qdq::run }];

/// What keeps the integers of weights in layers that [`QUANTIZED`] leaves float.
pub const WEIGHTS: &[Pass] = &[Pass { name: "integer weights", run: qdq::weights }];

/// What turns every graph into one that each node's lowering accepts; run after [`PASSES`] and quantization.
pub const LEGALIZE: &[Pass] = &[
    Pass { name: "long concatenations", run: legalize::concatenations },
    Pass { name: "softmax axes", run: legalize::softmax },
    Pass { name: "transposes", run: transpose::merge },
    Pass { name: "reshapes", run: reshape::run },
    Pass { name: "identities", run: identity::run },
    Pass { name: "common subexpressions", run: common::run },
];

/// Most repetitions of a list; every pass shrinks or moves something one way, so this is never reached.
const MAX_ROUNDS: usize = 64;

/// Runs [`PASSES`] until nothing changes, and [`QUANTIZED`] and [`WEIGHTS`] in between.
pub fn run(graph: &mut Graph) -> Result<()> {
    repeat(graph, PASSES)?;
    repeat(graph, QUANTIZED)?;
    repeat(graph, WEIGHTS)?;
    repeat(graph, PASSES)
}

/// Runs [`LEGALIZE`] until nothing changes.
pub fn prepare_for_lowering(graph: &mut Graph) -> Result<()> {
    repeat(graph, LEGALIZE)
}

fn repeat(graph: &mut Graph, passes: &[Pass]) -> Result<()> {
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for pass in passes {
            changed |= (pass.run)(graph).about(format_args!("pass '{}'", pass.name))?;
            changed |= graph.drop_dead();
        }
        if !changed {
            return Ok(());
        }
    }
    Err(Error::invalid(format!("the passes did not settle in {MAX_ROUNDS} rounds")))
}
