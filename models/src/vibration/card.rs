//! The model card, written with the figures of the run that made the model.

use super::{BANDS, CHANNELS, FRAMES, SAMPLE_RATE, SAMPLES, Split, labels};
use crate::evaluation::Confusion;

/// What the card quotes.
pub struct Facts<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Passes over the training data.
    pub epochs: usize,
    /// Stored values, statistics of batch normalization included.
    pub parameters: usize,
    /// Size of the model file.
    pub model_bytes: usize,
    /// Result on the test split.
    pub confusion: &'a Confusion,
}

/// The accuracy as the card states it.
pub fn accuracy(confusion: &Confusion) -> String {
    let (correct, total) = (confusion.correct(), confusion.total());
    format!("{:.2} % ({correct} of {total})", 100.0 * confusion.accuracy())
}

/// The card as Markdown.
pub fn render(facts: &Facts<'_>) -> String {
    [introduction(), files(facts), data(), network(facts), figures(facts), limits()].join("\n")
}

fn introduction() -> String {
    format!(
        "# Machine condition from vibration

Classifies one second of acceleration, measured on the bearing housing of a rotating machine, as one of
{} conditions: {}.
The input is a pair of small log-power spectrograms, the output a probability per class.

This file is written by the training command below; edit `models/src/vibration/card.rs` instead.
",
        labels().len(),
        labels().join(", ")
    )
}

fn files(facts: &Facts<'_>) -> String {
    format!(
        "## Files

| file | content |
|---|---|
| `model.onnx` | float32, opset 17, {} bytes, {} stored values; batch normalization is not folded |
| `calibrate.npz` | `spectrograms`: {} unlabelled windows, float32 [n, {CHANNELS}, {BANDS}, {FRAMES}], for choosing quantization ranges |
| `evaluate.npz` | `spectrograms` and `labels` (int64): the {} windows of the test split |

```
cargo run --release -p samara-models --features train -- train vibration -o models/vibration
cargo run --release -p samara-models -- data vibration -o models/vibration
```

The first makes every file anew (burn is large: the build takes longer than the training), the second only
the data. The data are a function of the seed ({}): generator and features use a ChaCha stream and software
mathematics, no function of the platform. Training repeats bit for bit on one machine; an instruction set with
other vector widths sums in another order and ends at slightly different weights.
",
        facts.model_bytes,
        facts.parameters,
        Split::Calibration.windows(),
        Split::Test.windows(),
        facts.seed
    )
}

fn data() -> String {
    format!(
        "## Data

Everything is simulated; no recording of a real machine is involved. A window has {SAMPLES} samples at
{SAMPLE_RATE} Hz. Shaft speed (18 to 55 Hz) with drift, healthy harmonics, blade-pass line, resonance,
bearing geometry, sensor noise, a second machine nearby, stray knocks and the mounting gain are drawn anew
for each. A fault adds:

| class | signature |
|---|---|
| normal | nothing |
| unbalance | line at the shaft frequency |
| misalignment | lines at 1, 2 and 3 times the shaft frequency, the second strongest |
| looseness | harmonics up to the sixth, half orders, a knock per turn |
| outer-race | impacts 2.9 to 3.9 times per turn that ring at the resonance |
| inner-race | impacts 4.6 to 5.9 times per turn, swinging in force with the shaft |

Severity is log-uniform from 0.25 to 2, so that the mildest faults drown in what healthy machines show: the
classes overlap by design. The range was set, with the network as it is, such that about one window in ten is
classified wrongly; the accuracy below therefore says how hard the task was made, not how good such
networks are at vibration.

Features: Hann frames of 512 samples every 256, power in {BANDS} bands of the acceleration (8 to 2048 Hz) and
of its envelope (rectified second difference, 8 to 432 Hz), log10, a fixed offset and scale, clipped to
[-4, 4] and rounded to 1/32.

| split | windows | use |
|---|---:|---|
| train | {} | weights |
| validation | {} | printed after each epoch; stops or selects nothing |
| calibration | {} | quantization ranges |
| test | {} | the figures below |

Each window has a random stream keyed by seed, split and index, so no window of one split can be in another.
Classes take turns and are equally frequent (calibration: to within one window).
",
        Split::Train.windows(),
        Split::Validation.windows(),
        Split::Calibration.windows(),
        Split::Test.windows()
    )
}

fn network(facts: &Facts<'_>) -> String {
    format!(
        "## Network

| block | output |
|---|---|
| Conv 3x3, BatchNorm, ReLU6 | 16 x 16 x 16 |
| depthwise 3x3 stride 2, BatchNorm, ReLU6; pointwise, BatchNorm, ReLU6 | 32 x 8 x 8 |
| depthwise 3x3, BatchNorm, ReLU6; pointwise, BatchNorm; added to its input | 32 x 8 x 8 |
| depthwise 3x3 stride 2, BatchNorm, ReLU6; pointwise, BatchNorm, ReLU6 | 64 x 4 x 4 |
| global average pool, flatten, linear, softmax | {} |

Trained with burn on one CPU core: AdamW, cosine learning rate, cross-entropy with label smoothing 0.05,
{} epochs.
",
        labels().len(),
        facts.epochs
    )
}

fn figures(facts: &Facts<'_>) -> String {
    format!(
        "## Float accuracy

{} on the test split.

```
cargo run --release -p samara-models --features train -- evaluate vibration models/vibration
```

{}",
        accuracy(facts.confusion),
        facts.confusion
    )
}

fn limits() -> String {
    "## Intended use and limits

For tests, demonstrations and benchmarks of deployment: packing, quantization, updates, drift. It has never
seen a real sensor and must not be used to judge one. Two faults at once, gears, electrical faults, speeds
outside 18 to 55 Hz and other sampling rates are outside what it was trained on; it has no class for
\"something else\" and its probabilities are not calibrated.
"
    .into()
}
