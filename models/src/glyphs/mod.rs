//! Image classification whose channels are badly unequal: which sign a small camera image shows.

mod scene;
mod text;

pub use scene::image;

use crate::data::{Sizes, Source, Split};
use crate::mobile::{Activation, Block, Plan};
use crate::model::{Model, Task};
use crate::random::Random;

/// The model.
pub const MODEL: Model = Model {
    name: "glyphs",
    about: "Signs in small camera images; depthwise network of unequal channels",
    seed: 20_262,
    epochs: 12,
    source: Source {
        input: PLAN.input,
        shape: &PLAN.shape,
        classes: LABELS.len(),
        sizes: Sizes { train: 12_000, validation: 1_000, evaluation: 800, test: 6_000 },
        sample,
    },
    output: PLAN.output,
    task: Task::Classification { labels: &LABELS },
    text: text::TEXT,
    #[cfg(feature = "train")]
    trainer: training::TRAINER,
};

/// Pixels of a row and of a column.
pub const SIDE: usize = 32;
/// Grey levels from 0 to 1, and as many below 0: of a coarse camera, which also keeps stored sets small.
pub const LEVELS: f32 = 8.0;
/// Channels of hidden tensors are scaled by powers of two up to this, and down to its inverse.
pub const OCTAVES: i32 = 5;

/// Class labels in the order of the class index.
pub const LABELS: [&str; 10] =
    ["ring", "triangle", "square", "cross", "plus", "zed", "arrow", "corner", "arc", "tee"];

/// The network.
pub const PLAN: &Plan = &Plan {
    name: "glyphs",
    about: "Signs in small camera images",
    input: "image",
    shape: [1, SIDE, SIDE],
    stem: 16,
    stride: 2,
    blocks: &[
        Block { name: "early", channels: 24, stride: 1, residual: false },
        Block { name: "down", channels: 48, stride: 2, residual: false },
        Block { name: "refine", channels: 48, stride: 1, residual: true },
        Block { name: "top", channels: 96, stride: 2, residual: false },
    ],
    activation: Activation::Relu,
    labels: &LABELS,
    output: "probabilities",
};

fn sample(_: Split, index: usize, random: &mut Random) -> (Vec<f32>, i64) {
    let class = index % LABELS.len();
    (image(class, random), class as i64)
}

#[cfg(feature = "train")]
mod training {
    use super::{OCTAVES, PLAN};
    use crate::mobile::{Mobile, spread_channels};
    use crate::train::{self, Schedule, Stored, Trainer};

    pub(super) const TRAINER: Trainer = Trainer {
        fit: |seed, epochs, sets, report| {
            let schedule = Schedule { seed, epochs, rate: 4e-3, decay: 1e-3 };
            let network = train::fit(|device| Mobile::new(PLAN, device), &schedule, sets, report);
            spread_channels(network, seed, OCTAVES).export()
        },
        infer: |weights, set| train::infer_exported(|device| Mobile::new(PLAN, device), weights, set),
        // Training on from channels this unequal under one scale per tensor diverges; equalize first.
        finetune: None,
    };
}
