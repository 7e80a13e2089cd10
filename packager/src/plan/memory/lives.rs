//! When which bytes of a tensor hold something.

use std::collections::BTreeMap;

use samara_runtime::Place;

use super::super::Plan;

/// Consecutive bytes of a tensor that are first and last touched together. Time 0 is when inputs are written, time
/// `s + 1` is step `s`, and the last time is when outputs are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// A tensor of the arena with bytes of its own.
    pub tensor: usize,
    /// Its first byte that this is about.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// First time that they are there.
    pub born: usize,
    /// Last time that they are there.
    pub dies: usize,
}

impl Life {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether there is a time at which both are there.
    pub fn meets(&self, other: &Life) -> bool {
        self.born <= other.dies && other.born <= self.dies
    }
}

/// Bytes of a tensor that has its own: which one, first, end.
pub(super) fn bytes(plan: &Plan, tensor: usize) -> (usize, usize, usize) {
    let len = plan.tensors[tensor].desc.bytes();
    match plan.tensors[tensor].rows.and_then(|rows| rows.inside) {
        Some((whole, at)) => (whole, at, at + len),
        None => (tensor, 0, len),
    }
}

/// Every life of every arena tensor that has bytes of its own, by tensor, then by bytes. Bytes that no step touches
/// have none.
pub fn lives(plan: &Plan) -> Vec<Life> {
    // By tensor: what is touched when.
    let mut touches: BTreeMap<usize, Vec<(usize, usize, usize)>> = BTreeMap::new();
    let mut touch = |t: usize, time: usize| {
        if plan.tensors[t].desc.place == Place::Arena {
            let (whole, start, end) = bytes(plan, t);
            touches.entry(whole).or_default().push((start, end, time));
        }
    };
    plan.inputs.iter().for_each(|&t| touch(t, 0));
    for (s, step) in plan.steps.iter().enumerate() {
        let operands = step.inputs.iter().flatten().chain(&step.outputs).chain(&step.scratch);
        // What runs at the same time is there at the same time.
        let times = plan.together(s);
        operands.for_each(|&t| times.iter().for_each(|time| touch(t, time + 1)));
    }
    plan.outputs.iter().for_each(|&t| touch(t, plan.steps.len() + 1));
    let mut lives: Vec<Life> = Vec::new();
    for (tensor, touches) in touches {
        let mut cuts: Vec<usize> = touches.iter().flat_map(|&(start, end, _)| [start, end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        for (&start, &end) in cuts.iter().zip(cuts.iter().skip(1)) {
            let times = touches.iter().filter(|t| t.0 <= start && end <= t.1).map(|t| t.2);
            let Some(born) = times.clone().min() else { continue };
            let dies = times.max().unwrap_or(born);
            match lives.last_mut() {
                Some(l) if (l.tensor, l.end, l.born, l.dies) == (tensor, start, born, dies) => l.end = end,
                _ => lives.push(Life { tensor, start, end, born, dies }),
            }
        }
    }
    lives
}
