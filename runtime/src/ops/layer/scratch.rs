//! Scratch bytes of the layers by kernel id, for every processor: the packager plans for others than its own.

use crate::error::{Error, Result};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::layer::kernel;
use crate::ops::layer::strips::{Planes, Strips};
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Of a convolution.
pub fn conv_2d(op: &Conv2d, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
    match id {
        kernel::DOT_OFFSET => {
            let y = outputs.first().ok_or(Error::Operand)?;
            Ok(Strips::conv_2d(op, inputs.get(0)?, inputs.get(1)?, y)?.bytes)
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
        kernel::DOT_OFFSET => {
            let y = outputs.first().ok_or(Error::Operand)?;
            Ok(Planes::new(op, inputs.get(0)?, inputs.get(1)?, y)?.bytes)
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
        kernel::DOT_OFFSET => Ok(Strips::fully_connected(inputs.get(0)?, inputs.get(1)?)?.bytes),
        _ => Ok(0),
    }
}
