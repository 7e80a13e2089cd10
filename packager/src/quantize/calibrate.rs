//! Observes the range of every activation, one sample in memory at a time.

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use crate::error::{Error, Result};
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

/// Runs the float graph over samples (each the graph's inputs in order) and keeps every tensor's least and
/// greatest value. A value that is not finite names its tensor.
pub fn calibrate(graph: &Graph, samples: impl Iterator<Item = Result<Vec<Value>>>) -> Result<Ranges> {
    let interpreter = Interpreter::new(graph)?;
    let mut ranges = Ranges { ranges: vec![None; graph.tensors.len()], samples: 0 };
    for sample in samples {
        interpreter.run(sample?, |t, value| {
            if value.desc.dtype == Dtype::F32 {
                let seen = Range::of(value.elements::<f32>());
                if value.elements::<f32>().iter().any(|x| !x.is_finite()) {
                    let (name, n) = (&graph.tensors[t].name, ranges.samples);
                    return Err(Error::invalid(format!(
                        "tensor '{name}' is not finite on calibration sample {n}"
                    )));
                }
                let old = ranges.ranges[t].unwrap_or(Range::EMPTY);
                ranges.ranges[t] = Some(old.with(seen));
            }
            Ok(())
        })?;
        ranges.samples += 1;
    }
    if ranges.samples == 0 {
        return Err(Error::invalid("the calibration data holds no sample"));
    }
    Ok(ranges)
}
