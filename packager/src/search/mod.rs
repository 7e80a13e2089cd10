//! `--quantize auto`: the recipe that loses least inside a budget, found by per-layer sensitivity.
//!
//! 1. Every number format of activations is tried with int8 weights everywhere.
//! 2. In the formats that can be, each layer alone gets each smaller weight format; the noise that this adds
//!    to the model's output, per byte saved, orders the moves. Noise of different layers adds up well enough
//!    to order by (it is nearly uncorrelated), not to decide by.
//! 3. The moves are made one after the other; points along the way are quantized in full and measured: the
//!    frontier. The answer is always one of the measured points.

mod choose;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::quantize::{Activations, Recipe, Weights};

pub use choose::{Budget, Shortfall};

/// Points of a frontier that are quantized in full, per number format of activations.
const POINTS: usize = 6;
/// Consecutive weights that share a multiplier in the int4 format that is tried.
const GROUP: u32 = 32;

/// How carefully a recipe is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Sizes, and noise on few samples with weights rounded to nearest: for ordering.
    Sketch,
    /// As it would be packed, measured on all judging samples.
    Full,
}

/// What one recipe gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// How it was quantized.
    pub recipe: Recipe,
    /// Bytes of the bundle.
    pub flash: usize,
    /// Bytes of arena.
    pub ram: usize,
    /// Estimated milliseconds of one run on the target; `None` where it has no cost model.
    pub millis: Option<f64>,
    /// Points of the metric lost against the float model.
    pub drop: f64,
    /// Power of the output's error over power of the output.
    pub noise: f64,
}

/// A convolution or fully connected layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    /// The node's name.
    pub name: String,
    /// Number of weights.
    pub weights: usize,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Index of the best point inside the budget, or of the nearest one where none is.
    pub best: usize,
    /// What the nearest point exceeds; empty where the budget is met.
    pub shortfalls: Vec<Shortfall>,
    /// Every fully measured point, smallest bundle first.
    pub frontier: Vec<Point>,
}

/// Tries a recipe.
pub type Trial<'a> = &'a mut dyn FnMut(&Recipe, Effort) -> Result<Point>;

/// Searches the formats of `activations` (each with int8 weights at least) for the best point in `budget`.
pub fn search(
    layers: &[Layer],
    activations: &[Activations],
    budget: &Budget,
    trial: Trial<'_>,
) -> Result<Found> {
    let mut frontier: Vec<Point> = Vec::new();
    for &activations in activations {
        let base = Recipe { activations, ..Recipe::default() };
        if activations == Activations::F32 {
            // Kept as the exact end of the frontier.
            let float = Recipe { weights: Weights::F32, ..base.clone() };
            frontier.push(trial(&float, Effort::Full)?);
        }
        let moves = order(layers, &base, trial)?;
        for count in stops(moves.len()) {
            let recipe = Recipe { layers: made(&moves[..count]), ..base.clone() };
            frontier.push(trial(&recipe, Effort::Full)?);
        }
    }
    frontier.sort_by(|a, b| a.flash.cmp(&b.flash).then(a.drop.total_cmp(&b.drop)));
    let (best, shortfalls) =
        budget.choose(&frontier).ok_or_else(|| Error::invalid("the model has nothing to choose from"))?;
    Ok(Found { best, shortfalls, frontier })
}

/// One layer's change of format.
#[derive(Clone, PartialEq, Debug)]
struct Move {
    layer: String,
    weights: Weights,
    /// Noise added per byte saved.
    price: f64,
}

/// The best smaller format of every layer that has one, cheapest first.
fn order(layers: &[Layer], base: &Recipe, trial: Trial<'_>) -> Result<Vec<Move>> {
    let plain = trial(base, Effort::Sketch)?;
    let mut moves = Vec::new();
    for layer in layers {
        let mut best: Option<Move> = None;
        for weights in [Weights::Int4 { group: Some(GROUP) }, Weights::Palette] {
            let recipe = Recipe { layers: BTreeMap::from([(layer.name.clone(), weights)]), ..base.clone() };
            let point = trial(&recipe, Effort::Sketch)?;
            let Some(saved) = plain.flash.checked_sub(point.flash).filter(|&s| s > 0) else { continue };
            let price = (point.noise - plain.noise).max(0.0) / saved as f64;
            if best.as_ref().is_none_or(|b| price < b.price) {
                best = Some(Move { layer: layer.name.clone(), weights, price });
            }
        }
        moves.extend(best);
    }
    moves.sort_by(|a, b| a.price.total_cmp(&b.price).then_with(|| a.layer.cmp(&b.layer)));
    Ok(moves)
}

fn made(moves: &[Move]) -> BTreeMap<String, Weights> {
    moves.iter().map(|m| (m.layer.clone(), m.weights)).collect()
}

/// Counts of moves to measure at: none, all, and some in between, ascending.
fn stops(moves: usize) -> Vec<usize> {
    let mut stops: Vec<usize> = (0..POINTS).map(|k| moves * k / (POINTS - 1)).collect();
    stops.dedup();
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model of three layers whose sizes and noises are known: int8 takes a byte a weight, int4 half; the
    /// middle layer is a hundred times as sensitive.
    fn toy(recipe: &Recipe) -> Point {
        let (mut flash, mut noise) = (1000, 0.001);
        for (name, weights, sensitivity) in [("a", 4000, 1.0), ("b", 2000, 100.0), ("c", 8000, 1.0)] {
            let small = matches!(recipe.weights_of(name), Weights::Int4 { .. } | Weights::Palette);
            flash += if small { weights / 2 } else { weights };
            noise += if small { 1e-4 * sensitivity } else { 0.0 };
        }
        let wide = recipe.activations == Activations::Int16;
        let noise = if wide { noise / 2.0 } else { noise };
        Point {
            recipe: recipe.clone(),
            flash,
            ram: if wide { 2000 } else { 1000 },
            millis: Some(if wide { 2.0 } else { 1.0 }),
            drop: noise * 100.0,
            noise,
        }
    }

    fn layers() -> Vec<Layer> {
        [("a", 4000), ("b", 2000), ("c", 8000)]
            .map(|(name, weights)| Layer { name: name.into(), weights })
            .to_vec()
    }

    fn run(budget: Budget) -> Found {
        let formats = [Activations::Int8, Activations::Int16];
        search(&layers(), &formats, &budget, &mut |r, _| Ok(toy(r))).unwrap()
    }

    #[test]
    fn sensitive_layers_keep_their_bits() {
        let found = run(Budget { flash: Some(9_500), ..Budget::default() });
        let best = &found.frontier[found.best];
        assert!(found.shortfalls.is_empty() && best.flash <= 9_500);
        assert_eq!(best.recipe.weights_of("b"), Weights::Int8);
        assert_eq!(
            best.recipe.activations,
            Activations::Int16,
            "the budget leaves room for better activations"
        );
    }

    #[test]
    fn a_bound_on_loss_alone_asks_for_the_smallest() {
        let found = run(Budget { drop: Some(0.3), ram: Some(1500), ..Budget::default() });
        let best = &found.frontier[found.best];
        assert!(best.drop <= 0.3 && best.ram <= 1500, "{best:?}");
        assert!(found.frontier.iter().all(|p| p.drop > 0.3 || p.ram > 1500 || p.flash >= best.flash));
    }

    #[test]
    fn an_impossible_budget_names_the_nearest_point() {
        let found = run(Budget { flash: Some(4_000), drop: Some(50.0), ..Budget::default() });
        let best = &found.frontier[found.best];
        assert_eq!(best.flash, 8_000, "everything at four bits");
        assert_eq!(found.shortfalls.len(), 1);
        assert!(found.shortfalls[0].to_string().contains("flash"), "{}", found.shortfalls[0]);
    }

    #[test]
    fn stops_cover_both_ends() {
        assert_eq!(stops(0), [0]);
        assert_eq!(stops(3), [0, 1, 2, 3]);
        let many = stops(28);
        assert_eq!((many.len(), many.first(), many.last()), (POINTS, Some(&0), Some(&28)));
    }
}
