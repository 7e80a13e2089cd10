//! Scratch bytes of the layers by kernel id, for every processor: the packager plans for others than its own.
//!
//! Here an id's own limits are held, too: loading asks for the scratch of every step.

use crate::error::{Error, Result};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::layer::{BIAS, WEIGHTS, kernel};
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Windows that kernels of [`kernel::FOLDED`] lay out at once.
pub const WINDOWS: usize = 3;
/// Channels of a depthwise window that they lay out at once.
pub const CHANNELS: usize = 64;

/// Of a convolution.
pub fn conv_2d(op: &Conv2d, inputs: &Inputs<'_>, _outputs: &[Desc], id: u8) -> Result<usize> {
    match id {
        kernel::FOLDED => {
            folded(inputs, op.groups)?;
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
    _op: &DepthwiseConv2d,
    inputs: &Inputs<'_>,
    _outputs: &[Desc],
    id: u8,
) -> Result<usize> {
    match id {
        kernel::FOLDED => {
            folded(inputs, 1)?;
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
        kernel::FOLDED => folded(inputs, 1).map(|()| 0),
        _ => Ok(0),
    }
}

/// Kernels with folded zero points have no groups, and a bias.
fn folded(inputs: &Inputs<'_>, groups: u16) -> Result<()> {
    match inputs.optional(BIAS) {
        Some(_) if groups == 1 => Ok(()),
        _ => Err(Error::Operand),
    }
}

fn bytes(factors: &[usize]) -> Result<usize> {
    factors.iter().try_fold(1usize, |n, &f| n.checked_mul(f)).ok_or(Error::Limit)
}
