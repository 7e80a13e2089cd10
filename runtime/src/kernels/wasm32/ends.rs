//! From 32-bit sums to int8 outputs.

use core::arch::wasm32::v128;

use super::vector::{numbers, words};
use crate::error::{Error, Result};
use crate::kernels::blocks::layer::{Block, Layer};
use crate::kernels::fixed::{Requant, limit};
use crate::layout::BLOCK;

/// Sums of sixteen channels.
pub(super) type Sums = [v128; 4];

/// Sums to begin with.
#[inline(always)]
pub(super) fn begin(bias: &[i32; BLOCK]) -> Sums {
    let (fours, _) = bias.as_chunks::<4>();
    core::array::from_fn(|i| words(fours.get(i).unwrap_or(&[0; 4])))
}

/// Writes a pixel's outputs of a block. There is no shift by lanes, and no product of 64 bits but of two lanes: what follows
/// a sum is computed number by number.
#[inline(always)]
pub(super) fn store<R: Requant>(
    layer: &Layer<'_, R>,
    block: &Block<'_, R>,
    sums: &Sums,
    slots: &mut [i8],
) -> Result<()> {
    let (least, greatest) = layer.clamp.as_i32();
    let slots = slots.get_mut(..block.count).ok_or(Error::Internal)?;
    let (fours, _) = block.scales.as_chunks::<4>();
    for ((slots, &sums), scales) in slots.chunks_mut(4).zip(sums).zip(fours) {
        for ((slot, sum), &scale) in slots.iter_mut().zip(numbers(sums)).zip(scales) {
            *slot = limit(R::apply(sum, scale).wrapping_add(layer.zero), least, greatest) as i8;
        }
    }
    Ok(())
}
