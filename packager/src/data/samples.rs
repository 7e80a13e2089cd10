//! A model's inputs, sample by sample, from files of any size.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use samara_runtime::Desc;

pub use super::stream::Stream;

use super::Array;
use super::labels;
use super::part::Part;
use super::source;
use super::stream::{Selection, Source};
use crate::error::{About, Error, Result};
use crate::ir::Graph;

/// What a sample's arrays must look like: one input of a model.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// The array's name in an archive.
    pub name: String,
    /// Type, shape and parameters of one sample.
    pub desc: Desc,
}

/// Samples for a model's inputs in an `.npz`, an `.npy` (for one input) or a directory of such files, whose
/// samples follow one another in the order of the files' names.
///
/// Only headers are held; every [`iter`](Samples::iter) reads the files anew, a few samples in memory at a
/// time, whatever the files' size. An array in Fortran order is the exception: it is held whole and at most
/// [`MAX_TURNED`](super::MAX_TURNED) bytes long.
#[derive(Clone, Debug)]
pub struct Samples {
    path: PathBuf,
    source: Arc<Source>,
    /// Taken once; `None` inside where that failed.
    digest: Arc<OnceLock<Option<String>>>,
    selection: Selection,
    /// Whether the data has a sample axis, or is several files.
    pub has_axis: bool,
}

impl Samples {
    /// Opens samples for a graph's inputs.
    pub fn read(path: &Path, graph: &Graph) -> Result<Self> {
        let spec = |&t: &usize| {
            let tensor = &graph.tensors[t];
            Ok(InputSpec { name: tensor.name.clone(), desc: tensor.desc()? })
        };
        Samples::read_for(path, graph.inputs.iter().map(spec).collect::<Result<_>>()?)
    }

    /// Opens samples for these inputs: every file must have an array for each, named as the input is, with the
    /// sample axis in front of the input's shape or in place of its batch of 1.
    pub fn read_for(path: &Path, specs: Vec<InputSpec>) -> Result<Self> {
        let files = source::files(path)?;
        let several = files.len() > 1;
        let part = |file| Part::new(file, &specs);
        let parts: Vec<Part> = files.into_iter().map(part).collect::<Result<_>>()?;
        let len = parts.iter().try_fold(0usize, |n, p| n.checked_add(p.count));
        let len = len.ok_or_else(|| Error::invalid("it claims too many samples")).about(path.display())?;
        let has_axis = several || parts.iter().all(|p| p.has_axis);
        let source = Arc::new(Source { specs, parts });
        let selection = Selection { start: 0, step: 1, len };
        Ok(Samples { path: path.into(), source, digest: Arc::default(), selection, has_axis })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.selection.len
    }

    /// Whether a selection left none; never true for samples that were just opened.
    pub fn is_empty(&self) -> bool {
        self.selection.len == 0
    }

    /// Reads all samples in order, each the model's inputs in theirs. Integers are taken as quantized already;
    /// floats are quantized with an integer input's own parameters, half away from zero. NaN and infinities are
    /// refused, as is data that ends early or goes on after the last sample.
    pub fn iter(&self) -> Stream {
        Stream::new(self.source.clone(), self.selection)
    }

    /// The first `n` samples, or all where there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let selection = Selection { len: self.len().min(n), ..self.selection };
        Samples { selection, ..self.clone() }
    }

    /// All samples but the first `n`.
    pub fn skip(&self, n: usize) -> Self {
        let Selection { start, step, len } = self.selection;
        let n = n.min(len);
        let selection = Selection { start: start.saturating_add(step.saturating_mul(n)), step, len: len - n };
        Samples { selection, ..self.clone() }
    }

    /// Every `step`th sample, the first included; a step of 0 counts as 1.
    pub fn every(&self, step: usize) -> Self {
        let (Selection { start, step: old, len }, step) = (self.selection, step.max(1));
        let selection = Selection { start, step: old.saturating_mul(step), len: len.div_ceil(step) };
        Samples { selection, ..self.clone() }
    }

    /// At most `n` samples (at least one), spread evenly: every `len / n`th, rounded up.
    pub fn at_most(&self, n: usize) -> Self {
        self.every(self.len().div_ceil(n.max(1)))
    }

    /// The integers of an array `[samples]` or `[samples, 1]` beside the inputs, one for each sample of
    /// [`iter`](Samples::iter).
    pub fn labels(&self, name: &str) -> Result<Vec<i64>> {
        let Selection { start, step, len } = self.selection;
        let mut all = Vec::new();
        for part in &self.source.parts {
            all.extend(labels::read(&part.file, name, part.count)?);
        }
        Ok(all.into_iter().skip(start).step_by(step).take(len).collect())
    }

    /// Names of the first file's arrays that are no input of the model.
    pub fn others(&self) -> Result<Vec<String>> {
        let specs = &self.source.specs;
        let Some(part) = self.source.parts.first() else { return Ok(Vec::new()) };
        let other = |name: &String| !name.is_empty() && specs.iter().all(|s| s.name != *name);
        Ok(part.file.members()?.into_iter().map(|m| m.name).filter(other).collect())
    }

    /// SHA-256 of the data in hexadecimal digits, whatever is selected: a file's content, or a directory's lines
    /// `<digest>  <name>` by name, as `sha256sum *` prints them.
    pub fn digest(&self) -> Result<String> {
        let known = self.digest.get_or_init(|| source::digest(&self.path).ok());
        known.clone().map_or_else(|| source::digest(&self.path), Ok)
    }
}

/// Appends reals as levels of an integer tensor with its own parameters, half away from zero, saturating.
pub fn quantize(reals: &[f32], desc: &Desc, out: &mut Vec<u8>) -> Result<()> {
    let (lo, hi) = crate::lower::multiplier::levels(desc.dtype)?;
    for x in reals {
        let level = libm::roundf(x / desc.scale) as f64 + desc.zero_point as f64;
        let level = level.clamp(lo as f64, hi as f64) as i32;
        out.extend(&level.to_le_bytes()[..desc.dtype.size()]);
    }
    Ok(())
}

/// Values gathered over samples as one array, sample axis first: a leading dimension of 1 becomes it.
pub fn stack(name: &str, values: &[Vec<u8>], desc: &Desc, has_axis: bool) -> Array {
    let dims: Vec<usize> = desc.shape.dims().iter().map(|&d| d as usize).collect();
    let shape = match (&dims[..], has_axis) {
        (dims, false) => dims.to_vec(),
        ([1, rest @ ..], true) => [&[values.len()], rest].concat(),
        (dims, true) => [&[values.len()], dims].concat(),
    };
    Array { name: name.into(), dtype: desc.dtype, shape, bytes: values.concat() }
}

#[cfg(test)]
mod tests;
