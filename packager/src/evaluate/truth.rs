//! What the data set says the answers are.

use std::path::Path;

use samara_runtime::{Desc, Dtype, Shape};

use crate::data::samples::{InputSpec, Samples};
use crate::error::{Error, Result};
use crate::ir::{Graph, Tensor};

/// Most bytes of targets, which are held while the models run.
pub const MAX_TARGETS: usize = 1 << 28;

const LABELS: &str = "labels";
const TARGETS: &str = "targets";

/// Labels and targets, one per sample.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Truth {
    labels: Option<Vec<i64>>,
    targets: Option<Targets>,
}

#[derive(Clone, PartialEq, Debug)]
struct Targets {
    /// Elements of one sample.
    width: usize,
    values: Vec<f32>,
}

impl Truth {
    /// No labels: enough for the metrics that compare with the float model.
    pub const NONE: Truth = Truth { labels: None, targets: None };

    /// From the data that the samples come from: the array `labels` (integers, one per sample), else `targets`
    /// (floats, sample axis first, each of output 0's shape); [`Truth::NONE`] where it has neither.
    pub fn read(path: &Path, graph: &Graph) -> Result<Truth> {
        let samples = Samples::read(path, graph)?;
        let others = samples.others()?;
        let has = |name: &str| others.iter().any(|o| o == name);
        if has(LABELS) {
            return Ok(Truth::from_labels(samples.labels(LABELS)?));
        }
        match graph.outputs.first() {
            Some(&output) if has(TARGETS) => targets(path, &graph.tensors[output]),
            _ => Ok(Truth::NONE),
        }
    }

    /// From labels.
    pub fn from_labels(labels: Vec<i64>) -> Truth {
        Truth { labels: Some(labels), targets: None }
    }

    /// From targets of `width` elements each.
    pub fn from_targets(width: usize, values: Vec<f32>) -> Truth {
        Truth { labels: None, targets: Some(Targets { width, values }) }
    }

    /// Whether there are labels.
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Whether there are targets.
    pub fn has_targets(&self) -> bool {
        self.targets.is_some()
    }

    /// The labels, which must be there and in `0..classes`.
    pub(super) fn labels(&self, classes: usize) -> Result<&[i64]> {
        let labels = self.labels.as_ref().ok_or_else(|| {
            Error::invalid("the evaluation data has no labels")
                .remedy("add an integer array 'labels', one per sample")
        })?;
        match labels.iter().enumerate().find(|(_, l)| !(0..classes as i64).contains(l)) {
            Some((n, label)) => Err(Error::invalid(format!(
                "array '{LABELS}' holds {label} at sample {n}; there are {classes} classes"
            ))),
            None => Ok(labels),
        }
    }

    /// The targets, which must be there, with `width` elements for each sample.
    pub(super) fn targets(&self, width: usize) -> Result<&[f32]> {
        let targets = self.targets.as_ref().ok_or_else(|| {
            Error::invalid("the evaluation data has no targets")
                .remedy("add a float array 'targets', sample axis first")
        })?;
        if targets.width != width {
            return Err(Error::invalid(format!(
                "array '{TARGETS}' has {} values per sample; the model's first output has {width}",
                targets.width
            )));
        }
        Ok(&targets.values)
    }

    /// Refuses truth for another number of samples.
    pub(super) fn expect(&self, samples: usize) -> Result<()> {
        let targets = self.targets.as_ref().map(|t| t.values.len() / t.width.max(1));
        let counts = [(LABELS, self.labels.as_ref().map(Vec::len)), (TARGETS, targets)];
        for (name, count) in counts {
            if let Some(count) = count.filter(|&c| c != samples) {
                return Err(Error::invalid(format!("array '{name}' is for {count} samples, not {samples}")));
            }
        }
        Ok(())
    }
}

/// Reads the targets of an output, as if they were the input of a model.
fn targets(path: &Path, output: &Tensor) -> Result<Truth> {
    let width = output.elements();
    // One number per sample needs no further axis.
    let shape = if width == 1 { Shape::new(&[1])? } else { output.runtime_shape()? };
    let spec = InputSpec { name: TARGETS.into(), desc: Desc::new(Dtype::F32, shape) };
    let samples = Samples::read_for(path, vec![spec])?;
    let size = samples.len().saturating_mul(width).saturating_mul(4);
    if size > MAX_TARGETS {
        let cause = format!("array '{TARGETS}' has {size} bytes; the most is {MAX_TARGETS}");
        return Err(Error::invalid(cause).remedy("evaluate on fewer samples").about(path.display()));
    }
    let mut values = Vec::new();
    for sample in samples.iter() {
        values.extend(sample?.iter().flat_map(|v| v.elements::<f32>().to_vec()));
    }
    Ok(Truth::from_targets(width, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{self, Array};
    use crate::ir::Numeric;

    /// A model of one input `x` and one output of this shape.
    fn graph(output: &[usize]) -> Graph {
        let mut g = Graph::new("g", Numeric::Single);
        let x = g.add(Tensor::new("x", Dtype::F32, vec![1, 2]));
        let y = g.add(Tensor::new("y", Dtype::F32, output.to_vec()));
        (g.inputs, g.outputs) = (vec![x], vec![y]);
        g
    }

    /// The truth beside three samples of `x`.
    fn read(output: &[usize], dtype: Dtype, name: &str, shape: &[usize], bytes: &[u8]) -> Result<Truth> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.npz");
        let array = |name: &str, dtype, shape: &[usize], bytes: &[u8]| Array {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            bytes: bytes.to_vec(),
        };
        let arrays = [array("x", Dtype::F32, &[3, 2], &[0; 24]), array(name, dtype, shape, bytes)];
        data::write(&path, &arrays).unwrap();
        Truth::read(&path, &graph(output))
    }

    #[test]
    fn labels_and_targets_are_read_beside_the_samples() {
        let labels = read(&[1, 4], Dtype::I16, "labels", &[3], &[0, 0, 3, 0, 1, 0]).unwrap();
        assert_eq!(labels, Truth::from_labels(vec![0, 3, 1]));
        let floats: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let targets = read(&[1, 2], Dtype::F32, "targets", &[3, 2], &floats).unwrap();
        assert_eq!(targets, Truth::from_targets(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        for shape in [&[3][..], &[3, 1]] {
            let one = read(&[1, 1], Dtype::F32, "targets", shape, &floats[..12]).unwrap();
            assert_eq!(one, Truth::from_targets(1, vec![0.0, 1.0, 2.0]));
        }
        assert_eq!(read(&[1, 2], Dtype::U8, "else", &[3], &[0; 3]).unwrap(), Truth::NONE);
    }

    #[test]
    fn truth_of_another_shape_or_type_is_refused_by_name() {
        let refused = |output: &[usize], dtype, name: &str, shape: &[usize], bytes: &[u8]| {
            read(output, dtype, name, shape, bytes).unwrap_err().to_string()
        };
        let error = refused(&[1, 2], Dtype::F32, "labels", &[3], &[0; 12]);
        assert!(error.contains("labels") && error.contains("integers"), "{error}");
        let error = refused(&[1, 2], Dtype::U8, "labels", &[3, 2], &[0; 6]);
        assert!(error.contains("labels") && error.contains("[3, 2]"), "{error}");
        let error = refused(&[1, 2], Dtype::F32, "targets", &[3, 5], &[0; 60]);
        assert!(error.contains("targets") && error.contains("[3, 5]"), "{error}");
    }

    #[test]
    fn classes_and_counts_must_fit() {
        let truth = Truth::from_labels(vec![0, 2, 6]);
        let error = truth.labels(6).unwrap_err().to_string();
        assert!(error.contains("holds 6 at sample 2; there are 6 classes"), "{error}");
        assert!(truth.labels(7).is_ok());
        assert!(truth.expect(4).unwrap_err().to_string().contains("for 3 samples, not 4"));
        assert!(Truth::NONE.labels(2).unwrap_err().to_string().contains("no labels"));
        assert!(Truth::from_targets(2, vec![0.0; 6]).expect(3).is_ok());
        assert!(Truth::from_targets(2, vec![0.0; 6]).targets(3).is_err());
    }
}
