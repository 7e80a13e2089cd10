//! A layer's weights as codes with what makes integers and reals of them.

use super::grid::{Grid, Levels};
use super::layer::Layer;

/// Quantized weights of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    /// In storage order: levels, or indices into a table.
    pub(crate) codes: Vec<i8>,
    /// One per output channel.
    pub(crate) grids: Vec<Grid>,
}

impl Coded {
    /// Every weight at the nearest code of its channel's grid.
    pub(crate) fn nearest(layer: &Layer, grids: Vec<Grid>) -> Self {
        let mut codes = vec![0; layer.values.len()];
        for (o, grid) in grids.iter().enumerate() {
            for k in 0..layer.inner {
                let i = layer.index(o, k);
                codes[i] = grid.nearest(k, layer.values[i] as f64);
            }
        }
        Coded { codes, grids }
    }

    /// Reals of channel `o`.
    pub(crate) fn row(&self, layer: &Layer, o: usize) -> Vec<f64> {
        (0..layer.inner).map(|k| self.grids[o].real(k, self.codes[layer.index(o, k)])).collect()
    }

    /// Replaces the weights of channel `o`; codes by `k`.
    pub(crate) fn set(&mut self, layer: &Layer, o: usize, codes: &[i8], grid: Grid) {
        for (k, &code) in codes.iter().enumerate() {
            self.codes[layer.index(o, k)] = code;
        }
        self.grids[o] = grid;
    }

    /// The tables that channels decode with, each once: one where all are equal, else one per channel.
    pub(crate) fn tables(&self) -> Vec<[i8; 16]> {
        let mut tables: Vec<[i8; 16]> = Vec::new();
        for grid in &self.grids {
            if let Levels::Table(table) = &grid.levels {
                tables.push(*table);
            }
        }
        if tables.windows(2).all(|w| w[0] == w[1]) {
            tables.truncate(1);
        }
        tables
    }
}
