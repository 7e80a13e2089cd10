//! The model's own part of its card.

use super::{BANDS, LABELS, SAMPLE_RATE, SAMPLES};
use crate::card::Text;

/// The words.
pub const TEXT: Text = Text {
    title: "Machine condition from vibration",
    purpose,
    samples: "windows",
    data,
    network,
    training: "AdamW, cosine learning rate, cross-entropy with label smoothing 0.05",
    limits: "For tests, demonstrations and benchmarks of deployment: packing, quantization, updates, drift. It has never
seen a real sensor and must not be used to judge one. Two faults at once, gears, electrical faults, speeds
outside 18 to 55 Hz and other sampling rates are outside what it was trained on; it has no class for
\"something else\" and its probabilities are not calibrated.",
};

fn purpose() -> String {
    format!(
        "Classifies one second of acceleration, measured on the bearing housing of a rotating machine, as one of
{} conditions: {}.
The input is a pair of small log-power spectrograms, the output a probability per class.",
        LABELS.len(),
        LABELS.join(", ")
    )
}

fn data() -> String {
    format!(
        "Everything is simulated; no recording of a real machine is involved. A window has {SAMPLES} samples at
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
[-4, 4] and rounded to 1/32."
    )
}

fn network() -> String {
    format!(
        "| block | output |
|---|---|
| Conv 3x3, BatchNorm, ReLU6 | 16 x 16 x 16 |
| depthwise 3x3 stride 2, BatchNorm, ReLU6; pointwise, BatchNorm, ReLU6 | 32 x 8 x 8 |
| depthwise 3x3, BatchNorm, ReLU6; pointwise, BatchNorm; added to its input | 32 x 8 x 8 |
| depthwise 3x3 stride 2, BatchNorm, ReLU6; pointwise, BatchNorm, ReLU6 | 64 x 4 x 4 |
| global average pool, flatten, linear, softmax | {} |",
        LABELS.len()
    )
}
