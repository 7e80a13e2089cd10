//! Scratch bytes of the layers by kernel id, for every processor: the packager plans for others than its own.

use crate::error::{Error, Result};
#[cfg(feature = "std")]
use crate::kernels::blocks;
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::layer::kernel;
use crate::ops::layer::strips::{Planes, Strips};
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Of a convolution. Refuses channel groups that the id does not have.
pub fn conv_2d(op: &Conv2d, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
    if op.groups != 1 && id != kernel::DENSE {
        return Err(Error::NoKernel);
    }
    match id {
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::conv_2d(op, inputs, outputs),
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
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::depthwise_conv_2d(op, inputs, outputs),
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
        #[cfg(feature = "std")]
        kernel::DOT => blocks::scratch::fully_connected(inputs),
        kernel::DOT_OFFSET => Ok(Strips::fully_connected(inputs.get(0)?, inputs.get(1)?)?.bytes),
        _ => Ok(0),
    }
}
