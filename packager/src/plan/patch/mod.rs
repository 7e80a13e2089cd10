//! Patch execution: consecutive steps are computed strip by strip, so that large tensors between them are never there
//! as a whole (MCUNetV2, arXiv 2110.15352, has patches of both axes; strips of rows lie in one piece in NHWC).
//!
//! A strip is rows of a tensor. Inputs and results of a chain, and tensors inside it that are not too large, keep
//! their full size in the arena but only the rows that are still needed are theirs: the space before and behind is
//! for others ([`super::memory`]). Nothing is computed twice for them. Rows of the largest tensors get room for one
//! strip; what their windows overlap is computed again. The runtime sees ordinary steps on ordinary tensors, and
//! every element is computed by the same operations as without patches, so it has the same bits.

mod rows;
mod search;
mod unroll;

use serde_json::{Value as Json, json};

use super::{Plan, memory};
use crate::error::{Error, Result};

pub(super) use rows::{bytes as row_bytes, count as row_count};
pub use unroll::{Chain, unroll};

/// Whether plans are patched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Patching {
    /// Where the arena would exceed a given size otherwise.
    #[default]
    AsNeeded,
    /// Never.
    Off,
    /// For a small arena, as far as it costs few multiply-accumulates and bytes of plan.
    Auto,
    /// As [`Patching::Auto`], with so many strips.
    Strips(usize),
}

/// What patches did to a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patched {
    /// What was unrolled, by indices of steps of the plan as it was.
    pub chains: Vec<Chain>,
    /// Names of each chain's first and last step.
    pub names: Vec<[String; 2]>,
    /// Bytes of arena before and after.
    pub arena: [usize; 2],
    /// Multiply-accumulates before and after.
    pub macs: [u64; 2],
    /// Steps before and after.
    pub steps: [usize; 2],
    /// Bytes of the plan section before and after.
    pub bytes: [usize; 2],
}

impl Patched {
    /// Multiply-accumulates that are computed again, in percent of all; below 0 where rows are left out that nothing
    /// needs.
    pub fn extra(&self) -> f64 {
        let [before, after] = self.macs;
        (after as f64 / before.max(1) as f64 - 1.0) * 100.0
    }

    /// For scripts: what was unrolled, and each figure before and after.
    pub fn json(&self) -> Json {
        let chain = |(c, [first, last]): (&Chain, &[String; 2])| json!({ "first": first, "last": last, "steps": c.last - c.first + 1, "strips": c.strips });
        json!({
            "chains": self.chains.iter().zip(&self.names).map(chain).collect::<Vec<_>>(),
            "arena_bytes": self.arena,
            "macs": self.macs,
            "extra_macs_percent": self.extra(),
            "steps": self.steps,
            "plan_bytes": self.bytes,
        })
    }
}

/// Patches a plan that has its places. `ram` is the most that the arena should take; whether it does is for the caller
/// to see.
pub fn patch(plan: Plan, patching: Patching, ram: Option<usize>) -> Result<Plan> {
    let goal = match (patching, ram) {
        (Patching::AsNeeded, Some(ram)) if plan.arena > ram => Goal::Within(ram),
        (Patching::AsNeeded | Patching::Off, _) => return Ok(plan),
        (Patching::Auto, _) => Goal::Least { strips: None },
        (Patching::Strips(strips), _) => Goal::Least { strips: Some(strips) },
    };
    let chains = search::search(&plan, goal)?;
    if chains.is_empty() {
        return Ok(plan);
    }
    apply(&plan, chains)
}

/// Unrolls chains and places the result.
pub fn apply(plan: &Plan, chains: Vec<Chain>) -> Result<Plan> {
    let (mut out, _) =
        unroll(plan, &chains)?.ok_or_else(|| Error::invalid("these steps cannot be computed in strips"))?;
    memory::place(&mut out)?;
    let name = |s: usize| plan.steps[s].name.clone();
    out.patched = Some(Patched {
        names: chains.iter().map(|c| [name(c.first), name(c.last)]).collect(),
        chains,
        arena: [plan.arena, out.arena],
        macs: [plan.macs(), out.macs()],
        steps: [plan.steps.len(), out.steps.len()],
        bytes: [plan.emit()?.len(), out.emit()?.len()],
    });
    Ok(out)
}

/// Bytes of plan that a byte of arena is worth: microcontrollers have that much more flash than RAM.
const FLASH_PER_RAM: usize = 8;

/// What the search is for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// An arena of at most so many bytes, for the fewest multiply-accumulates.
    Within(usize),
    /// The smallest arena.
    Least {
        /// A fixed number of strips.
        strips: Option<usize>,
    },
}

impl Goal {
    /// Most multiply-accumulates computed again, in hundredths of all.
    fn most_extra(&self) -> u64 {
        match self {
            Goal::Within(_) => 100,
            Goal::Least { .. } => 10,
        }
    }

    /// What is to be least, for an arena and a plan that grew by `flash` bytes.
    fn weigh(&self, arena: usize, flash: usize) -> usize {
        match *self {
            Goal::Within(size) => arena.max(size),
            Goal::Least { .. } => arena + flash / FLASH_PER_RAM,
        }
    }
}
