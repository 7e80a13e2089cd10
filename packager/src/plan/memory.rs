//! Places in the arena: as small as liveness and the kernels' declared overlaps allow.
//!
//! Tensors alive at the same step must be apart, except that a step's output may share memory with an input
//! that dies there, at the distance the operator declares. Finding the least arena is NP-hard; this places
//! greedily in several orders, then improves the best order by a bounded, seeded local search. Deterministic.

use samara_runtime::Place;
use samara_runtime::ops::Inputs;

use super::{Kernels, Plan, PlannedStep};
use crate::error::{Error, Result};
use crate::lower;

/// Orders tried by the local search, divided by the number of tensors for large models.
const SEARCH_BUDGET: usize = 400_000;
/// Scratch and the arena's size are multiples of this.
const ALIGN: usize = 16;

/// Sets every arena tensor's offset and the arena's size.
pub fn place(plan: &mut Plan, kernels: Kernels) -> Result<()> {
    let problem = Problem::new(plan, kernels)?;
    let offsets = problem.solve();
    for (item, offset) in problem.items.iter().zip(&offsets) {
        plan.tensors[item.tensor].offset = *offset;
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

/// Something that lives in the arena, from the step `born` to the step `dies`, both included.
#[derive(Clone, Debug)]
struct Item {
    tensor: usize,
    size: usize,
    align: usize,
    born: usize,
    dies: usize,
}

/// Two items that are alive together: apart, unless one is a dying input and the other the output made from it.
#[derive(Clone, Copy, Debug)]
struct Conflict {
    other: usize,
    share: Option<Share>,
}

/// The distances at which an input and an output of one step may overlap.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Whether the item that holds this record is the input.
    is_input: bool,
    /// Least `input - output` with the input at or above the output.
    ascending: Option<usize>,
    /// Least `output - input` with the output above.
    descending: Option<usize>,
}

impl Share {
    fn admits(&self, this: usize, other: usize) -> bool {
        let (input, output) = if self.is_input { (this, other) } else { (other, this) };
        if output > input {
            self.descending.is_some_and(|d| output - input >= d)
        } else {
            self.ascending.is_some_and(|d| input - output >= d)
        }
    }

    /// Distances above and below the other item that are worth trying.
    fn candidates(&self) -> (Option<usize>, Option<usize>) {
        if self.is_input { (self.ascending, self.descending) } else { (self.descending, self.ascending) }
    }
}

struct Problem {
    items: Vec<Item>,
    conflicts: Vec<Vec<Conflict>>,
}

impl Problem {
    fn new(plan: &Plan, kernels: Kernels) -> Result<Self> {
        let end = plan.steps.len() + 1;
        // Step s of the plan is time s + 1: inputs are written at 0, outputs are read at `end`.
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; plan.tensors.len()];
        let mut touch = |t: usize, time: usize| {
            let life = lives[t].get_or_insert((time, time));
            *life = (life.0.min(time), life.1.max(time));
        };
        plan.inputs.iter().for_each(|&t| touch(t, 0));
        for (s, step) in plan.steps.iter().enumerate() {
            let operands = step.inputs.iter().flatten().chain(&step.outputs).chain(&step.scratch);
            operands.for_each(|&t| touch(t, s + 1));
        }
        plan.outputs.iter().for_each(|&t| touch(t, end));
        let mut items = Vec::new();
        let mut item_of = vec![usize::MAX; plan.tensors.len()];
        for (t, tensor) in plan.tensors.iter().enumerate() {
            if let (Place::Arena, Some((born, dies))) = (tensor.desc.place, lives[t]) {
                item_of[t] = items.len();
                let scratch = plan.steps.iter().any(|s| s.scratch == Some(t));
                let least = if scratch { ALIGN } else { tensor.desc.dtype.size() };
                let align = least.max(kernels.alignment());
                items.push(Item { tensor: t, size: tensor.desc.bytes(), align, born, dies });
            }
        }
        let mut conflicts = vec![Vec::new(); items.len()];
        for (a, x) in items.iter().enumerate() {
            for (b, y) in items.iter().enumerate().take(a) {
                if x.born <= y.dies && y.born <= x.dies {
                    conflicts[a].push(Conflict { other: b, share: None });
                    conflicts[b].push(Conflict { other: a, share: None });
                }
            }
        }
        let mut problem = Problem { items, conflicts };
        for (s, step) in plan.steps.iter().enumerate().filter(|(_, step)| kernels.overlaps(step.op)) {
            problem.allow_overlaps(plan, s, step, &item_of)?;
        }
        Ok(problem)
    }

    /// Lets a step's dying inputs and its outputs overlap where the operator and every kernel of the plan's id
    /// tolerate it.
    fn allow_overlaps(&mut self, plan: &Plan, s: usize, step: &PlannedStep, item_of: &[usize]) -> Result<()> {
        let def = lower::definition(step.op)?;
        if def.entries.iter().any(|e| e.id == step.kernel && !e.overlap) {
            return Ok(());
        }
        let inputs: Vec<_> = step.inputs.iter().map(|t| t.map(|t| plan.tensors[t].desc)).collect();
        let outputs: Vec<_> = step.outputs.iter().map(|&t| plan.tensors[t].desc).collect();
        // One input per step, the largest: an input that shares an output's span must be alone in it.
        let dying = step.inputs.iter().enumerate().filter_map(|(i, x)| {
            let item = item_of[x.as_ref().copied()?];
            let once = step.inputs.iter().filter(|&t| t == x).count() == 1;
            (item != usize::MAX && once && self.items[item].dies == s + 1).then_some((i, item))
        });
        let largest = dying.max_by_key(|&(i, item)| (self.items[item].size, usize::MAX - i));
        let (Some((i, x)), [y]) = (largest, &step.outputs[..]) else { return Ok(()) };
        let y = item_of[*y];
        let ascending = def.overlap(&step.attributes, &Inputs(&inputs), &outputs, i, 0)?;
        let descending = def.overlap_descending(&step.attributes, &Inputs(&inputs), &outputs, i, 0)?;
        if ascending.is_none() && descending.is_none() {
            return Ok(());
        }
        for (this, other, is_input) in [(x, y, true), (y, x, false)] {
            for c in self.conflicts[this].iter_mut().filter(|c| c.other == other) {
                c.share = Some(Share { is_input, ascending, descending });
            }
        }
        Ok(())
    }

    fn fits(&self, item: usize, at: usize, offsets: &[usize]) -> bool {
        let size = self.items[item].size;
        self.conflicts[item].iter().all(|c| {
            let other = offsets[c.other];
            if other == usize::MAX || at >= other + self.items[c.other].size || other >= at + size {
                return true;
            }
            c.share.is_some_and(|share| share.admits(at, other))
        })
    }

    /// Lowest place for `item` among those already placed.
    fn lowest(&self, item: usize, offsets: &[usize]) -> usize {
        let Item { size, align, .. } = self.items[item];
        let mut candidates = vec![0];
        for c in self.conflicts[item].iter().filter(|c| offsets[c.other] != usize::MAX) {
            let other = offsets[c.other];
            candidates.push((other + self.items[c.other].size).next_multiple_of(align));
            let (above, below) = c.share.map_or((None, None), |share| share.candidates());
            candidates.extend(above.map(|d| (other + d).next_multiple_of(align)));
            // Downwards: ends right below, or overlapping at the declared distance.
            candidates.extend(other.checked_sub(size).map(|at| at / align * align));
            candidates.extend(below.and_then(|d| other.checked_sub(d)).map(|at| at / align * align));
        }
        candidates.sort_unstable();
        candidates.into_iter().find(|&at| self.fits(item, at, offsets)).unwrap_or(0)
    }

    fn place_in(&self, order: &[usize]) -> Vec<usize> {
        let mut offsets = vec![usize::MAX; self.items.len()];
        for &item in order {
            offsets[item] = self.lowest(item, &offsets);
        }
        offsets
    }

    fn height(&self, offsets: &[usize]) -> usize {
        self.items.iter().zip(offsets).map(|(item, at)| at + item.size).max().unwrap_or(0)
    }

    /// No arrangement is smaller: at every step the largest single tensor, and tensors that may not overlap.
    fn bound(&self) -> usize {
        let last = self.items.iter().map(|i| i.dies).max().unwrap_or(0);
        let alive_sum = |time: usize| -> usize {
            let alive: Vec<usize> = (0..self.items.len())
                .filter(|&i| (self.items[i].born..=self.items[i].dies).contains(&time))
                .collect();
            // Those that may share count once, by the largest.
            let apart = alive.iter().filter(|&&i| {
                let shares = |c: &&Conflict| c.share.is_some() && alive.contains(&c.other);
                self.conflicts[i].iter().find(shares).is_none()
            });
            let shared =
                alive.iter().filter(|&&i| !apart.clone().any(|&a| a == i)).map(|&i| self.items[i].size);
            apart.clone().map(|&i| self.items[i].size).sum::<usize>() + shared.max().unwrap_or(0)
        };
        (0..=last).map(alive_sum).max().unwrap_or(0)
    }

    fn solve(&self) -> Vec<usize> {
        let n = self.items.len();
        let by = |key: &dyn Fn(&Item) -> (usize, usize)| -> Vec<usize> {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| key(&self.items[i]));
            order
        };
        let orders = [
            by(&|i| (usize::MAX - i.size, i.born)),
            by(&|i| (i.born, usize::MAX - i.size)),
            by(&|i| (usize::MAX - i.dies, usize::MAX - i.size)),
            by(&|i| (usize::MAX - i.size * (i.dies - i.born + 1), i.born)),
        ];
        let mut best: Option<(usize, Vec<usize>, Vec<usize>)> = None;
        for order in orders {
            let offsets = self.place_in(&order);
            let height = self.height(&offsets);
            if best.as_ref().is_none_or(|b| height < b.0) {
                best = Some((height, order, offsets));
            }
        }
        let Some((mut height, mut order, mut offsets)) = best else { return Vec::new() };
        let bound = self.bound();
        let mut random = SplitMix(0x5a3a7a);
        let mut left = if n < 2 { 0 } else { SEARCH_BUDGET / n };
        while left > 0 && height > bound {
            left -= 1;
            let mut next = order.clone();
            let (a, b) = (random.below(n), random.below(n));
            if random.below(2) == 0 {
                next.swap(a, b);
            } else {
                let moved = next.remove(a);
                next.insert(b, moved);
            }
            let candidate = self.place_in(&next);
            let h = self.height(&candidate);
            // Sideways moves let the search leave plateaus.
            if h <= height {
                (height, order, offsets) = (h, next, candidate);
            }
        }
        offsets
    }
}

/// The splitmix64 generator: a fixed sequence, so that plans are reproducible.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}
