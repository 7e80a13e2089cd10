//! What must be apart: every two tensors' offsets may not differ by certain distances.

use std::collections::{BTreeMap, BTreeSet};

use samara_runtime::Place;
use samara_runtime::ops::Inputs;

use super::ALIGN;
use super::lives::{Life, bytes, lives};
use crate::error::Result;
use crate::lower;
use crate::plan::{Plan, PlannedStep};

/// A tensor that gets a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) tensor: usize,
    pub(super) size: usize,
    pub(super) align: usize,
    /// Over all of its bytes.
    pub(super) born: usize,
    pub(super) dies: usize,
}

/// `this offset - other's offset` may not be in `low..=high`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    pub(super) other: usize,
    pub(super) low: isize,
    pub(super) high: isize,
}

/// An input and the output of one step that may share memory at a distance.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Time of the step.
    time: usize,
    /// Item, first byte and end of the input's bytes in it.
    input: (usize, usize, usize),
    /// The same of the output.
    output: (usize, usize, usize),
    /// Least `input - output` with the input at or above the output.
    ascending: Option<usize>,
    /// Least `output - input` with the output above.
    descending: Option<usize>,
    /// Bytes of the input that nobody reads after the step.
    dying: usize,
}

pub(super) struct Problem {
    pub(super) items: Vec<Item>,
    pub(super) conflicts: Vec<Vec<Conflict>>,
    /// No arrangement is smaller.
    pub(super) bound: usize,
}

/// What a plan needs, whatever its arrangement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pressure {
    /// At every time (see [`Life`]) the bytes that are there, less what the step's input and output may share.
    pub times: Vec<usize>,
    /// No arrangement is smaller: the most bytes at a time, and the largest tensor with all of its rows.
    pub bound: usize,
}

impl Pressure {
    /// Of a plan with or without places.
    pub fn of(plan: &Plan) -> Result<Pressure> {
        let lives = lives(plan);
        let Parts { items, shares, .. } = Parts::new(plan, &lives)?;
        Ok(Pressure::new(plan, &lives, &items, &shares))
    }

    fn new(plan: &Plan, lives: &[Life], items: &[Item], shares: &[Share]) -> Pressure {
        let mut change = vec![0isize; plan.steps.len() + 3];
        for life in lives {
            change[life.born] += signed(life.len());
            change[life.dies + 1] -= signed(life.len());
        }
        let mut saved = vec![0; change.len()];
        shares.iter().for_each(|s| saved[s.time] = signed(s.most()));
        let mut alive = 0;
        let total = |(change, saved): (&isize, &isize)| {
            alive += change;
            (alive - saved).max(0) as usize
        };
        let times: Vec<usize> = change.iter().zip(&saved).map(total).collect();
        let largest = items.iter().map(|i| i.size).max().unwrap_or(0);
        let bound = times.iter().copied().max().unwrap_or(0).max(largest).next_multiple_of(ALIGN);
        Pressure { times, bound }
    }
}

/// What has a place, and who may share.
struct Parts<'l> {
    items: Vec<Item>,
    /// Lives of each item.
    lives: Vec<&'l [Life]>,
    shares: Vec<Share>,
}

impl<'l> Parts<'l> {
    fn new(plan: &Plan, lives: &'l [Life]) -> Result<Self> {
        let mut item_of = vec![usize::MAX; plan.tensors.len()];
        let mut items: Vec<Item> = Vec::new();
        let mut parts: Vec<&[Life]> = Vec::new();
        let scratch: BTreeSet<usize> = plan.steps.iter().filter_map(|s| s.scratch).collect();
        for own in lives.chunk_by(|a, b| a.tensor == b.tensor) {
            let (tensor, desc) = (own[0].tensor, &plan.tensors[own[0].tensor].desc);
            item_of[tensor] = items.len();
            let least = if scratch.contains(&tensor) { ALIGN } else { desc.dtype.size() };
            let align = least.max(plan.kernels.alignment());
            let born = own.iter().map(|l| l.born).min().unwrap_or(0);
            let dies = own.iter().map(|l| l.dies).max().unwrap_or(0);
            items.push(Item { tensor, size: desc.bytes(), align, born, dies });
            parts.push(own);
        }
        let mut shares = Vec::new();
        for (s, step) in plan.steps.iter().enumerate() {
            shares.extend(share(plan, s, step, &item_of, &parts)?);
        }
        Ok(Parts { items, lives: parts, shares })
    }
}

impl Problem {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let lives = lives(plan);
        let Parts { items, lives: parts, shares } = Parts::new(plan, &lives)?;
        let Pressure { bound, .. } = Pressure::new(plan, &lives, &items, &shares);
        let mut between: BTreeMap<(usize, usize), Vec<&Share>> = BTreeMap::new();
        for share in &shares {
            let (x, y) = (share.input.0, share.output.0);
            between.entry((x.max(y), x.min(y))).or_default().push(share);
        }
        let mut conflicts = vec![Vec::new(); items.len()];
        for a in 0..items.len() {
            for b in 0..a {
                if items[a].born > items[b].dies || items[b].born > items[a].dies {
                    continue;
                }
                let shares = between.get(&(a, b)).map_or(&[][..], |s| s);
                for (low, high) in forbidden((a, parts[a]), parts[b], shares) {
                    conflicts[a].push(Conflict { other: b, low, high });
                    conflicts[b].push(Conflict { other: a, low: -high, high: -low });
                }
            }
        }
        Ok(Problem { items, conflicts, bound })
    }
}

/// The distances `a - b` at which some of their bytes would be in one place at one time, as few intervals; `shares`
/// are all between the two.
fn forbidden((item, a): (usize, &[Life]), b: &[Life], shares: &[&Share]) -> Vec<(isize, isize)> {
    let mut all = Vec::new();
    for x in a {
        for y in b.iter().filter(|y| x.meets(y)) {
            let (mut low, mut high) =
                (signed(y.start) - signed(x.end) + 1, signed(y.end) - signed(x.start) - 1);
            for share in shares {
                let turned = share.input.0 != item;
                let (input, output) = if turned { (y, x) } else { (x, y) };
                if !share.is_about(input, output) {
                    continue;
                }
                let (l, h) = share.forbidden();
                let (l, h) = if turned { (-h, -l) } else { (l, h) };
                (low, high) = (low.max(l), high.min(h));
            }
            if low <= high {
                all.push((low, high));
            }
        }
    }
    all.sort_unstable();
    let mut merged: Vec<(isize, isize)> = Vec::new();
    for (low, high) in all {
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn signed(bytes: usize) -> isize {
    // Tensors are below 2^30 bytes.
    bytes as isize
}

impl Share {
    /// Whether these bytes meet only in the step, which reads the one for the last time and writes the other.
    fn is_about(&self, input: &Life, output: &Life) -> bool {
        let inside = |l: &Life, (_, start, end): (usize, usize, usize)| start <= l.start && l.end <= end;
        input.dies == self.time
            && output.born == self.time
            && inside(input, self.input)
            && inside(output, self.output)
    }

    /// The distances `input's item - output's item` that the step does not tolerate where the bytes overlap.
    fn forbidden(&self) -> (isize, isize) {
        // From the distance of the operands to that of the items they are in.
        let shift = signed(self.output.1) - signed(self.input.1);
        let high = self.ascending.map_or(isize::MAX / 2, |d| signed(d) - 1);
        let low = self.descending.map_or(isize::MIN / 2, |d| 1 - signed(d.max(1)));
        (low + shift, high + shift)
    }

    /// Most bytes that they can share.
    fn most(&self) -> usize {
        let (x, y) = (self.input.2 - self.input.1, self.output.2 - self.output.1);
        let shared = |above: usize, below: usize, distance: Option<usize>| {
            distance.map_or(0, |d| above + below - below.max(d + above).min(above + below))
        };
        shared(x, y, self.ascending).max(shared(y, x, self.descending)).min(self.dying)
    }
}

/// How a step's output may overlap an input of which bytes die there, where the operator and every kernel of the
/// plan's id tolerate it.
fn share(
    plan: &Plan,
    s: usize,
    step: &PlannedStep,
    item_of: &[usize],
    parts: &[&[Life]],
) -> Result<Option<Share>> {
    let def = lower::definition(step.op)?;
    if !plan.kernels.overlaps(step.op) || def.entries.iter().any(|e| e.id == step.kernel && !e.overlap) {
        return Ok(None);
    }
    let [y] = step.outputs[..] else { return Ok(None) };
    let time = s + 1;
    let place = |t: usize| {
        let (whole, start, end) = bytes(plan, t);
        (item_of[whole], start, end)
    };
    let arena = |t: &Option<usize>| t.filter(|&t| plan.tensors[t].desc.place == Place::Arena).map(place);
    // One input per step, the one with most dying bytes: an input that shares an output's span must be alone in it.
    let dying = step.inputs.iter().enumerate().filter_map(|(i, x)| {
        let x = arena(x)?;
        let alone = step.inputs.iter().filter_map(arena).filter(|other| other.0 == x.0).count() == 1;
        let dies = |l: &&Life| l.dies == time && x.1 <= l.start && l.end <= x.2;
        let dying: usize = parts[x.0].iter().filter(dies).map(Life::len).sum();
        (alone && dying > 0).then_some((i, x, dying))
    });
    let Some((i, input, dying)) = dying.max_by_key(|&(i, _, dying)| (dying, usize::MAX - i)) else {
        return Ok(None);
    };
    let output = place(y);
    if input.0 == output.0 {
        return Ok(None);
    }
    let inputs: Vec<_> = step.inputs.iter().map(|t| t.map(|t| plan.tensors[t].desc)).collect();
    let outputs: Vec<_> = step.outputs.iter().map(|&t| plan.tensors[t].desc).collect();
    let ascending = def.overlap(&step.attributes, &Inputs(&inputs), &outputs, i, 0)?;
    let descending = def.overlap_descending(&step.attributes, &Inputs(&inputs), &outputs, i, 0)?;
    let some = ascending.is_some() || descending.is_some();
    Ok(some.then_some(Share { time, input, output, ascending, descending, dying }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: usize = 5;

    fn life(tensor: usize, bytes: (usize, usize), born: usize, dies: usize) -> Life {
        Life { tensor, start: bytes.0, end: bytes.1, born, dies }
    }

    /// Whether a distance of two offsets is fine, by the loader's rule: bytes of two operands of a step that are in one
    /// place must be at a distance that the step tolerates, and what lives on may not be written over.
    fn is_fine(distance: isize, share: &Share, input: &[Life], output: &Life) -> bool {
        let meet = |a: (usize, usize), b: (usize, usize)| {
            let (start, end) = (signed(a.0) + distance, signed(a.1) + distance);
            start < signed(b.1) && signed(b.0) < end
        };
        let operands = (share.input.1, share.input.2);
        let apart = signed(share.input.1) + distance - signed(share.output.1);
        let tolerated = if apart >= 0 {
            share.ascending.is_some_and(|d| apart >= signed(d))
        } else {
            share.descending.is_some_and(|d| -apart >= signed(d))
        };
        let written = (output.start, output.end);
        let lost = input.iter().any(|l| l.dies > TIME && meet((l.start, l.end), written));
        !lost && (tolerated || !meet(operands, written))
    }

    #[test]
    fn distances_are_those_that_the_loader_accepts() {
        let mut checked = 0;
        for ascending in [None, Some(0), Some(1), Some(4), Some(30)] {
            for descending in [None, Some(0), Some(1), Some(6), Some(30)] {
                // Rows 4 to 16 of 24 bytes are read, of which the last ones live on; 3 to 12 of 20 are written.
                for keep in [4, 9, 15, 16] {
                    let input = [
                        life(0, (0, 4), 1, 2),
                        life(0, (4, keep), 1, TIME),
                        life(0, (keep, 24), 1, TIME + 3),
                    ];
                    let input: Vec<Life> = input.into_iter().filter(|l| !l.is_empty()).collect();
                    let output = life(1, (3, 12), TIME, TIME + 1);
                    let (x, y) = ((0, 4, 16), (1, 3, 12));
                    let dying = keep - 4;
                    let share = Share { time: TIME, input: x, output: y, ascending, descending, dying };
                    let found = forbidden((0, &input), &[output], &[&share]);
                    let turned = forbidden((1, &[output]), &input, &[&share]);
                    for distance in -60..60 {
                        let hit = |all: &[(isize, isize)], d| all.iter().any(|&(l, h)| l <= d && d <= h);
                        let fine = is_fine(distance, &share, &input, &output);
                        assert_eq!(!hit(&found, distance), fine, "{distance} with {share:?}");
                        assert_eq!(!hit(&turned, -distance), fine, "turned, {distance} with {share:?}");
                        checked += 1;
                        // What they share is never more than was promised.
                        let (start, end) = (distance, distance + signed(keep));
                        let shared = end.min(12) - (start + 4).max(3);
                        assert!(!fine || shared <= signed(share.most()), "{shared} with {share:?}");
                    }
                }
            }
        }
        assert_eq!(checked, 25 * 4 * 120);
    }
}
