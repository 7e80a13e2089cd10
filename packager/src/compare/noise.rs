//! How far values are from what they should be.

/// Differences between two tensors, summed over samples.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Noise {
    pub(super) max_error: f64,
    signal: f64,
    noise: f64,
    dot: f64,
    power: f64,
    saturated: u64,
    count: u64,
}

impl Noise {
    pub(super) fn sqnr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(self.signal / self.noise) }
    }

    pub(super) fn cosine(&self) -> f64 {
        let norms = libm::sqrt(self.signal * self.power);
        if norms == 0.0 { f64::from(u8::from(self.signal == self.power)) } else { self.dot / norms }
    }

    pub(super) fn saturated_share(&self) -> f64 {
        self.saturated as f64 / self.count.max(1) as f64
    }

    pub(super) fn add(&mut self, want: &[f64], got: &[f64], saturated: u64) {
        for (&w, &g) in want.iter().zip(got) {
            self.signal += w * w;
            self.power += g * g;
            self.dot += w * g;
            self.noise += (w - g) * (w - g);
            self.max_error = self.max_error.max((w - g).abs());
        }
        self.saturated += saturated;
        self.count += want.len() as u64;
    }
}
