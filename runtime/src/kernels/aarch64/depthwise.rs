//! Strips of depthwise convolutions, sixteen channels at a time.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::error::{Error, Result};
use crate::kernels::aarch64::end::{Ends, Rescale, Sums, begin, constants};
use crate::kernels::blocks::depthwise::Strip;
use crate::kernels::blocks::layer::{Block, Layer, Room, STEP};
use crate::kernels::fixed::Requant;
use crate::layout::{BLOCK, QUAD};
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;

/// The taps of a window that the faster loops know.
const THREE: [usize; 2] = [3, 3];

/// A strip on any 64-bit Arm.
pub(super) fn neon_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    is_mild: bool,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for b in 0..layer.blocks() {
        let block = layer.block(b, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        match (strip.taps, is_mild) {
            (THREE, true) => nine::<S, true>(&walk, strip, &block, b, &ends, slots)?,
            (THREE, false) => nine::<S, false>(&walk, strip, &block, b, &ends, slots)?,
            _ => any(&walk, strip, &block, b, &ends, slots)?,
        }
    }
    Ok(())
}

/// A strip with dot products of four.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_strip<S: Rescale>(
    op: &DepthwiseConv2d,
    layer: &Layer<'_, S::Requant>,
    _is_mild: bool,
    strip: &Strip<'_>,
    slots: &mut [i8],
) -> Result<()> {
    let (walk, mut room, ends) = (Walk::new(op, layer, strip)?, Room::default(), Ends::<S>::new(layer));
    for b in 0..layer.blocks() {
        let block = layer.block(b, &mut room)?;
        let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
        match (strip.taps, op.window.dilation, walk.stride[1]) {
            (THREE, [1, 1], 1) => columns::<S, 1>(&walk, strip, &block, b, &ends, slots)?,
            (THREE, [1, 1], 2) => columns::<S, 2>(&walk, strip, &block, b, &ends, slots)?,
            _ => any(&walk, strip, &block, b, &ends, slots)?,
        }
    }
    Ok(())
}

/// Distances in a strip that holds every input of every output.
struct Walk {
    stride: [usize; 2],
    /// Bytes between taps, vertical and horizontal.
    apart: [usize; 2],
}

impl Walk {
    /// Refuses what would be read beyond the strip or the weights.
    fn new<S: Requant>(op: &DepthwiseConv2d, layer: &Layer<'_, S>, strip: &Strip<'_>) -> Result<Self> {
        let ([kh, kw], [oh, ow]) = (strip.taps, strip.output);
        let [sy, sx] = op.window.stride.map(usize::from);
        let [dy, dx] = op.window.dilation.map(usize::from);
        let apart = [dy * strip.row, dx * strip.channels];
        let last = (oh.max(1) - 1) * sy * strip.row + (ow.max(1) - 1) * sx * strip.channels;
        let taps = (kh.max(1) - 1) * apart[0] + (kw.max(1) - 1) * apart[1];
        let fits = last + taps + layer.blocks() * BLOCK <= strip.bytes.len();
        if fits && layer.quads == (kh * kw).div_ceil(QUAD) && layer.outputs == strip.channels {
            Ok(Walk { stride: [sy, sx], apart })
        } else {
            Err(Error::Internal)
        }
    }
}

/// Any window: products of one tap, 16 bits wide, are added one by one.
#[inline(always)]
fn any<S: Rescale>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let ([kh, kw], [oh, ow]) = (strip.taps, strip.output);
    let [sy, sx] = walk.stride;
    for y in 0..oh {
        for x in 0..ow {
            let at =
                strip.bytes.as_ptr().wrapping_add(y * sy * strip.row + x * sx * strip.channels + b * BLOCK);
            let mut sums = begin(block.bias);
            let (mut ky, mut kx) = (0, 0);
            for step in block.weights.chunks_exact(STEP) {
                // SAFETY: a step is 64 bytes; that taps of all outputs lie in the strip is checked by `Walk::new`.
                unsafe {
                    let int8x16x4_t(w0, w1, w2, w3) = vld4q_s8(step.as_ptr());
                    for w in [w0, w1, w2, w3] {
                        if ky == kh {
                            break;
                        }
                        let x = vld1q_s8(at.add(ky * walk.apart[0] + kx * walk.apart[1]));
                        add(&mut sums, x, w);
                        kx += 1;
                        if kx == kw {
                            (ky, kx) = (ky + 1, 0);
                        }
                    }
                }
            }
            let slots = slots.get_mut((y * ow + x) * strip.channels..).ok_or(Error::Internal)?;
            ends.store(block, &mut [sums], 1, slots, 0)?;
        }
    }
    Ok(())
}

/// A window of three by three without dot products. With `MILD`, no weight is -128: two products are added before they
/// are widened.
#[inline(always)]
fn nine<S: Rescale, const MILD: bool>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let ([oh, ow], channels) = (strip.output, strip.channels);
    if (oh * ow).saturating_sub(1) * channels + block.count > slots.len() {
        return Err(Error::Internal);
    }
    let stored: &[i8; 3 * STEP] = block.weights.first_chunk().ok_or(Error::Internal)?;
    let ([sy, sx], [down, across]) = (walk.stride, walk.apart);
    // SAFETY: three times 64 bytes are read from as many; `Walk::new` has checked that taps of all outputs lie in the
    // strip; the last output ends within the slots, as just checked.
    unsafe {
        let int8x16x4_t(t0, t1, t2, t3) = vld4q_s8(stored.as_ptr());
        let int8x16x4_t(t4, t5, t6, t7) = vld4q_s8(stored.as_ptr().add(STEP));
        let int8x16x4_t(t8, ..) = vld4q_s8(stored.as_ptr().add(2 * STEP));
        let (bias, scales) = (begin(block.bias), constants::<S>(block.scales));
        for y in 0..oh {
            let mut at = strip.bytes.as_ptr().add(y * sy * strip.row + b * BLOCK);
            for x in 0..ow {
                let row = |k: usize| [0, 1, 2].map(|i| vld1q_s8(at.add(k * down + i * across)));
                let ([x0, x1, x2], [x3, x4, x5], [x6, x7, x8]) = (row(0), row(1), row(2));
                let mut sums = bias;
                for ((x, w), (z, v)) in
                    [((x0, t0), (x1, t1)), ((x2, t2), (x3, t3)), ((x4, t4), (x5, t5)), ((x6, t6), (x7, t7))]
                {
                    if MILD {
                        let (low, high) = products(x, w);
                        let low = vmlal_s8(low, vget_low_s8(z), vget_low_s8(v));
                        widen(&mut sums, low, vmlal_high_s8(high, z, v));
                    } else {
                        add(&mut sums, x, w);
                        add(&mut sums, z, v);
                    }
                }
                add(&mut sums, x8, t8);
                if block.count == BLOCK {
                    let to = slots.as_mut_ptr().add((y * ow + x) * channels);
                    vst1q_s8(to, ends.levels(&sums, &scales));
                } else {
                    let slots = slots.get_mut((y * ow + x) * channels..).ok_or(Error::Internal)?;
                    ends.store(block, &mut [sums], 1, slots, 0)?;
                }
                at = at.wrapping_add(sx * channels);
            }
        }
    }
    Ok(())
}

/// Sixteen products.
#[inline(always)]
fn products(x: int8x16_t, w: int8x16_t) -> (int16x8_t, int16x8_t) {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe { (vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w)) }
}

/// Adds sixteen numbers.
#[inline(always)]
fn widen(sums: &mut Sums, low: int16x8_t, high: int16x8_t) {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
        sums[3] = vaddw_high_s16(sums[3], high);
    }
}

/// Adds sixteen products.
#[inline(always)]
fn add(sums: &mut Sums, x: int8x16_t, w: int8x16_t) {
    let (low, high) = products(x, w);
    widen(sums, low, high);
}

/// Four bytes each of sixteen channels: a column of three taps and one that meets a weight of zero.
type Column = [int8x16_t; 4];

/// A window of three by three. The inputs of a column are brought side by side once and serve every output that reads
/// them.
#[target_feature(enable = "neon,dotprod")]
fn columns<S: Rescale, const STRIDE: usize>(
    walk: &Walk,
    strip: &Strip<'_>,
    block: &Block<'_, S::Requant>,
    b: usize,
    ends: &Ends<S>,
    slots: &mut [i8],
) -> Result<()> {
    let (row, channels, [oh, ow]) = (strip.row, strip.channels, strip.output);
    let (mut unit, mut step, mut across) =
        (Unit { columns: weights(block.weights)?, bias: *block.bias, scales: *block.scales }, channels, ow);
    let mut is_stride_1 = STRIDE == 1;
    if is_stride_1 && channels == BLOCK / 2 && ow.is_multiple_of(2) {
        // Two pixels side by side are sixteen channels whose windows lie two columns apart.
        (unit, step, across, is_stride_1) = (unit.twice(), BLOCK, ow / 2, false);
    } else if block.count < BLOCK {
        return any(walk, strip, block, b, ends, slots);
    }
    if (oh * across).saturating_sub(1) * step + BLOCK > slots.len() {
        return Err(Error::Internal);
    }
    for y in 0..oh {
        let from = strip.bytes.as_ptr().wrapping_add(y * walk.stride[0] * row + b * BLOCK);
        let rows = [from, from.wrapping_add(row), from.wrapping_add(2 * row)];
        let to = slots.as_mut_ptr().wrapping_add(y * across * step);
        // SAFETY: `Walk::new` has checked that the strip holds every column of the window of every output; the last
        // output ends within the slots, as just checked.
        unsafe {
            if is_stride_1 {
                unit.row::<1>(ends, rows, to, [channels, step], across);
            } else {
                unit.row::<2>(ends, rows, to, [channels, step], across);
            }
        }
    }
    Ok(())
}

/// What does not change along a row.
struct Unit<S: Rescale> {
    columns: [Column; 3],
    bias: [i32; BLOCK],
    scales: [<S::Requant as Requant>::Scale; BLOCK],
}

impl<S: Rescale> Unit<S> {
    /// The first eight channels and again these.
    fn twice(self) -> Self {
        Unit {
            columns: self.columns.map(|[a, b, ..]| [a, b, a, b]),
            bias: core::array::from_fn(|i| self.bias[i % 8]),
            scales: core::array::from_fn(|i| self.scales[i % 8]),
        }
    }

    /// One row of `count` outputs: columns of inputs and outputs are `step` bytes apart.
    ///
    /// # Safety
    /// The processor has dot products; sixteen bytes of every column can be read, and written at every output.
    #[inline(always)]
    unsafe fn row<const STRIDE: usize>(
        &self,
        ends: &Ends<S>,
        mut rows: [*const i8; 3],
        mut to: *mut i8,
        step: [usize; 2],
        count: usize,
    ) {
        let [w0, w1, w2] = &self.columns;
        let (bias, scales) = (begin(&self.bias), constants::<S>(&self.scales));
        // SAFETY: as the caller promises.
        unsafe {
            let mut put = |sums: &Sums| {
                vst1q_s8(to, ends.levels(sums, &scales));
                to = to.wrapping_add(step[1]);
            };
            let z = next(&mut rows, step[0]);
            let mut now = plus(bias, &z, w0);
            if STRIDE == 2 {
                for _ in 0..count {
                    now = plus(now, &next(&mut rows, step[0]), w1);
                    let z = next(&mut rows, step[0]);
                    put(&plus(now, &z, w2));
                    now = plus(bias, &z, w0);
                }
                return;
            }
            let z = next(&mut rows, step[0]);
            now = plus(now, &z, w1);
            let mut later = plus(bias, &z, w0);
            // Two at a time, so that sums stay where they are while they change their parts.
            for _ in 0..count / 2 {
                let z = next(&mut rows, step[0]);
                put(&plus(now, &z, w2));
                later = plus(later, &z, w1);
                now = plus(bias, &z, w0);
                let z = next(&mut rows, step[0]);
                put(&plus(later, &z, w2));
                now = plus(now, &z, w1);
                later = plus(bias, &z, w0);
            }
            if count % 2 == 1 {
                put(&plus(now, &next(&mut rows, step[0]), w2));
            }
        }
    }
}

/// The column that three rows point to, which move on.
#[inline(always)]
unsafe fn next(rows: &mut [*const i8; 3], step: usize) -> Column {
    // SAFETY: as the caller promises, sixteen bytes are there.
    unsafe {
        let column = column(rows.map(|row| vld1q_s8(row)));
        *rows = rows.map(|row| row.wrapping_add(step));
        column
    }
}

/// The three columns of a window's weights, from three steps of four taps each, row by row.
#[inline(always)]
fn weights(stored: &[i8]) -> Result<[Column; 3]> {
    let stored: &[i8; 3 * STEP] = stored.first_chunk().ok_or(Error::Internal)?;
    // SAFETY: three times 64 bytes are read from as many.
    unsafe {
        let int8x16x4_t(t0, t1, t2, t3) = vld4q_s8(stored.as_ptr());
        let int8x16x4_t(t4, t5, t6, t7) = vld4q_s8(stored.as_ptr().add(STEP));
        let int8x16x4_t(t8, zero, ..) = vld4q_s8(stored.as_ptr().add(2 * STEP));
        Ok([[t0, t3, t6], [t1, t4, t7], [t2, t5, t8]].map(|[a, b, c]| interleave(a, b, c, zero)))
    }
}

/// Three rows' bytes side by side, channel by channel, with any fourth.
#[inline(always)]
fn column([a, b, c]: [int8x16_t; 3]) -> Column {
    interleave(a, b, c, c)
}

#[inline(always)]
fn interleave(a: int8x16_t, b: int8x16_t, c: int8x16_t, d: int8x16_t) -> Column {
    // SAFETY: every 64-bit Arm has NEON.
    unsafe {
        let [ab, cd] = [vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d))];
        let [ef, gh] = [vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d))];
        [vzip1q_s16(ab, cd), vzip2q_s16(ab, cd), vzip1q_s16(ef, gh), vzip2q_s16(ef, gh)]
            .map(|v| vreinterpretq_s8_s16(v))
    }
}

/// Adds a column's products; only for processors with dot products.
#[inline(always)]
fn plus(mut sums: Sums, x: &Column, w: &Column) -> Sums {
    for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
        // SAFETY: one instruction of the enabled features, on registers; the intrinsic is not stable.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {x:v}.16b, {w:v}.16b",
                sum = inout(vreg) *sum,
                x = in(vreg) x,
                w = in(vreg) w,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
    }
    sums
}
