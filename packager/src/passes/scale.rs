//! Products and sums with per-channel constants become part of the weights and bias before them: how a batch
//! normalization disappears.

use samara_runtime::Dtype;

use super::rewrite::only_reader;
use crate::error::Result;
use crate::ir::{Activation, Binary, Graph, Op, Tensor, TensorId};

/// Folds Mul, Add and Sub of float constants into convolutions and fully connected layers.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        // The same layer may take a product and then a sum.
        if fold(graph, n).is_some() {
            changed = true;
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

fn fold(graph: &mut Graph, n: usize) -> Option<()> {
    let channel_axis = match graph.nodes[n].op {
        Op::Conv2d { activation: Activation::NONE, .. } => 0,
        Op::FullyConnected { activation: Activation::NONE } => 0,
        Op::DepthwiseConv2d { activation: Activation::NONE, .. } => 3,
        _ => return None,
    };
    let &[y] = &graph.nodes[n].outputs[..] else { return None };
    let reader = only_reader(graph, &graph.uses(), y)?;
    let Op::Binary { kind, activation } = graph.nodes[reader].op else { return None };
    let other = match graph.nodes[reader].inputs[..] {
        [Some(a), Some(b)] if a == y => b,
        [Some(a), Some(b)] if b == y && kind != Binary::Sub => a,
        _ => return None,
    };
    let result = graph.nodes[reader].outputs[0];
    if graph.tensors[result].shape != graph.tensors[y].shape {
        return None;
    }
    let channels = *graph.tensors[y].shape.last()?;
    let constant = per_channel(&graph.tensors[other], channels)?;
    let weights = graph.nodes[n].inputs.get(1).copied().flatten()?;
    let old_bias = graph.nodes[n].inputs.get(2).copied().flatten();
    let mut bias = match old_bias {
        Some(b) => graph.tensors[b].f32s()?,
        None => vec![0.0; channels],
    };
    let mut scaled = None;
    match kind {
        Binary::Add => bias.iter_mut().zip(&constant).for_each(|(b, c)| *b += c),
        Binary::Sub => bias.iter_mut().zip(&constant).for_each(|(b, c)| *b -= c),
        Binary::Mul => {
            scaled = Some(scale(&graph.tensors[weights], channel_axis, &constant)?);
            bias.iter_mut().zip(&constant).for_each(|(b, c)| *b *= c);
        }
        Binary::Div | Binary::Minimum | Binary::Maximum => return None,
    }
    let name = graph.nodes[n].name.clone();
    let weights: TensorId = scaled.map_or(weights, |t| graph.add(t));
    let bias = Tensor::constant(format!("{name}/bias"), Dtype::F32, vec![channels], &bias);
    let bias = (old_bias.is_some() || kind != Binary::Mul).then(|| graph.add(bias));
    if let Some(own) = super::activation::fused(&mut graph.nodes[n].op) {
        *own = activation;
    }
    let node = &mut graph.nodes[n];
    node.inputs = vec![node.inputs[0], Some(weights)];
    node.inputs.extend(bias.map(Some));
    node.outputs = vec![result];
    graph.nodes.remove(reader);
    Some(())
}

/// A float constant that only varies along the last axis, as one value per channel.
fn per_channel(t: &Tensor, channels: usize) -> Option<Vec<f32>> {
    let values = t.f32s()?;
    if values.len() == 1 {
        return Some(vec![values[0]; channels]);
    }
    (t.shape.last() == Some(&channels) && values.len() == channels).then_some(values)
}

/// Weights times one factor per index of an axis; none where they must stay on a quantization grid.
fn scale(t: &Tensor, axis: usize, factors: &[f32]) -> Option<Tensor> {
    if t.quant.is_some() {
        return None;
    }
    let inner: usize = t.shape.get(axis + 1..)?.iter().product();
    let mut values = t.f32s()?;
    for (k, v) in values.iter_mut().enumerate() {
        *v *= factors.get(k / inner % factors.len())?;
    }
    Some(Tensor::constant(t.name.clone(), Dtype::F32, t.shape.clone(), &values))
}
