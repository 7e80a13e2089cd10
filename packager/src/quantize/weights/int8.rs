//! int8 per output channel, symmetric in [-127, 127].

use super::grid::{Grid, Levels};
use super::layer::Layer;
use super::usable;

/// Scales that just hold each channel's greatest magnitude, and at least `floor`.
pub(crate) fn grids(layer: &Layer, floor: &[f64]) -> Vec<Grid> {
    let greatest = |o| layer.row(o).iter().fold(0f64, |g, w| g.max(w.abs()));
    let levels = Levels::Uniform { limit: 127 };
    (0..layer.channels)
        .map(|o| Grid { scale: usable(greatest(o) / 127.0, floor[o]), levels: levels.clone() })
        .collect()
}
