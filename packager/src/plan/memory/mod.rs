//! Places in the arena: as small as liveness and the kernels' declared overlaps allow.
//!
//! Bytes that are there at one time must be apart, except that a step's output may share memory with an input
//! that dies there, at the distance the operator declares. Rows of a tensor ([`super::Rows`]) are at a fixed place in
//! it, and come and go by themselves. Finding the least arena is NP-hard; this places greedily in several orders,
//! then improves the best order by a bounded, seeded local search. Deterministic.

mod lives;
mod problem;
mod solve;

use super::Plan;
use crate::error::{Error, Result};
use problem::Problem;

pub use lives::{Life, lives};
pub use problem::Pressure;

/// Scratch and the arena's size are multiples of this.
const ALIGN: usize = 16;

/// How long to look for a smaller arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Few orders: to tell plans apart.
    Sketch,
    /// As it is packed.
    Full,
}

/// Sets every arena tensor's offset and the arena's size. Where memory is plenty, the last bytes are not looked for.
pub fn place(plan: &mut Plan) -> Result<()> {
    let effort = if plan.kernels.alignment() > 1 { Effort::Sketch } else { Effort::Full };
    place_with(plan, effort)
}

/// As [`place`], with less effort where that is enough.
pub fn place_with(plan: &mut Plan, effort: Effort) -> Result<()> {
    let problem = Problem::new(plan)?;
    let offsets = problem.solve(effort);
    for (item, offset) in problem.items.iter().zip(&offsets) {
        plan.tensors[item.tensor].offset = *offset;
    }
    for t in 0..plan.tensors.len() {
        if let Some((whole, at)) = plan.tensors[t].rows.and_then(|rows| rows.inside) {
            plan.tensors[t].offset = plan.tensors[whole].offset + at;
        }
    }
    plan.arena = problem.height(&offsets).next_multiple_of(ALIGN);
    if plan.arena > 1 << 30 {
        return Err(Error::invalid(format!(
            "the model needs {} bytes of activations; 1 GiB is the most",
            plan.arena
        )));
    }
    Ok(())
}
