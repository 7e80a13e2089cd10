//! Scratch bytes of the layers by kernel id, for every processor: the packager plans for others than its own.

use crate::error::Result;
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Of a convolution.
pub fn conv_2d(_op: &Conv2d, _inputs: &Inputs<'_>, _outputs: &[Desc], _id: u8) -> Result<usize> {
    Ok(0)
}

/// Of a depthwise convolution.
pub fn depthwise_conv_2d(
    _op: &DepthwiseConv2d,
    _inputs: &Inputs<'_>,
    _outputs: &[Desc],
    _id: u8,
) -> Result<usize> {
    Ok(0)
}

/// Of a fully connected layer.
pub fn fully_connected(
    _op: &FullyConnected,
    _inputs: &Inputs<'_>,
    _outputs: &[Desc],
    _id: u8,
) -> Result<usize> {
    Ok(0)
}
