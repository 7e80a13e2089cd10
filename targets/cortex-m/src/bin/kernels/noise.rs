//! Numbers that look random and are the same every time.

/// A linear congruential generator.
pub(crate) struct Noise(pub(crate) u32);

impl Noise {
    /// In `0..n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        ((u64::from(self.0) * u64::from(n)) >> 32) as u32
    }

    /// In `lo..=hi`.
    pub(crate) fn between(&mut self, lo: i32, hi: i32) -> i32 {
        lo + self.below((hi - lo) as u32 + 1) as i32
    }

    /// One of these.
    pub(crate) fn of(&mut self, all: &[u32]) -> u32 {
        all[self.below(all.len() as u32) as usize]
    }
}
