//! Random operators with their operands.

use samara_runtime::ops::{
    Add, Attr, AveragePool2d, Clamp, Conv2d, DepthwiseConv2d, FullyConnected, Inputs, Op, OpDef, Pool,
    Rounding, Window,
};
use samara_runtime::{Desc, Dtype, Error, Place, Shape};

use crate::noise::Noise;

/// Bytes of the largest tensor.
pub(crate) const ROOM: usize = 8192;
/// Most products, or elements, of one case: the reference kernel takes its time.
const MOST_MACS: u64 = 30_000;
/// Most output channels.
pub(crate) const CHANNELS: usize = 128;

/// One operator and what its operands are.
pub(crate) struct Case {
    pub(crate) attributes: Attr,
    /// Input; weights or second input; bias; constants.
    pub(crate) inputs: [Option<Desc>; 4],
    pub(crate) output: Desc,
    /// Output channels whose weights lie side by side tap after tap, not one after the other.
    pub(crate) is_depthwise: bool,
}

fn window(noise: &mut Noise) -> Window {
    let drawn = Window {
        stride: [0; 2].map(|_: u16| noise.of(&[1, 1, 2, 3]) as u16),
        dilation: [0; 2].map(|_: u16| noise.of(&[1, 1, 1, 2]) as u16),
        pad: [0; 4].map(|_: u16| noise.below(4) as u16),
    };
    if noise.below(4) == 0 { Window::UNIT } else { drawn }
}

fn tensor(noise: &mut Noise, dims: &[u32]) -> Result<Desc, Error> {
    let zero_point = noise.between(-128, 127);
    Ok(Desc { zero_point, scale: 0.1, ..Desc::new(Dtype::I8, Shape::new(dims)?) })
}

fn constant(dtype: Dtype, dims: &[u32]) -> Result<Desc, Error> {
    Ok(Desc { place: Place::Weights, ..Desc::new(dtype, Shape::new(dims)?) })
}

/// A case of operator `O` in this rounding; `None` where what was drawn fits nothing.
pub(crate) fn draw<O: Op>(noise: &mut Noise, rounding: Rounding) -> Result<Option<Case>, Error> {
    let clamp = if noise.below(2) == 0 { Clamp::i32(-128, 127) } else { Clamp::i32(-90, 100) };
    let channels = noise.of(&[1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 32, 33, 40, 64, 72]);
    let dims = [1 + noise.below(2), 1 + noise.below(7), 1 + noise.below(14), channels];
    let x = tensor(noise, &dims)?;
    let taps = [0u32; 2].map(|_| noise.of(&[1, 1, 2, 3, 3, 3, 4, 5]));
    let is_depthwise = O::CODE == DepthwiseConv2d::CODE;
    let (attributes, inputs) = match O::CODE {
        Add::CODE => {
            let op = sum(noise, rounding, clamp);
            let other = if noise.below(4) == 0 { [1, 1, 1, channels] } else { dims };
            (op.emit(), [Some(x), Some(tensor(noise, &other)?), None, None])
        }
        AveragePool2d::CODE => {
            let pool = Pool { window: window(noise), size: taps.map(|t| t as u16) };
            (AveragePool2d { pool, counted: [0; 4], clamp }.emit(), [Some(x), None, None, None])
        }
        _ => {
            let o = noise.of(&[1, 2, 3, 4, 5, 6, 8, 12, 16, 31, 32, 33, 36, 64, 97, 101]);
            let [kh, kw] = taps;
            let (attributes, weights, n) = match O::CODE {
                Conv2d::CODE => {
                    let op = Conv2d { window: window(noise), groups: 1, clamp };
                    (op.emit(), constant(Dtype::I8, &[o, kh, kw, channels])?, o)
                }
                DepthwiseConv2d::CODE => {
                    let n = channels * noise.of(&[1, 1, 1, 2, 3]);
                    let op = DepthwiseConv2d { window: window(noise), clamp };
                    (op.emit(), constant(Dtype::I8, &[1, kh, kw, n])?, n)
                }
                _ => {
                    let op = FullyConnected { keep_dims: true, clamp };
                    (op.emit(), constant(Dtype::I8, &[o, channels])?, o)
                }
            };
            let shared = O::CODE == FullyConnected::CODE && noise.below(3) == 0;
            let scales = if shared { 1 } else { n };
            let scales = match rounding {
                Rounding::Onnx => constant(Dtype::F32, &[scales])?,
                _ => constant(Dtype::I32, &[scales, 2])?,
            };
            (attributes, [Some(x), Some(weights), Some(constant(Dtype::I32, &[n])?), Some(scales)])
        }
    };
    let def = const { OpDef::of::<O>() };
    let present = present(&inputs);
    let Ok(inferred) = def.infer(attributes.bytes(), &Inputs(present)) else { return Ok(None) };
    let mut output = inferred.outputs()[0];
    (output.zero_point, output.scale) = (noise.between(-128, 127), 0.1);
    if O::CODE == AveragePool2d::CODE {
        output.zero_point = x.zero_point;
    }
    let fits = |d: &Desc| d.bytes() <= ROOM;
    let macs = def.macs(attributes.bytes(), &Inputs(present), &[output])?;
    let small = macs <= MOST_MACS && output.shape.dim(3) <= CHANNELS && fits(&output);
    if !small || !present.iter().flatten().all(fits) {
        return Ok(None);
    }
    Ok(Some(Case { attributes, inputs, output, is_depthwise }))
}

/// The operands without the absent ones at the end.
pub(crate) fn present(inputs: &[Option<Desc>; 4]) -> &[Option<Desc>] {
    let count = inputs.iter().take_while(|d| d.is_some()).count();
    &inputs[..count]
}

/// An addition with constants that the loader admits.
fn sum(noise: &mut Noise, rounding: Rounding, clamp: Clamp) -> Add {
    let pair = |noise: &mut Noise| [noise.between(1 << 30, i32::MAX - 1), noise.between(-12, 0)];
    match rounding {
        Rounding::Tflite => Add { left: pair(noise), right: pair(noise), output: pair(noise), clamp },
        Rounding::Single => {
            let factor = |noise: &mut Noise| [noise.between(0, 1 << 21), 0];
            Add { left: factor(noise), right: factor(noise), output: [0, noise.between(0, 22)], clamp }
        }
        _ => Add::plain(clamp),
    }
}
