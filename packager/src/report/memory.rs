//! Which tensor is where in the arena, and when.

use crate::plan::{Plan, memory};

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

/// A tensor's place in arena and time; for one that is computed in strips, the place of rows that come and go together. Time 0 is when inputs are written, time `k + 1` is step `k`, and the last
/// time is when outputs are read.
#[derive(Clone, PartialEq, Debug)]
pub struct Life {
    /// The tensor's name.
    pub name: String,
    /// Which of its rows these are, where they are not all.
    pub rows: Option<std::ops::Range<usize>>,
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
        let lives: Vec<Life> = memory::lives(plan).iter().map(|l| Life::new(plan, l)).collect();
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

impl Life {
    fn new(plan: &Plan, life: &memory::Life) -> Life {
        let t = life.tensor;
        let tensor = &plan.tensors[t];
        let role = if plan.inputs.contains(&t) {
            Role::Input
        } else if plan.outputs.contains(&t) {
            Role::Output
        } else if plan.steps.iter().any(|s| s.scratch == Some(t)) {
            Role::Scratch
        } else {
            Role::Activation
        };
        let whole = tensor.rows.is_none() && life.len() == tensor.desc.bytes();
        Life {
            name: tensor.name.clone(),
            rows: (!whole).then(|| plan.rows(t, life.start..life.end)),
            role,
            offset: tensor.offset + life.start,
            bytes: life.len(),
            born: life.born,
            dies: life.dies,
        }
    }

    /// The name, and the rows where they are not all.
    pub fn label(&self, name: &str) -> String {
        match &self.rows {
            Some(rows) => format!("{name} rows {} to {}", rows.start, rows.end.max(1) - 1),
            None => name.to_owned(),
        }
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
