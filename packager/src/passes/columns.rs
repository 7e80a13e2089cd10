//! An image flattened into the columns of a fully connected layer: the layer's weights are permuted instead of
//! the image.

use std::ops::ControlFlow;

use super::rewrite::only_reader;
use crate::error::Result;
use crate::ir::{Graph, Op, Tensor, TensorId, permute};

/// Removes transposes between an image and the layer that reads it flattened.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        let Op::Transpose { permutation } = &graph.nodes[n].op else { continue };
        let (permutation, x, y) = (permutation.clone(), graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]);
        for reader in 0..graph.nodes.len() {
            if graph.nodes[reader].inputs.first() != Some(&Some(y)) {
                continue;
            }
            let Some(edits) = edits(graph, reader, &permutation) else { continue };
            for (node, slot, tensor) in edits {
                graph.nodes[node].inputs[slot] = Some(graph.add(tensor));
            }
            graph.nodes[reader].inputs[0] = x;
            changed = true;
        }
    }
    Ok(changed)
}

/// Whether the node flattens its input, and a transpose of that input by `p` could be left out.
pub(super) fn absorbs(graph: &Graph, reader: usize, p: &[usize]) -> bool {
    edits(graph, reader, p).is_some()
}

/// Constants to replace (node, operand, tensor) when the flattening node reads the transpose's source.
type Edits = Vec<(usize, usize, Tensor)>;

fn edits(graph: &Graph, reader: usize, p: &[usize]) -> Option<Edits> {
    let node = &graph.nodes[reader];
    let (Op::Reshape { shape }, x) = (&node.op, node.inputs.first().copied().flatten()?) else { return None };
    let mut map = flattened(&graph.tensors[x].shape, shape, p)?;
    let uses = graph.uses();
    let (mut edits, mut t) = (Vec::new(), node.outputs[0]);
    for _ in 0..graph.nodes.len() {
        let next = only_reader(graph, &uses, t)?;
        match follow(graph, next, t, &mut map, &mut edits)? {
            ControlFlow::Continue(()) => t = graph.nodes[next].outputs[0],
            ControlFlow::Break(()) => return Some(edits),
        }
    }
    None
}

/// For each column of the flattened transpose, its column in the flattened source; `None` where more than the
/// last axis is involved.
fn flattened(from: &[usize], to: &[usize], p: &[usize]) -> Option<Vec<usize>> {
    let columns = *to.last()?;
    let split = (0..from.len()).rev().find(|&s| from[s..].iter().product::<usize>() == columns)?;
    let wide = |axes: std::ops::Range<usize>| axes.filter(|&a| from[a] != 1);
    let lead: Vec<usize> = wide(0..split).map(|a| p[a]).collect();
    let group: Vec<usize> = wide(split..from.len()).collect();
    let first = group.iter().map(|&a| p[a]).min()?;
    if !lead.is_sorted() || lead.iter().any(|&s| s > first) {
        return None;
    }
    let mut stored = group.clone();
    stored.sort_by_key(|&a| p[a]);
    let dims: Vec<usize> = stored.iter().map(|&a| from[a]).collect();
    let order: Option<Vec<usize>> = group.iter().map(|a| stored.iter().position(|s| s == a)).collect();
    Some(permute::order(&dims, &order?))
}

/// Carries permuted columns through one node; breaks where they end.
fn follow(
    graph: &Graph,
    n: usize,
    t: TensorId,
    map: &mut Vec<usize>,
    edits: &mut Edits,
) -> Option<ControlFlow<()>> {
    let node = &graph.nodes[n];
    let last = graph.tensors[t].shape.len().checked_sub(1)?;
    let output = &graph.tensors[*node.outputs.first()?].shape;
    match &node.op {
        Op::FullyConnected { .. } => {
            let weights = &graph.tensors[node.inputs.get(1).copied().flatten()?];
            edits.push((n, 1, permuted(weights, map)?));
            Some(ControlFlow::Break(()))
        }
        Op::Reduce { axes, .. } => axes.contains(&last).then_some(ControlFlow::Break(())),
        Op::Clamp { .. } | Op::Unary { .. } | Op::Quantize | Op::Dequantize | Op::Cast { .. } => {
            Some(ControlFlow::Continue(()))
        }
        Op::Reshape { shape } => (shape.last() == Some(&map.len())).then_some(ControlFlow::Continue(())),
        Op::Binary { .. } | Op::PRelu => {
            if output.last() != Some(&map.len()) {
                return None;
            }
            for (slot, &i) in node.inputs.iter().enumerate() {
                let other = &graph.tensors[i?];
                if i != Some(t) && other.shape.last().is_some_and(|&d| d != 1) {
                    edits.push((n, slot, permuted(other, map)?));
                }
            }
            Some(ControlFlow::Continue(()))
        }
        Op::Concatenation { axis } if *axis == last => {
            let mut joined = Vec::new();
            for &i in node.inputs.iter().flatten() {
                let start = joined.len();
                let width = graph.tensors[i].shape[last];
                if i == t {
                    joined.extend(map.iter().map(|m| m + start));
                } else {
                    joined.extend(start..start + width);
                }
            }
            *map = joined;
            Some(ControlFlow::Continue(()))
        }
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::Pool2d { .. }
        | Op::Softmax { .. }
        | Op::Pad { .. }
        | Op::Concatenation { .. }
        | Op::Transpose { .. }
        | Op::StridedSlice { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::ArgMax { .. }
        | Op::BatchMatMul { .. }
        | Op::Gather { .. } => None,
    }
}

/// A constant whose column `map[j]` is what column `j` was.
fn permuted(t: &Tensor, map: &[usize]) -> Option<Tensor> {
    let data = t.data.as_ref()?;
    if t.dtype.is_packed()
        || t.shape.last() != Some(&map.len())
        || t.quant.as_ref().is_some_and(|q| q.scale.len() > 1 && q.axis + 1 == t.shape.len())
    {
        return None;
    }
    let size = t.dtype.size();
    let mut moved = vec![0u8; data.len()];
    for (row, out) in data.chunks_exact(map.len() * size).zip(moved.chunks_exact_mut(map.len() * size)) {
        for (element, &to) in row.chunks_exact(size).zip(map) {
            out[to * size..(to + 1) * size].copy_from_slice(element);
        }
    }
    Some(Tensor { data: Some(moved), ..t.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_flattened_image() {
        // Two channels of one row of three pixels: c*3 + w becomes w*2 + c.
        let map = flattened(&[1, 2, 1, 3], &[1, 6], &[0, 3, 1, 2]).unwrap();
        assert_eq!(map, [0, 2, 4, 1, 3, 5]);
        // The batch would move too.
        assert!(flattened(&[2, 3], &[6], &[1, 0]).is_some());
        assert!(flattened(&[4, 2, 3], &[2, 12], &[1, 0, 2]).is_none());
    }
}
