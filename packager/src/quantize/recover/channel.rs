//! The best codes and scale for one output channel under the error of its layer's output.

use super::moments::dot;
use super::quadratic::Quadratic;
use crate::quantize::weights::grid::Grid;

/// A run of a channel's weights whose inputs were observed together.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    /// Its error.
    pub(crate) quadratic: &'a Quadratic,
    /// The reals that would be best, reordered places.
    pub(crate) target: Vec<f64>,
    /// Its first weight.
    pub(crate) first: usize,
}

/// Ratios of the given scale that are tried: from strong clipping to none.
const RATIOS: [f64; 11] = [0.6, 0.7, 0.76, 0.82, 0.88, 0.92, 0.96, 1.0, 1.05, 1.1, 1.2];
/// Times that scale and codes follow each other.
const ROUNDS: usize = 4;

/// Codes by weight and a scale of at least `floor`, starting from a grid.
pub(crate) fn optimize(blocks: &[Block<'_>], start: &Grid, floor: f64) -> (Vec<i8>, Grid) {
    let mut best: Option<(f64, Vec<Vec<i8>>, Grid)> = None;
    for ratio in RATIOS {
        let grid = start.at(single(start.scale * ratio, floor));
        let rounded = blocks.iter().map(|b| b.quadratic.round(&b.target, &grid, b.first));
        let (codes, errors): (Vec<_>, Vec<f64>) = rounded.unzip();
        let error = errors.iter().sum();
        if best.as_ref().is_none_or(|b| error < b.0) {
            best = Some((error, codes, grid));
        }
    }
    let (_, mut codes, mut grid) = best.unwrap_or_else(|| (0.0, vec![], start.clone()));
    for _ in 0..ROUNDS {
        for (b, codes) in blocks.iter().zip(&mut codes) {
            b.quadratic.descend(&b.target, &grid, b.first, codes);
        }
        let scale = single(best_scale(blocks, &codes, &grid), floor);
        if scale == grid.scale {
            break;
        }
        grid = grid.at(scale);
    }
    (by_weight(blocks, &codes), grid)
}

/// Goes on from given codes on a changed grid.
pub(crate) fn refine(blocks: &[Block<'_>], codes: &[i8], grid: &Grid, floor: f64) -> (Vec<i8>, Grid) {
    let mut placed = by_place(blocks, codes);
    let grid = grid.at(single(best_scale(blocks, &placed, grid), floor));
    for (b, codes) in blocks.iter().zip(&mut placed) {
        b.quadratic.descend(&b.target, &grid, b.first, codes);
    }
    (by_weight(blocks, &placed), grid)
}

/// The scale of the least error for fixed codes; the grid's own where the codes are all 0.
fn best_scale(blocks: &[Block<'_>], codes: &[Vec<i8>], grid: &Grid) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    for (b, codes) in blocks.iter().zip(codes) {
        let one = |(i, &c): (usize, &i8)| grid.integer(b.first + b.quadratic.column(i), c) as f64;
        let levels: Vec<f64> = codes.iter().enumerate().map(one).collect();
        let product = b.quadratic.times(&levels);
        above += dot(&product, &b.target);
        below += dot(&product, &levels);
    }
    let scale = above / below;
    if scale.is_finite() && scale > 0.0 { scale } else { grid.scale }
}

/// As stored: f32, at least the floor.
fn single(scale: f64, floor: f64) -> f64 {
    let scale = scale.max(floor) as f32;
    if scale.is_normal() { scale as f64 } else { f32::MIN_POSITIVE as f64 }
}

fn by_weight(blocks: &[Block<'_>], placed: &[Vec<i8>]) -> Vec<i8> {
    let mut codes = vec![0; placed.iter().map(Vec::len).sum()];
    for (b, placed) in blocks.iter().zip(placed) {
        for (i, &code) in placed.iter().enumerate() {
            codes[b.first + b.quadratic.column(i)] = code;
        }
    }
    codes
}

/// The counterpart of [`by_weight`].
pub(crate) fn by_place(blocks: &[Block<'_>], codes: &[i8]) -> Vec<Vec<i8>> {
    let place = |b: &Block<'_>| {
        let one = |i| codes[b.first + b.quadratic.column(i)];
        (0..b.target.len()).map(one).collect()
    };
    blocks.iter().map(place).collect()
}
