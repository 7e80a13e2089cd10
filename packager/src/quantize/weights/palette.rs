//! Sixteen int8 levels per layer or output channel, found by k-means (Lloyd 1982) on weights over their scale.

use super::grid::{Grid, Levels, square};
use super::layer::Layer;
use super::usable;

/// Weights per output channel from which a table of its own costs at most a quarter of a bit per weight.
const OWN_TABLE: usize = 512;
/// Most repetitions of k-means; it settles long before.
const ROUNDS: usize = 50;

/// Scales that hold each channel's greatest magnitude at 127, and at least `floor`; tables of the least squared
/// error.
pub(crate) fn grids(layer: &Layer, floor: &[f64]) -> Vec<Grid> {
    let rows: Vec<Vec<f64>> = (0..layer.channels).map(|o| layer.row(o)).collect();
    let scale =
        |(o, row): (usize, &Vec<f64>)| usable(row.iter().fold(0f64, |g, w| g.max(w.abs())) / 127.0, floor[o]);
    let scales: Vec<f64> = rows.iter().enumerate().map(scale).collect();
    let weighted = |o: usize| {
        let scale = scales[o];
        rows[o].iter().map(move |w| (w / scale, square(scale)))
    };
    let tables: Vec<[i8; 16]> = if layer.inner >= OWN_TABLE {
        (0..layer.channels).map(|o| lloyd(weighted(o).collect())).collect()
    } else {
        vec![lloyd((0..layer.channels).flat_map(weighted).collect()); layer.channels]
    };
    scales.iter().zip(tables).map(|(&scale, table)| Grid { scale, levels: Levels::Table(table) }).collect()
}

/// Ascending levels in [-127, 127] for values with weights; starts from equal shares of the values.
fn lloyd(mut points: Vec<(f64, f64)>) -> [i8; 16] {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = points.len();
    let mut centres: Vec<f64> = (0..16).map(|c| points[((2 * c + 1) * n / 32).min(n - 1)].0).collect();
    // The tails matter: start them at the ends.
    (centres[0], centres[15]) = (points[0].0, points[n - 1].0);
    for _ in 0..ROUNDS {
        let (mut at, mut moved) = (0, false);
        for c in 0..16 {
            let end = if c == 15 { f64::INFINITY } else { (centres[c] + centres[c + 1]) / 2.0 };
            let from = at;
            while at < n && points[at].0 <= end {
                at += 1;
            }
            let (sum, weight) =
                points[from..at].iter().fold((0.0, 0.0), |(s, w), p| (s + p.0 * p.1, w + p.1));
            if weight > 0.0 && sum / weight != centres[c] {
                centres[c] = sum / weight;
                moved = true;
            }
        }
        centres.sort_by(f64::total_cmp);
        if !moved {
            break;
        }
    }
    table(&centres)
}

/// Ascending int8 levels of sixteen reals.
pub(crate) fn table(centres: &[f64]) -> [i8; 16] {
    let mut levels: Vec<i8> = centres.iter().map(|&c| libm::rint(c).clamp(-127.0, 127.0) as i8).collect();
    levels.sort_unstable();
    std::array::from_fn(|i| levels.get(i).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_values_are_found_whatever_their_order() {
        let levels: Vec<i8> = (0..16).map(|n| (16 * n - 120) as i8).collect();
        let points = (0..640).map(|n| (levels[n * 7 % 16] as f64, 1.0)).collect();
        assert_eq!(&lloyd(points)[..], levels);
    }

    #[test]
    fn fewer_values_than_levels_are_all_kept() {
        let table = lloyd(vec![(-127.0, 1.0), (5.0, 1.0), (127.0, 1.0)]);
        assert!([-127, 5, 127].iter().all(|v| table.contains(v)), "{table:?}");
    }
}
