//! Which chains to unroll, and into how many strips.

use super::Goal;
use super::rows::{self, ByRows};
use super::unroll::{Chain, unroll};
use crate::error::Result;
use crate::plan::Plan;
use crate::plan::memory::{self, Effort};

/// Most steps of a chain.
const LONGEST: usize = 24;
/// Counts of strips that are tried, and those for a first look at a chain.
const STRIPS: &[usize] = &[2, 3, 4, 6, 8, 12, 16, 24, 32, 48];
const FIRST_STRIPS: &[usize] = &[4, 16];
/// How many chains are looked at closely, how many forms of them are placed, and how many of these with care.
const CLOSELY: usize = 24;
const SKETCHED: usize = 64;
const PLACED: usize = 6;
/// Chains of one plan.
const MOST_CHAINS: usize = 4;

/// A plan with some chains unrolled.
#[derive(Clone, Debug)]
struct Candidate {
    score: Score,
    chains: Vec<Chain>,
    plan: Plan,
    /// Of each step, its index in the plan as it was.
    origins: Vec<usize>,
}

/// What orders candidates, the best first: what the goal is about, multiply-accumulates, bytes of plan.
type Score = (usize, u64, usize);

/// How a chain could be cut: the best score it could have, the least arena, and how.
type Form = (Score, usize, Chain);
/// What forms are sorted by, least first.
type Order = fn(&Form) -> (usize, u64, usize);

/// The chains whose unrolling serves the goal best; none where nothing does. `plan` has its places.
pub(super) fn search(plan: &Plan, goal: Goal) -> Result<Vec<Chain>> {
    // Weights are never looked at.
    let plan = Plan { weights: Vec::new(), ..plan.clone() };
    let search = Search { plan: &plan, goal, macs: plan.macs(), bytes: plan.emit()?.len() };
    let origins = (0..plan.steps.len()).collect();
    let score = search.score(&plan)?;
    let mut best = Candidate { score, chains: Vec::new(), plan: plan.clone(), origins };
    for _ in 0..MOST_CHAINS {
        let reached = matches!(goal, Goal::Within(size) if best.plan.arena <= size);
        let Some(next) = (if reached { None } else { search.improve(&best)? }) else { break };
        best = next;
    }
    Ok(best.chains)
}

struct Search<'a> {
    plan: &'a Plan,
    goal: Goal,
    macs: u64,
    bytes: usize,
}

impl Search<'_> {
    /// The best plan with one chain more, or with a chain in place of those that it overlaps, where that is at least
    /// a hundredth better.
    fn improve(&self, best: &Candidate) -> Result<Option<Candidate>> {
        let mut spans: Vec<(Score, usize, usize)> = Vec::new();
        for (first, last) in self.spans(best)? {
            let seen = self.look(best, &self.forms(first, last, FIRST_STRIPS))?;
            spans.extend(seen.iter().map(|form| (form.0, first, last)).min());
        }
        spans.sort_unstable();
        let mut forms: Vec<Form> = Vec::new();
        for &(_, first, last) in spans.iter().take(CLOSELY) {
            forms.extend(self.look(best, &self.forms(first, last, STRIPS))?);
        }
        // Those that serve the goal best if they can be placed without gaps, those that leave most room for gaps, and
        // those that leave most of what computes least again.
        let mut chosen: Vec<Form> = Vec::new();
        let orders: [Order; 3] = [|f| f.0, |f| (f.1, f.0.1, f.0.2), |f| (0, f.0.1, f.1)];
        for order in orders {
            forms.sort_by_key(order);
            chosen.extend(forms.drain(..forms.len().min(SKETCHED / orders.len())));
        }
        let mut found = Vec::new();
        for (_, _, chain) in chosen {
            found.extend(self.candidate(best, &chain, Some(Effort::Sketch))?);
        }
        found.sort_by_key(|candidate| candidate.score);
        for candidate in found.iter_mut().take(PLACED) {
            memory::place(&mut candidate.plan)?;
            candidate.score = self.score(&candidate.plan)?;
        }
        let next = found.into_iter().min_by(|a, b| a.score.cmp(&b.score));
        Ok(next.filter(|next| next.score.0 * 100 < best.score.0 * 99))
    }

    /// First and last step of every chain that holds the step where most bytes are in use.
    fn spans(&self, best: &Candidate) -> Result<Vec<(usize, usize)>> {
        let pressure = memory::Pressure::of(&best.plan)?.times;
        let Some(time) = (0..pressure.len()).rev().max_by_key(|&t| pressure[t]) else {
            return Ok(Vec::new());
        };
        let Some(&peak) = time.checked_sub(1).and_then(|s| best.origins.get(s)) else {
            return Ok(Vec::new());
        };
        let by_rows = |s: &usize| ByRows::of(self.plan, &self.plan.steps[*s]).is_some();
        let firsts = (0..=peak).rev().take(LONGEST).take_while(by_rows);
        let lasts: Vec<usize> = (peak..self.plan.steps.len()).take(LONGEST).take_while(by_rows).collect();
        let spans = firsts.flat_map(|first| lasts.iter().map(move |&last| (first, last)));
        Ok(spans.filter(|(first, last)| last - first < LONGEST).collect())
    }

    /// The ways to cut a chain: numbers of strips, and which tensors inside are as large as the graph has them.
    fn forms(&self, first: usize, last: usize, strips: &[usize]) -> Vec<Chain> {
        let bytes = |s: usize| self.plan.tensors[self.plan.steps[s].outputs[0]].desc.bytes();
        let rows = rows::count(&self.plan.tensors[self.plan.steps[last].outputs[0]].desc).unwrap_or(1);
        let mut sizes: Vec<usize> = (first..last).map(bytes).collect();
        sizes.sort_unstable();
        sizes.dedup();
        // All of them, all but the largest, all but the two largest, none.
        let below = sizes.iter().rev().skip(1).take(2).copied();
        let mut wholes: Vec<usize> = [usize::MAX].into_iter().chain(below).chain([0]).collect();
        wholes.dedup();
        let fixed = [match self.goal {
            Goal::Least { strips: Some(n) } => n.min(rows),
            _ => 0,
        }];
        let strips = if fixed[0] > 0 { &fixed[..] } else { strips };
        let strips = strips.iter().map(|&n| n.min(rows)).filter(|&n| n > 1);
        let mut all: Vec<Chain> = strips
            .flat_map(|strips| wholes.iter().map(move |&whole| Chain { first, last, strips, whole }))
            .collect();
        all.dedup();
        all
    }

    /// The best that each chain could give, without placing anything.
    fn look(&self, best: &Candidate, chains: &[Chain]) -> Result<Vec<Form>> {
        let mut seen = Vec::new();
        for chain in chains {
            let found = self.candidate(best, chain, None)?;
            seen.extend(found.map(|c| (c.score, c.plan.arena, chain.clone())));
        }
        Ok(seen)
    }

    /// The plan with this chain too; `None` where it cannot be unrolled or computes too much again.
    fn candidate(
        &self,
        best: &Candidate,
        chain: &Chain,
        effort: Option<Effort>,
    ) -> Result<Option<Candidate>> {
        let apart = |c: &&Chain| c.last < chain.first || chain.last < c.first;
        let mut chains: Vec<Chain> = best.chains.iter().filter(apart).cloned().collect();
        chains.push(chain.clone());
        chains.sort_by_key(|c| c.first);
        let Some((mut plan, origins)) = unroll(self.plan, &chains)? else { return Ok(None) };
        if plan.macs() - self.macs.min(plan.macs()) > self.macs / 100 * self.goal.most_extra() {
            return Ok(None);
        }
        match effort {
            Some(effort) => memory::place_with(&mut plan, effort)?,
            None => plan.arena = memory::Pressure::of(&plan)?.bound,
        }
        let score = self.score(&plan)?;
        Ok(Some(Candidate { score, chains, plan, origins }))
    }

    fn score(&self, plan: &Plan) -> Result<Score> {
        let bytes = plan.emit()?.len();
        let first = self.goal.weigh(plan.arena, bytes.saturating_sub(self.bytes));
        Ok((first, plan.macs(), bytes))
    }
}
