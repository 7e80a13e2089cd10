//! Vibration monitoring: which fault, if any, a second of acceleration shows.

mod features;
mod signal;
mod text;

pub use features::spectrograms;
pub use signal::{SAMPLE_RATE, SAMPLES, acceleration};

use crate::data::{Sizes, Source, Split};
use crate::mobile::{Activation, Block, Plan};
use crate::model::{Model, Task};
use crate::random::Random;

/// The model.
pub const MODEL: Model = Model {
    name: "vibration",
    about: "Machine condition from vibration spectrograms",
    seed: 20_260,
    epochs: 20,
    source: Source {
        input: PLAN.input,
        shape: &PLAN.shape,
        classes: LABELS.len(),
        sizes: Sizes { train: 12_000, validation: 1_200, evaluation: 1_200, test: 6_000 },
        sample,
    },
    output: PLAN.output,
    task: Task::Classification { labels: &LABELS },
    text: text::TEXT,
    #[cfg(feature = "train")]
    trainer: training::TRAINER,
};

/// Spectrograms per window: of the acceleration and of its envelope.
pub const CHANNELS: usize = 2;
/// Frequency bands of a spectrogram.
pub const BANDS: usize = 16;
/// Time frames of a spectrogram, 62.5 ms apart.
pub const FRAMES: usize = 16;
/// Values of one network input.
pub const WINDOW: usize = CHANNELS * BANDS * FRAMES;

/// The network.
pub const PLAN: &Plan = &Plan {
    name: "vibration",
    about: "Machine condition from vibration spectrograms",
    input: "spectrograms",
    shape: [CHANNELS, BANDS, FRAMES],
    stem: 16,
    stride: 1,
    blocks: &[
        Block { name: "down", channels: 32, stride: 2, residual: false },
        Block { name: "refine", channels: 32, stride: 1, residual: true },
        Block { name: "top", channels: 64, stride: 2, residual: false },
    ],
    activation: Activation::Relu6,
    labels: &LABELS,
    output: "probabilities",
};

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
}

/// Class labels, as written into the model's metadata, in the order of [`Condition::ALL`].
pub const LABELS: [&str; Condition::ALL.len()] =
    ["normal", "unbalance", "misalignment", "looseness", "outer-race", "inner-race"];

fn sample(_: Split, index: usize, random: &mut Random) -> (Vec<f32>, i64) {
    let class = index % Condition::ALL.len();
    let signal = acceleration(Condition::ALL[class], random);
    (spectrograms(&signal).to_vec(), class as i64)
}

#[cfg(feature = "train")]
mod training {
    use super::PLAN;
    use crate::mobile::{self, Mobile};
    use crate::train::{self, Schedule, Stored, Trainer};

    pub(super) const TRAINER: Trainer = Trainer {
        fit: |seed, epochs, sets, report| {
            let schedule = Schedule { seed, epochs, rate: 4e-3, decay: 1e-3 };
            train::fit(|device| Mobile::new(PLAN, device), &schedule, sets, report).export()
        },
        infer: |weights, set| train::infer_exported(|device| Mobile::new(PLAN, device), weights, set),
        finetune: Some(|weights, run, sets, report| mobile::finetune(PLAN, weights, run, sets, report)),
    };
}
