//! Large steps cut into strips of rows that several threads compute at the same time.
//!
//! The strips of a step are steps of their own, one after the other, each with its own scratch and none over another's
//! memory. The runtime finds that they need nothing of each other; where it has one thread it runs them in turn. Bits
//! do not change: every element is computed by the same operations.

use super::patch::{Chain, row_count, unroll};
use super::{Plan, memory};
use crate::error::{Error, Result};

/// Multiply-accumulates, or bytes of output, of the smallest strip: what takes fast kernels about as long as waking a
/// thread takes.
const LEAST_WORK: u64 = 1 << 21;

/// Cuts every step that is large enough into as many strips as there are threads, and places the result.
pub fn split(plan: &Plan, threads: usize) -> Result<Plan> {
    split_for(plan, threads, LEAST_WORK)
}

/// As [`split`], into strips of at least so many multiply-accumulates or bytes of output.
pub fn split_for(plan: &Plan, threads: usize, least: u64) -> Result<Plan> {
    if plan.patched.is_some() {
        let cause = "a plan in strips for little memory cannot be cut for threads as well";
        return Err(Error::invalid(cause).remedy("leave out --threads, or allow more --ram"));
    }
    let mut chains = Vec::new();
    for s in 0..plan.steps.len() {
        let strips = strips(plan, s, threads, least);
        let chain = Chain { first: s, last: s, strips, whole: usize::MAX };
        if strips > 1 && unroll(plan, std::slice::from_ref(&chain))?.is_some() {
            chains.push(chain);
        }
    }
    let unrolled = unroll(plan, &chains)?;
    let (mut out, origins) = unrolled.ok_or_else(|| Error::invalid("the plan has no room for strips"))?;
    for (s, pair) in origins.windows(2).enumerate() {
        out.steps[s + 1].beside = pair[0] == pair[1];
    }
    memory::place(&mut out)?;
    Ok(out)
}

/// Into how many strips a step is worth cutting.
fn strips(plan: &Plan, s: usize, threads: usize, least: u64) -> usize {
    let step = &plan.steps[s];
    let Some(y) = step.outputs.first().map(|&t| &plan.tensors[t].desc) else { return 1 };
    let work = step.macs.max(y.bytes() as u64);
    threads.min(row_count(y).unwrap_or(1)).min((work / least.max(1)) as usize)
}
