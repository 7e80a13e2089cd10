//! Steps that need nothing of each other, on several threads at once.
//!
//! Every step computes what it computes alone, in memory that no other step of its group touches, so results do not
//! depend on the number of threads. `pack --threads` cuts large steps so that there are such groups.

use core::hint::spin_loop;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::vec::Vec;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::step::{Operands, intersect};
use super::{Resolved, ResolvedStep, Run, Session};
use crate::error::{Error, Result};
use crate::ops::io::{Io, MAX_INPUTS, Sink, Source};
use crate::ops::op::Context;
use crate::tensor::Place;

/// Multiply-accumulates or bytes of output below which waking a thread takes longer than it saves: some ten microseconds
/// of fast kernels.
const LEAST_WORK: u64 = 1 << 22;

/// A session's steps in groups, and the threads that run them.
#[derive(Debug)]
pub struct Threads<'s, 'b> {
    resolved: Resolved<'s, 'b>,
    /// All steps in order; those of a group touch nothing that another one of it writes.
    groups: Vec<Range<usize>>,
    /// The other threads; none where one is enough.
    pool: Option<ThreadPool>,
}

impl<'s, 'b> Resolved<'s, 'b> {
    /// Starts threads for this session: `count` with the one that calls [`Run::run_on`].
    /// [`Error::Limit`] where the system gives no more.
    pub fn threads(&self, count: usize) -> Result<Threads<'s, 'b>> {
        self.threads_for(count, LEAST_WORK)
    }

    /// As [`Resolved::threads`]; groups with fewer multiply-accumulates, and fewer bytes of output, than `least` run on
    /// one thread.
    pub fn threads_for(&self, count: usize, least: u64) -> Result<Threads<'s, 'b>> {
        let others = count.saturating_sub(1);
        let pool = (others > 0).then(|| ThreadPoolBuilder::new().num_threads(others).build());
        let pool = pool.transpose().map_err(|_| Error::Limit)?;
        Ok(Threads { resolved: *self, groups: groups(self, least)?, pool })
    }
}

impl Threads<'_, '_> {
    /// Steps that run at the same time, as ranges of consecutive ones.
    pub fn groups(&self) -> &[Range<usize>] {
        &self.groups
    }
}

impl Run<'_, '_> {
    /// As [`Run::run`], with steps of a group at the same time; until it is done the threads look for work without
    /// sleeping. They must be this session's, else [`Error::Mismatch`].
    pub fn run_on(&mut self, threads: &Threads<'_, '_>) -> Result<()> {
        let resolved = &threads.resolved;
        if !core::ptr::eq::<Session<'_>>(self.session, resolved.session) {
            return Err(Error::Mismatch);
        }
        let Some(pool) = threads.pool.as_ref().filter(|_| threads.groups.iter().any(|g| g.len() > 1)) else {
            return resolved.steps.iter().try_for_each(|step| self.run_resolved(step));
        };
        let (is_over, awake) = (&AtomicBool::new(false), &AtomicUsize::new(pool.current_num_threads()));
        pool.in_place_scope(|scope| {
            for _ in 0..pool.current_num_threads() {
                scope.spawn(|_| {
                    let _done = Done(awake);
                    stay_awake(is_over);
                });
            }
            let over = Over(is_over);
            let mut groups = threads.groups.iter();
            let result = groups.try_for_each(|group| {
                match resolved.steps.get(group.clone()).ok_or(Error::Internal)? {
                    steps @ [_, _, ..] => self.run_group(steps, pool),
                    steps => steps.iter().try_for_each(|step| self.run_resolved(step)),
                }
            });
            drop(over);
            wait(awake);
            result
        })
    }

    fn run_resolved(&mut self, resolved: &ResolvedStep) -> Result<()> {
        let step = resolved.step.as_ref().ok_or(Error::Internal)?;
        let attributes = self.session.plan.attributes(&step.record)?;
        step.run(&resolved.operands, attributes, self.arena, self.session.weights)
    }

    fn run_group(&mut self, steps: &[ResolvedStep], pool: &ThreadPool) -> Result<()> {
        let session = self.session;
        let mut carved = carve(steps, self.arena, session.weights)?.into_iter();
        let mut results: Vec<Result<()>> = steps.iter().map(|_| Ok(())).collect();
        let mut jobs = steps.iter().zip(&mut results);
        let first = jobs.next().zip(carved.next());
        let left = &AtomicUsize::new(jobs.len());
        pool.in_place_scope(|scope| {
            for ((resolved, result), io) in jobs.zip(carved) {
                scope.spawn(move |_| {
                    let _done = Done(left);
                    *result = run_one(session, resolved, io);
                });
            }
            if let Some(((resolved, result), io)) = first {
                *result = run_one(session, resolved, io);
            }
            wait(left);
        });
        results.into_iter().collect()
    }
}

/// Turns that a thread which is about to sleep waits longer: what it waits for is nearly there.
const MOMENT: usize = 64;

/// Waits without sleeping until nothing is left, and the moment until the scope knows: waking a thread takes as long as
/// a strip.
fn wait(left: &AtomicUsize) {
    while left.load(Ordering::Acquire) > 0 {
        spin_loop();
    }
    (0..MOMENT).for_each(|_| spin_loop());
}

/// Counts a job as done, also where it panics.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Says that a run is over, also where it panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Does the pool's jobs until the run is over, without sleeping: between two groups there is less time than waking takes.
fn stay_awake(is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        if rayon_core::yield_now() != Some(rayon_core::Yield::Executed) {
            spin_loop();
        }
    }
}

fn run_one(session: &Session<'_>, resolved: &ResolvedStep, mut io: Io<'_>) -> Result<()> {
    let step = resolved.step.as_ref().ok_or(Error::Internal)?;
    let attributes = session.plan.attributes(&step.record)?;
    (step.entry.run)(attributes, &mut io, &Context { rounding: step.record.rounding })
}

/// Consecutive steps together as far as they are independent, and alone where there is little to do.
fn groups(resolved: &Resolved<'_, '_>, least: u64) -> Result<Vec<Range<usize>>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let steps: Vec<&Operands> = resolved.steps.iter().map(|s| &s.operands).collect();
    for (i, operands) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.clone().all(|k| steps.get(k).is_some_and(|o| independent(o, operands))) => {
                group.end = i + 1;
            }
            _ => groups.push(i..i + 1),
        }
    }
    let mut worthwhile = Vec::new();
    for group in groups {
        let mut work = 0u64;
        for i in group.clone() {
            let bytes = steps.get(i).map_or(0, |o| o.output.len()) as u64;
            work = work.saturating_add(resolved.session.step_macs(i)?.max(bytes));
        }
        if work >= least {
            worthwhile.push(group);
        } else {
            worthwhile.extend(group.map(|i| i..i + 1));
        }
    }
    Ok(worthwhile)
}

/// Whether neither step writes what the other one touches.
fn independent(a: &Operands, b: &Operands) -> bool {
    let apart = |a: &Operands, b: &Operands| {
        let writes = [&a.span, &a.scratch];
        let touched = [&b.span, &b.scratch].into_iter().chain(b.in_arena().map(|(_, range)| range));
        touched.into_iter().all(|t| writes.iter().all(|w| !intersect(w, t)))
    };
    apart(a, b) && apart(b, a)
}

/// Splits what the steps write off the arena; what lies between is shared.
fn carve<'s>(steps: &'s [ResolvedStep], arena: &'s mut [u8], weights: &'s [u8]) -> Result<Vec<Io<'s>>> {
    // Of every step its span, then its scratch.
    let mut owned: Vec<(Range<usize>, usize)> = Vec::new();
    for (s, step) in steps.iter().enumerate() {
        owned.push((step.operands.span.clone(), 2 * s));
        owned.push((step.operands.scratch.clone(), 2 * s + 1));
    }
    owned.retain(|(range, _)| !range.is_empty());
    owned.sort_by_key(|(range, _)| range.start);
    let mut pieces: Vec<Option<&'s mut [u8]>> = (0..2 * steps.len()).map(|_| None).collect();
    let mut shared: Vec<(usize, &'s [u8])> = Vec::new();
    let (mut rest, mut at) = (arena, 0usize);
    for (range, slot) in owned {
        let gap = range.start.checked_sub(at).ok_or(Error::Overlap)?;
        let (before, tail) = rest.split_at_mut_checked(gap).ok_or(Error::TooSmall)?;
        let (piece, tail) = tail.split_at_mut_checked(range.len()).ok_or(Error::TooSmall)?;
        shared.push((at, before));
        *pieces.get_mut(slot).ok_or(Error::Internal)? = Some(piece);
        (rest, at) = (tail, range.end);
    }
    shared.push((at, rest));
    let mut ios = Vec::new();
    for (step, own) in steps.iter().zip(pieces.chunks_exact_mut(2)) {
        let [span, scratch] = own else { return Err(Error::Internal) };
        ios.push(operands(&step.operands, span.take(), scratch.take(), &shared, weights)?);
    }
    Ok(ios)
}

fn operands<'s>(
    operands: &'s Operands,
    span: Option<&'s mut [u8]>,
    scratch: Option<&'s mut [u8]>,
    shared: &[(usize, &'s [u8])],
    weights: &'s [u8],
) -> Result<Io<'s>> {
    let start = operands.output.start.wrapping_sub(operands.span.start);
    let mut io = Io {
        inputs: operands.inputs(),
        outputs: operands.outputs(),
        sources: [Source::Absent; MAX_INPUTS],
        sinks: [Sink { span, start, end: start.wrapping_add(operands.output.len()) }],
        scratch,
    };
    for (i, source) in io.sources.iter_mut().enumerate().take(operands.inputs().len()) {
        let Some((desc, range)) = operands.input(i) else { continue };
        *source = if desc.place == Place::Weights {
            Source::Shared(weights.get(range.clone()).ok_or(Error::Internal)?)
        } else if intersect(range, &operands.output) {
            let base = operands.span.start;
            Source::Inside {
                output: 0,
                start: range.start.wrapping_sub(base),
                end: range.end.wrapping_sub(base),
            }
        } else {
            let inside = |&(base, bytes): &(usize, &'s [u8])| {
                bytes.get(range.start.checked_sub(base)?..range.end.checked_sub(base)?)
            };
            Source::Shared(shared.iter().find_map(inside).ok_or(Error::Internal)?)
        };
    }
    Ok(io)
}
