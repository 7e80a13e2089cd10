//! The splits of a model's data. A sample is a function of (seed, split, index), so that no two splits share a
//! random stream: they are disjoint by construction.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::npz::{self, Archive};
use crate::random::Random;

/// A part of the data with a purpose of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Fits the weights.
    Train,
    /// Watched while training; stops or selects nothing.
    Validation,
    /// Finds the ranges of activations for quantization; no labels are kept. Draw 0 is the committed one, the
    /// others below [`DRAWS`] show how much a result owes to the draw.
    Calibration(u8),
    /// Seen only by evaluations; small enough to be committed.
    Evaluation,
    /// Seen only by evaluations; large enough to tell quantizers apart, written on demand.
    Test,
}

/// Independent calibration sets.
pub const DRAWS: u8 = 5;
/// Samples of each calibration set.
pub const CALIBRATION: usize = 256;

impl Split {
    /// Every split.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Train, Self::Validation, Self::Evaluation, Self::Test]
            .into_iter()
            .chain((0..DRAWS).map(Self::Calibration))
    }

    /// Part of the key of every random stream of the split. Never reuse a number.
    fn key(self) -> u64 {
        match self {
            Self::Train => 1,
            Self::Validation => 2,
            Self::Calibration(0) => 3,
            Self::Evaluation => 4,
            Self::Test => 5,
            Self::Calibration(draw) => 16 + u64::from(draw),
        }
    }
}

/// Samples, one after the other, and the class of each.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Network inputs in C order.
    pub values: Vec<f32>,
    /// Class indices.
    pub labels: Vec<i64>,
}

/// Samples in the splits whose size is the model's own.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of [`Split::Train`].
    pub train: usize,
    /// Of [`Split::Validation`].
    pub validation: usize,
    /// Of [`Split::Evaluation`].
    pub evaluation: usize,
    /// Of [`Split::Test`].
    pub test: usize,
}

/// Makes sample `index` of a split from the random stream of its own: the values and the class.
pub type Generator = fn(Split, usize, &mut Random) -> (Vec<f32>, i64);

/// Where a model's data come from and what its files look like.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name of the network's input, and of its array in the data files.
    pub input: &'static str,
    /// Dimensions of one sample.
    pub shape: &'static [usize],
    /// Number of classes; labels are below it.
    pub classes: usize,
    /// Sizes of the splits.
    pub sizes: Sizes,
    /// Makes one sample.
    pub sample: Generator,
}

impl Source {
    /// Values of one sample.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Samples in `split`.
    pub fn size(&self, split: Split) -> usize {
        match split {
            Split::Train => self.sizes.train,
            Split::Validation => self.sizes.validation,
            Split::Calibration(_) => CALIBRATION,
            Split::Evaluation => self.sizes.evaluation,
            Split::Test => self.sizes.test,
        }
    }

    /// The samples of `split` under `seed`.
    pub fn generate(&self, seed: u64, split: Split) -> DataSet {
        let mut set = DataSet { values: Vec::new(), labels: Vec::new() };
        for index in 0..self.size(split) {
            let (values, class) = self.at(seed, split, index);
            set.values.extend(values);
            set.labels.push(class);
        }
        set
    }

    /// Sample `index` of `split` under `seed`.
    pub fn at(&self, seed: u64, split: Split, index: usize) -> (Vec<f32>, i64) {
        (self.sample)(split, index, &mut Random::new(seed, split.key(), index as u64))
    }

    /// A calibration file: the inputs alone.
    pub fn unlabelled_file(&self, set: &DataSet) -> Result<Vec<u8>> {
        let mut archive = Archive::new();
        archive.add(self.input, &self.dims(set.labels.len()), &set.values)?;
        archive.finish()
    }

    /// An evaluation file: the inputs and `labels`.
    pub fn labelled_file(&self, set: &DataSet) -> Result<Vec<u8>> {
        let mut archive = Archive::new();
        archive.add(self.input, &self.dims(set.labels.len()), &set.values)?;
        archive.add("labels", &[set.labels.len() as u64], &set.labels)?;
        archive.finish()
    }

    /// Reads an evaluation file: finite samples of the network's input shape, a label of a known class for each.
    pub fn open(&self, path: &Path) -> Result<DataSet> {
        let input = self.input;
        let (shape, values) = npz::read::<f32>(path, input)?;
        let count = shape.first().copied().unwrap_or(0);
        ensure!(
            shape == self.dims(usize::try_from(count)?),
            "{input}: shape {shape:?}, expected n x {:?}",
            self.shape
        );
        ensure!(values.iter().all(|value| value.is_finite()), "{input}: a value is not finite");
        let (shape, labels) = npz::read::<i64>(path, "labels")?;
        ensure!(shape == [count], "labels: shape {shape:?}, expected [{count}]");
        let classes = 0..self.classes as i64;
        let wrong = labels.iter().find(|label| !classes.contains(label));
        ensure!(wrong.is_none(), "labels: no class {}", wrong.unwrap_or(&0));
        Ok(DataSet { values, labels })
    }

    fn dims(&self, count: usize) -> Vec<u64> {
        std::iter::once(count).chain(self.shape.iter().copied()).map(|n| n as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model;

    const SMALL: Source = Source {
        input: "x",
        shape: &[2, 3],
        classes: 6,
        sizes: Sizes { train: 4, validation: 2, evaluation: 2, test: 3 },
        sample: |_, index, random| ((0..6).map(|_| random.normal()).collect(), (index % 6) as i64),
    };

    #[test]
    fn sample_depends_on_seed_split_and_index_alone() {
        for model in model::ALL {
            let base = model.source.at(1, Split::Train, 6);
            assert_eq!(base, model.source.at(1, Split::Train, 6));
            assert_ne!(base.0, model.source.at(2, Split::Train, 6).0, "{}", model.name);
            assert_ne!(
                base.0,
                model.source.at(1, Split::Train, 6 + model.source.classes).0,
                "{}",
                model.name
            );
        }
    }

    #[test]
    fn splits_share_no_sample() {
        for model in model::ALL {
            let mut seen = HashSet::new();
            for split in Split::all() {
                for index in 0..40 {
                    let (values, class) = model.source.at(1, split, index);
                    assert_eq!(values.len(), model.source.width());
                    assert!((0..model.source.classes as i64).contains(&class));
                    let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                    assert!(seen.insert(bits), "{} {split:?} {index}", model.name);
                }
            }
        }
    }

    #[test]
    fn keys_of_the_splits_differ() {
        let keys: HashSet<u64> = Split::all().map(Split::key).collect();
        assert_eq!(keys.len(), Split::all().count());
    }

    fn open(set: &DataSet, shape: &[u64]) -> String {
        let mut archive = Archive::new();
        archive.add("x", shape, &set.values).unwrap();
        archive.add("labels", &[set.labels.len() as u64], &set.labels).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive.finish().unwrap()).unwrap();
        match SMALL.open(file.path()) {
            Ok(read) => {
                assert_eq!(&read, set);
                "ok".into()
            }
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn files_are_checked_on_reading() {
        let good = DataSet { values: vec![0.5; 12], labels: vec![0, 5] };
        assert_eq!(open(&good, &[2, 2, 3]), "ok");
        assert!(open(&good, &[2, 3, 2]).contains("expected n x [2, 3]"));
        assert!(open(&good, &[2, 6]).contains("expected n x [2, 3]"));
        let unknown_class = DataSet { labels: vec![0, 6], ..good.clone() };
        assert_eq!(open(&unknown_class, &[2, 2, 3]), "labels: no class 6");
        let missing_label = DataSet { labels: vec![0], ..good.clone() };
        assert!(open(&missing_label, &[2, 2, 3]).contains("expected [2]"));
        let mut not_finite = good;
        not_finite.values[3] = f32::NAN;
        assert!(open(&not_finite, &[2, 2, 3]).contains("not finite"));
    }

    #[test]
    fn written_files_are_read_back() {
        let set = SMALL.generate(3, Split::Test);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), SMALL.labelled_file(&set).unwrap()).unwrap();
        assert_eq!(SMALL.open(file.path()).unwrap(), set);
        assert_eq!(SMALL.unlabelled_file(&set).unwrap(), SMALL.unlabelled_file(&set).unwrap());
    }
}
