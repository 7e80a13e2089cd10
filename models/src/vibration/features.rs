//! Acceleration window to network input: two small log-power spectrograms.
//!
//! Channel 0 is the spectrum of the acceleration in bands that widen with frequency; channel 1 that of
//! its envelope (high-passed, rectified), where bearing impacts show at their repetition rate.

use super::signal::SAMPLES;
use super::{BANDS, CHANNELS, FRAMES, WINDOW};
use crate::spectrum::{FRAME, frame_power, hann};

const HOP: usize = 256;
const _: () = assert!(FRAME + (FRAMES - 1) * HOP == SAMPLES);

/// Band edges in bins of 8 Hz: acceleration up to 2048 Hz, envelope up to 432 Hz.
const EDGES: [[usize; BANDS + 1]; CHANNELS] = [
    [1, 2, 3, 4, 5, 7, 9, 12, 16, 22, 30, 42, 60, 84, 120, 172, 256],
    [1, 3, 5, 7, 9, 11, 14, 17, 20, 23, 26, 30, 34, 38, 43, 48, 54],
];
/// Typical log10 power and its spread: what brings either channel to about zero mean, unit deviation.
const MEAN: [f32; CHANNELS] = [1.7, 1.7];
const SPREAD: [f32; CHANNELS] = [1.0, 0.7];
/// Values end here, in standard deviations.
const CLIP: f32 = 4.0;
/// Features are kept to 1/32, well below their noise, which more than halves the size of a stored set.
const STEPS: f32 = 32.0;

/// The network input for `acceleration`, laid out as channel, band, frame.
///
/// # Panics
/// If `acceleration` has not [`SAMPLES`] values.
pub fn spectrograms(acceleration: &[f32]) -> [f32; WINDOW] {
    assert_eq!(acceleration.len(), SAMPLES);
    let hann = hann();
    let envelope = envelope(acceleration);
    let mut features = [0.0; WINDOW];
    for (channel, signal) in [acceleration, &envelope].into_iter().enumerate() {
        for frame in 0..FRAMES {
            let power = frame_power(&signal[frame * HOP..][..FRAME], &hann);
            for band in 0..BANDS {
                let bins = &power[EDGES[channel][band]..EDGES[channel][band + 1]];
                let mean = bins.iter().sum::<f32>() / bins.len() as f32;
                let value = (libm::log10f(mean + 1e-3) - MEAN[channel]) / SPREAD[channel];
                // Adding zero turns -0 into 0.
                features[(channel * BANDS + band) * FRAMES + frame] =
                    libm::rintf(value.clamp(-CLIP, CLIP) * STEPS) / STEPS + 0.0;
            }
        }
    }
    features
}

/// Rectified second difference, less its mean; the ends repeat so that the length stays.
fn envelope(signal: &[f32]) -> Vec<f32> {
    let last = signal.len() - 1;
    let mut envelope: Vec<f32> = (0..signal.len())
        .map(|i| (signal[i.saturating_sub(1)] - 2.0 * signal[i] + signal[(i + 1).min(last)]).abs())
        .collect();
    let mean = envelope.iter().sum::<f32>() / envelope.len() as f32;
    envelope.iter_mut().for_each(|x| *x -= mean);
    envelope
}

#[cfg(test)]
mod tests {
    use super::super::signal::SAMPLE_RATE;
    use super::*;

    fn strongest_band(features: &[f32; WINDOW], channel: usize) -> usize {
        let level = |band: usize| {
            let start = (channel * BANDS + band) * FRAMES;
            features[start..start + FRAMES].iter().sum::<f32>()
        };
        (0..BANDS).max_by(|&a, &b| level(a).total_cmp(&level(b))).unwrap()
    }

    fn sine(frequency: f32, i: usize) -> f32 {
        (core::f32::consts::TAU * frequency * i as f32 / SAMPLE_RATE).sin()
    }

    #[test]
    fn tone_falls_into_its_band() {
        // 400 Hz is bin 50, in the band of bins 42..60.
        let tone: Vec<f32> = (0..SAMPLES).map(|i| 0.1 * sine(400.0, i)).collect();
        assert_eq!(strongest_band(&spectrograms(&tone), 0), 11);
    }

    #[test]
    fn modulated_carrier_shows_in_the_envelope() {
        // 1500 Hz swinging at 160 Hz: bin 20, in the envelope band of bins 20..23.
        let signal: Vec<f32> =
            (0..SAMPLES).map(|i| 0.02 * (1.0 + sine(160.0, i)) * sine(1500.0, i)).collect();
        assert_eq!(strongest_band(&spectrograms(&signal), 1), 8);
    }

    #[test]
    fn values_are_bounded_multiples_of_the_step() {
        for signal in [vec![0.0; SAMPLES], vec![1e20; SAMPLES]] {
            for value in spectrograms(&signal) {
                assert!(value.abs() <= CLIP && (value * STEPS).fract() == 0.0, "{value}");
            }
        }
    }
}
