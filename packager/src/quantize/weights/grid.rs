//! The reals that the weights of one output channel can be.

/// Codes and their reals: `scale * multiplier(k) * code`, or `scale * table[code]`.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Positive.
    pub(crate) scale: f64,
    /// What the codes of one channel mean beside the scale.
    pub(crate) levels: Levels,
}

/// What codes mean before the channel's scale.
#[derive(Clone, Debug)]
pub(crate) enum Levels {
    /// Integers in [-limit, limit].
    Uniform {
        /// Greatest code.
        limit: i8,
    },
    /// Integers in [-limit, limit] times the multiplier of their group of `size` weights.
    Grouped {
        /// Greatest code.
        limit: i8,
        /// Weights of a group.
        size: usize,
        /// One per group, in 1..=127.
        multipliers: Vec<i8>,
    },
    /// Indices into ascending levels.
    Table([i8; 16]),
}

impl Grid {
    /// The same levels at another scale.
    pub(crate) fn at(&self, scale: f64) -> Grid {
        Grid { scale, levels: self.levels.clone() }
    }

    /// The integer that weight `k` is with this code.
    pub(crate) fn integer(&self, k: usize, code: i8) -> i32 {
        match &self.levels {
            Levels::Uniform { .. } => code as i32,
            Levels::Grouped { size, multipliers, .. } => multipliers[k / size] as i32 * code as i32,
            Levels::Table(table) => table[code as usize] as i32,
        }
    }

    /// The real that weight `k` is with this code.
    pub(crate) fn real(&self, k: usize, code: i8) -> f64 {
        self.scale * self.integer(k, code) as f64
    }

    /// The code whose real is nearest; ties to even, for tables to the lower level.
    pub(crate) fn nearest(&self, k: usize, real: f64) -> i8 {
        let level = |step: f64, limit: i8| {
            libm::rint(real / (self.scale * step)).clamp(-(limit as f64), limit as f64) as i8
        };
        match &self.levels {
            Levels::Uniform { limit } => level(1.0, *limit),
            Levels::Grouped { limit, size, multipliers } => level(multipliers[k / size] as f64, *limit),
            Levels::Table(table) => {
                let want = real / self.scale;
                let above = table.partition_point(|&t| (t as f64) < want).min(15);
                let below = above.saturating_sub(1);
                if want - table[below] as f64 <= table[above] as f64 - want {
                    below as i8
                } else {
                    above as i8
                }
            }
        }
    }

    /// Whether a code exists.
    pub(crate) fn holds(&self, code: i8) -> bool {
        match &self.levels {
            Levels::Uniform { limit } | Levels::Grouped { limit, .. } => (-limit..=*limit).contains(&code),
            Levels::Table(_) => (0..16).contains(&code),
        }
    }
}

/// The scale among clipping ratios of the greatest magnitude that leaves the least squared error; 0 where all
/// values are 0. `levels` are uniform in [-limit, limit].
pub(crate) fn best_step(values: &[f64], limit: i8) -> f64 {
    let greatest = values.iter().fold(0f64, |g, v| g.max(v.abs()));
    let levels = Levels::Uniform { limit };
    let mut best = (f64::INFINITY, greatest / limit as f64);
    if best.1 <= 0.0 {
        return 0.0;
    }
    for n in 0..=CLIPPINGS {
        let scale = greatest / limit as f64 * (1.0 - 0.6 * n as f64 / CLIPPINGS as f64);
        let grid = Grid { scale, levels: levels.clone() };
        let error: f64 = values.iter().map(|&v| square(v - grid.real(0, grid.nearest(0, v)))).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

/// Clipping ratios tried between 1 and 0.4.
const CLIPPINGS: usize = 30;

pub(crate) fn square(x: f64) -> f64 {
    x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_the_nearest_of_all_codes() {
        let table = [-127, -90, -60, -40, -25, -14, -6, -1, 0, 3, 9, 18, 30, 50, 80, 127];
        let grouped = Levels::Grouped { limit: 7, size: 2, multipliers: vec![3, 100] };
        for levels in [Levels::Uniform { limit: 7 }, grouped, Levels::Table(table)] {
            let grid = Grid { scale: 0.37, levels };
            for n in -400..400 {
                let (k, real) = (n as usize % 4, n as f64 * 0.13);
                let all = (i8::MIN..=i8::MAX).filter(|&c| grid.holds(c));
                let least = all.map(|c| (grid.real(k, c) - real).abs()).fold(f64::INFINITY, f64::min);
                let got = (grid.real(k, grid.nearest(k, real)) - real).abs();
                assert!(got <= least + 1e-12, "{grid:?} {real}: {got} {least}");
            }
        }
    }

    #[test]
    fn an_outlier_is_clipped_where_that_pays() {
        let mut values: Vec<f64> = (0..1000).map(|n| libm::sin(n as f64)).collect();
        values.push(2.5);
        let step = best_step(&values, 7);
        assert!(step < 2.0 / 7.0, "{step}");
        assert_eq!(best_step(&[0.0, 0.0], 7), 0.0);
        assert!(best_step(&[1.0], 7) > 0.0);
    }
}
