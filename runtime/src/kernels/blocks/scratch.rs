//! Scratch bytes of the layers over blocks.

use crate::error::{Error, Result};
use crate::kernels::blocks::depthwise;
use crate::kernels::blocks::patches::{Patches, matrix};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::op::Inputs;
use crate::tensor::Desc;

/// Of a convolution.
pub fn conv_2d(op: &Conv2d, inputs: &Inputs<'_>, outputs: &[Desc]) -> Result<usize> {
    let [_, height, width, channels] = inputs.get(0)?.shape.dims4()?;
    let [_, kh, kw, _] = inputs.get(1)?.shape.dims4()?;
    let [_, oh, ow, _] = outputs.first().ok_or(Error::Operand)?.shape.dims4()?;
    Patches::new(op.window, [kh, kw], [height, width, channels], [oh, ow])?.bytes()
}

/// Of a depthwise convolution.
pub fn depthwise_conv_2d(op: &DepthwiseConv2d, inputs: &Inputs<'_>, outputs: &[Desc]) -> Result<usize> {
    let [_, height, width, channels] = inputs.get(0)?.shape.dims4()?;
    let [_, kh, kw, out] = inputs.get(1)?.shape.dims4()?;
    let [_, oh, ow, _] = outputs.first().ok_or(Error::Operand)?.shape.dims4()?;
    depthwise::strips(op, [height, width, channels], [kh, kw, out], [oh, ow])?.bytes()
}

/// Of a fully connected layer.
pub fn fully_connected(inputs: &Inputs<'_>) -> Result<usize> {
    matrix(inputs.get(1)?.shape.dim(1))
}
