//! Which elements a pooling window covers, by an independent count.

use proptest::prelude::*;
use samara_runtime::ops::{Pool, Window};

/// A pooling of random geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) input: [usize; 4],
    pub(crate) pool: Pool,
    pub(crate) counted: [u16; 4],
    pub(crate) seed: u64,
}

fn reach(p: &Pool, axis: usize) -> u16 {
    (p.size[axis] - 1) * p.window.dilation[axis] + 1
}

impl Case {
    /// By output in NHWC order: the input indices under the window, and the divisor.
    pub(crate) fn windows(&self) -> Vec<(Vec<usize>, usize)> {
        let [n, h, w, c] = self.input;
        let p = &self.pool.window;
        let extent = |axis: usize| {
            let padded = self.input[1 + axis] + (p.pad[axis] + p.pad[2 + axis]) as usize;
            (padded - reach(&self.pool, axis) as usize) / p.stride[axis] as usize + 1
        };
        let (oh, ow) = (extent(0), extent(1));
        let taps = |axis: usize, at: usize| {
            let (stride, dilation) = (p.stride[axis] as i64, p.dilation[axis] as i64);
            let start = at as i64 * stride - p.pad[axis] as i64;
            (0..self.pool.size[axis] as i64).map(move |k| start + k * dilation)
        };
        let counted = |axis: usize, at: usize| {
            let (before, after) = (self.counted[axis] as i64, self.counted[2 + axis] as i64);
            taps(axis, at).filter(|&i| -before <= i && i < self.input[1 + axis] as i64 + after).count()
        };
        let mut all = Vec::new();
        for index in 0..n * oh * ow * c {
            let (b, y, x, k) = (index / (oh * ow * c), index / (ow * c) % oh, index / c % ow, index % c);
            let mut inside = Vec::new();
            for iy in taps(0, y).filter(|i| (0..h as i64).contains(i)) {
                for ix in taps(1, x).filter(|i| (0..w as i64).contains(i)) {
                    inside.push(((b * h + iy as usize) * w + ix as usize) * c + k);
                }
            }
            all.push((inside, counted(0, y) * counted(1, x)));
        }
        all
    }
}

/// Windows of every kind that fit.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let geometry = (1usize..3, 1usize..9, 1usize..9, 1usize..5, [1u16..5, 1u16..5]);
    let window = ([1u16..4, 1u16..4], [1u16..3, 1u16..3], [0u16..4, 0u16..4, 0u16..4, 0u16..4]);
    (geometry, window, [0u16..4, 0u16..4, 0u16..4, 0u16..4], any::<u64>())
        .prop_map(|((n, h, w, c, size), (stride, dilation, mut pad), mut counted, seed)| {
            let window = Window { stride, dilation, pad };
            let mut pool = Pool { window, size };
            for side in 0..4 {
                pad[side] = pad[side].min(reach(&pool, side % 2) - 1);
                counted[side] = counted[side].min(pad[side]);
            }
            pool.window.pad = pad;
            Case { input: [n, h, w, c], pool, counted, seed }
        })
        .prop_filter("the window fits", |c| {
            (0..2).all(|a| {
                let pad = c.pool.window.pad;
                c.input[1 + a] + (pad[a] + pad[2 + a]) as usize >= reach(&c.pool, a) as usize
            })
        })
}
