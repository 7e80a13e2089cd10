//! Rounding under a quadratic error: `(v - t)' H (v - t)` for the weights `v` of one output channel.

use super::moments::dot;
use crate::quantize::weights::grid::Grid;

/// A damped second moment `H` of a unit's inputs with its triangular factor. Columns are reordered: the ones
/// with the greatest diagonal come last and are decided first.
#[derive(Clone, Debug)]
pub(crate) struct Quadratic {
    k: usize,
    /// Original column of each place.
    order: Vec<usize>,
    /// `k` by `k`, reordered.
    h: Vec<f64>,
    /// Upper triangular `R` with `R' R = H`, reordered.
    factor: Vec<f64>,
}

impl Quadratic {
    /// From a moment matrix in original order; `damping` is relative to its mean diagonal.
    pub(crate) fn new(k: usize, gram: &[f64], damping: f64) -> Self {
        let diagonal: Vec<f64> = (0..k).map(|i| gram[i * k + i].max(0.0)).collect();
        let mean = diagonal.iter().sum::<f64>() / k.max(1) as f64;
        // Inputs that are always zero leave only the distance between weights.
        let damping = if mean > 0.0 { damping * mean } else { 1.0 };
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]));
        let mut h = vec![0.0; k * k];
        for (i, &a) in order.iter().enumerate() {
            for (j, &b) in order.iter().enumerate() {
                h[i * k + j] = gram[a * k + b];
            }
            h[i * k + i] += damping;
        }
        let factor = cholesky(k, &h);
        Quadratic { k, order, h, factor }
    }

    /// Into the reordered places.
    pub(crate) fn places(&self, v: &[f64]) -> Vec<f64> {
        self.order.iter().map(|&c| v[c]).collect()
    }

    /// Original column of a place.
    pub(crate) fn column(&self, place: usize) -> usize {
        self.order[place]
    }

    /// Row of a place, reordered.
    pub(crate) fn row(&self, place: usize) -> &[f64] {
        &self.h[place * self.k..(place + 1) * self.k]
    }

    /// `H^-1 b`, reordered places.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (k, r) = (self.k, &self.factor);
        let mut x = b.to_vec();
        // R' z = b, row by row of R so that memory is read in order.
        for i in 0..k {
            x[i] /= r[i * k + i];
            let (done, rest) = x.split_at_mut(i + 1);
            let z = done[i];
            rest.iter_mut().zip(&r[i * k + i + 1..(i + 1) * k]).for_each(|(x, r)| *x -= z * r);
        }
        for i in (0..k).rev() {
            x[i] = (x[i] - dot(&r[i * k + i + 1..(i + 1) * k], &x[i + 1..])) / r[i * k + i];
        }
        x
    }

    /// `H d`, reordered places.
    pub(crate) fn times(&self, d: &[f64]) -> Vec<f64> {
        (0..self.k).map(|i| dot(self.row(i), d)).collect()
    }

    /// Rounds `target` place by place, each error passed on to the places not yet decided (Frantar et al. 2022,
    /// GPTQ, in its triangular form). Returns the codes and the error. `first` is the weight of column 0.
    pub(crate) fn round(&self, target: &[f64], grid: &Grid, first: usize) -> (Vec<i8>, f64) {
        let (k, r) = (self.k, &self.factor);
        let (mut codes, mut error, mut left) = (vec![0; k], 0.0, vec![0.0; k]);
        for i in (0..k).rev() {
            let carried = dot(&r[i * k + i + 1..(i + 1) * k], &left[i + 1..]) / r[i * k + i];
            let want = target[i] + carried;
            let weight = first + self.order[i];
            codes[i] = grid.nearest(weight, want);
            let real = grid.real(weight, codes[i]);
            left[i] = target[i] - real;
            let term = r[i * k + i] * (want - real);
            error += term * term;
        }
        (codes, error)
    }

    /// Moves single weights to neighbouring codes while that lowers the error.
    pub(crate) fn descend(&self, target: &[f64], grid: &Grid, first: usize, codes: &mut [i8]) {
        let k = self.k;
        let real = |i: usize, code: i8| grid.real(first + self.order[i], code);
        let difference: Vec<f64> = (0..k).map(|i| real(i, codes[i]) - target[i]).collect();
        let mut slope = self.times(&difference);
        for _ in 0..SWEEPS {
            let mut moved = false;
            for i in (0..k).rev() {
                let (now, diagonal) = (real(i, codes[i]), self.h[i * k + i]);
                let mut best = (0.0, codes[i]);
                for code in [codes[i].saturating_sub(1), codes[i].saturating_add(1)] {
                    if grid.holds(code) {
                        let d = real(i, code) - now;
                        let gain = d * (2.0 * slope[i] + d * diagonal);
                        if gain < best.0 {
                            best = (gain, code);
                        }
                    }
                }
                // Gains in the last bits could go round in circles.
                if best.0 < -1e-12 * diagonal * grid.scale * grid.scale {
                    let d = real(i, best.1) - now;
                    codes[i] = best.1;
                    let row = &self.h[i * k..(i + 1) * k];
                    slope.iter_mut().zip(row).for_each(|(s, h)| *s += d * h);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
    }
}

/// Most passes of [`Quadratic::descend`] over all weights.
const SWEEPS: usize = 40;

/// Upper triangular `R` with `R' R = a`; a pivot that rounding made too small is raised.
fn cholesky(k: usize, a: &[f64]) -> Vec<f64> {
    let mut r = a.to_vec();
    let greatest = (0..k).map(|i| a[i * k + i]).fold(0.0, f64::max);
    for i in 0..k {
        let (upper, lower) = r.split_at_mut((i + 1) * k);
        let row = &mut upper[i * k + i..];
        let pivot = libm::sqrt(row[0].max(1e-12 * greatest));
        row.iter_mut().for_each(|v| *v /= pivot);
        row[0] = pivot;
        for j in i + 1..k {
            let factor = row[j - i];
            if factor != 0.0 {
                let below = &mut lower[(j - i - 1) * k + j..(j - i) * k];
                below.iter_mut().zip(&row[j - i..]).for_each(|(v, r)| *v -= factor * r);
            }
        }
    }
    r
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::weights::grid::Levels;

    const K: usize = 12;

    /// Moments of correlated inputs.
    fn gram() -> Vec<f64> {
        let mut gram = vec![0.0; K * K];
        for n in 0..40 {
            let x: Vec<f64> = (0..K)
                .map(|i| libm::sin(n as f64 * 0.7) + (1.0 + i as f64 * 0.2) * libm::sin((n * i) as f64))
                .collect();
            for i in 0..K {
                for j in 0..K {
                    gram[i * K + j] += x[i] * x[j];
                }
            }
        }
        gram
    }

    fn error(q: &Quadratic, target: &[f64], grid: &Grid, codes: &[i8]) -> f64 {
        let d: Vec<f64> = (0..K).map(|i| grid.real(q.column(i), codes[i]) - target[i]).collect();
        dot(&d, &q.times(&d))
    }

    #[test]
    fn solves_what_it_multiplies() {
        let q = Quadratic::new(K, &gram(), 0.01);
        let x: Vec<f64> = (0..K).map(|i| libm::cos(i as f64)).collect();
        let back = q.solve(&q.times(&x));
        assert!(x.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-9), "{back:?}");
    }

    #[test]
    fn each_stage_lowers_the_error_and_states_it() {
        let q = Quadratic::new(K, &gram(), 0.01);
        let grid = Grid { scale: 0.31, levels: Levels::Uniform { limit: 7 } };
        let mut won = 0;
        for seed in 0..20 {
            let target: Vec<f64> = (0..K).map(|i| 2.0 * libm::sin((seed * 31 + i * 7) as f64)).collect();
            let nearest: Vec<i8> = (0..K).map(|i| grid.nearest(q.column(i), target[i])).collect();
            let (mut codes, stated) = q.round(&target, &grid, 0);
            let fed = error(&q, &target, &grid, &codes);
            assert!((fed - stated).abs() < 1e-9 * (1.0 + fed), "{fed} {stated}");
            q.descend(&target, &grid, 0, &mut codes);
            let descended = error(&q, &target, &grid, &codes);
            assert!(descended <= fed + 1e-12);
            won += usize::from(descended < error(&q, &target, &grid, &nearest) - 1e-9);
        }
        assert!(won >= 15, "{won} of 20");
    }

    #[test]
    fn inputs_that_are_always_zero_leave_nearest_rounding() {
        let q = Quadratic::new(3, &[0.0; 9], 0.01);
        let grid = Grid { scale: 1.0, levels: Levels::Uniform { limit: 7 } };
        assert_eq!(q.round(&[1.4, -2.6, 0.2], &grid, 0).0, [1, -3, 0]);
    }
}
