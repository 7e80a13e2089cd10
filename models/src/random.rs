//! Random numbers that are the same on every host.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A ChaCha8 stream with the few distributions that the generators need.
///
/// The normal distribution is Box-Muller on `libm`: distribution crates switch to the platform's
/// mathematical library as soon as any crate in the build asks for `std`.
pub struct Random {
    bits: ChaCha8Rng,
    spare: Option<f32>,
}

impl Random {
    /// The stream of item `index` of `split` under `seed`. Different triples give independent streams.
    pub fn new(seed: u64, split: u64, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&split.to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        Self { bits: ChaCha8Rng::from_seed(key), spare: None }
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        // 1 - unit() lies in (0, 1], where the logarithm is finite.
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.unit()));
        let angle = core::f32::consts::TAU * self.unit();
        self.spare = Some(radius * libm::sinf(angle));
        radius * libm::cosf(angle)
    }

    /// Puts `items` into random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            // The bias of the remainder is below 2^-40 for any set that fits in memory here.
            let j = (self.bits.next_u64() % (i as u64 + 1)) as usize;
            items.swap(i, j);
        }
    }

    /// Uniform in 0..1 with 24 bits, so that the conversion to `f32` is exact.
    fn unit(&mut self) -> f32 {
        (self.bits.next_u32() >> 8) as f32 / (1 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_has_mean_zero_and_unit_variance() {
        let mut random = Random::new(1, 0, 0);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(random.normal())).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |seed, split, index| Random::new(seed, split, index).uniform(0.0, 1.0);
        let base = first(1, 1, 1);
        assert_eq!(base, first(1, 1, 1));
        assert!(base != first(2, 1, 1) && base != first(1, 2, 1) && base != first(1, 1, 2));
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(7, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
