//! Anomaly detection by reconstruction: an autoencoder that has heard a fan in order only.

mod features;
#[cfg(feature = "train")]
mod network;
mod sound;
mod text;

pub use features::spectrum;
#[cfg(feature = "train")]
pub use network::Autoencoder;
pub use sound::{Fault, SAMPLE_RATE, SAMPLES, pressure};

use crate::data::{Sizes, Source, Split};
use crate::model::{Model, Task};
use crate::random::Random;

/// The model.
pub const MODEL: Model = Model {
    name: "anomaly",
    about: "Faults of a fan as what an autoencoder cannot reconstruct",
    seed: 20_261,
    epochs: 150,
    source: Source {
        input: INPUT,
        shape: &[BANDS],
        classes: 2,
        sizes: Sizes { train: 12_000, validation: 1_200, evaluation: 1_200, test: 6_000 },
        sample,
    },
    output: OUTPUT,
    task: Task::Reconstruction,
    text: text::TEXT,
    #[cfg(feature = "train")]
    trainer: network::TRAINER,
};

const INPUT: &str = "spectrum";
const OUTPUT: &str = "reconstruction";

/// Frequency bands of a spectrum.
pub const BANDS: usize = 80;

fn sample(split: Split, index: usize, random: &mut Random) -> (Vec<f32>, i64) {
    let anomalous = match split {
        Split::Train | Split::Calibration(_) => false,
        Split::Validation | Split::Evaluation | Split::Test => index % 2 == 1,
    };
    let fault = anomalous.then(|| Fault::ALL[index / 2 % Fault::ALL.len()]);
    (spectrum(&pressure(fault, random)).to_vec(), i64::from(anomalous))
}
