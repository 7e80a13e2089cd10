//! Second moments of what a unit reads and of what its float twin makes of it.

/// Sums over positions for one unit: inputs `x` (quantized prefix) and targets `y` (float layer, before its
/// bias).
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// Columns.
    pub(crate) k: usize,
    /// Positions seen.
    pub(crate) count: f64,
    /// `sum x x'`, `k` by `k`; the upper triangle until [`Moments::finish`].
    pub(crate) gram: Vec<f64>,
    /// `sum x`.
    pub(crate) x: Vec<f64>,
    /// `sum y x'`, outputs by `k`.
    pub(crate) cross: Vec<f64>,
    /// `sum y`.
    pub(crate) y: Vec<f64>,
    /// `sum y y` per output.
    pub(crate) yy: Vec<f64>,
}

impl Moments {
    /// Nothing seen.
    pub(crate) fn new(k: usize, outputs: usize) -> Self {
        let zeros = |n| vec![0.0; n];
        let (gram, x, cross) = (zeros(k * k), zeros(k), zeros(k * outputs));
        Moments { k, count: 0.0, gram, x, cross, y: zeros(outputs), yy: zeros(outputs) }
    }

    /// Adds positions: rows of `k` inputs and of as many targets as there are outputs.
    pub(crate) fn add(&mut self, xs: &[f64], ys: &[f64]) {
        let (k, outputs) = (self.k, self.y.len());
        let positions = xs.len() / k;
        self.count += positions as f64;
        // Four positions at a time: the sums are read and written a quarter as often.
        let mut n = 0;
        while n < positions {
            let rows = (positions - n).min(4);
            let x = &xs[n * k..(n + rows) * k];
            let y = &ys[n * outputs..(n + rows) * outputs];
            for i in 0..k {
                let factors: [f64; 4] = std::array::from_fn(|r| if r < rows { x[r * k + i] } else { 0.0 });
                if factors != [0.0; 4] {
                    add_rows(&mut self.gram[i * k + i..(i + 1) * k], &factors[..rows], x, k, i);
                }
            }
            for o in 0..outputs {
                let factors: [f64; 4] =
                    std::array::from_fn(|r| if r < rows { y[r * outputs + o] } else { 0.0 });
                add_rows(&mut self.cross[o * k..(o + 1) * k], &factors[..rows], x, k, 0);
            }
            for row in x.chunks_exact(k) {
                self.x.iter_mut().zip(row).for_each(|(s, v)| *s += v);
            }
            for row in y.chunks_exact(outputs) {
                self.y.iter_mut().zip(row).for_each(|(s, v)| *s += v);
                self.yy.iter_mut().zip(row).for_each(|(s, v)| *s += v * v);
            }
            n += rows;
        }
    }

    /// Turns sums into means and fills the lower triangle.
    pub(crate) fn finish(&mut self) {
        let scale = 1.0 / self.count.max(1.0);
        for v in [&mut self.gram, &mut self.x, &mut self.cross, &mut self.y, &mut self.yy] {
            v.iter_mut().for_each(|v| *v *= scale);
        }
        for i in 0..self.k {
            for j in 0..i {
                self.gram[i * self.k + j] = self.gram[j * self.k + i];
            }
        }
    }

    /// Mean squared error of `y - v x - offset` for output `o` (of this unit); after [`Moments::finish`].
    pub(crate) fn error(&self, o: usize, v: &[f64], offset: f64) -> f64 {
        let cross = &self.cross[o * self.k..(o + 1) * self.k];
        let mut error = self.yy[o] + offset * offset - 2.0 * offset * (self.y[o] - dot(v, &self.x));
        for (i, &a) in v.iter().enumerate() {
            if a != 0.0 {
                error += a * (dot(v, &self.gram[i * self.k..(i + 1) * self.k]) - 2.0 * cross[i]);
            }
        }
        error.max(0.0)
    }
}

/// `sum[j] += factor[r] * x[r][from + j]` over up to four rows.
fn add_rows(sum: &mut [f64], factors: &[f64], x: &[f64], k: usize, from: usize) {
    if let &[a, b, c, d] = factors {
        let row = |r: usize| &x[r * k + from..(r + 1) * k];
        let rows = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
        for (s, (((p, q), r), t)) in sum.iter_mut().zip(rows) {
            *s += a * p + b * q + (c * r + d * t);
        }
        return;
    }
    for (r, &f) in factors.iter().enumerate() {
        let row = &x[r * k + from..(r + 1) * k];
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f * v);
    }
}

/// In a fixed order of four partial sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (left, right) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for ((s, x), y) in sums.iter_mut().zip(x).zip(y) {
            *s += x * y;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_positions() {
        let (k, outputs, n) = (5, 2, 11);
        let xs: Vec<f64> = (0..n * k).map(|i| libm::sin(i as f64 * 1.3)).collect();
        let ys: Vec<f64> = (0..n * outputs).map(|i| libm::cos(i as f64 * 0.9)).collect();
        let mut moments = Moments::new(k, outputs);
        moments.add(&xs[..3 * k], &ys[..3 * outputs]);
        moments.add(&xs[3 * k..], &ys[3 * outputs..]);
        moments.finish();
        let v = [0.3, -0.2, 0.0, 1.1, 0.7];
        for o in 0..outputs {
            let one = |p: usize| {
                let e = ys[p * outputs + o] - dot(&v, &xs[p * k..(p + 1) * k]) - 0.25;
                e * e
            };
            let want = (0..n).map(one).sum::<f64>() / n as f64;
            assert!((moments.error(o, &v, 0.25) - want).abs() < 1e-12);
        }
    }
}
