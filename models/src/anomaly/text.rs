//! The model's own part of its card.

use super::{BANDS, SAMPLE_RATE, SAMPLES};
use crate::card::Text;

/// The words.
pub const TEXT: Text = Text {
    title: "Faults of a fan by reconstruction",
    purpose,
    samples: "spectra",
    data,
    network,
    training: "AdamW, cosine learning rate, mean squared error",
    limits: "For tests, demonstrations and benchmarks of deployment. It has never heard a real fan and must not be used
to judge one. Any other fan, duct, microphone or room is an anomaly to it; the threshold on the error is the
user's to choose and is not part of the model.",
};

fn purpose() -> String {
    format!(
        "Reconstructs the {BANDS}-band log-power spectrum of a fan's sound. Trained on a fan in order only, it reconstructs
what it knows and fails on what it does not: the mean squared difference of output and input is the anomaly score."
    )
}

fn data() -> String {
    format!(
        "Everything is simulated; no recording of a real fan is involved. A window has {SAMPLES} samples at
{SAMPLE_RATE} Hz of one fan in one duct. Shaft speed (22 to 30 Hz), load, mains hum, level of the room and gain are
drawn anew for each; flow noise grows with speed and load, the lines of the 7 blades with load. Of the anomalous
windows a fifth each has:

| fault | signature |
|---|---|
| worn bearing | bursts 3.1 to 5.4 times per turn that ring between 2.2 and 3.2 kHz |
| chipped blade | lines at 5, 6, 8 and 9 times the shaft frequency |
| rubbing wheel | noise once per turn |
| whine | a tone between 1.2 and 3.6 kHz and its octave |
| blocked filter | more flow noise that surges, weaker blade lines |

Severity is log-uniform from 0.2 to 2, so that the mildest faults drown in what a fan in order shows.

Features: Hann frames of 512 samples every 256, mean power of the frames in {BANDS} bands (single bins up to 500 Hz, then
widening to 4 kHz), log10, a fixed offset and scale, clipped to [-4, 4] and rounded to 1/32."
    )
}

fn network() -> String {
    format!(
        "| layer | output |
|---|---|
| linear, ReLU | 48 |
| linear, ReLU | 24 |
| linear, ReLU | 8 |
| linear, ReLU | 24 |
| linear, ReLU | 48 |
| linear | {BANDS} |"
    )
}
