//! int4 in [-7, 7] per output channel, or per group with an int8 multiplier for each.

use super::grid::{Grid, Levels, best_step};
use super::layer::Layer;
use super::usable;

/// Greatest magnitude of a weight: -8 is left out, so that levels are symmetric.
const LIMIT: i8 = 7;

/// Scales of the least squared error, and at least `floor`. With a group size each channel's scale is that of
/// its coarsest group over 127, and every group multiplies it by an integer.
pub(crate) fn grids(layer: &Layer, group: Option<u32>, floor: &[f64]) -> Vec<Grid> {
    let Some(size) = group.and_then(|size| group_of(layer, size as usize)) else {
        let whole = |o: usize| {
            let scale = usable(best_step(&layer.row(o), LIMIT), floor[o]);
            Grid { scale, levels: Levels::Uniform { limit: LIMIT } }
        };
        return (0..layer.channels).map(whole).collect();
    };
    let grouped = |o: usize| {
        let row = layer.row(o);
        let steps: Vec<f64> = row.chunks(size).map(|w| best_step(w, LIMIT)).collect();
        let scale = usable(steps.iter().copied().fold(0f64, f64::max) / 127.0, floor[o]);
        let multiplier = |&step: &f64| libm::rint(step / scale).clamp(1.0, 127.0) as i8;
        let multipliers = steps.iter().map(multiplier).collect();
        Grid { scale, levels: Levels::Grouped { limit: LIMIT, size, multipliers } }
    };
    (0..layer.channels).map(grouped).collect()
}

/// The greatest size up to `wanted`, and above half of it, that divides the weights of a channel; `None` where
/// there is none but the whole channel. Depthwise channels are smaller than any group.
fn group_of(layer: &Layer, wanted: usize) -> Option<usize> {
    if layer.depthwise || wanted >= layer.inner {
        return None;
    }
    (wanted / 2 + 1..=wanted).rev().find(|&size| layer.inner.is_multiple_of(size))
}

#[cfg(test)]
mod tests {
    use super::super::coded::Coded;
    use super::*;

    /// Two channels of `inner` weights whose second half is forty times smaller.
    fn layer(inner: usize) -> Layer {
        let value = |i: usize| {
            let small = if i % inner >= inner / 2 { 0.025 } else { 1.0 };
            libm::sinf(i as f32 * 0.7) * small
        };
        let values: Vec<f32> = (0..2 * inner).map(value).collect();
        Layer { values, shape: vec![2, inner], bias: None, channels: 2, inner, depthwise: false }
    }

    fn error(layer: &Layer, grids: Vec<Grid>) -> f64 {
        let coded = Coded::nearest(layer, grids);
        let one = |o: usize| {
            let pairs = coded.row(layer, o).into_iter().zip(layer.row(o));
            pairs.map(|(v, w)| (v - w) * (v - w)).sum::<f64>()
        };
        (0..layer.channels).map(one).sum()
    }

    #[test]
    fn groups_follow_weights_of_different_size() {
        let layer = layer(64);
        let whole = error(&layer, grids(&layer, None, &[0.0; 2]));
        let groups = error(&layer, grids(&layer, Some(32), &[0.0; 2]));
        assert!(groups < 0.9 * whole, "{groups} {whole}");
    }

    #[test]
    fn a_group_divides_the_channel_or_is_all_of_it() {
        for (inner, wanted, size) in
            [(64, 32, Some(32)), (72, 32, Some(24)), (27, 32, None), (62, 32, Some(31)), (37, 32, None)]
        {
            assert_eq!(group_of(&layer(inner), wanted), size, "{inner}");
        }
    }
}
