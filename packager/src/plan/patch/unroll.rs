//! Steps written out once for each strip of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use samara_runtime::bundle::limits::{MAX_OPERANDS, MAX_STEPS, MAX_TENSORS};
use samara_runtime::ops::Inputs;
use samara_runtime::{Desc, Dtype, Shape};

use super::rows::{self, ByRows};
use crate::error::{Error, Result};
use crate::lower;
use crate::plan::{Plan, PlannedStep, PlannedTensor, Rows};

/// Consecutive steps that are computed strip by strip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Index of the first step in the plan as it was.
    pub first: usize,
    /// Index of the last one.
    pub last: usize,
    /// Into how many strips the last step's output is cut; at most its rows.
    pub strips: usize,
    /// A tensor between the steps of at most so many bytes has room for all of its rows, which come and go. Of larger
    /// ones each strip has its own rows, and computes those again that its neighbour had.
    pub whole: usize,
}

/// The plan with these chains unrolled, which are disjoint, and for each of its steps which one of the plan's it is;
/// arena offsets are open. `None` where a chain has a step that is not computed by rows or reads as a whole what the
/// chain makes, or where the plan would exceed the format's limits.
pub fn unroll(plan: &Plan, chains: &[Chain]) -> Result<Option<(Plan, Vec<usize>)>> {
    let mut chains: Vec<&Chain> = chains.iter().collect();
    chains.sort_by_key(|c| c.first);
    let start = Plan { steps: Vec::new(), ..plan.clone() };
    let mut out = Unrolled { plan: start, origins: Vec::new(), views: BTreeMap::new() };
    let mut next = 0;
    for chain in chains {
        out.keep(plan, next..chain.first);
        let Some(work) = Work::new(plan, chain) else { return Ok(None) };
        if !out.chain(plan, work)? {
            return Ok(None);
        }
        next = chain.last + 1;
    }
    out.keep(plan, next..plan.steps.len());
    let operands = |s: &PlannedStep| s.inputs.len() + s.outputs.len() + 1;
    let fits = out.plan.steps.len() <= MAX_STEPS
        && out.plan.tensors.len() <= MAX_TENSORS
        && out.plan.steps.iter().map(operands).sum::<usize>() <= MAX_OPERANDS - 64;
    Ok(fits.then(|| (compact(out.plan), out.origins)))
}

/// What a chain consists of.
struct Work<'p> {
    chain: &'p Chain,
    rules: Vec<ByRows>,
    /// Which of its steps makes a tensor.
    maker: BTreeMap<usize, usize>,
    /// Tensors that it makes and that others read.
    exits: BTreeSet<usize>,
}

impl<'p> Work<'p> {
    fn new(plan: &'p Plan, chain: &'p Chain) -> Option<Self> {
        let steps = plan.steps.get(chain.first..=chain.last)?;
        let rules = steps.iter().map(|s| ByRows::of(plan, s)).collect::<Option<Vec<_>>>()?;
        let maker: BTreeMap<usize, usize> =
            steps.iter().enumerate().flat_map(|(n, s)| s.outputs.iter().map(move |&t| (t, n))).collect();
        let outside = plan.steps[..chain.first].iter().chain(&plan.steps[chain.last + 1..]);
        let read: BTreeSet<usize> =
            outside.flat_map(|s| s.inputs.iter().flatten()).chain(&plan.outputs).copied().collect();
        let exits: BTreeSet<usize> = maker.keys().copied().filter(|t| read.contains(t)).collect();
        let last = *steps.last()?.outputs.first()?;
        let rows = rows::count(&plan.tensors[last].desc)?;
        // What is read as a whole must be there before the chain.
        let ready = steps.iter().zip(&rules).all(|(step, rule)| {
            let inputs = step.inputs.iter().enumerate().filter_map(|(i, t)| Some((i, (*t)?)));
            inputs.into_iter().all(|(i, t)| rule.reads(i) || !maker.contains_key(&t))
        });
        let known = |t: &usize| plan.tensors[*t].rows.is_none();
        let fits = ready && exits.contains(&last) && (1..=rows).contains(&chain.strips);
        (fits && maker.keys().all(known)).then_some(Work { chain, rules, maker, exits })
    }
}

/// A plan that grows.
struct Unrolled {
    plan: Plan,
    /// Of each step, its index in the plan as it was.
    origins: Vec<usize>,
    /// Tensors that are rows of others, by the other and the rows.
    views: BTreeMap<(usize, usize, usize), usize>,
}

/// A tensor of a chain while it is unrolled.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Rows that have been computed so far, where there is room for all.
    done: usize,
    /// What this strip computes.
    now: Range<usize>,
    /// What this strip needs.
    need: Option<Range<usize>>,
    /// The planned tensor that holds this strip's rows, and the first of them.
    place: Option<(usize, usize)>,
}

impl Unrolled {
    /// Appends steps as they are.
    fn keep(&mut self, plan: &Plan, steps: Range<usize>) {
        self.plan.steps.extend(plan.steps[steps.clone()].iter().cloned());
        self.origins.extend(steps);
    }

    /// Appends the chain's steps; false where a row of it depends on nothing but padding.
    fn chain(&mut self, plan: &Plan, work: Work<'_>) -> Result<bool> {
        let steps = &plan.steps[work.chain.first..=work.chain.last];
        let desc = |t: usize| &plan.tensors[t].desc;
        let count = |t: usize| rows::count(desc(t)).unwrap_or(1);
        let Some(&last) = steps.last().and_then(|s| s.outputs.first()) else { return Ok(false) };
        let whole = |t: usize| work.exits.contains(&t) || desc(t).bytes() <= work.chain.whole;
        let mut progress: BTreeMap<usize, Progress> =
            work.maker.keys().map(|&t| (t, Progress::default())).collect();
        for strip in 1..=work.chain.strips {
            let end = |t: usize| (count(t) * strip).div_ceil(work.chain.strips);
            for (&t, p) in &mut progress {
                let rows = p.done..if work.exits.contains(&t) { end(t) } else { 0 };
                (p.need, p.now, p.place) = ((!rows.is_empty()).then_some(rows), 0..0, None);
            }
            // Backwards: what each step must compute, and what it needs for that.
            for (step, rule) in steps.iter().zip(&work.rules).rev() {
                let Some(p) = progress.get_mut(&step.outputs[0]) else { return Ok(false) };
                let Some(need) = p.need.clone() else { continue };
                p.now = if whole(step.outputs[0]) { p.done..need.end.max(p.done) } else { need };
                if p.now.is_empty() {
                    continue;
                }
                let Some(reads) = rule.needs(&p.now.clone()) else { return Ok(false) };
                for t in
                    step.inputs.iter().enumerate().filter(|(i, _)| rule.reads(*i)).filter_map(|(_, t)| *t)
                {
                    if let Some(source) = progress.get_mut(&t) {
                        let hull = source.need.take();
                        let hull =
                            hull.map_or(reads.clone(), |r| r.start.min(reads.start)..r.end.max(reads.end));
                        source.need = Some(hull);
                    }
                }
            }
            for (n, (step, rule)) in steps.iter().zip(&work.rules).enumerate() {
                let y = step.outputs[0];
                let Some(now) = progress.get(&y).map(|p| p.now.clone()).filter(|now| !now.is_empty()) else {
                    continue;
                };
                let output = if whole(y) { self.view(y, 0, &now)? } else { self.strip(y, &now)? };
                let Some(reads) = rule.needs(&now) else { return Ok(false) };
                let mut inputs = step.inputs.clone();
                for (_, t) in inputs.iter_mut().enumerate().filter(|(i, _)| rule.reads(*i)) {
                    let Some(t) = t else { continue };
                    *t = match progress.get(t).and_then(|p| p.place) {
                        Some((place, first)) => self.view(place, first, &reads)?,
                        None => self.view(*t, 0, &reads)?,
                    };
                }
                if let Some(p) = progress.get_mut(&y) {
                    p.done = now.end;
                    p.place = (!whole(y)).then_some((output, now.start));
                }
                let attributes = rule.attributes(&now, &step.attributes);
                self.origins.push(work.chain.first + n);
                self.step(PlannedStep { attributes, inputs, outputs: vec![output], ..step.clone() })?;
            }
        }
        Ok(progress[&last].done == count(last))
    }

    /// A tensor with bytes of its own for some rows of `t`.
    fn strip(&mut self, t: usize, rows: &Range<usize>) -> Result<usize> {
        let PlannedTensor { name, desc, .. } = &self.plan.tensors[t];
        let held = Rows { first: rows.start, of: rows::count(desc).unwrap_or(1), inside: None };
        let desc = rows::part(desc, rows.len())?;
        self.plan.tensors.push(PlannedTensor { name: name.clone(), desc, offset: 0, rows: Some(held) });
        Ok(self.plan.tensors.len() - 1)
    }

    /// Some rows of a whole tensor or of a strip, whose first row is `first`.
    fn view(&mut self, t: usize, first: usize, rows: &Range<usize>) -> Result<usize> {
        let PlannedTensor { name, desc, rows: held, .. } = &self.plan.tensors[t];
        let have = rows::count(desc).unwrap_or(1);
        if (first, rows.len()) == (rows.start, have) {
            return Ok(t);
        }
        if let Some(&view) = self.views.get(&(t, rows.start, rows.end)) {
            return Ok(view);
        }
        let at = rows.start.checked_sub(first).filter(|at| at + rows.len() <= have);
        let at = at.ok_or_else(|| Error::invalid("rows of a strip are missing"))? * rows::bytes(desc);
        let of = held.map_or(have, |held| held.of);
        let held = Rows { first: rows.start, of, inside: Some((t, at)) };
        let desc = rows::part(desc, rows.len())?;
        self.plan.tensors.push(PlannedTensor { name: name.clone(), desc, offset: 0, rows: Some(held) });
        let view = self.plan.tensors.len() - 1;
        self.views.insert((t, rows.start, rows.end), view);
        Ok(view)
    }

    /// Appends a step with its own scratch and cost.
    fn step(&mut self, mut step: PlannedStep) -> Result<()> {
        let def = lower::definition(step.op)?;
        let tensors = &self.plan.tensors;
        let inputs: Vec<Option<Desc>> = step.inputs.iter().map(|t| t.map(|t| tensors[t].desc)).collect();
        let outputs: Vec<Desc> = step.outputs.iter().map(|&t| tensors[t].desc).collect();
        let inferred = def.infer(&step.attributes, &Inputs(&inputs))?;
        if inferred.outputs().iter().zip(&outputs).any(|(a, b)| (a.dtype, a.shape) != (b.dtype, b.shape)) {
            return Err(Error::invalid(format!("step '{}' has other rows than were planned", step.name)));
        }
        step.macs = def.macs(&step.attributes, &Inputs(&inputs), &outputs)?;
        let scratch = def.scratch(&step.attributes, &Inputs(&inputs), &outputs, step.kernel)?;
        step.scratch = None;
        if scratch > 0 {
            let desc = Desc::new(Dtype::U8, Shape::new(&[scratch as u32])?);
            let name = format!("{}/scratch", step.name);
            self.plan.tensors.push(PlannedTensor { name, desc, offset: 0, rows: None });
            step.scratch = Some(self.plan.tensors.len() - 1);
        }
        self.plan.steps.push(step);
        Ok(())
    }
}

/// The plan without tensors that nothing uses, the others in the order of first use.
fn compact(mut plan: Plan) -> Plan {
    let mut order: Vec<usize> = Vec::new();
    let mut place = vec![usize::MAX; plan.tensors.len()];
    let mut add = |t: usize| {
        // What holds a tensor comes before it.
        let holder = plan.tensors[t].rows.and_then(|rows| rows.inside).map(|(whole, _)| whole);
        for t in holder.into_iter().chain([t]) {
            if place[t] == usize::MAX {
                place[t] = order.len();
                order.push(t);
            }
        }
    };
    plan.inputs.iter().for_each(|&t| add(t));
    for step in &plan.steps {
        step.inputs.iter().flatten().chain(&step.outputs).chain(&step.scratch).for_each(|&t| add(t));
    }
    plan.outputs.iter().for_each(|&t| add(t));
    let tensors = order.iter().map(|&t| {
        let mut tensor = plan.tensors[t].clone();
        if let Some((whole, _)) = tensor.rows.as_mut().and_then(|rows| rows.inside.as_mut()) {
            *whole = place[*whole];
        }
        tensor
    });
    let tensors = tensors.collect();
    let to = |t: &mut usize| *t = place[*t];
    plan.inputs.iter_mut().chain(&mut plan.outputs).for_each(to);
    for step in &mut plan.steps {
        step.inputs.iter_mut().flatten().chain(&mut step.outputs).chain(&mut step.scratch).for_each(to);
    }
    Plan { tensors, ..plan }
}
