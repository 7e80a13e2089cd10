//! Which point of a frontier a budget picks, and what it says where none fits.

use std::fmt;

use super::Point;

/// Bounds on what a bundle may need; `None` leaves one open.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Budget {
    /// Bytes of arena.
    pub ram: Option<usize>,
    /// Bytes of the bundle.
    pub flash: Option<usize>,
    /// Estimated milliseconds of one run.
    pub millis: Option<f64>,
    /// Points of the metric.
    pub drop: Option<f64>,
}

/// Points that a bundle may lose where no other bound says what to look for.
const USUAL_DROP: f64 = 1.0;

/// A bound that the nearest point exceeds.
#[derive(Clone, PartialEq, Debug)]
pub struct Shortfall {
    what: &'static str,
    unit: &'static str,
    bound: f64,
    /// The nearest point's.
    value: f64,
    /// The least of the whole frontier: what the bound would have to be at best.
    least: f64,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortfall { what, unit, bound, value, least } = self;
        write!(f, "{what} of {bound}{unit} is not met: the nearest point needs {value}{unit}")?;
        if least < value { write!(f, " (the least of any is {least}{unit})") } else { Ok(()) }
    }
}

impl Budget {
    /// Each bound with its name, unit and a point's value; a missing cost model exceeds every bound.
    fn bounds(&self, p: &Point) -> [(&'static str, &'static str, Option<f64>, f64); 4] {
        let hundredths = |x: f64| (x * 100.0).round() / 100.0;
        [
            ("--ram", " bytes", self.ram.map(|b| b as f64), p.ram as f64),
            ("--flash", " bytes", self.flash.map(|b| b as f64), p.flash as f64),
            ("--latency", " ms", self.millis, p.millis.map_or(f64::INFINITY, hundredths)),
            ("--max-drop", " points", self.drop, hundredths(p.drop)),
        ]
    }

    /// How far a point is outside, as the greatest ratio of a value to its bound; at most 1 inside.
    fn excess(&self, p: &Point) -> f64 {
        let ratio = |(_, _, bound, value): (_, _, Option<f64>, f64)| match bound {
            None => 0.0,
            Some(bound) if value <= bound => 1.0,
            Some(bound) => 1.0 + (value - bound) / bound.abs().max(0.1),
        };
        self.bounds(p).into_iter().map(ratio).fold(0.0, f64::max)
    }

    /// The best point inside: the one that loses least, or, where nothing bounds size or time, the smallest
    /// that loses no more than it may. Where none is inside, the nearest, with what it exceeds.
    pub(super) fn choose(&self, frontier: &[Point]) -> Option<(usize, Vec<Shortfall>)> {
        let smallest = self.flash.is_none();
        let within = Budget { drop: self.drop.or(smallest.then_some(USUAL_DROP)), ..*self };
        let inside = |budget: &Budget| -> Vec<usize> {
            (0..frontier.len()).filter(|&i| budget.excess(&frontier[i]) <= 1.0).collect()
        };
        let candidates = inside(&within);
        if candidates.is_empty() {
            // The usual loss is no bound that anyone stated.
            let least = |&a: &usize, &b: &usize| frontier[a].drop.total_cmp(&frontier[b].drop);
            if let Some(best) = inside(self).into_iter().min_by(least) {
                return Some((best, Vec::new()));
            }
        }
        let key = |&i: &usize| {
            let p = &frontier[i];
            if smallest { (p.flash as f64, p.drop, p.noise) } else { (p.drop, p.noise, p.flash as f64) }
        };
        let order = |a: (f64, f64, f64), b: (f64, f64, f64)| {
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
        };
        if let Some(best) = candidates.into_iter().min_by(|a, b| order(key(a), key(b))) {
            return Some((best, Vec::new()));
        }
        let nearest = (0..frontier.len())
            .min_by(|&a, &b| self.excess(&frontier[a]).total_cmp(&self.excess(&frontier[b])))?;
        Some((nearest, self.shortfalls(frontier, nearest)))
    }

    fn shortfalls(&self, frontier: &[Point], nearest: usize) -> Vec<Shortfall> {
        let bounds = self.bounds(&frontier[nearest]).into_iter().enumerate();
        bounds
            .filter_map(|(k, (what, unit, bound, value))| {
                let bound = bound.filter(|&b| value > b)?;
                let least = frontier.iter().map(|p| self.bounds(p)[k].3).fold(f64::INFINITY, f64::min);
                Some(Shortfall { what, unit, bound, value, least })
            })
            .collect()
    }
}
