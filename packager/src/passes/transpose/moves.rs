//! How each operator works on a transposed operand.

use crate::ir::{Graph, Op, Tensor, TensorId, permute};

/// An operand of the moved node.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Absent,
    /// As it is: the transpose's source, or one element.
    Same(TensorId),
    /// A constant with its axes permuted.
    Constant(Tensor),
    /// A computed tensor whose elements keep their order.
    Reshaped(TensorId, Vec<usize>),
    /// A computed tensor that must be transposed.
    Transposed(TensorId, Vec<usize>),
}

/// A node as it works on the source of a transpose.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) op: Op,
    pub(super) inputs: Vec<Operand>,
    /// A transpose that the first operand still needs.
    pub(super) inner: Option<Vec<usize>>,
    /// The permutation that turns the new result into the old one.
    pub(super) permutation: Vec<usize>,
}

impl Move {
    /// Whether it needs transposes of its own.
    pub(super) fn is_costly(&self) -> bool {
        self.inner.is_some() || self.needs_operands()
    }

    /// Whether other operands would have to be transposed.
    pub(super) fn needs_operands(&self) -> bool {
        self.inputs.iter().any(|i| matches!(i, Operand::Transposed(..)))
    }
}

/// How the node reads `t`, which is the transpose by `p` of some source; `source` says what other tensors are
/// transposes of by the same `p`. `None` where the node depends on the layout.
pub(super) fn through(
    graph: &Graph,
    reader: usize,
    t: TensorId,
    p: &[usize],
    source: &dyn Fn(TensorId) -> Option<TensorId>,
) -> Option<Move> {
    let node = &graph.nodes[reader];
    let output = &graph.tensors[*node.outputs.first()?];
    let rank = p.len();
    let back = permute::inverse(p);
    let x = if node.inputs.first() == Some(&Some(t)) { source(t).or(Some(t))? } else { t };
    let one = |op: Op, permutation: Vec<usize>| {
        Some(Move { op, inputs: vec![Operand::Same(x)], inner: None, permutation })
    };
    let same = || p.to_vec();
    match &node.op {
        Op::Clamp { .. } | Op::Unary { .. } | Op::Quantize | Op::Dequantize | Op::Cast { .. } => {
            one(node.op.clone(), same())
        }
        Op::Binary { .. } | Op::Concatenation { .. } | Op::PRelu => {
            if output.shape.len() != rank || graph.tensors[t].shape.len() != rank {
                return None;
            }
            let op = match node.op {
                Op::Concatenation { axis } => Op::Concatenation { axis: p[axis] },
                _ => node.op.clone(),
            };
            let broadcasts = !matches!(op, Op::Concatenation { .. });
            let operand = |i: &Option<TensorId>| match i {
                None => Some(Operand::Absent),
                Some(i) => operand(graph, *i, &back, broadcasts, source),
            };
            let inputs = node.inputs.iter().map(operand).collect::<Option<Vec<_>>>()?;
            Some(Move { op, inputs, inner: None, permutation: same() })
        }
        Op::Pad { before, after, value } => {
            let (before, after) = (permute::apply(before, &back), permute::apply(after, &back));
            one(Op::Pad { before, after, value: *value }, same())
        }
        Op::StridedSlice { begin, size, stride } => {
            let (begin, size) = (permute::apply(begin, &back), permute::apply(size, &back));
            one(Op::StridedSlice { begin, size, stride: permute::apply(stride, &back) }, same())
        }
        Op::Softmax { axis, beta } => one(Op::Softmax { axis: p[*axis], beta: *beta }, same()),
        Op::Reduce { kind, axes, keep_dims } => {
            let mut moved: Vec<usize> = axes.iter().map(|&a| p[a]).collect();
            moved.sort_unstable();
            let op = Op::Reduce { kind: *kind, axes: moved, keep_dims: *keep_dims };
            one(op, if *keep_dims { same() } else { without(p, axes) })
        }
        Op::ArgMax { axis, keep_dims, select_last } => {
            let op = Op::ArgMax { axis: p[*axis], keep_dims: *keep_dims, select_last: *select_last };
            one(op, if *keep_dims { same() } else { without(p, &[*axis]) })
        }
        Op::Reshape { shape } => {
            let Blocks { shape, inner, permutation } = blocks(&graph.tensors[t].shape, shape, p)?;
            Some(Move { op: Op::Reshape { shape }, inputs: vec![Operand::Same(x)], inner, permutation })
        }
        Op::FullyConnected { .. } => {
            // Rows may be in any order.
            let rows = node.inputs.first() == Some(&Some(t)) && p.last() == Some(&(rank - 1));
            let rest = node.inputs.get(1..)?.iter().map(|i| i.map_or(Operand::Absent, Operand::Same));
            let inputs = std::iter::once(Operand::Same(x)).chain(rest).collect();
            rows.then(|| Move { op: node.op.clone(), inputs, inner: None, permutation: same() })
        }
        Op::BatchMatMul { adj_x, adj_y } => {
            // A transpose of the two matrix axes is a flag.
            let swap: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            let [Some(a), Some(b)] = node.inputs[..] else { return None };
            if p != swap || a == b {
                return None;
            }
            let s = source(t).unwrap_or(t);
            let (op, a, b) = if a == t {
                (Op::BatchMatMul { adj_x: !adj_x, adj_y: *adj_y }, s, b)
            } else {
                (Op::BatchMatMul { adj_x: *adj_x, adj_y: !adj_y }, a, s)
            };
            let permutation = (0..output.shape.len()).collect();
            Some(Move { op, inputs: vec![Operand::Same(a), Operand::Same(b)], inner: None, permutation })
        }
        Op::Conv2d { .. }
        | Op::DepthwiseConv2d { .. }
        | Op::Pool2d { .. }
        | Op::Transpose { .. }
        | Op::ResizeNearest { .. }
        | Op::ResizeBilinear { .. }
        | Op::Gather { .. } => None,
    }
}

/// One of several operands, in the source's layout.
fn operand(
    graph: &Graph,
    t: TensorId,
    back: &[usize],
    broadcasts: bool,
    source: &dyn Fn(TensorId) -> Option<TensorId>,
) -> Option<Operand> {
    if let Some(s) = source(t) {
        return Some(Operand::Same(s));
    }
    let tensor = &graph.tensors[t];
    if broadcasts && tensor.elements() == 1 && tensor.shape.len() <= 1 {
        return Some(Operand::Same(t));
    }
    // Broadcasting aligns trailing axes: missing ones are 1.
    let missing = back.len().checked_sub(tensor.shape.len())?;
    let aligned: Vec<usize> = std::iter::repeat_n(1, missing).chain(tensor.shape.iter().copied()).collect();
    if tensor.is_constant() {
        let mut quant = tensor.quant.clone();
        if let Some(q) = &mut quant {
            q.axis += missing;
        }
        let aligned = Tensor { shape: aligned, quant, ..tensor.clone() };
        return permute::constant(&aligned, back).map(Operand::Constant);
    }
    if permute::keeps_order(&aligned, back) {
        return Some(Operand::Reshaped(t, permute::apply(&aligned, back)));
    }
    (missing == 0).then(|| Operand::Transposed(t, back.to_vec()))
}

/// The permutation that is left of `p` when the result's axes `gone` disappear.
fn without(p: &[usize], gone: &[usize]) -> Vec<usize> {
    let left: Vec<usize> = (0..p.len()).filter(|a| !gone.contains(a)).map(|a| p[a]).collect();
    left.iter().map(|&s| left.iter().filter(|&&other| other < s).count()).collect()
}

/// A reshape of a transposed tensor, as a reshape of its source.
struct Blocks {
    shape: Vec<usize>,
    inner: Option<Vec<usize>>,
    permutation: Vec<usize>,
}

/// Splits a reshape of `from` to `to` into independent groups of neighbouring axes and moves whole groups.
/// Where a group's axes are not neighbours in the source, an inner transpose gathers them; `None` where that
/// would be all of `p`.
fn blocks(from: &[usize], to: &[usize], p: &[usize]) -> Option<Blocks> {
    let groups = groups(from, to);
    let wide = |axes: &std::ops::Range<usize>| -> Vec<usize> {
        axes.clone().filter(|&a| from[a] != 1).map(|a| p[a]).collect()
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let first = |g: usize| {
        let axes = &groups[g].0;
        wide(axes).into_iter().min().or_else(|| axes.clone().map(|a| p[a]).min())
    };
    order.sort_by_key(|&g| first(g));
    let gathered: Vec<usize> = order.iter().flat_map(|&g| wide(&groups[g].0)).collect();
    let inner = (!gathered.is_sorted())
        .then(|| order.iter().flat_map(|&g| groups[g].0.clone().map(|a| p[a])).collect::<Vec<usize>>());
    let shape: Vec<usize> = order.iter().flat_map(|&g| to[groups[g].1.clone()].iter().copied()).collect();
    // Where each axis of `to` went.
    let moved: Vec<usize> = order.iter().flat_map(|&g| groups[g].1.clone()).collect();
    let permutation = permute::inverse(&moved);
    if inner.is_some() && permute::keeps_order(&shape, &permutation) {
        return None;
    }
    Some(Blocks { shape, inner, permutation })
}

/// The smallest runs of axes of `from` and `to` with equal products; together they cover both.
fn groups(from: &[usize], to: &[usize]) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut groups = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        let (i0, j0) = (i, j);
        let (mut a, mut b) = (from[i], to[j]);
        (i, j) = (i + 1, j + 1);
        while a != b {
            if a < b && i < from.len() {
                a *= from[i];
                i += 1;
            } else if j < to.len() {
                b *= to[j];
                j += 1;
            } else {
                break;
            }
        }
        groups.push((i0..i, j0..j));
    }
    // What is left has size 1.
    match groups.last_mut() {
        Some((a, b)) => (a.end, b.end) = (from.len(), to.len()),
        None => groups.push((0..from.len(), 0..to.len())),
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_split_moves_as_a_block() {
        // [1,H,W,C] seen as NCHW, split into two groups of channels.
        let b = blocks(&[1, 6, 4, 5], &[1, 2, 3, 4, 5], &[0, 3, 1, 2]).unwrap();
        assert_eq!((b.shape, b.inner), (vec![1, 4, 5, 2, 3], None));
        assert_eq!(b.permutation, [0, 3, 4, 1, 2]);
    }

    #[test]
    fn a_channel_shuffle_keeps_its_own_transpose_only() {
        // After the shuffle's own transpose the groups' order is reversed.
        let b = blocks(&[1, 3, 2, 4, 5], &[1, 6, 4, 5], &[0, 4, 3, 1, 2]).unwrap();
        assert_eq!((b.shape, b.inner), (vec![1, 4, 5, 6], Some(vec![0, 1, 2, 4, 3])));
        assert_eq!(b.permutation, [0, 3, 1, 2]);
    }

    #[test]
    fn flattening_does_not_move() {
        assert!(blocks(&[1, 6, 4, 5], &[1, 120], &[0, 3, 1, 2]).is_none());
        // But a flattened image of one pixel does.
        let b = blocks(&[1, 6, 1, 1], &[1, 6], &[0, 3, 1, 2]).unwrap();
        assert_eq!((b.shape, b.inner, b.permutation), (vec![1, 6], None, vec![0, 1]));
    }

    #[test]
    fn reductions_renumber_what_is_left() {
        assert_eq!(without(&[0, 3, 1, 2], &[2, 3]), [0, 1]);
        assert_eq!(without(&[0, 3, 1, 2], &[1]), [0, 1, 2]);
        assert_eq!(without(&[0, 3, 1, 2], &[2]), [0, 2, 1]);
    }
}
