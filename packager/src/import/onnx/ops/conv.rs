//! Convolution.

use super::one;
use super::window::{geometry, two};
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value};
use crate::import::onnx::constant::Constant;
use crate::ir::{Activation, Op};

/// Conv in one or two spatial dimensions; one group per input channel makes it depthwise.
pub(crate) fn conv(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let spatial = shape.get(2..).unwrap_or(&[]);
    if !(1..=2).contains(&spatial.len()) {
        return Err(Error::invalid(format!(
            "only one and two spatial dimensions are supported, its input has shape {shape:?}"
        )));
    }
    let weights = rank4(call.required_constant(1)?)?;
    let [o, per_group, kh, kw] = weights.dims[..] else {
        return Err(Error::invalid(format!("its weights have shape {:?}", weights.dims)));
    };
    let size = |n: usize| u16::try_from(n).map_err(|_| Error::invalid("its window is too large"));
    let size = [size(kh)?, size(kw)?];
    if let Some(kernel) = call.ints("kernel_shape")?
        && two(&kernel, spatial.len(), 1) != Some(size)
    {
        return Err(Error::invalid(format!("kernel_shape {kernel:?} is not that of its weights")));
    }
    let groups = call.int("group")?.unwrap_or(1);
    let groups =
        u16::try_from(groups).map_err(|_| Error::invalid(format!("group {groups} is out of range")))?;
    let channels = shape[1];
    if per_group.checked_mul(groups as usize) != Some(channels) {
        return Err(Error::invalid(format!(
            "{channels} input channels do not fit {groups} groups of {per_group}"
        )));
    }
    let window = geometry(call, spatial, size)?;
    let name = &call.name;
    let depthwise = groups > 1 && per_group == 1;
    let (op, weights) = if depthwise {
        (Op::DepthwiseConv2d { window, activation: Activation::NONE }, weights.transpose(&[1, 2, 3, 0]))
    } else {
        (Op::Conv2d { window, groups, activation: Activation::NONE }, weights.transpose(&[0, 2, 3, 1]))
    };
    let weights = b.graph.add(weights.tensor(&format!("{name}/weights"))?);
    let mut inputs = vec![None, Some(weights)];
    if let Some(bias) = call.optional_constant(2)? {
        if bias.dims != [o] {
            return Err(Error::invalid(format!("its bias has shape {:?}", bias.dims)));
        }
        inputs.push(Some(b.constant(&format!("{name}/bias"), bias)?));
    }
    inputs[0] = Some(b.nhwc(name, x)?);
    let y = b.push_optional(&format!("{name}/image"), op, &inputs)?;
    one(b.nchw(name, y, shape.len())?)
}

/// Weights of one spatial dimension as those of two.
fn rank4(w: &Constant) -> Result<Constant> {
    match w.dims[..] {
        [_, _, _, _] => Ok(w.clone()),
        [o, c, k] => Ok(w.reshape(vec![o, c, 1, k])),
        _ => Err(Error::invalid(format!("its weights have shape {:?}", w.dims))),
    }
}
