//! Sines and power spectra with software mathematics.

/// Samples of one frame.
pub const FRAME: usize = 512;

/// The Hann window of a frame.
pub fn hann() -> Vec<f32> {
    (0..FRAME).map(|i| 0.5 - 0.5 * libm::cosf(core::f32::consts::TAU * i as f32 / FRAME as f32)).collect()
}

/// Power of each frequency bin of a windowed frame, the last bin (half the sample rate) left out.
pub fn frame_power(samples: &[f32], hann: &[f32]) -> [f32; FRAME / 2] {
    let mut buffer: [f32; FRAME] = core::array::from_fn(|i| samples[i] * hann[i]);
    let spectrum = microfft::real::rfft_512(&mut buffer);
    spectrum.map(|bin| bin.re * bin.re + bin.im * bin.im)
}

/// sin(2 pi x), with the whole turns taken off first so that precision does not fall with time.
pub fn sin_turns(turns: f32) -> f32 {
    libm::sinf(core::f32::consts::TAU * (turns - libm::floorf(turns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tone_fills_its_bin() {
        let tone: Vec<f32> = (0..FRAME).map(|i| sin_turns(20.0 * i as f32 / FRAME as f32)).collect();
        let power = frame_power(&tone, &hann());
        let strongest = (0..power.len()).max_by(|&a, &b| power[a].total_cmp(&power[b]));
        assert_eq!(strongest, Some(20));
        assert!(power[20] > 1e6 * power[40]);
    }
}
