//! The splits. A window is a function of (seed, split, index), so that no two splits share a random
//! stream: they are disjoint by construction.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{BANDS, CHANNELS, Condition, FRAMES, INPUT, WINDOW, acceleration, spectrograms};
use crate::npz::{self, Archive};
use crate::random::Random;

/// A part of the data with a purpose of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Fits the weights.
    Train,
    /// Watched while training; stops or selects nothing.
    Validation,
    /// Finds the ranges of activations for quantization; no labels are kept.
    Calibration,
    /// Seen only by the evaluation.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Train, Self::Validation, Self::Calibration, Self::Test];

    /// Windows in the split.
    pub fn windows(self) -> usize {
        match self {
            Self::Train => 12_000,
            Self::Validation => 1_200,
            Self::Calibration => 256,
            Self::Test => 1_200,
        }
    }

    /// Part of the key of every random stream of the split. Never reuse a number.
    fn key(self) -> u64 {
        match self {
            Self::Train => 1,
            Self::Validation => 2,
            Self::Calibration => 3,
            Self::Test => 4,
        }
    }
}

/// Windows, one after the other, and the class of each.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Network inputs, [`WINDOW`] values each, laid out as channel, band, frame.
    pub windows: Vec<f32>,
    /// Class indices into [`Condition::ALL`], in turn, so that classes are as even as the count allows.
    pub labels: Vec<i64>,
}

impl DataSet {
    /// Reads an evaluation file: windows of the network's input shape, a label of a known class for each.
    pub fn open(path: &Path) -> Result<Self> {
        let (shape, windows) = npz::read::<f32>(path, INPUT)?;
        let count = shape.first().copied().unwrap_or(0);
        ensure!(
            shape == window_shape(count),
            "{INPUT}: shape {shape:?}, expected [n, {CHANNELS}, {BANDS}, {FRAMES}]"
        );
        ensure!(windows.iter().all(|value| value.is_finite()), "{INPUT}: a value is not finite");
        let (shape, labels) = npz::read::<i64>(path, "labels")?;
        ensure!(shape == [count], "labels: shape {shape:?}, expected [{count}]");
        let classes = 0..Condition::ALL.len() as i64;
        let wrong = labels.iter().find(|label| !classes.contains(label));
        ensure!(wrong.is_none(), "labels: no class {}", wrong.unwrap_or(&0));
        Ok(Self { windows, labels })
    }
}

/// The windows of `split` under `seed`.
pub fn generate(seed: u64, split: Split) -> DataSet {
    let mut set = DataSet { windows: Vec::new(), labels: Vec::new() };
    for index in 0..split.windows() {
        let (window, class) = window(seed, split, index);
        set.windows.extend(window);
        set.labels.push(class);
    }
    set
}

/// Window `index` of `split` and its class.
fn window(seed: u64, split: Split, index: usize) -> ([f32; WINDOW], i64) {
    let class = index % Condition::ALL.len();
    let mut random = Random::new(seed, split.key(), index as u64);
    let signal = acceleration(Condition::ALL[class], &mut random);
    (spectrograms(&signal), class as i64)
}

/// `calibrate.npz`: the inputs alone.
pub fn calibration_file(set: &DataSet) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    archive.add(INPUT, &shape(set), &set.windows)?;
    archive.finish()
}

/// `evaluate.npz`: the inputs and `labels`.
pub fn evaluation_file(set: &DataSet) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    archive.add(INPUT, &shape(set), &set.windows)?;
    archive.add("labels", &[set.labels.len() as u64], &set.labels)?;
    archive.finish()
}

fn shape(set: &DataSet) -> [u64; 4] {
    window_shape((set.windows.len() / WINDOW) as u64)
}

fn window_shape(count: u64) -> [u64; 4] {
    [count, CHANNELS as u64, BANDS as u64, FRAMES as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_depends_on_seed_split_and_index_alone() {
        let base = window(1, Split::Train, 6);
        assert_eq!(base, window(1, Split::Train, 6));
        assert_ne!(base.0, window(2, Split::Train, 6).0);
        assert_ne!(base.0, window(1, Split::Train, 12).0);
    }

    #[test]
    fn splits_share_no_window() {
        let mut seen = std::collections::HashSet::new();
        for split in Split::ALL {
            for index in 0..60 {
                let bits = window(1, split, index).0.map(f32::to_bits);
                assert!(seen.insert(bits), "{split:?} {index}");
            }
        }
    }

    fn open(windows: &DataSet, shape: [u64; 4]) -> String {
        let mut archive = Archive::new();
        archive.add(INPUT, &shape, &windows.windows).unwrap();
        archive.add("labels", &[windows.labels.len() as u64], &windows.labels).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive.finish().unwrap()).unwrap();
        match DataSet::open(file.path()) {
            Ok(set) => {
                assert_eq!(&set, windows);
                "ok".into()
            }
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn files_are_checked_on_reading() {
        let good = DataSet { windows: vec![0.5; 2 * WINDOW], labels: vec![0, 5] };
        assert_eq!(open(&good, [2, 2, 16, 16]), "ok");
        assert!(open(&good, [2, 2, 32, 8]).contains("expected [n, 2, 16, 16]"));
        let unknown_class = DataSet { labels: vec![0, 6], ..good.clone() };
        assert_eq!(open(&unknown_class, [2, 2, 16, 16]), "labels: no class 6");
        let missing_label = DataSet { labels: vec![0], ..good.clone() };
        assert!(open(&missing_label, [2, 2, 16, 16]).contains("expected [2]"));
        let mut not_finite = good;
        not_finite.windows[3] = f32::NAN;
        assert!(open(&not_finite, [2, 2, 16, 16]).contains("not finite"));
    }
}
