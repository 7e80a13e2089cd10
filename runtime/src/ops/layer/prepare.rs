//! Weights and biases as kernel ids want them, from dense ones.

use std::vec;
use std::vec::Vec;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::eval::Value;
use crate::ops::layer::kernel;
use crate::tensor::{Desc, Dtype, Place};

/// Operands 1 and 2 of a layer.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// In the layout of the id.
    pub weights: Value,
    /// Folded for integers.
    pub bias: Option<Value>,
}

/// What kernel `id` reads instead of dense `weights` and `bias`, for an input of this zero point.
pub fn prepare(
    id: u8,
    is_depthwise: bool,
    weights: &Value,
    bias: Option<&Value>,
    zero_point: i32,
) -> Result<Prepared> {
    let layout = kernel::layout(id, is_depthwise).ok_or(Error::NoKernel)?;
    if id == kernel::DENSE || weights.desc.layout != Layout::Dense {
        return Err(Error::NoKernel);
    }
    if weights.desc.dtype == Dtype::F32 && layout == Layout::Lanes {
        let stored = stored(layout, weights, weights.elements::<f32>())?;
        return Ok(Prepared { weights: stored, bias: bias.cloned() });
    }
    if weights.desc.dtype != Dtype::I8 {
        return Err(Error::NoKernel);
    }
    let levels = weights.elements::<i8>();
    let [n, k] = channels(weights, is_depthwise);
    let at = |channel: usize, tap: usize| if is_depthwise { tap * n + channel } else { channel * k + tap };
    let fold = zero_point.wrapping_add(kernel::offset(id));
    let mut folded = vec![0i32; n];
    for (channel, slot) in folded.iter_mut().enumerate() {
        let sum = (0..k).map(|tap| i32::from(levels[at(channel, tap)])).fold(0i32, i32::wrapping_add);
        let bias = match bias {
            Some(bias) => *bias.elements::<i32>().get(channel).ok_or(Error::Mismatch)?,
            None => 0,
        };
        *slot = bias.wrapping_sub(fold.wrapping_mul(sum));
    }
    let weights = match layout {
        Layout::Pairs => {
            let mut value = stored(layout, weights, levels)?;
            borrow(n, k, levels, &mut value);
            value
        }
        Layout::Dense => weights.clone(),
        _ => stored(layout, weights, levels)?,
    };
    Ok(Prepared { weights, bias: Some(Value::constant(Dtype::I32, &[n as u32], &folded)?) })
}

/// Output channels, and weights of each.
pub fn channels(weights: &Value, is_depthwise: bool) -> [usize; 2] {
    let shape = weights.desc.shape;
    let n = if is_depthwise { shape.dim(3) } else { shape.dim(0) };
    [n, shape.elements() / n]
}

fn stored<T: bytemuck::Pod>(layout: Layout, weights: &Value, elements: &[T]) -> Result<Value> {
    let shape = weights.desc.shape;
    let [n, k] = layout.channels(&shape);
    let mut out: Vec<T> = vec![T::zeroed(); layout.elements(&shape).ok_or(Error::Limit)?];
    for channel in 0..n {
        for tap in 0..k {
            let dense = if layout.is_channels_last() { tap * n + channel } else { channel * k + tap };
            out[layout.index(&shape, channel, tap)] = elements[dense];
        }
    }
    Value::new(Desc { layout, place: Place::Weights, ..weights.desc }, &out)
}

/// In pairs, a negative even weight takes 1 from its odd neighbour, as the sum of both does.
fn borrow(n: usize, k: usize, levels: &[i8], value: &mut Value) {
    let shape = value.desc.shape;
    let bytes = value.bytes_mut();
    for channel in (0..n).step_by(2) {
        for tap in 0..k {
            if levels[channel * k + tap] < 0 {
                let odd = &mut bytes[Layout::Pairs.index(&shape, channel, tap) + 1];
                *odd = odd.wrapping_sub(1);
            }
        }
    }
}
