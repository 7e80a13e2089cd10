//! What the data set says the answers are.

use samara_runtime::Dtype;

use crate::data::Array;
use crate::error::{Error, Result};

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

    /// From the array `labels` (integers, one per sample) and `targets` (floats, sample axis first), where they
    /// are among a data file's arrays.
    pub fn from_arrays(arrays: &[Array]) -> Result<Truth> {
        let find = |name: &str| arrays.iter().find(|a| a.name == name);
        let labels = find("labels").map(labels).transpose()?;
        let targets = match find("targets") {
            Some(array) if array.dtype != Dtype::F32 => {
                return Err(Error::invalid(format!("array 'targets' is {}, not float", array.dtype.name())));
            }
            Some(array) => {
                array.check_finite()?;
                let width = array.shape.iter().skip(1).product();
                Some(Targets { width, values: bytemuck::pod_collect_to_vec(&array.bytes) })
            }
            None => None,
        };
        Ok(Truth { labels, targets })
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
                "array 'labels' holds {label} at sample {n}; there are {classes} classes"
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
                "array 'targets' has {} values per sample; the model's first output has {width}",
                targets.width
            )));
        }
        Ok(&targets.values)
    }

    /// Refuses truth for another number of samples.
    pub(super) fn expect(&self, samples: usize) -> Result<()> {
        let targets = self.targets.as_ref().map(|t| t.values.len() / t.width.max(1));
        let counts = [("labels", self.labels.as_ref().map(Vec::len)), ("targets", targets)];
        for (name, count) in counts {
            if let Some(count) = count.filter(|&c| c != samples) {
                return Err(Error::invalid(format!("array '{name}' is for {count} samples, not {samples}")));
            }
        }
        Ok(())
    }
}

/// One integer per sample.
fn labels(array: &Array) -> Result<Vec<i64>> {
    if array.shape.iter().skip(1).any(|&d| d != 1) || array.shape.is_empty() {
        return Err(Error::invalid(format!(
            "array 'labels' has shape {:?}; it needs one number per sample",
            array.shape
        )));
    }
    let size = array.dtype.size();
    let signed = [Dtype::I8, Dtype::I16, Dtype::I32].contains(&array.dtype);
    if !signed && ![Dtype::U8, Dtype::Bool].contains(&array.dtype) {
        let cause = format!("array 'labels' is {}, not an integer type", array.dtype.name());
        return Err(Error::invalid(cause).remedy("targets of a regression go into an array 'targets'"));
    }
    let widen = |bytes: &[u8]| {
        let mut word = [if signed && bytes[size - 1] & 0x80 != 0 { 0xff } else { 0 }; 8];
        word[..size].copy_from_slice(bytes);
        i64::from_le_bytes(word)
    };
    Ok(array.bytes.chunks_exact(size).map(widen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Array {
        Array { name: name.into(), dtype, shape: shape.to_vec(), bytes: bytes.to_vec() }
    }

    fn refused(arrays: &[Array]) -> String {
        Truth::from_arrays(arrays).unwrap_err().to_string()
    }

    #[test]
    fn labels_of_any_integer_type_are_read() {
        let of = |dtype, bytes: &[u8]| {
            let n = bytes.len() / Dtype::size(dtype);
            Truth::from_arrays(&[array("labels", dtype, &[n], bytes)]).unwrap().labels.unwrap()
        };
        assert_eq!(of(Dtype::I32, &[1, 0, 0, 0, 255, 255, 255, 255]), [1, -1]);
        assert_eq!(of(Dtype::I16, &[0, 1, 254, 255]), [256, -2]);
        assert_eq!(of(Dtype::I8, &[127, 128]), [127, -128]);
        assert_eq!(of(Dtype::U8, &[200]), [200]);
        assert_eq!(of(Dtype::Bool, &[0, 1]), [0, 1]);
    }

    #[test]
    fn labels_that_are_no_labels_are_refused_by_name() {
        assert!(refused(&[array("labels", Dtype::F32, &[1], &[0; 4])]).contains("float32, not an integer"));
        assert!(refused(&[array("labels", Dtype::U8, &[2, 3], &[0; 6])]).contains("[2, 3]"));
        assert!(refused(&[array("targets", Dtype::I8, &[2], &[0; 2])]).contains("not float"));
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
