//! The levels of a palette that suit given indices best.

use super::channel::{Block, by_place};
use super::moments::dot;
use crate::quantize::weights::grid::square;

/// Normal equations of sixteen levels: what each adds to the error of the channels that use them.
#[derive(Clone, Debug)]
pub(crate) struct Equations {
    a: [[f64; 16]; 16],
    b: [f64; 16],
}

impl Equations {
    /// None.
    pub(crate) fn new() -> Self {
        Equations { a: [[0.0; 16]; 16], b: [0.0; 16] }
    }

    /// Adds a channel with its indices by weight.
    pub(crate) fn add(&mut self, blocks: &[Block<'_>], codes: &[i8], scale: f64) {
        for (block, codes) in blocks.iter().zip(by_place(blocks, codes)) {
            let wanted = block.quadratic.times(&block.target);
            for (i, &c) in codes.iter().enumerate() {
                self.b[c as usize] += scale * wanted[i];
            }
            for (i, &c) in codes.iter().enumerate() {
                let mut sums = [0.0; 16];
                for (h, &other) in block.quadratic.row(i).iter().zip(&codes) {
                    sums[other as usize & 15] += h;
                }
                let equation = self.a[c as usize].iter_mut().zip(sums);
                equation.for_each(|(a, sum)| *a += square(scale) * sum);
            }
        }
    }

    /// The levels of the least error, each a little held to what it was; those that nobody uses stay.
    pub(crate) fn solve(&self, old: &[i8; 16]) -> [f64; 16] {
        let mut x: [f64; 16] = std::array::from_fn(|i| old[i] as f64);
        // Gauss-Seidel: the matrix is positive semidefinite and the start is near.
        for _ in 0..200 {
            for i in 0..16 {
                if self.a[i][i] > 0.0 {
                    let others = dot(&self.a[i], &x) - self.a[i][i] * x[i];
                    x[i] = ((self.b[i] - others) / self.a[i][i]).clamp(-127.0, 127.0);
                }
            }
        }
        x
    }
}
