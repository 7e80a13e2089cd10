//! Vibration monitoring: which fault, if any, a second of acceleration shows.

pub mod card;
mod data;
mod features;
#[cfg(feature = "train")]
pub mod network;
mod signal;

pub use data::{DataSet, Split, calibration_file, evaluation_file, generate};
pub use features::spectrograms;
pub use signal::{SAMPLE_RATE, SAMPLES, acceleration};

/// Folder and command-line name of the model.
pub const NAME: &str = "vibration";
/// Name of the network's input, and of its array in the data files.
pub const INPUT: &str = "spectrograms";
/// Name of the network's output.
pub const OUTPUT: &str = "probabilities";
/// Seed of the committed data and model.
pub const SEED: u64 = 20_260;

/// Spectrograms per window: of the acceleration and of its envelope.
pub const CHANNELS: usize = 2;
/// Frequency bands of a spectrogram.
pub const BANDS: usize = 16;
/// Time frames of a spectrogram, 62.5 ms apart.
pub const FRAMES: usize = 16;
/// Values of one network input.
pub const WINDOW: usize = CHANNELS * BANDS * FRAMES;

/// What the machine suffers from; the discriminant is the class index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No fault.
    Normal,
    /// Uneven mass: the line at the shaft frequency grows.
    Unbalance,
    /// Coupled shafts out of line: the second harmonic grows most.
    Misalignment,
    /// Loose mount: many harmonics, half orders and a knock per turn.
    Looseness,
    /// Defect of a bearing's outer race: regular impacts.
    OuterRace,
    /// Defect of a bearing's inner race: faster impacts that swing with the shaft.
    InnerRace,
}

impl Condition {
    /// Every condition in the order of the class index.
    pub const ALL: [Self; 6] = [
        Self::Normal,
        Self::Unbalance,
        Self::Misalignment,
        Self::Looseness,
        Self::OuterRace,
        Self::InnerRace,
    ];

    /// Class label as written into the model's metadata.
    pub fn label(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Unbalance => "unbalance",
            Self::Misalignment => "misalignment",
            Self::Looseness => "looseness",
            Self::OuterRace => "outer-race",
            Self::InnerRace => "inner-race",
        }
    }
}

/// Class labels in the order of the class index.
pub fn labels() -> Vec<&'static str> {
    Condition::ALL.iter().map(|condition| condition.label()).collect()
}
