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
    /// Of full blocks.
    biases: &'a [[i32; BLOCK]],
    constants: &'a [[R::Scale; BLOCK]],
    /// One constant for all channels, of a fully connected layer.
    shared: Option<[R::Scale; BLOCK]>,
    /// The output's zero point.
    pub zero: i32,
    /// The output's limits, within int8.
    pub clamp: Clamp,
    /// Whether somebody has found that what becomes of the sums, before it gets the zero point and the limits, fits 16 bits.
    pub is_short: bool,
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
    /// Of which block.
    block: Option<usize>,
    count: usize,
    bias: [i32; BLOCK],
    scales: [R::Scale; BLOCK],
}

impl<R: Requant> Default for Room<R> {
    fn default() -> Self {
        Room { block: None, count: 0, bias: [0; BLOCK], scales: [R::Scale::zeroed(); BLOCK] }
    }
}

impl<R: Requant> Room<R> {
    fn filled<'t>(&'t self, weights: &'t [i8]) -> Block<'t, R> {
        Block { weights, bias: &self.bias, scales: &self.scales, count: self.count }
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
        let (bias, scales) = (io.optional::<i32>(BIAS)?, io.input::<R::Scale>(CONSTANTS)?);
        let shared = match scales {
            &[one] if outputs > 1 => Some([one; BLOCK]),
            _ => None,
        };
        Ok(Layer {
            weights,
            outputs,
            quads,
            bias,
            scales,
            biases: bias.unwrap_or(&[]).as_chunks().0,
            constants: scales.as_chunks().0,
            shared,
            zero: io.output_desc(0)?.zero_point,
            clamp,
            is_short: false,
        })
    }

    /// Whether `f` holds for all constants.
    pub fn all(&self, f: impl Fn(R::Scale) -> bool) -> bool {
        // Without a branch for each, as vectors want it.
        self.scales.iter().fold(true, |all, &s| all & f(s))
    }

    /// What sums begin with, zeros where there is nothing, and the constants: one of each channel or one for all.
    pub fn ends(&self) -> (&'a [i32], &'a [R::Scale]) {
        (self.bias.unwrap_or(&[]), self.scales)
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// The weights of one block after the other: [`Layer::quads`] steps each.
    #[inline(always)]
    pub fn weights(&self) -> impl Iterator<Item = &'a [i8]> {
        self.weights.chunks_exact((self.quads * STEP).max(1))
    }

    /// Channels `16 * block..`, whose weights these are.
    #[inline(always)]
    pub fn block<'t>(
        &'t self,
        block: usize,
        weights: &'t [i8],
        room: &'t mut Room<R>,
    ) -> Result<Block<'t, R>> {
        let scales = match &self.shared {
            Some(shared) => Some(shared),
            None => self.constants.get(block),
        };
        match (self.biases.get(block), scales) {
            (Some(bias), Some(scales)) => Ok(Block { weights, bias, scales, count: BLOCK }),
            _ if room.block == Some(block) => Ok(room.filled(weights)),
            _ => self.assembled(block, weights, room),
        }
    }

    /// A block of which something is missing.
    #[inline(never)]
    fn assembled<'t>(
        &'t self,
        block: usize,
        weights: &'t [i8],
        room: &'t mut Room<R>,
    ) -> Result<Block<'t, R>> {
        let first = block * BLOCK;
        let bias = self.bias.unwrap_or(&[]);
        room.bias.iter_mut().zip(bias.get(first..).unwrap_or(&[])).for_each(|(slot, &b)| *slot = b);
        match self.shared {
            Some(shared) => room.scales = shared,
            None => {
                let scales = self.scales.get(first..).ok_or(Error::Internal)?;
                room.scales.iter_mut().zip(scales).for_each(|(slot, &s)| *slot = s);
            }
        }
        (room.block, room.count) = (Some(block), (self.outputs - first).min(BLOCK));
        Ok(room.filled(weights))
    }

    /// Whether no weight is -128, so that the sum of two products fits 16 bits.
    pub fn is_mild(&self) -> bool {
        self.weights.iter().fold(true, |mild, &w| mild & (w != i8::MIN))
    }
}
