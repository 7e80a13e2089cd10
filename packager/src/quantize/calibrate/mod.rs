//! Observes every activation of a float graph in one pass over samples, in memory that the graph bounds.

mod extremes;
mod histogram;
mod observer;
mod parallel;
mod search;

pub use histogram::Bin;
pub use observer::Observer;
pub use search::Levels;

use samara_runtime::ops::eval::Value;

use super::RangeMethod;
use crate::error::{About, Error, Result};
use crate::interpret::Interpreter;
use crate::ir::Graph;

/// A closed range of reals.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    /// Least value.
    pub lo: f32,
    /// Greatest value.
    pub hi: f32,
}

impl Range {
    /// Holds nothing yet.
    pub const EMPTY: Range = Range { lo: f32::INFINITY, hi: f32::NEG_INFINITY };

    /// The range of values.
    pub fn of(values: &[f32]) -> Range {
        values.iter().fold(Range::EMPTY, |r, &x| r.with(Range { lo: x, hi: x }))
    }

    /// Covers both.
    pub fn with(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }
}

/// Ranges by tensor id; `None` for what was not observed.
#[derive(Clone, Debug)]
pub struct Ranges {
    ranges: Vec<Option<Range>>,
    /// How many samples were seen.
    pub samples: usize,
}

impl Ranges {
    /// The range of tensor `t`.
    pub fn get(&self, t: usize) -> Option<Range> {
        self.ranges.get(t).copied().flatten()
    }
}

/// How much is kept of every tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observe {
    /// Least and greatest values; enough for [`RangeMethod::MinMax`].
    Ranges,
    /// How values are distributed as well.
    Histograms,
}

impl Observe {
    /// What a method needs.
    pub fn for_method(method: RangeMethod) -> Self {
        match method {
            RangeMethod::MinMax => Observe::Ranges,
            RangeMethod::Percentile(_) | RangeMethod::Mse => Observe::Histograms,
        }
    }
}

/// What was seen of a graph's float tensors, inputs included. It does not depend on the order of the samples.
#[derive(Clone, Debug)]
pub struct Observations {
    /// With the tensor's name.
    observers: Vec<Option<(String, Observer)>>,
    /// How many samples were seen, at least one.
    pub samples: usize,
}

impl Observations {
    fn none(graph: &Graph) -> Self {
        Observations { observers: vec![None; graph.tensors.len()], samples: 0 }
    }

    /// Adds a value of tensor `t`; whether it is finite.
    fn add(&mut self, graph: &Graph, t: usize, value: &Value, what: Observe) -> bool {
        let tensor = &graph.tensors[t];
        let (_, observer) = self.observers[t].get_or_insert_with(|| {
            let channels = tensor.shape.last().copied().filter(|_| tensor.shape.len() >= 2);
            (tensor.name.clone(), Observer::new(channels, what))
        });
        observer.add(value.elements::<f32>())
    }

    /// Adds all that was seen of the same graph elsewhere.
    fn merge(&mut self, other: Observations) {
        for (own, more) in self.observers.iter_mut().zip(other.observers) {
            match (own, more) {
                (Some((_, own)), Some((_, more))) => own.merge(&more),
                (own @ None, more) => *own = more,
                (Some(_), None) => {}
            }
        }
        self.samples += other.samples;
    }

    /// What was seen of tensor `t`; `None` for constants and integers.
    pub fn get(&self, t: usize) -> Option<&Observer> {
        self.observers.get(t)?.as_ref().map(|o| &o.1)
    }

    /// Least and greatest value of tensor `t`.
    pub fn range(&self, t: usize) -> Option<Range> {
        self.get(t).map(Observer::extremes)
    }

    /// Least and greatest value of each channel (last axis) of tensor `t`; `None` below rank 2.
    pub fn channels(&self, t: usize) -> Option<&[Range]> {
        self.get(t)?.channels()
    }

    /// Every tensor's range by a method, for activations with these levels.
    pub fn ranges(&self, method: RangeMethod, levels: Levels) -> Result<Ranges> {
        let range = |o: &Option<(String, Observer)>| {
            let Some((name, observer)) = o else { return Ok(None) };
            observer.range(method, levels).map(Some).about(format_args!("tensor '{name}'"))
        };
        let ranges = self.observers.iter().map(range).collect::<Result<_>>()?;
        Ok(Ranges { ranges, samples: self.samples })
    }
}

/// Runs the float graph over samples (each the graph's inputs in order) and observes every tensor. A value that
/// is not finite names its tensor, on the first sample that has one.
pub fn observe(
    graph: &Graph,
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    what: Observe,
) -> Result<Observations> {
    let all = parallel::observe(&Interpreter::new(graph)?, graph, samples, what)?;
    if all.samples == 0 {
        return Err(Error::invalid("the calibration data holds no sample"));
    }
    Ok(all)
}

/// Every tensor's least and greatest value over samples, as [`observe`] sees them.
pub fn calibrate(graph: &Graph, samples: impl Iterator<Item = Result<Vec<Value>>>) -> Result<Ranges> {
    observe(graph, samples, Observe::Ranges)?.ranges(RangeMethod::MinMax, Levels::Int8)
}

#[cfg(test)]
mod tests;
