//! Pooling, and the window geometry that it shares with convolution.

use samara_runtime::ops::Window;

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value};
use crate::ir::{Activation, Op, PoolKind};

/// Strides, dilations and padding of a node whose input has these spatial dimensions (one or two); one
/// dimension becomes the second of two.
pub(super) fn geometry(call: &Call<'_>, input: &[usize], kernel: [u16; 2]) -> Result<Window> {
    let spatial = input.len();
    let pair = |name: &str| -> Result<[u16; 2]> {
        match call.ints(name)? {
            None => Ok([1, 1]),
            Some(v) => two(&v, spatial, 1).ok_or_else(|| wrong(name, &v)),
        }
    };
    let (stride, dilation) = (pair("strides")?, pair("dilations")?);
    if stride.contains(&0) || dilation.contains(&0) {
        return Err(Error::invalid("its strides and dilations must be positive"));
    }
    let explicit = call.ints("pads")?;
    let mut pad = [0u16; 4];
    match call.string("auto_pad", "NOTSET")?.as_str() {
        "NOTSET" => {
            if let Some(v) = explicit {
                if v.len() != 2 * spatial {
                    return Err(wrong("pads", &v));
                }
                let begin = two(&v[..spatial], spatial, 0).ok_or_else(|| wrong("pads", &v))?;
                let end = two(&v[spatial..], spatial, 0).ok_or_else(|| wrong("pads", &v))?;
                pad = [begin[0], begin[1], end[0], end[1]];
            }
        }
        "VALID" => {}
        mode @ ("SAME_UPPER" | "SAME_LOWER") => {
            for (k, &size) in input.iter().enumerate() {
                let axis = k + 2 - spatial;
                let (stride, reach) = (stride[axis] as usize, reach(kernel[axis], dilation[axis]));
                let needed = (size.div_ceil(stride) - 1) * stride + reach;
                let total = needed.saturating_sub(size);
                let (small, large) = (total / 2, total.div_ceil(2));
                let (begin, end) = if mode == "SAME_UPPER" { (small, large) } else { (large, small) };
                (pad[axis], pad[axis + 2]) = (narrow(begin)?, narrow(end)?);
            }
        }
        other => return Err(Error::invalid(format!("auto_pad '{other}' is not supported"))),
    }
    Ok(Window { stride, dilation, pad })
}

/// Extent of a dilated window.
fn reach(kernel: u16, dilation: u16) -> usize {
    (kernel.max(1) as usize - 1) * dilation as usize + 1
}

fn narrow(n: usize) -> Result<u16> {
    u16::try_from(n).map_err(|_| Error::invalid("its padding is above 65535"))
}

fn wrong(name: &str, v: &[i64]) -> Error {
    Error::invalid(format!("attribute '{name}' {v:?} does not fit the input"))
}

/// One or two values as two; the missing first one is `fill`.
pub(super) fn two(v: &[i64], spatial: usize, fill: u16) -> Option<[u16; 2]> {
    let n = |i: i64| u16::try_from(i).ok();
    match (spatial, v) {
        (1, &[b]) => Some([fill, n(b)?]),
        (2, &[a, b]) => Some([n(a)?, n(b)?]),
        _ => None,
    }
}

/// AveragePool and MaxPool.
pub(crate) fn pool(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let spatial = shape.get(2..).unwrap_or(&[]);
    let kernel = call.ints("kernel_shape")?.ok_or_else(|| Error::invalid("its kernel_shape is missing"))?;
    let size = two(&kernel, spatial.len(), 1).ok_or_else(|| wrong("kernel_shape", &kernel))?;
    let mut window = geometry(call, spatial, size)?;
    let average = call.op_type() == "AveragePool";
    let include_pad = average && call.flag("count_include_pad", false)?;
    if !average && call.flag("storage_order", false)? && call.outputs() > 1 {
        return Err(Error::invalid("column-major indices are not supported"));
    }
    let mut extra = [0u16; 2];
    if call.flag("ceil_mode", false)? {
        for (k, &input) in spatial.iter().enumerate() {
            let axis = k + 2 - spatial.len();
            extra[axis] = ceil_extra(input, &window, axis, size[axis])?;
        }
    }
    let name = &call.name;
    let mut image = b.nhwc(name, x)?;
    if include_pad && extra != [0, 0] {
        // Cells that only rounding up reaches are never counted, padding is: so the padding becomes explicit.
        let [top, left, bottom, right] = window.pad.map(usize::from);
        let pad = Op::Pad { before: vec![0, top, left, 0], after: vec![0, bottom, right, 0], value: 0.0 };
        image = b.push(&format!("{name}/pad"), pad, &[image])?;
        window.pad = [0; 4];
    }
    let count_include_pad = include_pad && extra == [0, 0];
    for (end, extra) in window.pad[2..].iter_mut().zip(extra) {
        *end = narrow(*end as usize + extra as usize)?;
    }
    let kind = if average { PoolKind::Average { count_include_pad } } else { PoolKind::Max };
    let op = Op::Pool2d { kind, size, window, activation: Activation::NONE };
    let y = b.push(&format!("{name}/image"), op, &[image])?;
    one(b.nchw(name, y, shape.len())?)
}

/// How much further the end must be padded so that rounding down gives what rounding up asks for. Windows that
/// would start in the padding at the end do not count.
fn ceil_extra(input: usize, window: &Window, axis: usize, kernel: u16) -> Result<u16> {
    let (begin, end) = (window.pad[axis] as usize, window.pad[axis + 2] as usize);
    let (stride, reach) = (window.stride[axis] as usize, reach(kernel, window.dilation[axis]));
    let padded = input + begin + end;
    let room =
        padded.checked_sub(reach).ok_or_else(|| Error::invalid("its window is larger than its input"))?;
    let mut outputs = room.div_ceil(stride) + 1;
    if (outputs - 1) * stride >= input + begin {
        outputs -= 1;
    }
    narrow(((outputs - 1) * stride + reach).saturating_sub(padded))
}
