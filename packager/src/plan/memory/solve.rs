//! The search for a small arrangement.

use super::problem::{Item, Problem};
use super::{ALIGN, Effort};

/// Orders tried by the local search, divided by the number of tensors for large models.
const FULL: usize = 400_000;
/// The same for a sketch.
const SKETCH: usize = 4_000;

impl Problem {
    /// Offsets of the items.
    pub(super) fn solve(&self, effort: Effort) -> Vec<usize> {
        let n = self.items.len();
        let by = |key: &dyn Fn(&Item) -> (usize, usize)| -> Vec<usize> {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| key(&self.items[i]));
            order
        };
        let orders = [
            by(&|i| (usize::MAX - i.size, i.born)),
            by(&|i| (i.born, usize::MAX - i.size)),
            by(&|i| (usize::MAX - i.dies, usize::MAX - i.size)),
            by(&|i| (usize::MAX - i.size * (i.dies - i.born + 1), i.born)),
        ];
        let mut best: Option<(usize, Vec<usize>, Vec<usize>)> = None;
        for order in orders {
            let least = best.as_ref().map_or(usize::MAX, |b| b.0.saturating_sub(1));
            let placed = self.place_in(&order, least).map(|offsets| (self.height(&offsets), order, offsets));
            best = placed.or(best);
        }
        let Some((mut height, mut order, mut offsets)) = best else { return Vec::new() };
        let mut random = SplitMix(0x5a3a7a);
        let budget = if effort == Effort::Full { FULL } else { SKETCH };
        let mut left = if n < 2 { 0 } else { budget / n };
        while left > 0 && height.next_multiple_of(ALIGN) > self.bound {
            left -= 1;
            let mut next = order.clone();
            let (a, b) = (random.below(n), random.below(n));
            if random.below(2) == 0 {
                next.swap(a, b);
            } else {
                let moved = next.remove(a);
                next.insert(b, moved);
            }
            // Sideways moves let the search leave plateaus.
            if let Some(placed) = self.place_in(&next, height) {
                (height, order, offsets) = (self.height(&placed), next, placed);
            }
        }
        offsets
    }

    /// The first byte after all items.
    pub(super) fn height(&self, offsets: &[usize]) -> usize {
        self.items.iter().zip(offsets).map(|(item, at)| at + item.size).max().unwrap_or(0)
    }

    /// Each item in turn at the lowest place; `None` where that is higher than `most`.
    fn place_in(&self, order: &[usize], most: usize) -> Option<Vec<usize>> {
        let mut offsets = vec![usize::MAX; self.items.len()];
        let mut candidates = Vec::new();
        for &item in order {
            let at = self.lowest(item, &offsets, &mut candidates);
            if at + self.items[item].size > most {
                return None;
            }
            offsets[item] = at;
        }
        Some(offsets)
    }

    /// Lowest place for `item` among those already placed.
    fn lowest(&self, item: usize, offsets: &[usize], candidates: &mut Vec<usize>) -> usize {
        let align = self.items[item].align;
        candidates.clear();
        candidates.push(0);
        let placed = self.conflicts[item].iter().filter(|c| offsets[c.other] != usize::MAX);
        for c in placed.clone() {
            // Right above and right below what the two may not be apart.
            let above = offsets[c.other].checked_add_signed(c.high + 1);
            let below = offsets[c.other].checked_add_signed(c.low - 1);
            candidates.extend(above.map(|at| at.next_multiple_of(align)));
            candidates.extend(below.map(|at| at / align * align));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let fits = |at: usize| {
            placed.clone().all(|c| {
                let distance = at as isize - offsets[c.other] as isize;
                distance < c.low || distance > c.high
            })
        };
        // Above all others there is always room.
        candidates.iter().copied().find(|&at| fits(at)).unwrap_or(0)
    }
}

/// The splitmix64 generator: a fixed sequence, so that plans are reproducible.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}
