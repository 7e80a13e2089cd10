//! The innermost loops: a few pixels times a few blocks of outputs, all sums in registers.
//!
//! Pointers instead of slices: a tile reads as many pixels at once as registers allow, and a bounds check for each
//! would cost as much as the products of a short window. Callers check the extents of whole rectangles.
#![allow(unsafe_code)]

use super::{LANES, Lanes};

/// What the products of a pixel are taken over: `rows * columns` runs of `length` consecutive inputs and weights.
#[derive(Clone, Copy, Debug)]
pub struct Taps {
    /// Runs, vertically and horizontally.
    pub runs: [usize; 2],
    /// Products of a run.
    pub length: usize,
    /// From run to run in the input, vertically and horizontally, in elements.
    pub input: [usize; 2],
    /// From run to run in the weights of one output, vertically and horizontally, in weights.
    pub weights: [usize; 2],
}

/// Where a panel reads and writes. All counts are in floats.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The first tap of the first pixel.
    pub input: *const f32,
    /// The first output of the first pixel.
    pub output: *mut f32,
    /// The first tap's weight of the first block.
    pub weights: *const f32,
    /// From block to block of the weights.
    pub block: usize,
    /// Outputs of the last block, 1 to 16.
    pub tail: usize,
    /// Rows and columns of pixels.
    pub pixels: [usize; 2],
    /// From row to row and from pixel to pixel of the input.
    pub from: [usize; 2],
    /// From row to row and from pixel to pixel of the output.
    pub to: [usize; 2],
    /// What all of its pixels have in common.
    pub taps: Taps,
    /// Whether sums begin at zero; otherwise the outputs hold them so far.
    pub begins: bool,
    /// How sums become outputs; `None` where more products follow.
    pub end: Option<End<'a>>,
    /// From its weights to those that are read next, which are fetched meanwhile; 0 where there are none.
    pub ahead: isize,
    /// Whether outputs lie in memory that is not near, so that it is fetched before it is written.
    pub is_far: bool,
}

impl Panel<'_> {
    /// One of its blocks, the last one or another.
    ///
    /// # Safety
    ///
    /// The panel has that many blocks.
    #[inline(always)]
    pub unsafe fn of_block(&self, block: usize, is_last: bool) -> Self {
        let end = self.end.map(|end| End { bias: end.bias.and_then(|b| b.get(block * LANES..)), ..end });
        // SAFETY: the caller vouches for the block.
        unsafe {
            Panel {
                output: self.output.add(block * LANES),
                weights: self.weights.add(block * self.block),
                tail: if is_last { self.tail } else { LANES },
                end,
                ..*self
            }
        }
    }
}

/// The last operations of an output.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Of the panel's outputs, where there is one.
    pub bias: Option<&'a [f32]>,
    /// Least and greatest output.
    pub clamp: (f32, f32),
}

/// Computes `V` blocks of all pixels, `P` pixels at a time and the last few by `S`.
///
/// # Safety
///
/// The processor has the instructions of `L`. Every input, weight and output that the counts of `panel` lead to lies in
/// memory that is valid for reading, or writing for outputs, and outputs overlap nothing else.
#[inline(always)]
pub unsafe fn panel<L: Lanes, const P: usize, const S: usize, const V: usize>(panel: &Panel<'_>) {
    let total = panel.pixels[0] * panel.pixels[1];
    let mut cursor = Cursor::default();
    let mut left = total;
    while left > 0 {
        // A tile of P costs as much as some tiles of S; both repeat their last pixel where fewer are left.
        if left > 2 * S {
            // SAFETY: as for this function; the cursor stays on the panel's pixels.
            left -= unsafe { tile::<L, P, V>(panel, &mut cursor, left) };
        } else {
            // SAFETY: as above.
            left -= unsafe { tile::<L, S, V>(panel, &mut cursor, left) };
        }
    }
}

/// A pixel of a panel: where it begins in the input and in the output, and its column.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    input: usize,
    output: usize,
    column: usize,
    /// Tiles that have fetched a block.
    fetched: usize,
}

impl Cursor {
    /// To the next pixel. Written so that no step depends on a guess.
    #[inline(always)]
    fn step(&mut self, panel: &Panel<'_>) {
        let passed = panel.pixels[1] - 1;
        let ends = self.column == passed;
        let wrap = |steps: [usize; 2]| if ends { steps[0].wrapping_sub(passed * steps[1]) } else { steps[1] };
        self.input = self.input.wrapping_add(wrap(panel.from));
        self.output = self.output.wrapping_add(wrap(panel.to));
        self.column = if ends { 0 } else { self.column + 1 };
    }
}

/// The next `P` pixels, or as many as are left; returns how many.
#[inline(always)]
unsafe fn tile<L: Lanes, const P: usize, const V: usize>(
    panel: &Panel<'_>,
    cursor: &mut Cursor,
    left: usize,
) -> usize {
    let count = if left < P { left } else { P };
    let mut from = [panel.input; P];
    let mut to = [panel.output; P];
    // SAFETY: the cursor is on a pixel of the panel, and so are those after it that are counted.
    unsafe {
        if cursor.column + P < panel.pixels[1] {
            for p in 0..P {
                from[p] = panel.input.add(cursor.input + p * panel.from[1]);
                to[p] = panel.output.add(cursor.output + p * panel.to[1]);
            }
            cursor.input += P * panel.from[1];
            cursor.output += P * panel.to[1];
            cursor.column += P;
        } else {
            for p in 0..P {
                from[p] = panel.input.add(cursor.input);
                to[p] = panel.output.add(cursor.output);
                if left > p + 1 {
                    cursor.step(panel);
                }
            }
        }
    }
    // SAFETY: the caller vouches for all that the counts lead to.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; P];
        if !panel.begins {
            for p in 0..P {
                for v in 0..V {
                    sums[p][v] = match v + 1 == V {
                        true => L::load_first(to[p].add(v * LANES), panel.tail),
                        false => L::load(to[p].add(v * LANES)),
                    };
                }
            }
        }
        // Where the next tile's outputs go.
        if L::FETCHES && P > 1 && panel.is_far {
            for p in 0..P {
                for v in 0..V {
                    L::fetch::<true>(to[p].wrapping_add(P * panel.to[1] + v * LANES));
                }
            }
        }
        // Each of the first tiles fetches one block, no faster than memory delivers it. Few blocks read more than they
        // compute, and have no time for it.
        if L::FETCHES && P > 1 && V >= 3 && panel.ahead != 0 && cursor.fetched < V {
            let ahead = panel.ahead.wrapping_add_unsigned(cursor.fetched * panel.block);
            accumulate::<L, P, V, true>(panel, &from, ahead, &mut sums);
            cursor.fetched += 1;
        } else {
            accumulate::<L, P, V, false>(panel, &from, 0, &mut sums);
        }
        if let Some(end) = panel.end {
            finish::<L, P, V>(panel, &end, &mut sums);
        }
        for p in 0..P {
            if p < count {
                for v in 0..V {
                    if v + 1 == V && panel.tail < LANES {
                        sums[p][v].store_first(to[p].add(v * LANES), panel.tail);
                    } else {
                        sums[p][v].store(to[p].add(v * LANES));
                    }
                }
            }
        }
    }
    count
}

/// Adds all products of `P` pixels to their sums. With `FETCHES`, brings the memory `ahead` of the first block's weights nearer.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const P: usize, const V: usize, const FETCHES: bool>(
    panel: &Panel<'_>,
    from: &[*const f32; P],
    ahead: isize,
    sums: &mut [[L; V]; P],
) {
    let (taps, block) = (panel.taps, panel.block);
    for row in 0..taps.runs[0] {
        for column in 0..taps.runs[1] {
            // SAFETY: the caller vouches for all that the counts lead to.
            unsafe {
                let offset = row * taps.input[0] + column * taps.input[1];
                let first = row * taps.weights[0] + column * taps.weights[1];
                let weights = panel.weights.add(first * LANES);
                let mut xs = *from;
                for x in &mut xs {
                    *x = x.add(offset);
                }
                for k in 0..taps.length {
                    if FETCHES {
                        L::fetch::<false>(weights.wrapping_offset(ahead).wrapping_add(k * LANES));
                    }
                    products::<L, P, V>(&xs, weights, block, k, sums);
                }
            }
        }
    }
}

/// Adds one product to each sum.
#[inline(always)]
unsafe fn products<L: Lanes, const P: usize, const V: usize>(
    xs: &[*const f32; P],
    weights: *const f32,
    block: usize,
    k: usize,
    sums: &mut [[L; V]; P],
) {
    // SAFETY: the caller vouches for input and weight `k` of each.
    unsafe {
        let mut ws = [L::splat(0.0); V];
        for v in 0..V {
            ws[v] = L::load(weights.add(v * block + k * LANES));
        }
        for p in 0..P {
            let x = *xs[p].add(k);
            for v in 0..V {
                sums[p][v] = sums[p][v].fma(x, ws[v]);
            }
        }
    }
}

/// Bias and clamp.
#[inline(always)]
unsafe fn finish<L: Lanes, const P: usize, const V: usize>(
    panel: &Panel<'_>,
    end: &End<'_>,
    sums: &mut [[L; V]; P],
) {
    // SAFETY: there is a bias for each output of the panel, as its maker checks.
    unsafe {
        if let Some(bias) = end.bias {
            for v in 0..V {
                let b = match v + 1 == V {
                    true => L::load_first(bias.as_ptr().add(v * LANES), panel.tail),
                    false => L::load(bias.as_ptr().add(v * LANES)),
                };
                for sum in sums.iter_mut() {
                    sum[v] = sum[v].add(b);
                }
            }
        }
        for sum in sums.iter_mut() {
            for v in 0..V {
                sum[v] = sum[v].limit(end.clamp.0, end.clamp.1);
            }
        }
    }
}
