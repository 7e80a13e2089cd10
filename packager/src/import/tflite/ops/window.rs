//! Operators that slide a window: convolutions and pooling.

use samara_runtime::ops::Window;

use super::super::context::Context;
use super::{dims4, not_hybrid};
use crate::error::{Error, Result};
use crate::ir::{Activation, Op, PoolKind, TensorId};

/// Conv2DOptions: padding, stride_w, stride_h, activation, dilation_w, dilation_h, quantized_bias_type.
pub fn conv_2d(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    let (x, w, bias) = (cx.input(0)?, cx.input(1)?, cx.optional(2)?);
    not_hybrid(cx, x, w)?;
    bias_type(cx, 6)?;
    let [_, _, _, channels] = dims4(cx, x, "input")?;
    let [filters, kh, kw, per_group] = dims4(cx, w, "weights")?;
    let o = cx.options();
    let stride = [o.positive(2, 0, "stride_h")?, o.positive(1, 0, "stride_w")?];
    let dilation = [o.positive(5, 1, "dilation_h_factor")?, o.positive(4, 1, "dilation_w_factor")?];
    let activation = cx.activation(3)?;
    let groups = match channels.checked_rem(per_group) {
        Some(0) => channels / per_group,
        _ => {
            let cause = format!("its {channels} input channels do not divide by its weights' {per_group}");
            return Err(Error::invalid(cause));
        }
    };
    let groups = match u16::try_from(groups) {
        Ok(g) if g > 0 && filters.is_multiple_of(groups) => g,
        _ => return Err(Error::invalid(format!("its {filters} filters do not divide into {groups} groups"))),
    };
    let (window, y) = window(cx, x, [kh, kw], stride, dilation, filters)?;
    cx.node(Op::Conv2d { window, groups, activation }, &[Some(x), Some(w), bias], y)
}

/// DepthwiseConv2DOptions: padding, stride_w, stride_h, depth_multiplier, activation, dilation_w, dilation_h.
pub fn depthwise_conv_2d(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    let (x, w, bias) = (cx.input(0)?, cx.input(1)?, cx.optional(2)?);
    not_hybrid(cx, x, w)?;
    let [_, _, _, channels] = dims4(cx, x, "input")?;
    let [one, kh, kw, filters] = dims4(cx, w, "weights")?;
    let o = cx.options();
    let stride = [o.positive(2, 0, "stride_h")?, o.positive(1, 0, "stride_w")?];
    let dilation = [o.positive(6, 1, "dilation_h_factor")?, o.positive(5, 1, "dilation_w_factor")?];
    let activation = cx.activation(4)?;
    if one != 1 || filters.checked_rem(channels) != Some(0) {
        let shape = cx.shape(w);
        let cause = format!("its weights' shape {shape:?} does not fit {channels} input channels");
        return Err(Error::invalid(cause));
    }
    // The shapes decide; writers since version 2 may leave the field at 0.
    let (given, multiplier) = (o.i32(3, 0)?, filters / channels);
    if given != 0 && usize::try_from(given) != Ok(multiplier) {
        let cause = format!("its depth_multiplier is {given}, but its weights have {multiplier}");
        return Err(Error::invalid(cause));
    }
    let (window, y) = window(cx, x, [kh, kw], stride, dilation, filters)?;
    cx.node(Op::DepthwiseConv2d { window, activation }, &[Some(x), Some(w), bias], y)
}

/// See [`pool_2d`].
pub fn average_pool_2d(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    pool_2d(cx, PoolKind::Average { count_include_pad: false })
}

/// See [`pool_2d`].
pub fn max_pool_2d(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    pool_2d(cx, PoolKind::Max)
}

/// Pool2DOptions: padding, stride_w, stride_h, filter_width, filter_height, activation.
fn pool_2d(cx: &mut Context<'_, '_, '_, '_>, kind: PoolKind) -> Result<()> {
    let x = cx.input(0)?;
    let [_, _, _, channels] = dims4(cx, x, "input")?;
    let o = cx.options();
    let stride = [o.positive(2, 0, "stride_h")?, o.positive(1, 0, "stride_w")?];
    let size = [o.positive(4, 0, "filter_height")?, o.positive(3, 0, "filter_width")?];
    let activation: Activation = cx.activation(5)?;
    let (window, y) = window(cx, x, size.map(usize::from), stride, [1, 1], channels)?;
    cx.same_parameters(x, y)?;
    cx.node(Op::Pool2d { kind, size, window, activation }, &[Some(x)], y)
}

/// Refuses a bias and accumulator type other than the default and int32.
pub fn bias_type(cx: &Context<'_, '_, '_, '_>, slot: usize) -> Result<()> {
    // 0 is the field's default (and float32, which no quantized bias has), 2 is int32.
    match cx.options().i8(slot, 0)? {
        0 | 2 => Ok(()),
        n => Err(Error::invalid(format!("its quantized_bias_type {n} is not supported"))),
    }
}

/// Makes the padding in field 0 explicit and states the result's shape.
fn window(
    cx: &mut Context<'_, '_, '_, '_>,
    x: TensorId,
    size: [usize; 2],
    stride: [u16; 2],
    dilation: [u16; 2],
    channels: usize,
) -> Result<(Window, TensorId)> {
    let [n, h, w, _] = dims4(cx, x, "input")?;
    let input = [h, w];
    let mut pad = [0u16; 4];
    match cx.options().i8(0, 0)? {
        0 => {
            for axis in 0..2 {
                (pad[axis], pad[axis + 2]) = same(input[axis], size[axis], stride[axis], dilation[axis])?;
            }
        }
        1 => {}
        n => return Err(Error::invalid(format!("its padding {n} is unknown"))),
    }
    let window = Window { stride, dilation, pad };
    let [oh, ow] = window.output(input, size).map_err(|_| {
        Error::invalid(format!("its window {size:?} does not fit its input of height and width {input:?}"))
    })?;
    let y = cx.output(0)?;
    cx.expect(y, &[n, oh, ow, channels])?;
    Ok((window, y))
}

/// Padding before and after so that the output has `ceil(input / stride)` places; the odd one goes after.
fn same(input: usize, size: usize, stride: u16, dilation: u16) -> Result<(u16, u16)> {
    let places = input.div_ceil(stride as usize);
    let reach = size.saturating_sub(1).checked_mul(dilation as usize).and_then(|r| r.checked_add(1));
    let needed =
        places.saturating_sub(1).checked_mul(stride as usize).zip(reach).and_then(|(a, b)| a.checked_add(b));
    let total = needed.map(|n| n.saturating_sub(input));
    let sides = total.and_then(|t| Some((u16::try_from(t / 2).ok()?, u16::try_from(t - t / 2).ok()?)));
    sides.ok_or_else(|| Error::invalid("its padding is above 65535"))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn same_padding_puts_the_odd_one_after() {
        assert_eq!(same(5, 3, 1, 1).unwrap(), (1, 1));
        assert_eq!(same(49, 10, 2, 1).unwrap(), (4, 5));
        assert_eq!(same(10, 4, 2, 1).unwrap(), (1, 1));
        assert_eq!(same(96, 3, 2, 1).unwrap(), (0, 1));
        assert_eq!(same(7, 3, 1, 4).unwrap(), (4, 4));
        assert_eq!(same(4, 1, 2, 1).unwrap(), (0, 0));
        assert!(same(1 << 20, 1 << 18, 1, 1).is_err());
    }
}
