//! Weights, biases and constants of sixteen channels at a time.

use bytemuck::Zeroable;

use crate::error::{Error, Result};
use crate::kernels::fixed::Requant;
use crate::layout::{BLOCK, QUAD};
use crate::ops::attr::Clamp;
use crate::ops::io::Io;
use crate::ops::layer::{BIAS, CONSTANTS, WEIGHTS};

/// Bytes of sixteen channels' four weights each.
pub const STEP: usize = BLOCK * QUAD;

/// What sums become, and what they are made of besides the input.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, R: Requant> {
    weights: &'a [i8],
    /// Output channels.
    pub outputs: usize,
    /// Groups of four weights of a channel.
    pub quads: usize,
    bias: Option<&'a [i32]>,
    scales: &'a [R::Scale],
    /// The output's zero point.
    pub zero: i32,
    /// The output's limits, within int8.
    pub clamp: Clamp,
}

/// Sixteen channels of a layer; those beyond its last are zero.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a, R: Requant> {
    /// [`Layer::quads`] steps of sixteen times four.
    pub weights: &'a [i8],
    /// What sums begin with.
    pub bias: &'a [i32; BLOCK],
    /// Constants of requantization.
    pub scales: &'a [R::Scale; BLOCK],
    /// Channels that the layer has.
    pub count: usize,
}

/// Where constants of sixteen channels are put together that the layer does not hold so.
#[derive(Clone, Copy, Debug)]
pub struct Room<R: Requant> {
    bias: [i32; BLOCK],
    scales: [R::Scale; BLOCK],
}

impl<R: Requant> Default for Room<R> {
    fn default() -> Self {
        Room { bias: [0; BLOCK], scales: [R::Scale::zeroed(); BLOCK] }
    }
}

impl<'a, R: Requant> Layer<'a, R> {
    /// From a step's operands.
    pub fn new(io: &Io<'a>, clamp: Clamp) -> Result<Self> {
        let desc = io.input_desc(WEIGHTS)?;
        let [outputs, depth] = desc.layout.channels(&desc.shape);
        let quads = depth.div_ceil(QUAD);
        let weights = io.input::<i8>(WEIGHTS)?;
        let stored = outputs.div_ceil(BLOCK).checked_mul(quads).and_then(|n| n.checked_mul(STEP));
        if stored != Some(weights.len()) {
            return Err(Error::Internal);
        }
        Ok(Layer {
            weights,
            outputs,
            quads,
            bias: io.optional(BIAS)?,
            scales: io.input(CONSTANTS)?,
            zero: io.output_desc(0)?.zero_point,
            clamp,
        })
    }

    /// Whether `f` holds for all constants.
    pub fn all(&self, f: impl Fn(R::Scale) -> bool) -> bool {
        self.scales.iter().all(|&s| f(s))
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// Channels `16 * block..`.
    #[inline(always)]
    pub fn block<'t>(&'t self, block: usize, room: &'t mut Room<R>) -> Result<Block<'t, R>> {
        let (first, size) = (block * BLOCK, self.quads * STEP);
        let weights = self.weights.get(block * size..(block + 1) * size).ok_or(Error::Internal)?;
        let count = (self.outputs - first).min(BLOCK);
        let bias = match self.bias {
            Some(bias) => sixteen(bias, first, &mut room.bias)?,
            None => &room.bias,
        };
        let scales = match self.scales {
            // Of a fully connected layer: one for all.
            &[one] => {
                room.scales = [one; BLOCK];
                &room.scales
            }
            scales => sixteen(scales, first, &mut room.scales)?,
        };
        Ok(Block { weights, bias, scales, count })
    }
}

/// Elements `first..`, sixteen; what is not there is as it is in `room`.
#[inline(always)]
fn sixteen<'t, T: Copy>(all: &'t [T], first: usize, room: &'t mut [T; BLOCK]) -> Result<&'t [T; BLOCK]> {
    let rest = all.get(first..).ok_or(Error::Internal)?;
    Ok(match rest.first_chunk() {
        Some(chunk) => chunk,
        None => {
            room.iter_mut().zip(rest).for_each(|(slot, &e)| *slot = e);
            room
        }
    })
}
