//! Sound to network input: the mean log-power spectrum of the window.

use super::BANDS;
use super::sound::SAMPLES;
use crate::spectrum::{FRAME, frame_power, hann};

const HOP: usize = 256;
/// Bands of one bin (15.6 Hz) each at the bottom; above, they widen by a constant factor up to 4 kHz.
const NARROW: usize = 32;
/// Typical log10 power and its spread: what brings a band to about zero mean, unit deviation.
const MEAN: f32 = 0.6;
const SPREAD: f32 = 0.7;
/// Values end here.
const CLIP: f32 = 4.0;
/// Features are kept to 1/32, well below their noise, which more than halves the size of a stored set.
const STEPS: f32 = 32.0;

/// The network input for `sound`, from low to high frequency.
///
/// # Panics
/// If `sound` has not [`SAMPLES`] values.
pub fn spectrum(sound: &[f32]) -> [f32; BANDS] {
    assert_eq!(sound.len(), SAMPLES);
    let hann = hann();
    let mut power = [0.0; FRAME / 2];
    for start in (0..=SAMPLES - FRAME).step_by(HOP) {
        let frame = frame_power(&sound[start..start + FRAME], &hann);
        power.iter_mut().zip(frame).for_each(|(sum, power)| *sum += power);
    }
    let frames = ((SAMPLES - FRAME) / HOP + 1) as f32;
    core::array::from_fn(|band| {
        let bins = &power[edge(band)..edge(band + 1)];
        let mean = bins.iter().sum::<f32>() / (bins.len() as f32 * frames);
        let value = (libm::log10f(mean + 1e-3) - MEAN) / SPREAD;
        // Adding zero turns -0 into 0.
        libm::rintf(value.clamp(-CLIP, CLIP) * STEPS) / STEPS + 0.0
    })
}

/// First bin of a band; the bin at 0 Hz is in none.
fn edge(band: usize) -> usize {
    let Some(above) = band.checked_sub(NARROW) else { return band + 1 };
    let (low, high) = ((NARROW + 1) as f32, (FRAME / 2) as f32);
    let share = above as f32 / (BANDS - NARROW) as f32;
    libm::rintf(low * libm::powf(high / low, share)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::sin_turns;

    #[test]
    fn bands_follow_each_other_to_the_end() {
        assert!((0..BANDS).all(|band| edge(band) < edge(band + 1)));
        assert_eq!((edge(0), edge(BANDS)), (1, FRAME / 2));
    }

    #[test]
    fn tone_falls_into_its_band() {
        // Bin 10 of 15.625 Hz.
        let tone: Vec<f32> = (0..SAMPLES).map(|i| 0.1 * sin_turns(156.25 * i as f32 / 8000.0)).collect();
        let bands = spectrum(&tone);
        let strongest = (0..BANDS).max_by(|&a, &b| bands[a].total_cmp(&bands[b]));
        assert_eq!(strongest, Some(9));
    }

    #[test]
    fn values_are_bounded_multiples_of_the_step() {
        for sound in [vec![0.0; SAMPLES], vec![1e15; SAMPLES]] {
            for value in spectrum(&sound) {
                assert!(value.abs() <= CLIP && (value * STEPS).fract() == 0.0, "{value}");
            }
        }
    }
}
