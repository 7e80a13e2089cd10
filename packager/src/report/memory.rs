//! Which tensor is where in the arena, and when.

use samara_runtime::Place;

use crate::plan::Plan;

/// What a tensor in the arena is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The caller writes it.
    Input,
    /// The caller reads it.
    Output,
    /// One step makes it for later ones.
    Activation,
    /// Room that one step works in.
    Scratch,
}

impl Role {
    /// A word for pages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Input => "input",
            Role::Output => "output",
            Role::Activation => "activation",
            Role::Scratch => "scratch",
        }
    }
}

/// A tensor's place in arena and time. Time 0 is when inputs are written, time `k + 1` is step `k`, and the last
/// time is when outputs are read.
#[derive(Clone, PartialEq, Debug)]
pub struct Life {
    /// The tensor's name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub bytes: usize,
    /// First time that it is there.
    pub born: usize,
    /// Last time that it is there.
    pub dies: usize,
}

/// The arena over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Memory {
    /// In the plan's order.
    pub lives: Vec<Life>,
    /// Bytes of arena.
    pub arena: usize,
    /// Highest byte in use at each time.
    pub heights: Vec<usize>,
    /// Bytes in use at each time, overlapping tensors counted once.
    pub used: Vec<usize>,
    /// The first time at which the arena is as high as it ever is.
    pub peak: usize,
    /// Names of the times.
    pub times: Vec<String>,
}

impl Memory {
    /// Lifetimes as [`crate::plan::memory`] sees them.
    pub fn new(plan: &Plan) -> Memory {
        let end = plan.steps.len() + 1;
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; plan.tensors.len()];
        let mut touch = |t: usize, time: usize| {
            let span = spans[t].get_or_insert((time, time));
            *span = (span.0.min(time), span.1.max(time));
        };
        plan.inputs.iter().for_each(|&t| touch(t, 0));
        for (s, step) in plan.steps.iter().enumerate() {
            let operands = step.inputs.iter().flatten().chain(&step.outputs).chain(&step.scratch);
            operands.for_each(|&t| touch(t, s + 1));
        }
        plan.outputs.iter().for_each(|&t| touch(t, end));
        let mut lives = Vec::new();
        for (t, tensor) in plan.tensors.iter().enumerate() {
            if let (Place::Arena, Some((born, dies))) = (tensor.desc.place, spans[t]) {
                let role = if plan.inputs.contains(&t) {
                    Role::Input
                } else if plan.outputs.contains(&t) {
                    Role::Output
                } else if plan.steps.iter().any(|s| s.scratch == Some(t)) {
                    Role::Scratch
                } else {
                    Role::Activation
                };
                let (name, offset, bytes) = (tensor.name.clone(), tensor.offset, tensor.desc.bytes());
                lives.push(Life { name, role, offset, bytes, born, dies });
            }
        }
        let at = |time: usize| lives.iter().filter(move |l| l.born <= time && time <= l.dies);
        let heights: Vec<usize> =
            (0..=end).map(|t| at(t).map(|l| l.offset + l.bytes).max().unwrap_or(0)).collect();
        let used =
            (0..=end).map(|t| covered(at(t).map(|l| (l.offset, l.offset + l.bytes)).collect())).collect();
        let highest = heights.iter().copied().max().unwrap_or(0);
        let peak = heights.iter().position(|&h| h == highest).unwrap_or(0);
        let names = plan.steps.iter().map(|s| s.name.clone());
        let times = ["inputs".to_owned()].into_iter().chain(names).chain(["outputs".to_owned()]).collect();
        Memory { lives, arena: plan.arena, heights, used, peak, times }
    }
}

/// Length of a union of spans.
fn covered(mut spans: Vec<(usize, usize)>) -> usize {
    spans.sort_unstable();
    let (mut sum, mut end) = (0, 0);
    for (lo, hi) in spans {
        sum += hi.saturating_sub(lo.max(end));
        end = end.max(hi);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_count_once() {
        assert_eq!(covered(vec![(10, 20), (0, 5), (15, 30), (2, 4)]), 25);
        assert_eq!(covered(Vec::new()), 0);
    }
}
