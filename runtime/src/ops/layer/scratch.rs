//! Scratch bytes of the layers by kernel id, for every processor: the packager plans for others than its own. Devices
//! carry what their own kernels ask for. Here an id's own limits are held, too: loading asks for the scratch of every step.
#![cfg_attr(not(feature = "std"), allow(unused_variables))] // devices have fewer ids

use crate::error::{Error, Result};
#[cfg(feature = "std")]
use crate::kernels::blocks;
#[cfg(any(feature = "std", feature = "dsp"))]
use crate::layout::QUAD;
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
#[cfg(feature = "std")]
use crate::ops::layer::strips::{Planes, Strips};
use crate::ops::layer::{BIAS, WEIGHTS, kernel};
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Windows that kernels of [`kernel::FOLDED`] lay out at once.
pub const WINDOWS: usize = 3;
/// Channels of a depthwise window that they lay out at once.
pub const CHANNELS: usize = 64;

/// Of a convolution. Refuses channel groups that the id does not have.
pub fn conv_2d(op: &Conv2d, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
    if op.groups != 1 && id != kernel::DENSE {
        return Err(Error::NoKernel);
    }
    let y = outputs.first().ok_or(Error::Operand)?;
    match id {
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::conv_2d(op, inputs, outputs),
        #[cfg(feature = "std")]
        kernel::DOT_OFFSET => Ok(Strips::conv_2d(op, inputs.get(0)?, inputs.get(WEIGHTS)?, y)?.bytes),
        #[cfg(any(feature = "std", feature = "dsp"))]
        kernel::PAIRS => {
            let [_, kh, kw, channels] = inputs.get(WEIGHTS)?.shape.dims4()?;
            pairs(y.shape.outer(3), kh.checked_mul(kw).ok_or(Error::Limit)?, channels)
        }
        kernel::FOLDED => {
            folded(inputs)?;
            // Windows that are single pixels are read where they are.
            let [_, kh, kw, c] = inputs.get(WEIGHTS)?.shape.dims4()?;
            let are_pixels = kh == 1 && kw == 1 && op.window.pad == [0; 4];
            Ok(if are_pixels { 0 } else { bytes(&[WINDOWS, kh, kw, c])? })
        }
        _ => Ok(0),
    }
}

/// Of a depthwise convolution.
pub fn depthwise_conv_2d(
    op: &DepthwiseConv2d,
    inputs: &Inputs<'_>,
    outputs: &[Desc],
    id: u8,
) -> Result<usize> {
    match id {
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::depthwise_conv_2d(op, inputs, outputs),
        #[cfg(feature = "std")]
        kernel::DOT_OFFSET => {
            let y = outputs.first().ok_or(Error::Operand)?;
            Ok(Planes::new(op, inputs.get(0)?, inputs.get(WEIGHTS)?, y)?.bytes)
        }
        kernel::FOLDED => {
            folded(inputs)?;
            let [_, kh, kw, o] = inputs.get(WEIGHTS)?.shape.dims4()?;
            bytes(&[kh, kw, o.min(CHANNELS)])
        }
        _ => Ok(0),
    }
}

/// Of a fully connected layer.
pub fn fully_connected(
    _op: &FullyConnected,
    inputs: &Inputs<'_>,
    _outputs: &[Desc],
    id: u8,
) -> Result<usize> {
    match id {
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::fully_connected(inputs),
        #[cfg(feature = "std")]
        kernel::DOT_OFFSET => Ok(Strips::fully_connected(inputs.get(0)?, inputs.get(WEIGHTS)?)?.bytes),
        #[cfg(any(feature = "std", feature = "dsp"))]
        kernel::PAIRS => {
            let depth = inputs.get(WEIGHTS)?.shape.dim(1);
            let rows = inputs.get(0)?.shape.elements().checked_div(depth).ok_or(Error::Shape)?;
            pairs(rows, 1, depth)
        }
        kernel::FOLDED => folded(inputs).map(|()| 0),
        _ => Ok(0),
    }
}

/// Kernels with folded zero points have a bias.
fn folded(inputs: &Inputs<'_>) -> Result<()> {
    inputs.optional(BIAS).map(|_| ()).ok_or(Error::Operand)
}

fn bytes(factors: &[usize]) -> Result<usize> {
    factors.iter().try_fold(1usize, |n, &f| n.checked_mul(f)).ok_or(Error::Limit)
}

/// Pixels whose inputs [`kernel::PAIRS`] holds at once, of a layer with so many in all.
pub const fn pixels_at_once(pixels: usize) -> usize {
    if pixels < 4 { 1 } else { 4 }
}

/// The inputs of four pixels, or of the only one, in 16 bits.
#[cfg(any(feature = "std", feature = "dsp"))]
fn pairs(pixels: usize, taps: usize, channels: usize) -> Result<usize> {
    let padded = taps.checked_mul(channels).and_then(|k| k.checked_next_multiple_of(QUAD));
    padded.and_then(|n| n.checked_mul(2 * pixels_at_once(pixels))).ok_or(Error::Limit)
}
