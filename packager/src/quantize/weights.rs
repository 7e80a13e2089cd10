//! Weights per channel, symmetric in [-127, 127]; biases int32 at input scale times weight scale.

use samara_runtime::Dtype;

use super::solve::Assigned;
use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Op, Quant, Tensor};

/// Greatest magnitude of a quantized bias: half of the accumulator is left to the products.
const BIAS_LIMIT: f64 = (1u64 << 30) as f64;

/// Converts the constants of a convolution or fully connected node.
pub(super) fn convert(graph: &mut Graph, activations: &Assigned, mut node: Node) -> Result<Node> {
    let input = node.inputs.first().copied().flatten().and_then(|t| activations.get(&t));
    let (input_scale, zero) = input
        .and_then(Quant::single)
        .ok_or_else(|| Error::invalid("its input is no calibrated activation"))?;
    let id = node.inputs.get(1).copied().flatten().ok_or_else(|| Error::invalid("it has no weights"))?;
    let weights = graph.tensors[id].clone();
    let values = weights.f32s().ok_or_else(|| Error::invalid("its weights are not constant floats"))?;
    let axis = match node.op {
        Op::DepthwiseConv2d { .. } => 3,
        _ => 0,
    };
    let channels = weights.shape[axis];
    let inner: usize = weights.shape[axis + 1..].iter().product();
    let channel_of = |i: usize| i / inner % channels;

    let bias_id = node.inputs.get(2).copied().flatten();
    let bias = match bias_id {
        Some(t) => {
            graph.tensors[t].f32s().ok_or_else(|| Error::invalid("its bias is not constant floats"))?
        }
        None => vec![0.0; channels],
    };
    let mut greatest = vec![0f32; channels];
    for (i, w) in values.iter().enumerate() {
        let g = &mut greatest[channel_of(i)];
        *g = g.max(w.abs());
    }
    let scales: Vec<f32> = (0..channels)
        .map(|c| {
            // The least scale at which the bias fits, for channels with tiny or no weights.
            let floor = bias[c].abs() as f64 / BIAS_LIMIT / input_scale as f64;
            let scale = (greatest[c] as f64 / 127.0).max(floor) as f32;
            if scale.is_normal() { scale } else { (1.0 / 127.0f32).max(floor as f32) }
        })
        .collect();
    let levels: Vec<i8> = values
        .iter()
        .enumerate()
        .map(|(i, &w)| libm::rint(w as f64 / scales[channel_of(i)] as f64).clamp(-127.0, 127.0) as i8)
        .collect();
    let bias_scales: Vec<f32> = scales.iter().map(|&s| s * input_scale).collect();
    let bias_levels: Vec<i32> = bias
        .iter()
        .zip(&scales)
        .map(|(&b, &s)| {
            libm::rint(b as f64 / (s as f64 * input_scale as f64)).clamp(-BIAS_LIMIT, BIAS_LIMIT) as i32
        })
        .collect();
    prove(&levels, &bias_levels, channel_of, zero)?;

    let quant = Quant { zero_point: vec![0; channels], scale: scales, axis };
    let name = format!("{}/int8", weights.name);
    let converted = graph.add(Tensor::constant(name, Dtype::I8, weights.shape, &levels).quantized(quant));
    node.inputs[1] = Some(converted);
    let name = match bias_id {
        Some(t) => format!("{}/int32", graph.tensors[t].name),
        None => return Ok(node),
    };
    let quant = Quant { zero_point: vec![0; channels], scale: bias_scales, axis: 0 };
    let converted =
        graph.add(Tensor::constant(name, Dtype::I32, vec![channels], &bias_levels).quantized(quant));
    node.inputs[2] = Some(converted);
    Ok(node)
}

/// `sum |w| * max |x - z| + |b| < 2^31` for every channel, whatever the input.
fn prove(levels: &[i8], bias: &[i32], channel_of: impl Fn(usize) -> usize, zero: i32) -> Result<()> {
    let reach = (127 - zero).max(zero + 128) as i64;
    let mut sums: Vec<i64> = bias.iter().map(|&b| (b as i64).abs()).collect();
    for (i, &w) in levels.iter().enumerate() {
        sums[channel_of(i)] += (w as i64).abs() * reach;
    }
    match sums.iter().position(|&s| s >= 1 << 31) {
        Some(c) => Err(Error::invalid(format!("channel {c} could overflow its 32-bit accumulator"))),
        None => Ok(()),
    }
}
